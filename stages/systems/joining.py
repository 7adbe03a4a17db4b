"""Join gold and predictions of the same texts or words to one table, in the form of a predictions file."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import zip_longest
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from stages.pipeline.errors import DataError
from stages.systems.file_reading import read_file
from stages.systems.label_types import first_null, named_alike, of_one_type
from stages.systems.row_checks import (
    checked,
    require_same_gold,
    require_same_texts,
    with_comparable_gold,
    with_shared_id,
)
from stages.systems.system_file import (
    ID,
    TOKEN,
    TOKEN_LISTS,
    WORD,
    Choice,
    Request,
    Role,
    SystemFile,
    one_row_per_word,
    sentence_lengths,
    sentence_starts,
)
from stages.tags.schemes import OUTSIDE, are_entity_tags

_NOT_JOINED = ("loss",)
"""Columns of predictions that do not hold of another file's gold."""


@dataclass(frozen=True)
class Columns:
    """The columns that the user has chosen."""

    gold: Choice | None = None
    """Of the gold file, or of one file with both."""
    predicted: Choice | None = None
    """Of the predictions; None: as for gold where both are CoNLL-U; CoNLL has its last column, and tables known names."""


@dataclass(frozen=True)
class Joined:
    """Gold and predictions of a system."""

    table: pa.Table
    """The columns of a predictions file: `gold`, `predicted`, `id`, `word`, `token` and others as far as they are known."""
    different_words: int = 0
    """How many words are other than those of gold, which `ignore_words` allows."""

    @property
    def note(self) -> str | None:
        """What `ignore_words` has ignored, in one line."""
        words = "word differs" if self.different_words == 1 else "words differ"
        return f"{self.different_words:,} {words} from gold (--ignore-words)" if self.different_words else None

    @property
    def sentences(self) -> int | None:
        """How many sentences there are; None for texts."""
        return len(sentence_starts(self.table)) if WORD in self.table.column_names else None


def read_pair(gold: Path, predictions: Path | None, columns: Columns, *, ignore_words: bool = False) -> Joined:
    """Read gold and predictions from two files of any formats, or from one that has both.

    With `ignore_words` words may differ where sentences are of the same lengths. Raises DataError naming file and line
    or row where the two are not of the same words or texts, and where one does not hold what it should.
    """
    if predictions is None:
        return Joined(read_both(gold, columns.gold))
    gold_file = read_file(Request(gold, ("gold",), columns.gold))
    request = Request(predictions, ("predicted",), columns.predicted, "--predicted-columns", columns.gold)
    predicted = read_file(request, gold_file)
    gold_file, predicted = with_shared_id(*_as_words(*named_alike(gold_file, predicted)))
    gold_file, predicted = of_one_type(gold_file, predicted)
    predicted = with_comparable_gold(gold_file, predicted)
    gold_file = checked(gold_file, ("gold",))
    predicted = checked(predicted, ("predicted",), are_words=gold_file.has(WORD))
    return _joined(gold_file, predicted, ignore_words=ignore_words)


def read_both(path: Path, columns: Choice | None = None, *, may_lack_gold: bool = False) -> pa.Table:
    """Read gold and predictions from one file."""
    roles: tuple[Role, Role] = ("gold", "predicted")
    file = read_file(Request(path, roles, columns))
    if _are_tag_lists(file, file):
        file = one_row_per_word(file, roles)
    return _as_sentence(_checked_both(file, may_lack_gold=may_lack_gold), file)


def checked_predictions(name: str, table: pa.Table) -> pa.Table:
    """Return the table of a predictions file that `evaluate` wrote, checked in the same way. Gold may be missing."""
    missing = [role for role in ("gold", "predicted") if role not in table.column_names]
    if missing:
        raise DataError(f"{name}: its predictions have no column {missing[0]!r}; make them again with `dvc repro`")
    file = SystemFile(name, "row", np.arange(1, table.num_rows + 1), table)
    return _checked_both(file, may_lack_gold=True)


def _checked_both(file: SystemFile, *, may_lack_gold: bool) -> pa.Table:
    gold, predicted = of_one_type(*named_alike(file, file))
    both = gold.with_column("predicted", predicted.table["predicted"])
    return checked(both, ("gold", "predicted"), may_lack_gold=may_lack_gold).table


def with_ids(tables: Sequence[pa.Table]) -> list[pa.Table]:
    """Give ids to tables without any: those of a table with as many rows, or else numbers of texts or sentences from 1."""
    known = next((table for table in tables if ID in table.column_names), None)
    return [table if ID in table.column_names else table.add_column(0, ID, _ids(table, known)) for table in tables]


