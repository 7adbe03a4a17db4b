"""Gold and predictions of any system as one table that `score_predictions` takes."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import zip_longest
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from stages.pipeline.errors import DataError
from stages.scoring.final.predictions import GOLD, LOSS, PREDICTED, TOKEN, strings
from stages.sources.readers.base import ReadOptions
from stages.sources.readers.conll import open_conll
from stages.tasks.schemes import are_entity_tags

_GOLD_NAMES, _PREDICTED_NAMES = (GOLD, "label", "labels", "tags"), (PREDICTED, "label", "labels", "tags")
_KEYS = ("id", "word")


@dataclass(frozen=True)
class Columns:
    """The places of columns in CoNLL files, counted from 0, or from the end if negative."""

    word: int = 0
    gold: int | None = None
    """None: the last; in a file that has the predictions too, the last but one."""
    predicted: int = -1


def read_pair(gold: Path, predictions: Path | None, columns: Columns) -> pa.Table:
    """Gold and predictions, from two files or from one that has both: Parquet by its suffix, else CoNLL.

    Raises DataError naming file and line where the two are not of the same words or examples.
    """
    for path in (gold, predictions):
        if path is not None and not path.is_file():
            raise DataError(f"{path}: there is no such file; give one that has gold or predictions")
    if _is_parquet(gold) and (predictions is None or _is_parquet(predictions)):
        return _words_of_lists(_parquet(gold) if predictions is None else _joined(gold, predictions))
    if _is_parquet(gold) or (predictions is not None and _is_parquet(predictions)):
        raise DataError(f"{gold}, {predictions}: one is Parquet and the other is not; give two of a kind")
    return _conll_table(gold, predictions, columns)


# CoNLL


@dataclass(frozen=True)
class _Word:
    """A word of a CoNLL file."""

    token: str
    tag: str
    place: int
    """Its place in its sentence."""
    line: int


def _conll_table(gold: Path, predictions: Path | None, columns: Columns) -> pa.Table:
    gold_place = columns.gold if columns.gold is not None else (-2 if predictions is None else -1)
    words = _words(gold, columns.word, gold_place)
    predicted = _words(predictions or gold, columns.word, columns.predicted)
    if predictions is not None:
        _require_equal_words(gold, words, predictions, predicted)
    return pa.table(
        {
            "word": [word.place for word in words],
            TOKEN: [word.token for word in words],
            GOLD: [word.tag for word in words],
            PREDICTED: [word.tag for word in predicted],
        }
    )


def _words(path: Path, word: int, tag: int) -> list[_Word]:
    try:
        file = open_conll(path, str(path), ReadOptions("tokens", text_column=word, label_column=tag))
        return [
            _Word(token, name, place, line + place)
            for rows in file.read(("tokens", "tags"))
            for tokens, tags, line in zip(rows.columns["tokens"], rows.columns["tags"], rows.numbers, strict=True)
            for place, (token, name) in enumerate(zip(tokens, tags, strict=True))
        ]
    except DataError as error:
        raise DataError(f"{error} (here: --columns, which is {word} for words and {tag} for tags)") from error


def _require_equal_words(gold: Path, words: Sequence[_Word], predictions: Path, predicted: Sequence[_Word]) -> None:
    for word, other in zip_longest(words, predicted):
        if word is None or other is None:
            short, long = (gold, predictions) if word is None else (predictions, gold)
            line = (word or other).line
            raise DataError(f"{short}: ends before line {line} of {long}; give predictions of all words and no others")
        if word.token != other.token:
            raise DataError(
                f"{predictions}, line {other.line}: has the word {other.token!r} where {gold}, line {word.line} has "
                f"{word.token!r}; give predictions of the same words in the same order"
            )


# Parquet


def _is_parquet(path: Path) -> bool:
    return path.suffix.lower() == ".parquet"


def _parquet(path: Path) -> pa.Table:
    try:
        return pq.read_table(path)
    except (OSError, pa.ArrowInvalid) as error:
        raise DataError(f"{path}: is not readable as Parquet; write it again, or name CoNLL differently") from error


def _joined(gold: Path, predictions: Path) -> pa.Table:
    """The predictions with the gold of the same examples, in its order; by `id` and `word` as far as both have them."""
    gold_table, predicted_table = _parquet(gold), _parquet(predictions)
    keys = [key for key in _KEYS if key in gold_table.column_names and key in predicted_table.column_names]
    order = _order(gold, gold_table, predictions, predicted_table, keys)
    predicted = predicted_table.take(order)
    kept = {
        name: predicted[name] for name in predicted.column_names if name not in (*_GOLD_NAMES, *_PREDICTED_NAMES, LOSS)
    }
    return pa.table(
        {
            **kept,
            GOLD: gold_table[_one_of(gold, gold_table, _GOLD_NAMES)],
            PREDICTED: predicted[_one_of(predictions, predicted, _PREDICTED_NAMES)],
        }
    )


def _order(gold: Path, gold_table: pa.Table, predictions: Path, predicted: pa.Table, keys: Sequence[str]) -> pa.Array:
    """The row of the predictions for each row of gold."""
    if gold_table.num_rows != predicted.num_rows:
        raise DataError(
            f"{predictions}: has {predicted.num_rows} rows where {gold} has {gold_table.num_rows}; give predictions of all "
            "examples and no others"
        )
    if not keys:
        return pa.array(range(predicted.num_rows))
    of_gold, of_predicted = (_identities(table, keys) for table in (gold_table, predicted))
    for path, identities in ((gold, of_gold), (predictions, of_predicted)):
        if len(pc.unique(identities)) != len(identities):
            raise DataError(f"{path}: {' and '.join(keys)} occur twice in some rows; give each example its own")
    order = pc.index_in(of_gold, of_predicted)
    if order.null_count:
        row = order.is_null().index(True).as_py()
        raise DataError(f"{predictions}: has no prediction of {gold}, row {row + 1} ({of_gold[row]}); add it")
    return order


def _identities(table: pa.Table, keys: Sequence[str]) -> pa.Array:
    columns = [strings(table[key]).combine_chunks() for key in keys]
    return pc.binary_join_element_wise(*columns, ", word ")


def _one_of(path: Path, table: pa.Table, names: Sequence[str]) -> str:
    for name in names:
        if name in table.column_names:
            return name
    raise DataError(f"{path}: has none of the columns {', '.join(names)}; name one of its columns so")


def _words_of_lists(table: pa.Table) -> pa.Table:
    """Rows that are sentences, with a list of tags each, as one row a word; other tables as they are."""
    if not all(name in table.column_names and pa.types.is_list(table[name].type) for name in (GOLD, PREDICTED)):
        return table
    gold, predicted = table[GOLD], table[PREDICTED]
    names = {*pc.list_flatten(gold).to_pylist(), *pc.list_flatten(predicted).to_pylist()}
    if not pc.list_value_length(gold).equals(pc.list_value_length(predicted)) or not _are_tags(names):
        return table
    places = [place for tags in gold.to_pylist() for place in range(len(tags))]
    return pa.table({"word": places, GOLD: pc.list_flatten(gold), PREDICTED: pc.list_flatten(predicted)})


def _are_tags(names: set[object]) -> bool:
    texts = [name for name in names if isinstance(name, str)]
    return len(texts) == len(names) and are_entity_tags(texts)
