"""The names of the columns of raw and tokenized splits, and of the labels in them.

A raw split has `id`, and `text` (`text_pair`) and `label`, or `tokens` and `tags`. A tokenized split has one row per
window: `example` (the raw split's row), `subwords` (of the whole example), `input_ids`, `labels` (for tokens one per
sub-word, `IGNORED` where no word begins) and, for tokens, `words` (the word that begins at a sub-word, else -1). Pairs
of texts whose models tell them apart have `token_type_ids`.
"""

from datasets import ClassLabel, Features, List

from stages.configuration.schema import CANONICAL_COLUMNS

IGNORED = -100
"""The label of a sub-word that takes no part in loss or score; PyTorch's own `ignore_index`."""

ID, TEXT, SECOND_TEXT, LABEL, TOKENS, TAGS = CANONICAL_COLUMNS

EXAMPLE = "example"
INPUT_IDS = "input_ids"
LABELS = "labels"
WORDS = "words"
TOKEN_TYPES = "token_type_ids"
SUBWORDS = "subwords"
"""The number of sub-words of a row's whole example, special ones included: more than the row has, if it was cut."""

_NUMBER = "number"
"""The name of the only logit of a model that predicts a number."""

SPACE_BEFORE_WORDS = "space_before_words"
"""The key in a `tokenizer_config.json` that asks for a space before all words of a sentence but the first."""


def label_names(features: Features) -> list[str]:
    """Return the names of a split's labels in the order of their codes, which is that of the logits.

    `features`: of a raw or tokenized split. For numbers there is one name, `number`.
    """
    feature = next(features[column] for column in (LABELS, LABEL, TAGS) if column in features)
    if isinstance(feature, List):
        feature = feature.feature
    return list(feature.names) if isinstance(feature, ClassLabel) else [_NUMBER]
