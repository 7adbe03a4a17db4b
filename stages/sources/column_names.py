"""The usual names of columns, and which column of a file a name or a place means."""

import re
from collections.abc import Sequence
from typing import TypeAlias

from stages.pipeline.escaping import shortened

Ranks: TypeAlias = Sequence[Sequence[str]]
"""Names from the likeliest to the least likely. Those of one rank are equally likely: a file with two of them is ambiguous."""

TEXTS: Ranks = (
    ("text",),
    (
        "sentence", "content", "review", "document", "body", "comment", "message", "tweet", "post", "utterance", "sms", "email",
        "review text", "review body", "comment text", "tweet text", "full text", "article", "statement", "input", "sentences",
        "texts", "reviews", "comments", "tweets",
    ),
    ("title", "headline", "question", "query", "description", "summary", "abstract", "phrase"),
)  # fmt: skip
PAIRS = (
    ("text", "text_pair"), ("sentence1", "sentence2"), ("premise", "hypothesis"), ("question1", "question2"),
    ("question", "sentence"), ("text1", "text2"), ("sentence_a", "sentence_b"), ("text_a", "text_b"),
)  # fmt: skip
WORDS: Ranks = (("tokens",), ("words",))
TAGS: Ranks = (("ner_tags",), ("tags",), ("labels",), ("pos_tags",))

_CLASSES = (
    "class", "category", "target", "sentiment", "intent", "emotion", "topic", "polarity", "stance", "class name", "class index",
    "classes", "categories", "targets", "intents", "emotions", "topics", "y",
)  # fmt: skip
_AMOUNTS = ("score", "rating", "stars", "star rating")
LABELS: Ranks = (("label",), ("labels",), ("cats",), ("gold label", "gold"), _CLASSES, _AMOUNTS)
LABEL_LISTS: Ranks = (("labels",), *(names for names in LABELS if names != ("labels",)))
NUMBERS: Ranks = (("label",), (*_AMOUNTS, "value", "similarity", "similarity score", "target", "y"), ("labels",))


class AmbiguousColumnError(ValueError):
    """Two columns are equally likely."""

    def __init__(self, columns: Sequence[str]) -> None:
        super().__init__(", ".join(columns))
        self.columns = columns


def usual_column(columns: Sequence[str], ranks: Ranks) -> str | None:
    """Return the column with the likeliest of the usual names, in any case, with or without separators (`Review_Text`).

    None if no column has one. Raises AmbiguousColumnError if two have one of the same rank.
    """
    for names in ranks:
        wanted = {_normal(name) for name in names}
        exact = [column for column in columns if column in names]
        found = [column for column in columns if _normal(column) in wanted]
        if len(found) == 1 or (len(exact) == 1 and len({_normal(column) for column in found}) == 1):
            return (exact or found)[0]
        if found:
            raise AmbiguousColumnError(found)
    return None


def named_column(columns: Sequence[str], wanted: str) -> str | None:
    """Return the column of this name: as it is written, or else in another case or with white space around it.

    None if there is none. Raises AmbiguousColumnError if two are written alike but for that.
    """
    if wanted in columns:
        return wanted
    found = [column for column in columns if _trimmed(column) == _trimmed(wanted)]
    if len(found) > 1:
        raise AmbiguousColumnError(found)
    return found[0] if found else None


def usual_pair(columns: Sequence[str], second: str | None = None) -> tuple[str, str] | None:
    """Return the columns of first and second texts that have the usual names of pairs. `second`: the one that is known."""
    for names in PAIRS:
        firsts, seconds = ([column for column in columns if _normal(column) == _normal(name)] for name in names)
        if len(firsts) == len(seconds) == 1 and seconds[0] == (second or seconds[0]):
            return firsts[0], seconds[0]
    return None


def is_usual(name: str) -> bool:
    """Whether a string is one of the usual names, so that a line that holds it may be a header."""
    ranks = (*TEXTS, *PAIRS, *WORDS, *TAGS, *LABELS, *NUMBERS, ("id",))
    return any(_normal(name) == _normal(usual) for names in ranks for usual in names)


def shown_name(name: str) -> str:
    """Return as much of a column's name as a message shows."""
    return shortened(name, _SHOWN)


_SHOWN = 40


def _trimmed(name: str) -> str:
    return name.strip("\ufeff \t\r\n").casefold()


def _normal(name: str) -> str:
    return re.sub(r"[\s_.\-\ufeff]+", "", name).casefold()
