"""Tables of one word a row, with a column that says where each sentence begins, as sentences."""

import logging
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


def holds_word_rows(columns: Sequence[str]) -> bool:
    """Whether a table's columns have the names of a sentence's number, a word and a tag."""
    return all(_usual(columns, names) is not None for names in (SENTENCES, WORDS, TAGS))


def as_sentences(table: TableFile, options: ReadOptions) -> TableFile:
    """Return a table of one word a row as one of a sentence a row; any other table as it is.

    A new sentence begins where the sentence column changes; where it is empty, the sentence goes on. The columns of words
    and tags hold lists then, under the names that the configuration gives them, else as `tokens` and `tags`. Of each other
    column the value of the sentence's first word is kept. Raises DataError naming file and row.
    """
    if options.sentence_column is None and not holds_word_rows(table.columns):
        return table
    names = _Names.of(table, options)
    made = {names.word: names.made_word, names.tag: names.made_tag}
    columns = tuple(made.get(column, column) for column in table.columns)

    def read(wanted: Sequence[str]) -> Iterator[Rows]:
        originals = {made.get(column, column): column for column in table.columns}
        needed = dict.fromkeys([names.sentence, names.word, names.tag, *(originals[column] for column in wanted)])
        return in_batches(_sentences(table, list(needed), names, options), wanted)

    return replace(table, columns=columns, read=read)


@dataclass(frozen=True)
class _Names:
    """The columns of a table of words."""

    sentence: str
    word: str
    tag: str
    made_word: str
    """What the column of word lists is called."""
    made_tag: str

    @classmethod
    def of(cls, table: TableFile, options: ReadOptions) -> "_Names":
        wanted = (options.sentence_column, options.text_column, options.label_column)
        keys = ("sentence_column", "text_column", "label_column")
        found = [
            _column(table, key, choice, names)
            for key, choice, names in zip(keys, wanted, (SENTENCES, WORDS, TAGS), strict=True)
        ]
        if len(set(found)) < len(found):
            raise DataError(f"{table.name}: sentences, words and tags are in {', '.join(found)}; choose three columns")
        sentence, word, tag = found
        made_word, made_tag = (
            name if choice is not None else usual
            for name, choice, usual in ((word, wanted[1], "tokens"), (tag, wanted[2], "tags"))
        )
        return cls(sentence, word, tag, made_word, made_tag)


def _usual(columns: Iterable[str], names: Sequence[str]) -> str | None:
    normal = {" ".join(column.casefold().replace("_", " ").replace("-", " ").split()): column for column in columns}
    return next((normal[name] for name in names if name in normal), None)


def _column(table: TableFile, key: str, wanted: str | int | None, names: Sequence[str]) -> str:
    if isinstance(wanted, int):
        if -len(table.columns) <= wanted < len(table.columns):
            return table.columns[wanted]
    elif (found := _usual(table.columns, names) if wanted is None else wanted) in table.columns:
        assert found is not None
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
                empty.add(word.number, word.values[names.tag])
                continue
            tokens.append(token)
            tags.append(word.values[names.tag])
        if first is not None and tokens:
            yield first.number, {**first.values, names.made_word: tokens, names.made_tag: tags}
    empty.tell()
    order.tell(table)


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

    def tell(self, table: TableFile) -> None:
        """Log where the numbers of sentences fall."""
        if self.fell:
            log.warning(
                "%s: the sentences' numbers fall %d times, first in %s %d; were rows shuffled, or files joined?",
                table.name, self.fell, table.unit, self.first,
            )  # fmt: skip


def _words(table: TableFile, columns: Sequence[str], names: _Names, order: _Order) -> Iterator[_Word]:
    sentence, before = 0, object()
    for number, values in chain.from_iterable(map(_rows, table.read(columns))):
        mark = values[names.sentence]
        mark = mark.strip() if isinstance(mark, str) else mark
        if mark is not None and mark != "":
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
