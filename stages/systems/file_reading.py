"""Read one file of any format: which columns hold the labels, and what else each row has."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import groupby
from typing import Literal, cast

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from stages.configuration.schema import Format
from stages.pipeline.errors import ConfigError, DataError
from stages.sources.readers.arrow_tables import label_names_in
from stages.sources.readers.compression import open_seekable
from stages.sources.readers.decoding import read_lines
from stages.sources.readers.formats import open_table
from stages.sources.readers.table_file import ReadOptions
from stages.systems.file_formats import GOLD_COLUMNS, PREDICTED_COLUMNS, format_of, read_as_utf8
from stages.systems.label_types import as_arrow, with_names
from stages.systems.row_checks import are_runs
from stages.systems.system_file import (
    ID,
    ID_NAMES,
    TEXT_COLUMNS,
    TOKEN,
    TOKEN_LISTS,
    WORD,
    Request,
    Role,
    SystemFile,
    tag_counts,
)
from stages.tags.schemes import are_entity_tags

_CONLLU_COLUMNS = ("ID", "FORM", "LEMMA", "UPOS", "XPOS", "FEATS", "HEAD", "DEPREL", "DEPS", "MISC")
_UNKNOWN = "_"
"""What CoNLL-U writes where there is nothing."""


def read_file(request: Request, gold: SystemFile | None = None) -> SystemFile:
    """Read a file of any format. `gold`: the file that its predictions are of; None if they are in the same file.

    Raises DataError naming the file and its line or row, and ConfigError for columns that it does not have.
    """
    found = format_of(request, gold)
    match found:
        case "label_per_line":
            return _label_per_line(request, gold)
        case "tags_per_line":
            return _tags_per_line(request)
        case "conll":
            return _conll(request)
        case "conllu":
            return _conllu(request)
        case "parquet":
            return _parquet(request)
    return _table(request, found)


# Text


def _label_per_line(request: Request, gold: SystemFile | None) -> SystemFile:
    """Read one label per line: of texts, or of words, with blank lines between sentences."""
    role = _only_role(request, "one label per line")
    with read_as_utf8():
        lines = [(number, line.strip()) for number, line in read_lines(request.path, request.name, "utf-8")]
    while not lines[-1][1]:
        del lines[-1]
    labels = {label for _, label in lines if label}
    if not (are_entity_tags(labels) if gold is None else tag_counts(gold, "gold") is not None):
        table = pa.table({role: pa.array([label or None for _, label in lines], pa.string())})
        return SystemFile(request.name, "line", np.array([number for number, _ in lines]), table, is_untyped=True)
    sentences = [list(group) for has_label, group in groupby(lines, lambda line: bool(line[1])) if has_label]
    words = [(word, *line) for sentence in sentences for word, line in enumerate(sentence)]
    columns: dict[str, object] = {role: [label for _, _, label in words]}
    if len(sentences) > 1 or gold is None:
        columns |= {WORD: pa.array([word for word, _, _ in words], pa.int32())}
    return SystemFile(request.name, "line", np.array([number for _, number, _ in words]), pa.table(columns))


def _tags_per_line(request: Request) -> SystemFile:
    """Read the tags of a sentence in each line, without the words: `predictions.txt` of `run_ner.py`."""
    role = _only_role(request, "the tags of one sentence per line")
    with read_as_utf8():
        lines = [(number, line.split()) for number, line in read_lines(request.path, request.name, "utf-8")]
    table = pa.table(
        {
            WORD: pa.array([word for _, tags in lines for word in range(len(tags))], pa.int32()),
            role: [tag for _, tags in lines for tag in tags],
        }
    )
    numbers = np.repeat([number for number, _ in lines], [len(tags) for _, tags in lines])
    return SystemFile(request.name, "line", numbers, table)


def _only_role(request: Request, held: str) -> Role:
    if len(request.roles) > 1:
        raise DataError(f"{request.name}: holds {held}, which can't be both gold and predicted; give two files")
    return request.roles[0]


def _conll(request: Request) -> SystemFile:
    first = request.gold_columns[0] if request.gold_columns else 0
    default = (0, -2, -1) if len(request.roles) == 2 else (first if isinstance(first, int) else 0, -1)
    word, *tags = request.positions(default)
    try:
        return _words(request, "conll", word, tags)
    except DataError as error:
        positions = ", ".join(f"{tag} for {role}" for role, tag in zip(request.roles, tags, strict=True))
        alone = "; gold can be a separate file" if len(request.roles) == 2 else ""
        raise DataError(
            f"{error} (here: {request.option}, which is {word} for words and {positions}; with several fields per line, the file "
            f"is read as CoNLL{alone})"
        ) from error


def _conllu(request: Request) -> SystemFile:
    if len(request.roles) == 2 and request.columns is None:
        raise DataError(
            f"{request.name}: is CoNLL-U, which has one tag of each kind; give predictions in another file, or name the "
            f"columns with {request.option} FORM,GOLD,PREDICTED"
        )
    of_gold = request.gold_columns or ("UPOS",)
    are_known = all(isinstance(column, int) or column.upper() in _CONLLU_COLUMNS for column in of_gold)
    chosen = request.columns or (of_gold if are_known else ("UPOS",))
    positions = [_conllu_position(request, column) for column in chosen]
    tags = positions[-len(request.roles) :]
    words = positions[: -len(request.roles)] or [_CONLLU_COLUMNS.index("FORM")]
    if len(tags) != len(request.roles) or len(words) != 1:
        raise ConfigError(f"{request.option}: {request.name} is CoNLL-U; give a tag's column, or FORM and a tag's")
    file = _words(request, "conllu", words[0], tags)
    for role, place in zip(request.roles, tags, strict=True):
        if pc.all(pc.equal(file.table[role], _UNKNOWN)).as_py():
            raise DataError(
                f"{request.name}: {_CONLLU_COLUMNS[place]} is {_UNKNOWN} for every word; choose another column with "
                f"{request.option}"
            )
    with read_as_utf8():
        lines = read_lines(request.path, request.name, "utf-8")
        numbers = [number for number, line in lines if line.partition("\t")[0].isdecimal()]
    return SystemFile(request.name, "line", np.array(numbers), file.table)


def _conllu_position(request: Request, column: str | int) -> int:
    names = dict(zip(_CONLLU_COLUMNS, range(10), strict=True))
    position = names.get(column.upper()) if isinstance(column, str) else column
    if position is None or not -10 <= position < 10:
        raise ConfigError(
            f"{request.option} {column}: {request.name} is CoNLL-U; choose from {', '.join(names)}, or positions from 0"
        )
    return position % 10


def _words(request: Request, format_: Format, word: int, tags: Sequence[int]) -> SystemFile:
    """Read one row per word. The reader takes one column of tags at a time.

    Raises DataError if the columns of tags are not of the same words: a line that begins with `#` is a comment or a word
    by its tag.
    """
    columns: dict[str, list[str]] = {}
    numbers: list[int] = []
    for role, tag in zip(request.roles, tags, strict=True):
        options = ReadOptions("tokens", format_, text_column=word, label_column=tag)
        batches = list(open_table(request.path, request.name, options).read(("tokens", "tags")))
        sentences, tagged = (
            [cast(list[str], values) for rows in batches for values in rows.columns[name]]
            for name in ("tokens", "tags")
        )
        lines = [line for rows in batches for line in rows.numbers]
        columns[role] = [tag for tags_ in tagged for tag in tags_]
        words = [token for tokens in sentences for token in tokens]
        if words != columns.setdefault(TOKEN, words):
            raise DataError(
                f"{request.name}: a line that begins with # is a comment by one column of tags, and a word by the other; "
                "remove the comments, or separate columns by tabs"
            )
        numbers = [line + place for line, tokens in zip(lines, sentences, strict=True) for place in range(len(tokens))]
    positions = pa.array([position for tokens in sentences for position in range(len(tokens))], pa.int32())
    return SystemFile(request.name, "line", np.array(numbers), pa.table({WORD: positions, **columns}))


# Tables


@dataclass(frozen=True)
class _Named:
    """The columns of a table that matter, by what they hold."""

    labels: Mapping[Role, str]
    words: str | None
    """That of the words or of lists of them, where the file has one."""

    def kept(self, column: str) -> bool:
        """Whether another column comes along: no second spelling of labels does."""
        return column not in (*self.labels.values(), self.words, *GOLD_COLUMNS, *PREDICTED_COLUMNS)


def _parquet(request: Request) -> SystemFile:
    try:
        with open_seekable(request.path, request.name) as content:
            table = pq.read_table(content)
    except (OSError, pa.ArrowInvalid) as error:
        raise DataError(
            f"{request.name}: is not a complete Parquet file; write it again, or rename it if it is of another format"
        ) from error
    named = _named(request, table.column_names)
    file = SystemFile(request.name, "row", np.arange(1, table.num_rows + 1), table)
    return _labelled(request, file, named, label_names_in(table.schema))


def _table(request: Request, format_: Format) -> SystemFile:
    """Read a table whose columns have names: CSV and TSV with a header, JSON, Arrow."""
    is_delimited = format_ in ("csv", "tsv")
    has_no_header = is_delimited and any(isinstance(column, int) for column in request.columns or ())
    options = ReadOptions("text", format_ if is_delimited else "auto", label_column=0 if has_no_header else None)
    with read_as_utf8():
        table = open_table(request.path, request.name, options)
        batches = list(table.read(table.columns))
    if not table.columns:
        raise DataError(f"{request.name}: its first row has no columns; give {' and '.join(request.roles)}")
    named = _named(request, table.columns)
    if not batches:
        raise DataError(f"{request.name}: holds no examples; give at least one")
    numbers = np.array([number for rows in batches for number in rows.numbers], np.int64)
    unit: Literal["line", "row"] = "line" if table.unit == "line" else "row"
    empty = SystemFile(request.name, unit, numbers, pa.table({}), is_untyped=is_delimited)
    columns = {
        name: as_arrow(
            empty, name, [rows.columns[name] for rows in batches], is_needed=name in (ID, WORD) or not named.kept(name)
        )
        for name in table.columns
    }
    known = pa.table({name: values for name, values in columns.items() if values is not None})
    file = replace(empty, table=known)
    if has_no_header:
        _refuse_header(request, file)
    return _labelled(request, file, named, table.label_names)


def _named(request: Request, columns: Sequence[str]) -> _Named:
    """Return the chosen columns, or those with known names. Raises DataError or ConfigError if there are none."""
    if request.columns is None:
        labels = {role: _known_column(request, role, columns) for role in request.roles}
        return _Named(labels, next((name for name in (TOKEN, *TOKEN_LISTS) if name in columns), None))
    chosen = [_chosen_column(request, column, columns) for column in request.columns]
    words, tags = chosen[: -len(request.roles)], chosen[-len(request.roles) :]
    if len(tags) != len(request.roles) or len(words) > 1:
        wanted = "GOLD,PREDICTED" if len(request.roles) == 2 else "LABEL"
        raise ConfigError(f"{request.option}: give {wanted} of {request.name}, or before it the column of words, too")
    labels = dict(zip(request.roles, tags, strict=True))
    found = next((name for name in (*words, TOKEN, *TOKEN_LISTS) if name in columns), None)
    return _Named(labels, found)


def _known_column(request: Request, role: Role, columns: Sequence[str]) -> str:
    labels = GOLD_COLUMNS[1:] if len(request.roles) == 1 else ()  # what a file of nothing but predictions may call them
    names: Sequence[str] = GOLD_COLUMNS if role == "gold" else (*PREDICTED_COLUMNS, *labels)
    found = next((name for name in names if name in columns), None)
    if found is not None:
        return found
    choice = f"choose one of {', '.join(columns)} with {request.option}"
    if len(request.roles) == 2:
        raise DataError(
            f"{request.name}: its predictions have no column {role!r}; {choice}, or give gold and predictions as two files"
        )
    raise DataError(f"{request.name}: has none of the columns {', '.join(names)}; {choice}")


def _chosen_column(request: Request, column: str | int, columns: Sequence[str]) -> str:
    if isinstance(column, str) and column in columns:
        return column
    if isinstance(column, int) and -len(columns) <= column < len(columns):
        return columns[column]
    raise ConfigError(
        f"{request.option} {column}: {request.name} has no such column; choose from {', '.join(columns)}, or positions from 0"
    )


def _refuse_header(request: Request, file: SystemFile) -> None:
    first = [file.table[name][0].as_py() for name in file.table.column_names]
    if {*GOLD_COLUMNS, *PREDICTED_COLUMNS} & set(first):
        raise ConfigError(
            f"{request.option}: {file.where(0)} looks like the columns' names ({', '.join(map(str, first))}); choose by name"
        )


def _labelled(
    request: Request, file: SystemFile, named: _Named, label_names: Mapping[str, Sequence[str]]
) -> SystemFile:
    """Return the file with its columns under the names that they have in predictions files."""
    table = file.table
    columns = {name: table[name] for name in (ID, WORD) if name in table.column_names}
    if named.words is not None:
        is_list = pa.types.is_nested(table[named.words].type)
        columns[TOKEN_LISTS[0] if is_list else TOKEN] = table[named.words]
    columns |= {role: with_names(file, column, label_names.get(column)) for role, column in named.labels.items()}
    if "predicted" in named.labels:
        columns |= {name: table[name] for name in table.column_names if named.kept(name) and name not in columns}
    columns = {**_compared(request, file, named, label_names), **columns}
    for role in named.labels:
        _refuse_nested(file, role, columns[role])
    notes = {key: note for key, note in (table.schema.metadata or {}).items() if key.startswith(b"stagewright.")}
    names = {str(role): label_names[column] for role, column in named.labels.items() if column in label_names}
    whole = pa.table(columns).replace_schema_metadata(notes if len(request.roles) == 2 else None)
    return _with_sentences(request, replace(file, table=whole, label_names=names))


def _compared(
    request: Request, file: SystemFile, named: _Named, label_names: Mapping[str, Sequence[str]]
) -> dict[str, pa.ChunkedArray]:
    """Return the columns to check against the other file: texts and ids of gold, and the gold in a file of predictions."""
    table = file.table
    if len(request.roles) == 2:
        return {}
    if request.roles[0] == "gold":
        kept = (*TEXT_COLUMNS, *TOKEN_LISTS, *ID_NAMES)
        return {name: table[name] for name in table.column_names if named.kept(name) and name.lower() in kept}
    chosen = (request.gold_columns or ())[-1:]
    choice = chosen or [name for name in GOLD_COLUMNS if name != "tags" or named.words is not None]
    others = [
        name for name in table.column_names if name in choice and name not in (*named.labels.values(), named.words)
    ]
    own = next((name for name in choice if name in others), None)
    return {} if own is None else {"gold": with_names(file, str(own), label_names.get(str(own)))}


def _with_sentences(request: Request, file: SystemFile) -> SystemFile:
    """Return the file with `id` from `sentence_id`, or `word` from blank lines, if it has neither and its rows are words."""
    role = request.roles[0]
    if file.has(ID) or file.has(WORD) or file.holds_texts() or file.has_lists(role):
        return file
    named = next((name for name in file.table.column_names if name.lower() == "sentence_id"), None)
    if named is not None and file.has(TOKEN) and are_runs(file.table[named]):
        return file.with_column(ID, file.table[named])
    labels = file.table[role]
    if not file.is_untyped or not (file.has(TOKEN) or are_entity_tags(pc.unique(labels.drop_null()).to_pylist())):
        return file
    with read_as_utf8():
        behind_blank = [at + 1 for at, line in read_lines(request.path, request.name, "utf-8") if not line.strip()]
    begins = np.isin(file.numbers, behind_blank)
    begins[0] = True
    if np.count_nonzero(begins) == 1:
        return file
    starts = np.flatnonzero(begins)
    places = np.arange(len(begins)) - starts[np.cumsum(begins) - 1]
    return file.with_column(WORD, pa.array(places, pa.int32()))


def _refuse_nested(file: SystemFile, role: Role, values: pa.ChunkedArray) -> None:
    is_list = pa.types.is_nested(values.type) and not pa.types.is_struct(values.type)
    if is_list and pa.types.is_nested(values.type.value_type):
        raise DataError(f"{file.name}: {role} has lists of lists; give each row one list")
