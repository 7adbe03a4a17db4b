"""A file's rows as checked examples: each column of the one type that its purpose has, labels by name."""

from collections.abc import Iterator, Sequence

import pyarrow as pa

from stages.configuration.schema import CANONICAL_COLUMNS, TabularData
from stages.sources.columns import MISALIGNED, Columns
from stages.sources.readers.base import Rows, TableFile
from stages.sources.values import Where, as_text, identifiers, label_lists, labels, numbers, text_lists, texts

ID, TEXT, PAIR, LABEL, TOKENS, TAGS = CANONICAL_COLUMNS
GROUP, PLACE = "group", "place"
KEPT = "kept:"
"""What the names of columns that come along begin with, so that they are no other's."""


def checked_examples(
    file: TableFile, columns: Columns, config: TabularData, names: Sequence[str] | None
) -> Iterator[pa.RecordBatch]:
    """Read a file as record batches of `text` (and `text_pair`) and `label`, or of `tokens` and `tags`.

    Labels are text, lists of text or float64, as `config.target` says; -1 for no label is left as it is. Beside them
    stand `place` (the row, as messages call it) and, where the file has them, `id`, `group`, `misaligned` and, as
    `kept:NAME`, the columns that come along.
    `names`: what integer labels index. Raises DataError naming file and row of what can't be used.
    """
    for rows in file.read(columns.all):
        where = Where(file.name, file.unit, rows.numbers)
        made = (
            _tokens(rows, columns, where, names)
            if config.kind == "tokens"
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
    rows: Rows, columns: Columns, where: Where, names: Sequence[str] | None, config: TabularData
) -> dict[str, pa.Array]:
    made = {TEXT: texts(rows.columns[columns.input], where, "text")}
    if columns.pair is not None:
        made[PAIR] = texts(rows.columns[columns.pair], where, "second text")
    label = rows.columns[columns.label]
    match config.target:
        case "label":
            made[LABEL] = labels(label, where, names)
        case "labels":
            made[LABEL] = label_lists(label, where, names, "label")
        case "number":
            made[LABEL] = numbers(label, where)
    return made


def _tokens(rows: Rows, columns: Columns, where: Where, names: Sequence[str] | None) -> dict[str, pa.Array]:
    tokens = text_lists(rows.columns[columns.input], where, "word")
    tags = label_lists(rows.columns[columns.label], where, names, "tag")
    _require_even(tokens, tags, where)
    return {TOKENS: tokens, TAGS: tags}


def _require_even(tokens: pa.ListArray, tags: pa.ListArray, where: Where) -> None:
    counts = [column.value_lengths().to_numpy(zero_copy_only=False) for column in (tokens, tags)]
    uneven = (counts[0] != counts[1]).nonzero()[0]
    if len(uneven):
        row = int(uneven[0])
        raise where.fault(row, f"has {counts[0][row]} words but {counts[1][row]} tags; give each word one tag")
