"""Write predictions beside the input's own columns, in a format that other programs read."""

import csv
import io
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import Any, Literal, TypeAlias, get_args

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from stages.pipeline.errors import ConfigError, DataError, first_line
from stages.predict.inputs import Inputs, listed
from stages.sources.readers.table_file import Column
from stages.tags.schemes import are_entity_tags
from stages.tags.spans import TagSequences, spans_of, types_in

OutputFormat: TypeAlias = Literal["csv", "tsv", "jsonl", "parquet", "conll", "doccano", "label-studio"]
OUTPUT_FORMATS = get_args(OutputFormat)
_FORMAT_OF_SUFFIX: Mapping[str, OutputFormat] = {
    ".csv": "csv", ".tsv": "tsv", ".jsonl": "jsonl", ".ndjson": "jsonl", ".parquet": "parquet", ".conll": "conll",
    ".iob2": "conll", ".bio": "conll",
}  # fmt: skip
_OF_SPANS: tuple[OutputFormat, ...] = ("doccano", "label-studio")
DECIMALS = 6
_TAB = "\t"

Row: TypeAlias = dict[str, object]


def output_format(path: Path, wanted: str | None, *, of_words: bool) -> OutputFormat:
    """Return the format `wanted`, or by the name of the output. Raise ConfigError if it is not known, or not for the task."""
    suffix = path.suffix.lower()
    chosen = next((name for name in OUTPUT_FORMATS if name == wanted), _FORMAT_OF_SUFFIX.get(suffix))
    if chosen is None:
        raise ConfigError(
            f"--out {path}: its name does not tell a format; end it with {', '.join(_FORMAT_OF_SUFFIX)}, or set --out-format"
        )
    if chosen in ("conll", *_OF_SPANS) and not of_words:
        raise ConfigError(f"--out {path}: {chosen} is for models that label words; choose csv, jsonl or parquet")
    return chosen


@dataclass(frozen=True)
class Entity:
    """A predicted entity of a text."""

    start: int
    """Where it begins in the text, in code points."""
    end: int
    label: str
    score: float
    """The mean of its words' probabilities."""
    text: str


@dataclass(frozen=True)
class OutputOptions:
    """How predictions are written."""

    format: OutputFormat
    labels: tuple[str, ...]
    of_words: bool
    all_probabilities: bool = False


def text_rows(inputs: Inputs, table: pa.Table, output: OutputOptions) -> list[Row]:
    """Return rows of the input's own columns with `label`, `score` and, if wanted, `probability:NAME`.

    Where a text may have several labels, `score` lists the probabilities of those it is given.
    """
    predicted = table["predicted"].to_pylist()
    scores = table["score"].to_pylist() if "score" in table.column_names else [None] * len(predicted)
    by_label = table["probabilities"].to_pylist() if "probabilities" in table.column_names else scores
    label, score = (_free(name, inputs.own) for name in ("label", "score"))
    own, rows = {name: listed(column) for name, column in inputs.own.items()}, list[Row]()
    for place, (answer, sure, each) in enumerate(zip(predicted, scores, by_label, strict=True)):
        row: Row = {name: column[place] for name, column in own.items()}
        row[label] = answer
        if isinstance(answer, list):
            row[score] = [round(sure[name], DECIMALS) for name in answer]
        elif sure is not None:
            row[score] = round(sure, DECIMALS)
        if output.all_probabilities and isinstance(each, dict):
            row |= {_free(f"probability:{name}", inputs.own): round(value, DECIMALS) for name, value in each.items()}
        rows.append(row)
    return rows


