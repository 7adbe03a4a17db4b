"""Read CoNLL and CoNLL-U: one word per line with its tag in another column, sentences separated by blank lines."""

import logging
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Self

from stages.pipeline.errors import DataError
from stages.sources.readers.decoding import read_lines
from stages.sources.readers.empty_words import EmptyWords
from stages.sources.readers.table_file import ReadOptions, Rows, TableFile, in_batches

log = logging.getLogger("stages.sources")

LINES = "lines"
"""What the words' own lines can be read as, beside the file's columns."""
_DOCUMENT_START = "-DOCSTART-"
_ENTITY_TAG = re.compile(r"[BIESLUM]-\S+")
_LANGUAGE = re.compile(r"[a-z]{2,3}(-[a-z]+)*:(?=.)")
_BRACKET = re.compile(r"(\((?P<type>[^()*]+))?\*?(?P<end>\))?(?<=[*)])")
"""A tag such as `(PER*`, `*`, `*)` or `(PER)`."""
_RANGE_OR_EMPTY_NODE = re.compile(r"[0-9]+[-.][0-9]+")


@dataclass(frozen=True)
class Line:
    """A line that is neither blank nor a document's start."""

    number: int
    columns: list[str]
    text: str

    @property
    def begins_like_a_comment(self) -> bool:
        """Whether the line is a comment or a word such as `#hashtag`, which only the rest of the file can tell."""
        return self.text.startswith("#")


@dataclass(frozen=True)
class Positions:
    """The columns of the word and the tag; negative positions count from the end of the line."""

    word: int
    tag: int | None
    """None: the file has words alone."""
    number: int | None = None
    """The column that numbers the words of each sentence."""

    def fit(self, width: int) -> bool:
        """Whether a line of `width` columns has both, or the word where there are no tags."""
        if self.tag is None:
            return -width <= self.word < width
        return width >= 2 and all(-width <= position < width for position in (self.word, self.tag))

    def is_word(self, columns: Sequence[str]) -> bool:
        """Whether a line is a word's, and not that of a range (`1-2`) or an empty node (`2.1`), as CoNLL-U has them."""
        return self.number is None or not _RANGE_OR_EMPTY_NODE.fullmatch(columns[self.number].strip())

    def tag_of(self, columns: Sequence[str]) -> str | None:
        """Return the tag on a line that they fit, if there are tags."""
        return None if self.tag is None else columns[self.tag].strip()

    def lack_word(self, columns: Sequence[str]) -> bool:
        """Whether a line with both has a tag and an empty word."""
        return self.fit(len(columns)) and not columns[self.word] and bool(self.tag_of(columns))

    def differ(self, width: int) -> bool:
        """Whether they are two different columns of such a line."""
        return self.tag is None or self.word % width != self.tag % width


@dataclass
class _Survey:
    """What a first pass over the file finds on lines that can't be comments."""

    positions: Positions
    widths: set[int] = field(default_factory=set)
    tags: set[str] = field(default_factory=set)
    last_columns: set[str] = field(default_factory=set)
    languages: set[str] = field(default_factory=set)
    """What words begin with that is like `en:`."""
    has_documents: bool = False

    @classmethod
    def of(cls, path: Path, name: str, encoding: str, positions: Positions, empty: EmptyWords) -> Self:
        """Read the whole file once."""
        survey = cls(positions)
        for line in _lines(path, name, encoding):
            if line == _DOCUMENT_START:
                survey.has_documents = True
            elif (
                isinstance(line, Line)
                and not line.begins_like_a_comment
                and positions.fit(len(line.columns))
                and positions.is_word(line.columns)
            ):
                survey.widths.add(len(line.columns))
                survey.tags.add(positions.tag_of(line.columns) or "")
                survey.last_columns.add(line.columns[-1].strip())
                match = _LANGUAGE.match(line.columns[positions.word])
                survey.languages.add("" if match is None else match[0])
                if positions.lack_word(line.columns):
                    empty.add(line.number, positions.tag_of(line.columns))
        return survey

    @property
    def language(self) -> str:
        """What all words begin with, as in WikiAnn's own files: `en:`; else nothing."""
        return next(iter(self.languages)) if len(self.languages) == 1 else ""

    @property
    def are_brackets(self) -> bool:
        """Whether tags say with brackets where an entity begins and ends."""
        return bool(self.tags - {"*"}) and all(_BRACKET.fullmatch(tag) for tag in self.tags)

    def is_word(self, line: Line, widths: set[int]) -> bool:
        """Whether a line that begins with `#` is a word, by the rule that `open_conll` states."""
        width = len(line.columns)
        if not self.positions.fit(width) or (widths and width not in widths):
            return False
        tag = self.positions.tag_of(line.columns)
        if tag is None:
            return width == 1 or line.columns[-1].strip() in self.last_columns
        if tag == "O" or tag in self.tags or line.columns[-1].strip() in self.last_columns:
            return True
        return _ENTITY_TAG.fullmatch(tag) is not None and ("\t" in line.text or not line.text.startswith("# "))


