"""CoNLL: one word a line with its tag in the last column, sentences separated by blank lines."""

from pathlib import Path

import pyarrow as pa

from stages.pipeline.errors import DataError

_DOCUMENT_START = "-DOCSTART-"


def read_conll(path: Path) -> pa.Table:
    """Read `tokens` and `tags` (lists of strings) from columns separated by tabs or spaces.

    The word is the first column, the tag the last. A line of nothing but white space ends a sentence: WNUT 17
    has lines with a lone tab. Raises DataError naming file and line.
    """
    sentences: list[list[str]] = []
    tags: list[list[str]] = []
    words_so_far: list[str] = []
    tags_so_far: list[str] = []

    def end_sentence() -> None:
        nonlocal words_so_far, tags_so_far
        if words_so_far:
            sentences.append(words_so_far)
            tags.append(tags_so_far)
        words_so_far, tags_so_far = [], []

    for number, raw_line in enumerate(_read_text(path).split("\n"), start=1):
        line = raw_line.removesuffix("\r")
        if not line.strip() or line.startswith(_DOCUMENT_START):
            end_sentence()
            continue
        word, tag = _word_and_tag(line, path, number)
        words_so_far.append(word)
        tags_so_far.append(tag)
    end_sentence()
    if not sentences:
        raise DataError(f"{path}: holds no sentence; expected one word and its tag a line")
    strings = pa.list_(pa.string())
    return pa.table({"tokens": pa.array(sentences, strings), "tags": pa.array(tags, strings)})


def _word_and_tag(line: str, path: Path, number: int) -> tuple[str, str]:
    columns = line.split("\t") if "\t" in line else line.strip(" ").split(" ")  # not at a no-break space
    word, tag = columns[0], columns[-1].strip()
    if len(columns) < 2 or not word or not tag:
        raise DataError(
            f"{path}, line {number}: expected a word and its tag, separated by a tab or spaces; got {line!r}"
        )
    return word, tag


def _read_text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as error:
        raise DataError(f"{path}: is not UTF-8 (byte {error.start}); convert it, for example with iconv") from error
