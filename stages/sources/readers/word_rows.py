"""Tables with one word per row, with a column that says where each sentence begins, as sentences."""

import logging
import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from itertools import chain, groupby

import pyarrow as pa

from stages.pipeline.errors import DataError
from stages.sources.readers.empty_words import EmptyWords
from stages.sources.readers.table_file import ReadOptions, Rows, TableFile, in_batches

log = logging.getLogger("stages.sources")

SENTENCES = (
    "sentence #", "sentence", "sentence id", "sentence idx", "sentence no", "sentence number", "sent", "sent id", "sent idx",
)  # fmt: skip
WORDS = ("word", "token", "form")
TAGS = ("tag", "ner tag", "ner", "label", "entity", "pos")
"""The usual names, in any case and with `_` or `-` for the space."""


def holds_word_rows(columns: Sequence[str], options: ReadOptions) -> bool:
    """Whether a table's columns have the names of a sentence's number, a word and, but for test, a tag."""
    needed = (SENTENCES, WORDS) if _may_lack_tags(options) else (SENTENCES, WORDS, TAGS)
    return all(_usual(columns, names) is not None for names in needed)


def _may_lack_tags(options: ReadOptions) -> bool:
    return options.split == "test"


def as_sentences(table: TableFile, options: ReadOptions) -> TableFile:
    """Return a table with one word per row as one with a sentence per row. Return any other table as it is.

    A new sentence begins where the sentence column changes; where it is empty, the sentence goes on. The columns of words
    and tags hold lists then, under the names that the configuration gives them, else as `tokens` and `tags`. Of each other
    column the value of the sentence's first word is kept. A table of the test split may lack the column of tags. Raises
    DataError naming file and row.
    """
    if options.sentence_column is None and not holds_word_rows(table.columns, options):
        return table
    names = _Names.of(table, options)
    made = {names.word: names.made_word} | ({} if names.tag is None else {names.tag: names.made_tag})
    columns = tuple(made.get(column, column) for column in table.columns)

    def read(wanted: Sequence[str]) -> Iterator[Rows]:
        originals = {made.get(column, column): column for column in table.columns}
        own = [column for column in (names.sentence, names.word, names.tag) if column is not None]
        needed = dict.fromkeys([*own, *(originals[column] for column in wanted)])
        return in_batches(_sentences(table, list(needed), names, options), wanted)

    return replace(table, columns=columns, read=read, display_names={name: column for column, name in made.items()})


@dataclass(frozen=True)
class _Names:
    """The columns of a table of words."""

    sentence: str
    word: str
    tag: str | None
    """None: the table has none."""
    made_word: str
    """What the column of word lists is called."""
    made_tag: str

    @classmethod
    def of(cls, table: TableFile, options: ReadOptions) -> "_Names":
        sentence = _column(table, "sentence_column", options.sentence_column, SENTENCES)
        word = _column(table, "text_column", options.text_column, WORDS)
        tag = _found(table, options.label_column, TAGS)
        if tag is None and not _may_lack_tags(options):
            tag = _column(table, "label_column", options.label_column, TAGS)
        found = [column for column in (sentence, word, tag) if column is not None]
        if len(set(found)) < len(found):
            raise DataError(
                f"{table.name}: sentence, word and tag are read from the columns {', '.join(found)}; choose three columns"
            )
        made_word = "tokens" if options.text_column is None else word
        made_tag = "tags" if options.label_column is None or tag is None else tag
        return cls(sentence, word, tag, made_word, made_tag)


def _usual(columns: Iterable[str], names: Sequence[str]) -> str | None:
    normal = {" ".join(column.casefold().replace("_", " ").replace("-", " ").split()): column for column in columns}
    return next((normal[name] for name in names if name in normal), None)


def _found(table: TableFile, wanted: str | int | None, names: Sequence[str]) -> str | None:
    """Return the column that is wanted, or the usual one; None if there is no such column."""
    if isinstance(wanted, int):
        return table.columns[wanted] if -len(table.columns) <= wanted < len(table.columns) else None
    if wanted is None:
        return _usual(table.columns, names)
    return wanted if wanted in table.columns else None


def _column(table: TableFile, key: str, wanted: str | int | None, names: Sequence[str]) -> str:
    found = _found(table, wanted, names)
    if found is not None:
        return found
    raise DataError(
        f"{table.name}: has no column {' or '.join(names) if wanted is None else wanted}; set data.{key} to one of its "
        f"columns: {', '.join(table.columns)}"
    )


def _sentences(
    table: TableFile, columns: Sequence[str], names: _Names, options: ReadOptions
) -> Iterator[tuple[int, dict[str, object]]]:
    empty = EmptyWords(table.name, table.unit, options.empty_words)
    order = _Order()
    for _, words in groupby(_words(table, columns, names, order), key=lambda word: word.sentence):
        first: _Word | None = None
        tokens: list[object] = []
        tags: list[object] = []
        for word in words:
            first = first or word
            token = word.values[names.word]
            if token is None or token == "":
                empty.add(word.number, word.values.get(names.tag or ""))
                continue
            tokens.append(token)
            tags.append(word.values.get(names.tag or ""))
        if first is not None and tokens:
            yield first.number, {**first.values, names.made_word: tokens, names.made_tag: tags}
    empty.report()
    order.report(table)


@dataclass(frozen=True)
class _Word:
    number: int
    sentence: int
    values: dict[str, object]


@dataclass
class _Order:
    """Whether numbers of sentences go up, as they do unless rows are shuffled or files joined."""

    before: float = float("-inf")
    fell: int = 0
    first: int = field(default=0)

    def add(self, mark: object, number: int) -> None:
        """Take in the mark of a new sentence."""
        try:
            value = float(str(mark).rpartition(" ")[2])  # `Sentence: 12`
        except ValueError:
            return
        if value < self.before:
            self.fell += 1
            self.first = self.first or number
        self.before = value

    def report(self, table: TableFile) -> None:
        """Log where the numbers of sentences fall."""
        if self.fell:
            log.warning(
                "%s: sentence numbers decrease %d times, first in %s %d; check that no rows were shuffled and no files joined",
                table.name, self.fell, table.unit, self.first,
            )  # fmt: skip


def _words(table: TableFile, columns: Sequence[str], names: _Names, order: _Order) -> Iterator[_Word]:
    sentence, before = 0, object()
    for number, values in chain.from_iterable(map(_rows, table.read(columns))):
        mark = values[names.sentence]
        mark = mark.strip() if isinstance(mark, str) else mark
        is_empty = mark in (None, "") or (isinstance(mark, float) and math.isnan(mark))
        if not is_empty:
            if mark != before:
                sentence, before = sentence + 1, mark
                order.add(mark, number)
        elif not sentence:
            raise DataError(
                f"{table.name}, {table.unit} {number}: is the first word and has no sentence in column {names.sentence!r}; "
                "number the first word of each sentence, or each word"
            )
        yield _Word(number, sentence, values)


def _rows(rows: Rows) -> Iterator[tuple[int, dict[str, object]]]:
    lists = [column.to_pylist() if isinstance(column, pa.Array) else column for column in rows.columns.values()]
    for number, *values in zip(rows.numbers, *lists, strict=True):
        yield number, dict(zip(rows.columns, values, strict=True))