def open_conll(path: Path, name: str, options: ReadOptions) -> TableFile:
    r"""Open a CoNLL file: columns `tokens` and `tags`, and `document` where `-DOCSTART-` parts documents.

    Of a file of CoNLL 2012, which begins with `#begin document`, words and entities are in the columns that its task defined.
    Tags that are brackets as there, `(PER* * *)`, become IOB2. A first column of tags alone, as the MIT's corpora of queries
    have it, has the tags, and the last the words.

    A line with a tab is separated by tabs, any other by runs of spaces (not by no-break spaces). The word is the first
    column and the tag the last unless the options give positions. A first column that numbers the words of each sentence
    holds no words: they are in the second. If the third marks entities then, it has the tags, as in GermEval 2014, whose
    last column has nested entities. A line of nothing but white space ends a sentence:
    WNUT 17 has lines with a lone tab. A file of the test split in which no line has the tag's column, such as one with a word
    per line, has no column `tags`.

    A line that begins with `#` is a word if it has as many columns as the lines of its sentence that do not, and its
    tag or last column occurs on such lines of the file, or is `O`; an entity tag (`B-event`) that occurs on no such
    line counts too where the line has a tab or no space after the `#`. Otherwise it is a comment. So `# O` and
    `#hashtag\tO` are words; `# sent_id = 1`, `# id abc\tdomain=en` and `#\thttp://... [2005-02-26]` are not.

    Raises DataError naming file and line.
    """
    usual = _usual_positions(path, name, options.encoding)
    positions = positions_of(options, default=usual)
    if options.split == "test" and _lack_tags(_lines(path, name, options.encoding), positions):
        positions = Positions(positions.word, tag=None)
    empty = EmptyWords(name, "line", options.empty_words)
    survey = _Survey.of(path, name, options.encoding, positions, empty)
    empty.report()
    if survey.language:
        log.warning("%s: every word begins with %r, as in WikiAnn's own files; it was left out", name, survey.language)
    has = {"tokens": True, "tags": positions.tag is not None, "document": survey.has_documents}
    columns = tuple(column for column, is_there in has.items() if is_there)
    sentences = partial(_sentences, path, name, options.encoding, survey)
    if next(sentences(), None) is None:
        raise DataError(f"{name}: holds no sentence; expected one word and its tag per line")

    def read(wanted: Sequence[str]) -> Iterator[Rows]:
        return in_batches(sentences(), wanted)

    return TableFile(
        path,
        name,
        "line",
        columns,
        read,
        positions_are_applied=True,
        display_names=_display_names(positions),
        numbers_documents=survey.has_documents,
    )


def _usual_positions(path: Path, name: str, encoding: str) -> Positions:
    """Detect the columns of word and tag by their content."""
    head = list(islice(_lines(path, name, encoding), _LOOKED_AT))
    words = [line for line in head if isinstance(line, Line) and not line.begins_like_a_comment]
    if any(isinstance(line, Line) and line.text.startswith(_BEGIN_2012) for line in head[:1]):
        return _OF_2012
    first, last = ({line.columns[position].strip() for line in words} for position in (0, -1))
    if _mark_entities(first) and not _mark_entities(last) and last != {"O"}:
        return Positions(word=-1, tag=0)
    return _numbered_positions(_lines(path, name, encoding))


def holds_tagged_words(path: Path, name: str, encoding: str) -> bool:
    """Whether a file whose name does not tell is CoNLL beyond doubt: it has documents, or all lines end with an entity tag.

    Some of the tags have to be `O`: a text may end with `I-95`.
    """
    try:
        head = list(islice(_lines(path, name, encoding), _LOOKED_AT))
    except DataError:  # texts may hold what CoNLL does not
        return False
    words = [line for line in head if isinstance(line, Line) and not line.begins_like_a_comment]
    tags = {line.columns[-1].strip() for line in words}
    are_tagged = all(len(line.columns) > 1 for line in words) and "O" in tags and _mark_entities(tags)
    return are_tagged or _DOCUMENT_START in head


def _mark_entities(tags: set[str]) -> bool:
    return bool(tags) and tags != {"O"} and all(tag == "O" or _ENTITY_TAG.fullmatch(tag) for tag in tags)


