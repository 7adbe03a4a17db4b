"""Read spaCy 2's JSON training format: documents of paragraphs of sentences, whose tokens have BILUO tags."""

from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from itertools import islice
from pathlib import Path

from stages.pipeline.errors import DataError
from stages.sources.readers.json_records import JsonFile, layout_of
from stages.sources.readers.spacy_words import BEGIN, INSIDE, MISSING, OUTSIDE, Unannotated, tagged_words
from stages.sources.readers.strict_json import JsonObject
from stages.sources.readers.table_file import ReadOptions, Rows, TableFile, in_batches

_MISSING = "-"
_CODES = {"B": BEGIN, "U": BEGIN, "I": INSIDE, "L": INSIDE, "O": OUTSIDE}


def is_spacy_json(row: Mapping[str, object]) -> bool:
    """Whether a file's first object is a document with paragraphs."""
    paragraphs = row.get("paragraphs")
    return isinstance(paragraphs, list) and all(isinstance(item, dict) and "sentences" in item for item in paragraphs)


def open_spacy_json(path: Path, name: str, options: ReadOptions) -> TableFile:
    """Open spaCy's JSON, one row per paragraph, since spaCy makes a document of each.

    Columns: `tokens` and `tags` (IOB2) for words, `text` and `label` (numbers by label) for texts; and `document`, if there
    are several. Words of nothing but white space are left out, and so are paragraphs with a word that has no annotation
    (`-`); the log tells how many. In the test split, a file without any annotation has no column of them. Raises DataError
    naming file and row.
    """
    file = JsonFile(path, name, options.encoding, layout_of(path, name, options.encoding))
    has_documents = len(list(islice(file.records(), 2))) > 1
    columns: tuple[str, ...] = ("tokens", "tags") if options.labels_words else ("text", "label")
    rows = partial(_sentences if options.labels_words else _texts, file)
    if options.split == "test" and not _is_annotated(file, for_words=options.labels_words):
        columns, rows = columns[:1], partial(_words_alone if options.labels_words else _texts, file)

    def read(wanted: Sequence[str]) -> Iterator[Rows]:
        return in_batches(rows(), wanted)

    return TableFile(path, name, file.unit, (*columns, "document") if has_documents else columns, read)


def _sentences(file: JsonFile) -> Iterator[tuple[int, JsonObject]]:
    unannotated = Unannotated(file.name, file.unit, f"ner is {_MISSING!r}")
    for number, where, paragraph in _paragraphs(file):
        tokens = _tokens(paragraph, where)
        row = tagged_words((str(token["orth"]), *_annotation(token, where)) for token in tokens)
        if row is None:
            unannotated.leave_out(number)
        else:
            unannotated.kept += 1
            yield number, {**row, "document": str(number)}
    unannotated.report()


def _is_annotated(file: JsonFile, *, for_words: bool) -> bool:
    """Whether a paragraph has annotations, of entities or of texts."""
    paragraphs = ((where, paragraph) for _, where, paragraph in _paragraphs(file))
    if not for_words:
        return any(_cats(paragraph, where) for where, paragraph in paragraphs)
    tokens = ((where, token) for where, paragraph in paragraphs for token in _tokens(paragraph, where))
    return any(_annotation(token, where)[0] != MISSING for where, token in tokens)


def _words_alone(file: JsonFile) -> Iterator[tuple[int, JsonObject]]:
    for number, where, paragraph in _paragraphs(file):
        tokens = [str(token["orth"]) for token in _tokens(paragraph, where)]
        yield number, {"tokens": [token for token in tokens if not token.isspace()], "document": str(number)}


def _annotation(token: JsonObject, where: str) -> tuple[int, str]:
    """Return the code and the entity type that a token's BILUO tag says."""
    tag = token.get("ner")
    if tag is None or tag in ("", _MISSING):
        return MISSING, ""
    prefix, _, label = tag.partition("-") if isinstance(tag, str) else ("", "", "")
    code = _CODES.get(prefix)
    if code is None or bool(label) == (code == OUTSIDE):
        raise DataError(
            f"{where}: the token {token['orth']!r} has ner {tag!r}; give a BILUO tag, such as U-PER, O or -"
        )
    return code, label


def _texts(file: JsonFile) -> Iterator[tuple[int, JsonObject]]:
    for number, where, paragraph in _paragraphs(file):
        text = paragraph.get("raw")
        if not isinstance(text, str):
            text = " ".join(str(token["orth"]) for token in _tokens(paragraph, where))
        yield number, {"text": text, "label": _cats(paragraph, where), "document": str(number)}


def _paragraphs(file: JsonFile) -> Iterator[tuple[int, str, JsonObject]]:
    """Yield each paragraph with the number of its document, and its place for messages."""
    for number, document in file.records():
        where = f"{file.name}, {file.unit} {number}"
        paragraphs = document.get("paragraphs")
        if not isinstance(paragraphs, list):
            raise DataError(f"{where}: has no list of paragraphs, as spaCy's JSON has; correct it")
        for place, paragraph in enumerate(paragraphs, start=1):
            if not isinstance(paragraph, dict):
                raise DataError(f"{where}: paragraph {place} is not an object with sentences; correct it")
            yield number, f"{where}, paragraph {place}", paragraph


def _tokens(paragraph: JsonObject, where: str) -> list[JsonObject]:
    sentences = paragraph.get("sentences")
    if not isinstance(sentences, list):
        raise DataError(f"{where}: has no list of sentences; correct it")
    found: list[JsonObject] = []
    for sentence in sentences:
        tokens = sentence.get("tokens") if isinstance(sentence, dict) else None
        if not isinstance(tokens, list):
            raise DataError(f"{where}: a sentence has no list of tokens; correct it")
        for token in tokens:
            if not isinstance(token, dict) or not isinstance(token.get("orth"), str):
                raise DataError(f"{where}: token {len(found) + 1} has no text under 'orth'; correct it")
            found.append(token)
    return found


def _cats(paragraph: JsonObject, where: str) -> dict[str, object]:
    """Return numbers by label, from a list of objects or as they are."""
    cats = paragraph.get("cats", [])
    if isinstance(cats, dict):
        return cats
    if not isinstance(cats, list) or not all(
        isinstance(cat, dict) and isinstance(cat.get("label"), str) for cat in cats
    ):
        raise DataError(f"{where}: its cats are not a list of objects with a label and a value; correct them")
    return {str(cat["label"]): cat.get("value") for cat in cats}
