"""Read a file's rows as checked examples: choose its columns, give each the one type of its purpose, and name labels."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial

import pyarrow as pa

from stages.configuration.kinds import labels_words
from stages.configuration.schema import CANONICAL_COLUMNS, TabularData, Target
from stages.pipeline.errors import DataError
from stages.sources.readers.table_file import Column, Rows, TableFile
from stages.sources.values import (
    LabelNames,
    Where,
    as_text,
    identifiers,
    label_lists,
    labels,
    list_lengths,
    numbers,
    text_lists,
    texts,
)

TEXTS = ("text", "sentence", "content", "review", "document", "body", "comment", "message")
PAIRS = (
    ("text", "text_pair"), ("sentence1", "sentence2"), ("premise", "hypothesis"), ("question1", "question2"),
    ("question", "sentence"), ("text1", "text2"),
)  # fmt: skip
WORDS = ("tokens", "words")
_TAGS = ("ner_tags", "tags", "labels", "pos_tags")
_LABELS = ("label", "labels", "class", "category", "target", "sentiment", "intent", "score", "rating", "stars")
_ID = "id"
DOCUMENT = "document"
"""The column in which the CoNLL reader numbers documents (`-DOCSTART-`)."""
MISALIGNED = "misaligned"
"""The column in which the reader of spans counts those that do not begin and end at a word's edge."""


@dataclass(frozen=True)
class Columns:
    """The columns of a file that are read, by their purpose."""

    input: str
    pair: str | None
    label: str
    id: str | None
    group: str | None
    misaligned: str | None
    kept: tuple[str, ...] = ()
    """Columns that are copied as they are."""

    @property
    def all(self) -> list[str]:
        """Every column to read, each once."""
        wanted = (self.input, self.pair, self.label, self.id, self.group, self.misaligned, *self.kept)
        return list(dict.fromkeys(name for name in wanted if name is not None))


def choose_columns(file: TableFile, config: TabularData) -> Columns:
    """Return the columns that `config` names, the usual ones where it names none. Raises DataError if there is no such column."""
    text, pair = _inputs(file, config)
    usual = _TAGS if labels_words(config.kind) else _LABELS
    return Columns(
        input=text,
        pair=pair,
        label=_column(file, "data.label_column", config.label_column, [name for name in usual if name != text]),
        id=_ID if _ID in file.columns else None,
        group=_group(file, config),
        misaligned=MISALIGNED if MISALIGNED in file.columns else None,
        kept=tuple(_column(file, "data.keep_columns", name, ()) for name in config.keep_columns),
    )


def _inputs(file: TableFile, config: TabularData) -> tuple[str, str | None]:
    key = "data.text_column"
    if labels_words(config.kind):
        return _column(file, key, config.text_column, WORDS), None
    if config.pair_column is not None:
        firsts = [first for first, _ in PAIRS if first != config.pair_column]
        first = _column(file, key, config.text_column, [*firsts, *TEXTS])
        return first, _column(file, "data.pair_column", config.pair_column, ())
    if config.text_column is None:
        for first, second in PAIRS:
            if first in file.columns and second in file.columns:
                return first, second
    return _column(file, key, config.text_column, TEXTS), None


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
    """Return a column by its position. The CoNLL reader has used it already; a CSV without a header names columns by it."""
    names = [name for name in usual if name in file.columns]
    if names:
        return names[0]
    if -len(file.columns) <= place < len(file.columns):
        return file.columns[place]
    raise DataError(f"{file.name}: {key}={place}, but there are {len(file.columns)} columns; count them from 0")


ID, TEXT, PAIR, LABEL, TOKENS, TAGS = CANONICAL_COLUMNS
GROUP, PLACE = "group", "place"
KEPT = "kept:"
"""The prefix of the names of copied columns, so that they differ from all others."""


def checked_examples(
    file: TableFile, columns: Columns, config: TabularData, label_names: Sequence[str] | None
) -> Iterator[pa.RecordBatch]:
    """Read a file as record batches of `text` (and `text_pair`) and `label`, or of `tokens` and `tags`.

    Labels are text, lists of text or float64, as `config.target` says; -1 for no label is left as it is. Other
    columns are `place` (the row's name in messages) and, where the file has them, `id`, `group`, `misaligned` and, as
    `kept:NAME`, the copied columns.
    `label_names`: the names of labels. Integers index them if the file's format says so, or if no name is an integer.
    Raises DataError naming file and row of what can't be used.
    """
    names = None if label_names is None else LabelNames(label_names, are_indexed=columns.label in file.label_names)
    for rows in file.read(columns.all):
        where = Where(file.name, file.unit, rows.numbers)
        made = (
            _tokens(rows, columns, where, names)
            if labels_words(config.kind)
            else _text(rows, columns, where, names, config)
        )
        if columns.id is not None:
            made[ID] = identifiers(rows.columns[columns.id], where)
        if columns.group is not None:
            made[GROUP] = identifiers(rows.columns[columns.group], where)
        if columns.misaligned is not None:
            made[MISALIGNED] = pa.array(rows.columns[columns.misaligned], pa.int64())
        made |= {KEPT + name: as_text(rows.columns[name], where, name) for name in columns.kept}
        made[PLACE] = pa.array([f"{file.name}, {file.unit} {number}" for number in rows.numbers], pa.string())
        yield pa.record_batch(made)


def _text(
    rows: Rows, columns: Columns, where: Where, names: LabelNames | None, config: TabularData
) -> dict[str, pa.Array]:
    made = {TEXT: texts(rows.columns[columns.input], where, "text")}
    if columns.pair is not None:
        made[PAIR] = texts(rows.columns[columns.pair], where, "second text")
    made[LABEL] = _READ_LABELS[config.target](rows.columns[columns.label], where, names)
    return made


_READ_LABELS: Mapping[Target, Callable[[Column, Where, LabelNames | None], pa.Array]] = {
    "label": labels,
    "labels": partial(label_lists, what="label"),
    "number": lambda column, where, _: numbers(column, where),
}
"""How the label column of texts is read."""


def _tokens(rows: Rows, columns: Columns, where: Where, names: LabelNames | None) -> dict[str, pa.Array]:
    tokens = text_lists(rows.columns[columns.input], where, "word")
    tags = label_lists(rows.columns[columns.label], where, names, "tag")
    words_in, tags_in = list_lengths(tokens), list_lengths(tags)
    uneven = (words_in != tags_in).nonzero()[0]
    if len(uneven):
        row = int(uneven[0])
        raise where.fault(row, f"has {words_in[row]} words but {tags_in[row]} tags; give each word one tag")
    return {TOKENS: tokens, TAGS: tags}
