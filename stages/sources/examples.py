"""Read a file's rows as checked examples: choose its columns, give each the one type of its purpose, and name labels."""

from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass, field, replace
from functools import partial
from itertools import chain

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from stages.columns.names import ID, LABEL, SECOND_TEXT, TAGS, TEXT, TOKENS
from stages.configuration.kinds import labels_words, target_rules
from stages.configuration.schema import ColumnChoice, Split, TabularData, Target
from stages.pipeline.errors import DataError
from stages.sources.column_names import (
    LABEL_LISTS,
    LABELS,
    NUMBERS,
    PAIRS,
    TEXTS,
    WORDS,
    AmbiguousColumnError,
    Ranks,
    named_column,
    shown_name,
    usual_column,
    usual_pair,
)
from stages.sources.column_names import (
    TAGS as TAG_NAMES,
)
from stages.sources.joined_words import split_cells, split_words
from stages.sources.label_names import Naming
from stages.sources.nested_labels import unnested
from stages.sources.readers.span_tags import SPAN_FITS
from stages.sources.readers.table_file import Column, Rows, TableFile
from stages.sources.values import (
    STRINGS,
    Where,
    as_lists_of_nulls,
    as_text,
    flagged_labels,
    groups,
    identifiers,
    label_lists,
    labels,
    list_lengths,
    numbers,
    separated_labels,
    text_lists,
    texts,
)

GROUP, PLACE = "group", "place"
"""The columns of the group of an example, and of its place in messages."""
KEPT = "kept:"
"""The prefix of the names of copied columns, so that they differ from all others."""
DOCUMENT = "document"
"""The column in which the CoNLL reader numbers documents (`-DOCSTART-`)."""
FILE = "file"
"""What `data.group_column` names the files themselves, where they have no such column."""


@dataclass(frozen=True)
class Columns:
    """The columns of a file that are read, by their purpose."""

    input: str
    pair: str | None
    label: str | None
    """None: the file has no column of labels."""
    id: str | None
    group: str | None
    span_fits: str | None
    """How each span fits its words, if the file has spans."""
    kept: Mapping[str, str] = field(default_factory=dict)
    """Columns that are copied as they are, by the name that each gets."""
    flags: Mapping[str, str] = field(default_factory=dict)
    """The columns of 0 or 1 that say whether a text has a label, by the name of the label. `label` is None then."""
    group_by_file: bool = False
    """Whether rows of two files are never in one group. Without `group`, each file is a group."""

    @property
    def has_labels(self) -> bool:
        """Whether the file has labels."""
        return self.label is not None or bool(self.flags)

    @property
    def all(self) -> list[str]:
        """Every column to read, each once."""
        single = (self.input, self.pair, self.label, self.id, self.group, self.span_fits)
        wanted = (*single, *self.flags.values(), *self.kept.values())
        return list(dict.fromkeys(name for name in wanted if name is not None))


def choose_columns(
    file: TableFile, config: TabularData, split: Split, inputs_of_train: Collection[str] = ()
) -> Columns:
    """Return the columns that `config` names, the usual ones where it names none.

    Files of test may lack labels. Then nothing tells that a text is words joined by spaces, but that train's are:
    `inputs_of_train` are the columns that its words are read from. Groups are of train alone, as splits are carved out of
    nothing else. Raises DataError if there is no such column, or two are equally likely.
    """
    may_lack_labels, is_grouped = split == "test", split == "train"
    text, pair = _inputs(file, config, inputs_of_train if split == "test" else ())
    flags = _flags(file, config, may_lack_labels=may_lack_labels)
    label = None if isinstance(config.label_column, list) else _label(file, config, text, may_be_none=may_lack_labels)
    used = [column for column in (text, pair, label, *flags.values()) if column is not None]
    twice = next((column for column in used if used.count(column) > 1), None)
    if twice is not None:
        raise DataError(
            f"{file.name}: column {twice} can't be both text and label, nor two texts; give data.text_column, data.pair_column "
            "and data.label_column as different columns (positions from 0 fit files without labels too)"
        )
    group = _group(file, config) if is_grouped else None
    is_grouped_by_file = is_grouped and group is None and config.group_column == FILE
    is_grouped_by_document = group == DOCUMENT and file.numbers_documents  # each file numbers its own from 0
    return Columns(
        input=text,
        pair=pair,
        label=label,
        id=ID if ID in file.columns else None,
        group=group,
        span_fits=file.span_fits,
        kept={str(name): _column(file, "data.keep_columns", name, ()) for name in config.keep_columns},
        flags=flags,
        group_by_file=is_grouped_by_file or is_grouped_by_document,
    )