def _numbered_positions(lines: Iterator[Line | str]) -> Positions:
    """Return the columns of word and tag if the first column numbers the words, or the usual ones. Reads while it does."""
    usual = Positions(word=0, tag=-1)
    number, is_counted = None, False
    tags, parts_of_speech = set[str](), set[str]()
    for line in lines:
        if isinstance(line, str):
            number = None
            continue
        found, width = line.columns[0].strip(), len(line.columns)
        is_skipped = _RANGE_OR_EMPTY_NODE.fullmatch(found) and width >= _FEWEST_IF_NUMBERED
        if line.begins_like_a_comment or is_skipped:
            continue
        expected = ("0", "1") if number is None else (str(number + 1),)
        if width < _FEWEST_IF_NUMBERED or found not in expected:
            return usual
        is_counted |= number is not None  # in a file of single words, numbers may be words
        number = int(found)
        tags.add(line.columns[2].strip())
        parts_of_speech.add(line.columns[_UPOS] if width == _WIDTH else "")
    if not is_counted:
        return usual
    tag = 2 if _mark_entities(tags) else _UPOS if parts_of_speech <= _UNIVERSAL else -1
    return Positions(word=1, tag=tag, number=0)


_UNIVERSAL = frozenset(
    ("ADJ", "ADP", "ADV", "AUX", "CCONJ", "DET", "INTJ", "NOUN", "NUM", "PART", "PRON", "PROPN", "PUNCT", "SCONJ", "SYM", "VERB",
     "X", "_")
)  # fmt: skip
"""The parts of speech of CoNLL-U, by which it is known under another name."""
_LOOKED_AT = 1000
"""How many lines are looked at for a column of tags before the words."""
_BEGIN_2012 = "#begin document"
_OF_2012 = Positions(word=3, tag=10)


def _lack_tags(lines: Iterator[Line | str], positions: Positions) -> bool:
    """Whether no line that can't be a comment has the column of the tag, and all have that of the word."""
    alone, found = Positions(positions.word, tag=None), False
    for line in lines:
        if isinstance(line, Line) and not line.begins_like_a_comment:
            width, found = len(line.columns), True
            if positions.fit(width) or not alone.fit(width):
                return False
    return found


_FEWEST_IF_NUMBERED = 3
"""The columns of a number, a word and a tag."""


def _display_names(positions: Positions) -> Mapping[str, str]:
    tags = "the last column" if positions.tag == -1 else f"column {positions.tag}"
    return {"tokens": f"column {positions.word}", "tags": tags, "document": "-DOCSTART-"}


def positions_of(options: ReadOptions, default: Positions) -> Positions:
    """Return the configured columns of word and tag. Raises DataError for names, since these formats have none."""
    for key, column in (("text_column", options.text_column), ("label_column", options.label_column)):
        if isinstance(column, str):
            raise DataError(
                f"data.{key}={column}: columns of CoNLL files have no names; give the position, counted from 0"
            )
    word = default.word if options.text_column is None else int(options.text_column)
    tag = default.tag if options.label_column is None else int(options.label_column)
    return Positions(word, tag, default.number)


def _sentences(path: Path, name: str, encoding: str, survey: _Survey) -> Iterator[tuple[int, dict[str, object]]]:
    document = 0
    sentence: list[Line] = []
    for line in _lines(path, name, encoding):
        if isinstance(line, Line):
            if survey.positions.is_word(line.columns):
                sentence.append(line)
            continue
        yield from _row(sentence, document, name, survey)
        sentence = []
        document += line == _DOCUMENT_START
    yield from _row(sentence, document, name, survey)


def _lines(path: Path, name: str, encoding: str) -> Iterator[Line | str]:
    """Yield lines and, between sentences, `""` or the mark of a document's start. The last sentence may end without either."""
    for number, raw in read_lines(path, name, encoding):
        text = _whole(raw, name, number)
        if not text.strip():
            yield ""
        elif text.startswith(_DOCUMENT_START):
            yield _DOCUMENT_START
        else:
            yield Line(number, _columns(text), text)


def _whole(line: str, name: str, number: int) -> str:
    """Return a line without what is left of its end. Raises DataError if it holds other lines, as ends are mixed."""
    text = line.removesuffix("\r")
    if "\r" in text:
        raise DataError(
            f"{name}, line {number}: holds a carriage return; end every line with a newline, in the whole file"
        )
    return text


def _columns(text: str) -> list[str]:
    if "\t" in text:
        return text.split("\t")
    return [column for column in text.split(" ") if column]  # split() would split at no-break spaces too


def _row(lines: list[Line], document: int, name: str, survey: _Survey) -> Iterator[tuple[int, dict[str, object]]]:
    """Yield the sentence, unless all lines are comments."""
    plain = next((line for line in lines if not line.begins_like_a_comment), None)
    widths = survey.widths if plain is None else {len(plain.columns)}
    positions = survey.positions
    words = [
        line
        for line in lines
        if (not line.begins_like_a_comment or survey.is_word(line, widths)) and not positions.lack_word(line.columns)
    ]
    for line in words:
        _check(line, words[0], name, positions)
    if words:
        tokens = [line.columns[positions.word].removeprefix(survey.language) for line in words]
        tags = [positions.tag_of(line.columns) for line in words]
        if survey.are_brackets:
            tags = list(_unbracketed(tags))
        lines_of_words = [line.text for line in words]
        yield words[0].number, {"tokens": tokens, "tags": tags, "document": str(document), LINES: lines_of_words}


