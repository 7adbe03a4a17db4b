"""Which column of a file is for what: as configured, else by the usual names."""

import logging
from collections.abc import Sequence
from dataclasses import dataclass

from stages.configuration.schema import Kind, TabularData, Target
from stages.pipeline.errors import DataError
from stages.sources.readers.base import TableFile

log = logging.getLogger("stages.sources")

_TEXTS = ("text", "sentence", "content", "review", "document", "body", "comment", "message")
_PAIRS = (
    ("text", "text_pair"), ("sentence1", "sentence2"), ("premise", "hypothesis"), ("question1", "question2"),
    ("question", "sentence"), ("text1", "text2"),
)  # fmt: skip
_WORDS = ("tokens", "words")
_TAGS = ("ner_tags", "tags", "labels", "pos_tags")
_LABELS = ("label", "labels", "class", "category", "target", "sentiment", "intent", "score", "rating", "stars")
_ID = "id"
DOCUMENT = "document"
"""The column in which the CoNLL reader numbers documents (`-DOCSTART-`)."""
MISALIGNED = "misaligned"
"""The column in which the reader of spans counts those that do not begin and end at a word's edge."""


@dataclass(frozen=True)
class Columns:
    """The columns of a file that are used, by their purpose."""

    input: str
    pair: str | None
    label: str
    id: str | None
    group: str | None
    misaligned: str | None
    kept: tuple[str, ...] = ()
    """Those that come along as they are."""

    @property
    def all(self) -> list[str]:
        """Every column to read, each once."""
        wanted = (self.input, self.pair, self.label, self.id, self.group, self.misaligned, *self.kept)
        return list(dict.fromkeys(name for name in wanted if name is not None))


def choose_columns(file: TableFile, config: TabularData) -> Columns:
    """The columns that `config` names, the usual ones where it names none. Raises DataError if there is no such column."""
    text, pair = _inputs(file, config)
    usual = _TAGS if config.kind == "tokens" else _LABELS
    chosen = Columns(
        input=text,
        pair=pair,
        label=_column(file, "data.label_column", config.label_column, [name for name in usual if name != text]),
        id=_ID if _ID in file.columns else None,
        group=_group(file, config),
        misaligned=MISALIGNED if MISALIGNED in file.columns else None,
        kept=tuple(_column(file, "data.keep_columns", name, ()) for name in config.keep_columns),
    )
    log.info("%s: %s", file.name, _told(chosen, config.kind, config.target))
    return chosen


def _inputs(file: TableFile, config: TabularData) -> tuple[str, str | None]:
    key = "data.text_column"
    if config.kind == "tokens":
        return _column(file, key, config.text_column, _WORDS), None
    if config.pair_column is not None:
        firsts = [first for first, _ in _PAIRS if first != config.pair_column]
        first = _column(file, key, config.text_column, [*firsts, *_TEXTS])
        return first, _column(file, "data.pair_column", config.pair_column, ())
    if config.text_column is None:
        for first, second in _PAIRS:
            if first in file.columns and second in file.columns:
                return first, second
    return _column(file, key, config.text_column, _TEXTS), None


def _group(file: TableFile, config: TabularData) -> str | None:
    if config.group_column is not None:
        return _column(file, "data.group_column", config.group_column, ())
    return DOCUMENT if DOCUMENT in file.columns and "tags" in file.columns else None


def _column(file: TableFile, key: str, wanted: str | int | None, usual: Sequence[str]) -> str:
    if isinstance(wanted, int):
        return _column_at(file, key, wanted, usual)
    for name in usual if wanted is None else [wanted]:
        if name in file.columns:
            return name
    missing = wanted or " or ".join(usual)
    raise DataError(
        f"{file.name}: has no column {missing}; set {key} to one of its columns: {', '.join(file.columns) or 'none'}"
    )


def _column_at(file: TableFile, key: str, place: int, usual: Sequence[str]) -> str:
    """A column by its place: the CoNLL reader has used it already; a CSV without a header calls columns by it."""
    names = [name for name in usual if name in file.columns]
    if names:
        return names[0]
    if -len(file.columns) <= place < len(file.columns):
        return file.columns[place]
    raise DataError(f"{file.name}: {key}={place}, but there are {len(file.columns)} columns; count them from 0")


def _told(columns: Columns, kind: Kind, target: Target) -> str:
    """What was chosen, for the log."""
    inputs = columns.input if columns.pair is None else f"{columns.input} and {columns.pair}"
    what = "tags" if kind == "tokens" else {"label": "label", "labels": "labels", "number": "number"}[target]
    group = f", groups from {columns.group}" if columns.group else ""
    return f"{'words' if kind == 'tokens' else 'text'} from {inputs}, {what} from {columns.label}{group}"