def word_rows(inputs: Inputs, table: pa.Table, output: OutputOptions) -> list[Row]:
    """Return rows of the input's own columns with `tags` and `scores` and, for texts, `entities` as spans of characters."""
    assert inputs.words is not None
    predicted, scores = table["predicted"].to_pylist(), np.array(table["score"])
    ends = np.cumsum([len(words) for words in inputs.words])
    entities = entities_of(inputs, predicted, scores, output.labels) if inputs.spans is not None else None
    names = {name: _free(name, inputs.own) for name in ("words", "tags", "scores", "entities")}
    own, rows = {name: listed(column) for name, column in inputs.own.items()}, list[Row]()
    for place, (words, end) in enumerate(zip(inputs.words, ends.tolist(), strict=True)):
        row: Row = {name: column[place] for name, column in own.items()}
        if entities is not None:
            row[names["entities"]] = [vars(entity) for entity in entities[place]]
        elif not inputs.own:
            row[names["words"]] = list(words)
        row[names["tags"]] = predicted[end - len(words) : end]
        row[names["scores"]] = [round(float(score), DECIMALS) for score in scores[end - len(words) : end]]
        rows.append(row)
    return rows


def _free(name: str, own: Mapping[str, object]) -> str:
    """Return the name, with a prefix if the input has a column of this name."""
    return name if name not in own else _free(f"predicted_{name}", own)


def entities_of(
    inputs: Inputs, tags: Sequence[str], scores: np.ndarray[Any, Any], labels: Sequence[str]
) -> list[list[Entity]]:
    """Return the entities of each text, from the tag and the score of every word of all texts.

    Tags that mark none are each an entity of one word, but for `O`.
    """
    assert inputs.words is not None and inputs.spans is not None and inputs.texts is not None
    lengths = np.array([len(words) for words in inputs.words], np.int64)
    starts = np.cumsum(lengths) - lengths
    found: list[list[Entity]] = [[] for _ in inputs.words]
    for start, end, label, sentence in _spans(tags, lengths, labels):
        first, last = start - int(starts[sentence]), end - 1 - int(starts[sentence])
        begin, stop = inputs.spans[sentence][first][0], inputs.spans[sentence][last][1]
        score = round(float(scores[start:end].mean()), DECIMALS)
        found[sentence].append(Entity(begin, stop, label, score, inputs.texts[sentence][begin:stop]))
    return found


def _spans(
    tags: Sequence[str], lengths: np.ndarray[Any, Any], labels: Sequence[str]
) -> Iterator[tuple[int, int, str, int]]:
    """Yield the first word, the word behind the last, the type and the sentence of each entity."""
    sentence = np.repeat(np.arange(len(lengths)), lengths).tolist()
    if not are_entity_tags(labels):
        yield from ((at, at + 1, tag, sentence[at]) for at, tag in enumerate(tags) if tag != "O")
        return
    code_of = {name: code for code, name in enumerate(labels)}
    codes, types = np.array([code_of[tag] for tag in tags], np.int64), types_in(labels)
    spans = spans_of(TagSequences(codes, lengths.astype(np.int64), labels), types, "conll")
    for start, end, type_, place in zip(spans.start, spans.end, spans.type, spans.sentence, strict=True):
        yield int(start), int(end), types[type_], int(place)


def as_bytes(inputs: Inputs, table: pa.Table, output: OutputOptions, *, is_first: bool) -> bytes:
    """Return the predictions of a chunk. `is_first`: whether a header comes before them, if the format has one."""
    if output.format == "conll":
        return _conll(inputs, table)
    if output.format in _OF_SPANS:
        return _marked_texts(inputs, table, output, is_first=is_first)
    rows = word_rows(inputs, table, output) if output.of_words else text_rows(inputs, table, output)
    if output.format in ("csv", "tsv"):
        return _delimited(rows, "," if output.format == "csv" else "\t", with_header=is_first)
    if output.format == "parquet":
        return _parquet(rows, inputs.own)
    return "".join(f"{_json(row)}\n" for row in rows).encode()


def _json(row: Row) -> str:
    return json.dumps(row, ensure_ascii=False, default=str)


def closing(output: OutputOptions) -> bytes:
    """Return what the format needs after all predictions."""
    return b"\n]\n" if output.format == "label-studio" else b""


