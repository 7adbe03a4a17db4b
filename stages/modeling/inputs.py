"""What of a tokenized split a model takes."""

import inspect

from datasets import Dataset
from transformers import PreTrainedModel

from stages.tasks.columns.names import INPUT_IDS, TOKEN_TYPES


def input_columns(model: PreTrainedModel, split: Dataset) -> list[str]:
    """The columns that go into the model: sub-words and, where the split has them and the model takes them, token types."""
    has_types = TOKEN_TYPES in split.column_names and takes_token_types(model)
    return [INPUT_IDS, TOKEN_TYPES] if has_types else [INPUT_IDS]


def takes_token_types(model: PreTrainedModel) -> bool:
    """Whether the model tells token types apart: DistilBERT knows none, RoBERTa's weights have but one, 0."""
    is_taken = TOKEN_TYPES in inspect.signature(model.forward).parameters
    return is_taken and getattr(model.config, "type_vocab_size", 2) > 1