def _ids(table: pa.Table, known: pa.Table | None) -> pa.ChunkedArray:
    if known is not None and known.num_rows == table.num_rows:
        return known[ID]
    numbers = np.arange(table.num_rows)
    if WORD in table.column_names:
        numbers = np.repeat(np.arange(len(sentence_starts(table))), sentence_lengths(table))
    return pa.chunked_array([pa.array(numbers + 1).cast(pa.string())])


# Sentences


def _as_words(gold: SystemFile, predictions: SystemFile) -> tuple[SystemFile, SystemFile]:
    """Return both with one row per word, if either has one row per sentence."""
    has_lists = gold.has_lists("gold"), predictions.has_lists("predicted")
    if all(has_lists) and not _are_tag_lists(gold, predictions):
        return gold, predictions
    if has_lists[0] and (has_lists[1] or predictions.has(WORD) or predictions.has(TOKEN) or _are_tag_lists(gold, gold)):
        gold = one_row_per_word(gold, ("gold",))
    if has_lists[1] and gold.has(WORD):
        has_own = predictions.has("gold") and predictions.has_lists("gold")
        predictions = one_row_per_word(predictions, ("predicted", "gold") if has_own else ("predicted",))
    return gold, predictions


def _are_tag_lists(gold: SystemFile, predictions: SystemFile) -> bool:
    """Whether lists are the tags of sentences, not labels of texts: as many as words, or entity tags all.

    Without words, labels that look like tags are so only if one is `O`, or if gold and predictions are as many and no
    column is of texts.
    """
    columns = [(file, role) for file, role in ((gold, "gold"), (predictions, "predicted")) if file.has(role)]
    if not all(file.has_lists(role) for file, role in columns):
        return False
    for file, role in columns:
        tokens = next((file.table[name] for name in TOKEN_LISTS if file.has(name)), None)
        if tokens is not None and pc.list_value_length(tokens).equals(pc.list_value_length(file.table[role])):
            return True
    names = {name for file, role in columns for name in pc.unique(pc.list_flatten(file.table[role])).to_pylist()}
    texts = [name for name in names if isinstance(name, str)]
    lengths = [sorted(pc.fill_null(pc.list_value_length(file.table[role]), 0).to_pylist()) for file, role in columns]
    may_be_tags = lengths[0] == lengths[-1] and not any(file.holds_texts() for file, _ in columns)
    return len(texts) == len(names) and are_entity_tags(texts) and (OUTSIDE in names or may_be_tags)


# Joining


def _joined(gold: SystemFile, predictions: SystemFile, *, ignore_words: bool) -> Joined:
    keys = [key for key in (ID, WORD) if gold.has(key) and predictions.has(key)] if _have(ID, gold, predictions) else []
    if keys:
        predictions = predictions.take(_matching_rows(gold, predictions, keys))
    else:
        _require_equal_rows(gold, predictions, ignore_words=ignore_words)
    different = _different_words(gold, predictions)
    if len(different) and not ignore_words:
        row = int(different[0])
        raise DataError(_about_words(gold, predictions, row))
    if not ignore_words:
        require_same_texts(gold, predictions)
    require_same_gold(gold, predictions)
    columns = {name: predictions.table[name] for name in predictions.table.column_names if name not in _NOT_JOINED}
    columns |= {name: gold.table[name] for name in (ID, WORD, TOKEN, "gold") if gold.has(name)}
    order = dict.fromkeys((ID, WORD, TOKEN, "gold", *columns))
    table = pa.table({name: columns[name] for name in order if name in columns})
    return Joined(_as_sentence(table, gold, predictions), len(different))


def _as_sentence(table: pa.Table, *files: SystemFile) -> pa.Table:
    """Number the words as one sentence if labels are entity tags, nothing separates sentences, and no file is of texts."""
    gold = table["gold"]
    if (
        any(file.holds_texts() for file in files)
        or {ID, WORD} & set(table.column_names)
        or not pa.types.is_string(gold.type)
    ):
        return table
    is_sentence = are_entity_tags(pc.unique(gold.drop_null()).to_pylist())
    return table.add_column(0, WORD, pa.array(range(table.num_rows), pa.int32())) if is_sentence else table


def _have(column: str, *files: SystemFile) -> bool:
    return all(file.has(column) for file in files)