def _inputs(file: TableFile, config: TabularData, joined: Collection[str]) -> tuple[str, str | None]:
    key = "data.text_column"
    if labels_words(config.kind):
        ranks = (*WORDS, *TEXTS) if _may_be_joined(file) else (*WORDS, tuple(joined))
        return _column(file, key, config.text_column, ranks), None
    if config.pair_column is not None:
        second = _column(file, "data.pair_column", config.pair_column, ())
        if config.text_column is not None:
            return _column(file, key, config.text_column, ()), second
        others = replace(file, columns=tuple(name for name in file.columns if name != second))
        return usual_pair(file.columns, second) or (_column(others, key, None, _FIRSTS), second)
    if config.text_column is None and (found := usual_pair(file.columns)) is not None:
        return found
    return _column(file, key, config.text_column, TEXTS), None


def _may_be_joined(file: TableFile) -> bool:
    """Whether a text may be words that are joined by spaces, since there are tags beside it."""
    return usual_column(file.columns, TAG_NAMES) is not None


_FIRSTS: Ranks = (*((first,) for first, _ in PAIRS), *TEXTS)
"""The usual names of a first text, where the column of the second is known."""


def _label(file: TableFile, config: TabularData, text: str, *, may_be_none: bool) -> str | None:
    assert not isinstance(config.label_column, list)
    others = replace(file, columns=tuple(name for name in file.columns if name != text))
    ranks = TAG_NAMES if labels_words(config.kind) else _USUAL_LABELS[config.target]
    key, wanted = "data.label_column", config.label_column
    if may_be_none and not _has(file if wanted is not None else others, wanted, ranks):
        return None
    return _column(file, key, wanted, ranks) if wanted is not None else _column(others, key, None, ranks)


_USUAL_LABELS: Mapping[Target, Ranks] = {"label": LABELS, "labels": LABEL_LISTS, "number": NUMBERS}


def _flags(file: TableFile, config: TabularData, *, may_lack_labels: bool) -> dict[str, str]:
    """Return the columns of `data.label_column`, if it is a list, by the names of the labels."""
    if not isinstance(config.label_column, list):
        return {}
    if may_lack_labels and not any(_has(file, column, ()) for column in config.label_column):
        return {}
    names = config.label_names if isinstance(config.label_names, list) else map(str, config.label_column)
    columns = [_column(file, "data.label_column", column, ()) for column in config.label_column]
    if len(set(columns)) < len(columns):
        raise DataError(f"{file.name}: data.label_column={config.label_column} names a column twice; name each once")
    return dict(zip(names, columns, strict=True))


def _group(file: TableFile, config: TabularData) -> str | None:
    if config.group_column == FILE and FILE not in file.columns:
        return None
    if config.group_column is not None:
        return _column(file, "data.group_column", config.group_column, ())
    return DOCUMENT if DOCUMENT in file.columns and TAGS in file.columns else None


def _has(file: TableFile, wanted: ColumnChoice | None, ranks: Ranks) -> bool:
    if isinstance(wanted, int):
        if file.positions_are_applied:
            return usual_column(file.columns, ranks) is not None
        return -len(file.columns) <= wanted < len(file.columns)
    try:
        found = usual_column(file.columns, ranks) if wanted is None else named_column(file.columns, wanted)
    except AmbiguousColumnError:
        return True
    return found is not None


def _column(file: TableFile, key: str, wanted: ColumnChoice | None, usual: Ranks) -> str:
    if isinstance(wanted, int):
        return _column_at(file, key, wanted, usual)
    try:
        found = usual_column(file.columns, usual) if wanted is None else named_column(file.columns, wanted)
    except AmbiguousColumnError as error:
        raise DataError(f"{file.name}: columns {error} are equally likely; set {key} to one of them") from error
    if found is not None:
        return found
    missing = wanted or " or ".join(list(chain.from_iterable(usual))[:_MOST_NAMES])
    columns = ", ".join(map(shown_name, file.columns[:_MOST_COLUMNS])) or "none"
    more = ", …" if len(file.columns) > _MOST_COLUMNS else ""
    advice = file.missing_header_advice() or f"set {key} to one of its columns: {columns}{more}"
    raise DataError(f"{file.name}: has no column {missing}; {advice}")


_MOST_COLUMNS = 30
"""How many columns a message names."""
_MOST_NAMES = 8
"""How many of the usual names it names."""


def _column_at(file: TableFile, key: str, place: int, usual: Ranks) -> str:
    """Return a column by its place. A reader that has used it already names its columns as usual."""
    if file.positions_are_applied and (chosen := usual_column(file.columns, usual)) is not None:
        return chosen
    if -len(file.columns) <= place < len(file.columns):
        return file.columns[place]
    raise DataError(f"{file.name}: {key}={place}, but there are {len(file.columns)} columns; count them from 0")