def _conll(inputs: Inputs, table: pa.Table) -> bytes:
    """Return one word a line with its tag, or the input's own line with the tag behind it.

    Raises DataError for a word that is no column of such a line.
    """
    assert inputs.words is not None
    tags = iter(table["predicted"].to_pylist())
    written = io.StringIO()
    for place, lines in zip(inputs.places, inputs.words if inputs.lines is None else inputs.lines, strict=True):
        for line in lines:
            if inputs.lines is None:
                _require_column(line, place)
            is_spaced = inputs.lines is not None and " " in line and "\t" not in line
            written.write(f"{line}{' ' if is_spaced else _TAB}{next(tags)}\n")
        written.write("\n")
    return written.getvalue().encode()


def _require_column(word: str, place: str) -> None:
    if not word.strip() or not {"\t", "\n", "\r"}.isdisjoint(word):
        raise DataError(f"{place}: CoNLL can't hold the word {word!r}; choose --out-format jsonl")


def _delimited(rows: Sequence[Row], separator: str, *, with_header: bool) -> bytes:
    header: list[Sequence[object]] = [list(rows[0])] if with_header and rows else []
    cells = ([_cell(value) for value in row.values()] for row in rows)
    return "".join(_line(line, separator) for line in chain(header, cells)).encode()


def _line(cells: Sequence[object], separator: str) -> str:
    """Return a line of CSV. Python quotes a carriage return only where lines end with one."""
    written = io.StringIO()
    csv.writer(written, delimiter=separator, lineterminator="\r\n").writerow(cells)
    return written.getvalue().removesuffix("\r\n") + "\n"


def _cell(value: object) -> object:
    """Return a value as CSV has it: lists and truth values as JSON, null as nothing."""
    return json.dumps(value, ensure_ascii=False, default=str) if isinstance(value, list | dict | bool) else value


def _parquet(rows: Sequence[Row], own: Mapping[str, Column]) -> bytes:
    """Return rows as Parquet. Raise DataError for values that it has no type for."""
    written, columns = io.BytesIO(), dict[str, Any]()
    for name in rows[0] if rows else ():
        column = own.get(name)
        try:
            columns[name] = column if isinstance(column, pa.Array) else pa.array([row[name] for row in rows])
        except (pa.ArrowException, OverflowError, TypeError) as error:
            raise DataError(
                f"column {name}: can't be written as Parquet ({first_line(error)}); choose --out-format jsonl"
            ) from error
    try:
        pq.write_table(pa.table(columns), written)
    except pa.ArrowException as error:
        raise DataError(
            f"the rows can't be written as Parquet ({first_line(error)}); choose --out-format jsonl"
        ) from error
    return written.getvalue()


def _marked_texts(inputs: Inputs, table: pa.Table, output: OutputOptions, *, is_first: bool) -> bytes:
    """Return texts with their entities as spans of characters. Raises DataError for words whose text is not known."""
    if inputs.spans is None:
        raise DataError(
            f"{inputs.places[0]}: holds words and not their text, in which {output.format} marks characters; choose "
            "--out-format jsonl or conll"
        )
    entities = entities_of(inputs, table["predicted"].to_pylist(), np.array(table["score"]), output.labels)
    columns = [listed(column) for column in inputs.own.values()]
    own = [dict(zip(inputs.own, values, strict=True)) for values in zip(*columns, strict=True)]
    if output.format == "doccano":
        return "".join(f"{_json(_doccano(*each))}\n" for each in zip(own, entities, strict=True)).encode()
    tasks = [_json(_label_studio(*each)) for each in zip(own, entities, strict=True)]
    return (("[\n" if is_first else ",\n") + ",\n".join(tasks)).encode()  # a part of an array


def _doccano(own: Row, entities: Sequence[Entity]) -> Row:
    """Return a text with its spans as doccano imports them, which takes those in `label`."""
    kept = {"own_label" if name == "label" else name: value for name, value in own.items()}
    return {**kept, "label": [[each.start, each.end, each.label] for each in entities]}


def _label_studio(own: Row, entities: Sequence[Entity]) -> Row:
    """Return a task with its predictions as Label Studio imports them."""
    result = [
        {
            "from_name": "label",
            "to_name": "text",
            "type": "labels",
            "score": each.score,
            "value": {"start": each.start, "end": each.end, "text": each.text, "labels": [each.label]},
        }
        for each in entities
    ]
    return {"data": own, "predictions": [{"result": result}]}