def _matching_rows(gold: SystemFile, predictions: SystemFile, keys: Sequence[str]) -> NDArray[np.int64]:
    """Return the row of the predictions for each row of gold, [rows]. Raises DataError unless each has one of its own."""
    _require_count(gold, predictions)
    of_gold, of_predicted = (_identities(file, keys) for file in (gold, predictions))
    found = pc.index_in(of_gold, of_predicted)
    if found.null_count:
        row = first_null(found)
        raise DataError(
            f"{predictions.name}: has no prediction of {gold.where(row)} ({of_gold[row]}); add it, or leave {ID} out of one "
            "file to join rows in order"
        )
    rows: NDArray[np.int64] = found.to_numpy().astype(np.int64)
    _require_one_each(gold, predictions, rows, of_gold)
    return rows


def _require_one_each(gold: SystemFile, predictions: SystemFile, rows: NDArray[np.int64], of_gold: pa.Array) -> None:
    """Raise DataError if two rows of gold share a prediction: gold has one row per word, and predictions one per sentence."""
    _, first = np.unique(rows, return_index=True)
    if len(first) == len(rows):
        return
    again = int(np.setdiff1d(np.arange(len(rows)), first)[0])
    raise DataError(
        f"{predictions.where(int(rows[again]))}: is the only prediction of {of_gold[again]}, and {gold.name} has several words "
        f"of it (the second in {gold.unit} {gold.numbers[again]}); give one prediction for each word"
    )


def _identities(file: SystemFile, keys: Sequence[str]) -> pa.Array:
    columns = [file.table[key].cast(pa.string()).combine_chunks() for key in keys]
    return pc.binary_join_element_wise(*columns, ", word ")


def _require_count(gold: SystemFile, predictions: SystemFile) -> None:
    if gold.table.num_rows != predictions.table.num_rows:
        raise DataError(
            f"{predictions.name}: has {predictions.table.num_rows} rows where {gold.name} has {gold.table.num_rows}; give "
            "predictions of all examples and no others"
        )


def _require_equal_rows(gold: SystemFile, predictions: SystemFile, *, ignore_words: bool) -> None:
    """Raise DataError unless rows can be joined in order: equal words, or else sentences of equal lengths, and equal counts."""
    if _have(TOKEN, gold, predictions) and not ignore_words:
        _require_equal_words(gold, predictions)
    elif _have(WORD, gold, predictions):
        _require_equal_sentences(gold, predictions)
    _require_count(gold, predictions)


def _require_equal_words(gold: SystemFile, predictions: SystemFile) -> None:
    words, others = (file.table[TOKEN].to_pylist() for file in (gold, predictions))
    for row, (word, other) in enumerate(zip_longest(words, others)):
        if row == len(words) or row == len(others):
            short, long = (gold, predictions) if row == len(words) else (predictions, gold)
            raise DataError(
                f"{short.name}: ends before {long.unit} {long.numbers[row]} of {long.name}; give predictions of all words "
                "and no others"
            )
        if word != other:
            raise DataError(_about_words(gold, predictions, row))


def _about_words(gold: SystemFile, predictions: SystemFile, row: int) -> str:
    word, other = (file.table[TOKEN][row].as_py() for file in (gold, predictions))
    return (
        f"{predictions.where(row)}: has the word {other!r} where {gold.where(row)} has {word!r}; give predictions of the same "
        "words in the same order, or --ignore-words if only their spelling differs"
    )


def _require_equal_sentences(gold: SystemFile, predictions: SystemFile) -> None:
    files = (gold, predictions)
    lengths, others = (sentence_lengths(file.table) for file in files)
    starts = [sentence_starts(file.table) for file in files]
    for place, (length, other) in enumerate(zip_longest(lengths, others)):
        if length is None or other is None:
            raise DataError(
                f"{predictions.name}: has {len(others)} sentences where {gold.name} has {len(lengths)}; give tags of all "
                "sentences, separated as in gold"
            )
        if length != other:
            here, there = (file.where(int(start[place])) for file, start in zip(files, starts, strict=True))
            raise DataError(
                f"{there}: has {other} tags where the sentence of {here} has {length} words; give a tag for every word (a "
                "model's longest input may have cut some off)"
            )


def _different_words(gold: SystemFile, predictions: SystemFile) -> NDArray[np.int64]:
    """Return the rows whose words differ, where both files have words."""
    if not _have(TOKEN, gold, predictions):
        return np.zeros(0, np.int64)
    same = pc.equal(*(file.table[TOKEN].combine_chunks().cast(pa.string()) for file in (gold, predictions)))
    return np.flatnonzero(~pc.fill_null(same, False).to_numpy(zero_copy_only=False))