def checked_examples(
    file: TableFile, columns: Columns, config: TabularData, naming: Naming | None = None
) -> Iterator[pa.RecordBatch]:
    """Read a file as record batches of `text` (and `text_pair`) and `label`, or of `tokens` and `tags`.

    Labels are text, lists of text or float64, as `config.target` says; -1 for no label is left as it is. Without a column
    of labels they are null, and each tag of a word is. Other columns are `place` (the row's name in messages) and, where the
    file has them, `id`, `group`, `span_fits` and, as `kept:NAME`, the copied columns.
    Rows with a label that `naming` ignores are left out, and counted there.
    Raises DataError naming file and row of what can't be used.
    """
    naming = naming or Naming()
    for rows in file.read(columns.all):
        where = Where(rows.file or file.name, file.unit, rows.numbers)
        made = (
            _tokens(rows, columns, where, naming)
            if labels_words(config.kind)
            else _text(rows, columns, where, naming, config)
        )
        if columns.id is not None:
            made[ID] = identifiers(rows.columns[columns.id], where)
        if columns.group is not None or columns.group_by_file:
            made[GROUP] = _groups(file, columns, rows, where)
        if columns.span_fits is not None:
            made[SPAN_FITS] = pa.array(rows.columns[columns.span_fits], pa.list_(pa.int8()))
        made |= {KEPT + name: as_text(rows.columns[column], where, name) for name, column in columns.kept.items()}
        made[PLACE] = pa.array([f"{where.file}, {file.unit} {number}" for number in rows.numbers], pa.string())
        batch = _without_ignored(pa.record_batch(made), naming) if columns.label is not None else pa.record_batch(made)
        if batch.num_rows:
            yield batch


def _groups(file: TableFile, columns: Columns, rows: Rows, where: Where) -> pa.Array:
    """Return the group of each row. The files of a folder, such as brat's documents, are files of their own."""
    of_file = f"{file.path}\0" if rows.file is None else f"{file.path}\0{rows.file}\0"
    if columns.group is None:
        own = [f"{of_file}{number}" if file.unit == "file" else of_file for number in rows.numbers]
        return pa.array(own, pa.string())
    names = groups(rows.columns[columns.group], where)
    return pc.binary_join_element_wise(of_file, names, "") if columns.group_by_file else names


def _without_ignored(batch: pa.RecordBatch, naming: Naming) -> pa.RecordBatch:
    """Leave out rows whose label, or one of whose labels, is null: they are ignored."""
    if not naming.ignored or LABEL not in batch.schema.names:
        return batch
    is_kept = np.ones(batch.num_rows, bool)
    labels = batch[LABEL]
    if pa.types.is_list(labels.type):
        is_null = pc.is_null(pc.list_flatten(labels))
        is_kept[pc.list_parent_indices(labels).filter(is_null).to_numpy()] = False
    else:
        is_kept = pc.is_valid(labels).to_numpy(zero_copy_only=False)
    if not is_kept.all():
        naming.left_out.rows += int((~is_kept).sum())
        naming.left_out.first = naming.left_out.first or batch[PLACE][int(is_kept.argmin())].as_py()
    return batch.filter(pa.array(is_kept))


def _text(rows: Rows, columns: Columns, where: Where, naming: Naming, config: TabularData) -> dict[str, pa.Array]:
    made = {TEXT: texts(rows.columns[columns.input], where, "text")}
    if columns.pair is not None:
        made[SECOND_TEXT] = texts(rows.columns[columns.pair], where, "second text")
    if columns.flags:
        made[LABEL] = flagged_labels({name: rows.columns[column] for name, column in columns.flags.items()}, where)
    elif columns.label is None:
        made[LABEL] = pa.nulls(len(rows.numbers), _LABEL_TYPES[config.target])
    elif config.label_separator is not None:
        made[LABEL] = separated_labels(rows.columns[columns.label], where, naming, config.label_separator)
    else:
        rules = target_rules(config.kind, config.target)
        assert rules is not None, "the configuration is valid"
        plain = unnested(rows.columns[columns.label], rules, where)
        made[LABEL] = _READ_LABELS[config.target](plain, where, naming)
    return made


_READ_LABELS: Mapping[Target, Callable[[Column, Where, Naming], pa.Array]] = {
    "label": labels,
    "labels": partial(label_lists, what="label"),
    "number": numbers,
}
"""How the label column of texts is read."""
_LABEL_TYPES: Mapping[Target, pa.DataType] = {"label": pa.string(), "labels": STRINGS, "number": pa.float64()}


def _tokens(rows: Rows, columns: Columns, where: Where, naming: Naming) -> dict[str, pa.Array]:
    if columns.label is None:
        tokens = text_lists(split_words(rows.columns[columns.input]), where, "word")
        return {TOKENS: tokens, TAGS: as_lists_of_nulls(list_lengths(tokens))}
    words, tags_of_words = split_cells(rows.columns[columns.input], rows.columns[columns.label])
    tokens = text_lists(words, where, "word")
    tags = label_lists(tags_of_words, where, naming, "tag")
    words_in, tags_in = list_lengths(tokens), list_lengths(tags)
    uneven = (words_in != tags_in).nonzero()[0]
    if len(uneven):
        row = int(uneven[0])
        raise where.fault(row, f"has {words_in[row]} words but {tags_in[row]} tags; give each word one tag")
    return {TOKENS: tokens, TAGS: tags}
