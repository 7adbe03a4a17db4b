"""One file with gold labels, with predictions, or with both, as a table with one row per text or word."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Literal, TypeAlias

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from stages.pipeline.errors import ConfigError, DataError

ID, WORD, TOKEN = "id", "word", "token"
TOKEN_LISTS = ("tokens", "words")
"""The columns in which a row that is a sentence may hold its words."""

ID_NAMES = (ID, "guid", "idx", "index", "sentence_id")
"""The columns that may tell which example a row is, in any case of letters."""
TEXT_COLUMNS = (
    *("text", "text1", "text2", "text_a", "text_b", "sentence", "sentence1", "sentence2", "premise", "hypothesis"),
    *("question", "question1", "question2", "context", "passage", "document", "review", "title", "content", "tweet"),
)
"""The columns that hold the text of a row."""

_LISTED_WITH_TAGS = ("score", "loss")
"""The columns of which a sentence may have a list, one value per word."""

Role: TypeAlias = Literal["gold", "predicted"]
Choice: TypeAlias = Sequence[str | int]
"""Columns that the user has chosen, by name or by position: that of the words, where it is given, and those of the labels."""


@dataclass(frozen=True)
class Request:
    """What is to be read from a file."""

    path: Path
    roles: Sequence[Role]
    """The labels that the file has to hold."""
    columns: Choice | None = None
    """None: what the format makes of it."""
    option: str = "--columns"
    """The option that names `columns`, for messages."""
    gold_columns: Choice | None = None
    """For predictions: the columns that are chosen for the gold file, some of which hold for this file if it chooses none."""

    @property
    def name(self) -> str:
        """What messages call the file."""
        return str(self.path)

    @property
    def expected(self) -> str:
        """What the option takes for a file whose columns have no names."""
        return "WORD,GOLD,PREDICTED as 3 positions" if len(self.roles) == 2 else "WORD,TAG as 2 positions"

    def positions(self, default: Sequence[int]) -> Sequence[int]:
        """Return the positions of the word and the labels in a file whose columns have no names. Raises ConfigError for names."""
        if self.columns is None:
            return default
        positions = [column for column in self.columns if isinstance(column, int)]
        if len(positions) != len(self.columns) or len(positions) != len(default):
            raise ConfigError(
                f"{self.option} {','.join(map(str, self.columns))}: give {self.expected} of {self.name}, counted from 0, or "
                "from the end if negative"
            )
        return positions


@dataclass(frozen=True)
class SystemFile:
    """A file that has been read."""

    name: str
    unit: Literal["line", "row"]
    """What `numbers` count."""
    numbers: NDArray[np.int64]
    """[rows]: where each row stands in the file, counted from 1."""
    table: pa.Table
    """`gold` and `predicted` as asked for, `id`, `word` and `token` where the file has them, and other columns."""
    is_untyped: bool = False
    """Whether all values are text because the format has no types."""
    label_names: Mapping[str, Sequence[str]] = field(default_factory=dict)
    """The names that the integers of `gold` or `predicted` stand for, if the file has them."""

    def where(self, row: int) -> str:
        """Return the place of a row, as messages name it."""
        return f"{self.name}, {self.unit} {self.numbers[row]}"

    def has(self, column: str) -> bool:
        """Whether the table has this column."""
        return column in self.table.column_names

    def has_lists(self, column: str) -> bool:
        """Whether each row has a list: of the tags of a sentence, or of the labels of a text."""
        type_ = self.table[column].type
        return bool(pa.types.is_list(type_) or pa.types.is_large_list(type_) or pa.types.is_fixed_size_list(type_))

    def with_column(self, name: str, values: pa.ChunkedArray | pa.Array) -> "SystemFile":
        """Return the same with a column set or added."""
        if not self.has(name):
            return replace(self, table=self.table.append_column(name, values))
        return replace(self, table=self.table.set_column(self.table.column_names.index(name), name, values))

    def without(self, column: str) -> "SystemFile":
        """Return the same without a column."""
        return replace(self, table=self.table.drop_columns([column]))

    def holds_texts(self) -> bool:
        """Whether rows are texts for sure: they have a text, and no words of it."""
        return any(map(self.has, TEXT_COLUMNS)) and not any(map(self.has, (WORD, TOKEN, *TOKEN_LISTS)))

    def take(self, rows: NDArray[np.int64]) -> "SystemFile":
        """Return the same with these of its rows. `rows`: indices."""
        return replace(self, table=self.table.take(pa.array(rows)), numbers=self.numbers[rows])


def sentence_starts(table: pa.Table) -> NDArray[np.int64]:
    """Return the rows that begin sentences, [sentences]. The table must have `word`."""
    starts: NDArray[np.int64] = np.flatnonzero(table[WORD].to_numpy() == 0)
    return starts


def sentence_lengths(table: pa.Table) -> NDArray[np.int64]:
    """Return the number of words in each sentence, [sentences]."""
    lengths: NDArray[np.int64] = np.diff(np.append(sentence_starts(table), table.num_rows))
    return lengths


def tag_counts(file: SystemFile, role: Role) -> Sequence[int] | None:
    """Return the number of tags in each sentence that has any; None for a file that is not of sentences."""
    if file.has(WORD):
        return [int(length) for length in sentence_lengths(file.table)]
    if not file.has_lists(role):
        return None
    return [length for length in pc.list_value_length(file.table[role]).to_pylist() if length]


def one_row_per_word(file: SystemFile, roles: Sequence[Role]) -> SystemFile:
    """Turn rows that are sentences, with lists of tags, into one row per word.

    Raises DataError where a sentence has more words than tags, or the other way round.
    """
    tokens = next((name for name in TOKEN_LISTS if file.has(name)), None)
    listed = [*roles, *(name for name in _LISTED_WITH_TAGS if file.has(name) and file.has_lists(name))]
    lists = {name: file.table[name].combine_chunks() for name in listed}
    if tokens is not None:
        lists[TOKEN] = file.table[tokens].combine_chunks()
    lengths = pc.fill_null(pc.list_value_length(lists[roles[0]]), 0).to_numpy().astype(np.int64)
    for name, values in lists.items():
        _require_lengths(file, roles[0], lengths, name, values)
    rows = np.repeat(np.arange(len(lengths)), lengths)
    starts = np.repeat(np.cumsum(lengths) - lengths, lengths)
    columns = {name: file.table[name].take(pa.array(rows)) for name in file.table.column_names}
    columns |= {WORD: pa.array(np.arange(len(rows)) - starts, pa.int32())}
    columns |= {name: pc.list_flatten(values) for name, values in lists.items()}
    if tokens is not None:
        del columns[tokens]
    return replace(file, table=pa.table(columns), numbers=file.numbers[rows])


def _require_lengths(file: SystemFile, first: str, lengths: NDArray[np.int64], name: str, values: pa.Array) -> None:
    others = pc.fill_null(pc.list_value_length(values), -1).to_numpy()
    for row in np.flatnonzero(others != lengths)[:1]:
        if others[row] < 0:
            raise DataError(f"{file.where(row)}: {name} is not known; give each sentence a list, or leave it out")
        raise DataError(
            f"{file.where(row)}: {name} has {others[row]} entries and {first} has {lengths[row]}; give every word one of each"
        )