def _unbracketed(tags: Sequence[str | None]) -> Iterator[str]:
    """Yield in IOB2 what `(PER* *) * (LOC)` mark."""
    entity: str | None = None
    for tag in tags:
        match = _BRACKET.fullmatch(tag or "")
        begins = match and match["type"]
        entity = begins or entity
        yield "O" if entity is None else f"{'B' if begins else 'I'}-{entity}"
        entity = None if match and match["end"] else entity


def _check(line: Line, first: Line, name: str, positions: Positions) -> None:
    where = f"{name}, line {line.number}"
    width = len(line.columns)
    fewest = 1 if positions.tag is None else 2
    if width < fewest or (
        positions.fit(width) and not (line.columns[positions.word] and positions.tag_of(line.columns) != "")
    ):
        raise DataError(
            f"{where}: expected a word and its tag, separated by a tab or spaces; got {_shortened(line.text)!r}"
        )
    if width != len(first.columns):
        raise DataError(
            f"{where}: has {width} columns where line {first.number} of its sentence has {len(first.columns)}; give every "
            "word the same columns, and separate sentences by a blank line"
        )
    if not positions.fit(width):
        raise DataError(
            f"{where}: has {width} columns, and data.text_column={positions.word}, data.label_column={positions.tag}; positions "
            "are counted from 0, or from the end if negative"
        )
    if not positions.differ(width):
        raise DataError(f"{where}: data.text_column and data.label_column are the same column of {width}; choose two")


def _shortened(text: str) -> str:
    return text if len(text) <= 80 else f"{text[:80]}…"


_WIDTH = 10
_FORM, _UPOS = 1, 3
_WORD_ID = re.compile(r"[1-9][0-9]*")


def open_conllu(path: Path, name: str, options: ReadOptions) -> TableFile:
    """Open a CoNLL-U file: columns `tokens` (FORM) and `tags` (UPOS), unless the options give other positions.

    Multiword ranges (`1-2`), empty nodes (`1.1`) and comments are skipped, so that words are the syntactic ones
    (https://universaldependencies.org/format.html). Raises DataError naming file and line.
    """
    positions = positions_of(options, default=Positions(word=_FORM, tag=_UPOS))
    if not positions.fit(_WIDTH) or not positions.differ(_WIDTH):
        raise DataError(
            f"{name}: data.text_column={positions.word}, data.label_column={positions.tag}: choose two of CoNLL-U's ten columns, "
            "counted from 0"
        )
    sentences = partial(_conllu_sentences, path, name, options.encoding, positions)
    if next(sentences(), None) is None:
        raise DataError(f"{name}: holds no sentence; expected ten columns per word, separated by tabs")

    def read(wanted: Sequence[str]) -> Iterator[Rows]:
        return in_batches(sentences(), wanted)

    return TableFile(
        path,
        name,
        "line",
        ("tokens", "tags"),
        read,
        positions_are_applied=True,
        display_names=_display_names(positions),
    )


def _conllu_sentences(
    path: Path, name: str, encoding: str, positions: Positions
) -> Iterator[tuple[int, dict[str, object]]]:
    tokens: list[object] = []
    tags: list[object] = []
    lines: list[object] = []
    first = 0
    for number, raw in read_lines(path, name, encoding):
        line = _whole(raw, name, number)
        if not line.strip():
            if tokens:
                yield first, {"tokens": tokens, "tags": tags, LINES: lines}
            tokens, tags, lines = [], [], []
        elif columns := _word_columns(line, f"{name}, line {number}"):
            first = first if tokens else number
            tokens.append(columns[positions.word])
            tags.append(positions.tag_of(columns))
            lines.append(line)
    if tokens:
        yield first, {"tokens": tokens, "tags": tags, LINES: lines}


def _word_columns(line: str, where: str) -> list[str] | None:
    """Return the columns of a word's line; None for comments, multiword ranges and empty nodes."""
    if line.startswith("#"):
        return None
    columns = line.split("\t")
    if len(columns) != _WIDTH:
        raise DataError(
            f"{where}: has {len(columns)} columns separated by tabs, and CoNLL-U has {_WIDTH}; correct the line"
        )
    if _RANGE_OR_EMPTY_NODE.fullmatch(columns[0]):
        return None
    if not _WORD_ID.fullmatch(columns[0]):
        raise DataError(f"{where}: begins with {columns[0]!r}, not with the word's number; correct the line")
    if not all(columns):
        raise DataError(f"{where}: column {columns.index('') + 1} is empty; CoNLL-U writes _ where there is nothing")
    return columns
