"""Check the rows of gold and predictions, whichever command reads them.

Check also what two files must agree on: their ids, their texts, and gold that both have.
"""

from collections.abc import Sequence
from dataclasses import replace
from reprlib import Repr

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from stages.pipeline.errors import DataError
from stages.systems.label_types import first_null, flags, named_alike, numbers, of_one_type, whole_numbers
from stages.systems.system_file import ID, ID_NAMES, TEXT_COLUMNS, TOKEN, TOKEN_LISTS, WORD, Role, SystemFile

_HOW_TO_JOIN = "give predictions in the order of gold, or an id in both files, by which rows are joined in any order"
_short = Repr()
_short.maxstring = 60
_short.maxlist = 8


def with_shared_id(gold: SystemFile, predictions: SystemFile) -> tuple[SystemFile, SystemFile]:
    """Return both with `id`, if both have such a column under another name, with a value of its own for each example.

    Other names than `id` count only if both files have the same values: pandas numbers any rows in `index`.
    """
    for name in ID_NAMES:
        columns = [_column(file, name) for file in (gold, predictions)]
        if columns == [ID, ID]:
            break
        found = [file.table[column] for file, column in zip((gold, predictions), columns, strict=True) if column]
        if len(found) == 2 and _are_ids(found, gold, predictions, must_be_same=name != ID):
            return gold.with_column(ID, found[0]), predictions.with_column(ID, found[1])
    return gold, predictions


def _column(file: SystemFile, name: str) -> str | None:
    if file.has(name):
        return name
    return next((column for column in file.table.column_names if column.lower() == name), None)


def _are_ids(columns: Sequence[pa.ChunkedArray], *files: SystemFile, must_be_same: bool) -> bool:
    are_words = any(file.has(name) for file in files for name in (TOKEN, WORD, *TOKEN_LISTS))
    if not all(are_runs(column) for column in columns):
        return False
    if not are_words and any(pc.count_distinct(column).as_py() < len(column) for column in columns):
        return False
    one, other = (set(column.cast(pa.string()).to_pylist()) for column in columns)
    return one == other or not must_be_same


def are_runs(values: pa.ChunkedArray) -> bool:
    """Whether values may be ids: they are text or integers, all known, and rows with the same one are neighbours."""
    if values.null_count or not (pa.types.is_string(values.type) or pa.types.is_integer(values.type)):
        return False
    codes = values.combine_chunks().dictionary_encode().indices.to_numpy()
    runs = np.count_nonzero(np.diff(codes, prepend=-1))
    return bool(runs == pc.count_distinct(values).as_py())


def with_comparable_gold(gold: SystemFile, predictions: SystemFile) -> SystemFile:
    """Return predictions with the gold that their file holds, if any, converted to the type of gold, or without it."""
    if not predictions.has("gold"):
        return predictions
    without = predictions.without("gold")
    own = replace(without.with_column("predicted", predictions.table["gold"]), label_names={})
    try:
        if pa.types.is_floating(gold.table["gold"].type):
            found = numbers(own, "predicted")
        else:
            found = of_one_type(*named_alike(gold, own))[1].table["predicted"]
    except DataError:
        return without
    if found.type != gold.table["gold"].type or _are_codes(found) != _are_codes(gold.table["gold"]):
        return without
    return without.with_column("gold", found)


def _are_codes(labels: pa.ChunkedArray) -> bool:
    """Whether labels are integers, which may stand for names that are not known."""
    is_text = pa.types.is_string(labels.type)
    return is_text and all(name.strip().isdecimal() for name in pc.unique(labels.drop_null()).to_pylist())


def require_same_texts(gold: SystemFile, predictions: SystemFile) -> None:
    """Raise DataError for the first row of joined files whose texts differ by more than white space."""
    for column in (*TEXT_COLUMNS, *TOKEN_LISTS):
        if not (gold.has(column) and predictions.has(column)):
            continue
        pairs = zip(gold.table[column].to_pylist(), predictions.table[column].to_pylist(), strict=True)
        for row, (text, other) in enumerate(pairs):
            if _plain(text) != _plain(other):
                raise DataError(
                    f"{predictions.where(row)}: has the {column} {_short.repr(other)} where {gold.where(row)} has "
                    f"{_short.repr(text)}; {_HOW_TO_JOIN}; or --ignore-words if only the spelling differs"
                )


def _plain(text: object) -> object:
    return " ".join(text.split()) if isinstance(text, str) else text or ""


def require_same_gold(gold: SystemFile, predictions: SystemFile) -> None:
    """Raise DataError for the first row of joined files whose gold differs, where both files have it."""
    if not predictions.has("gold"):
        return
    pairs = zip(gold.table["gold"].to_pylist(), predictions.table["gold"].to_pylist(), strict=True)
    for row, (label, other) in enumerate(pairs):
        is_same = sorted(label) == sorted(other or ()) if isinstance(label, list) else label == other
        if other is not None and not is_same:
            raise DataError(
                f"{predictions.where(row)}: its own column of gold has {_short.repr(other)} where {gold.where(row)} has "
                f"{_short.repr(label)}; {_HOW_TO_JOIN}; or remove that column"
            )


_PROBABILITIES = ("score", "probabilities")
"""Columns of probabilities: of the predicted label, or of every label."""
_LOSS = "loss"
_LARGEST = 1e150
"""The largest magnitude of a number: the sum of many squares is finite, too."""
_PROBABILITY_SLACK = 1e-6
"""How far a probability may be out of [0, 1]: single precision rounds."""


def checked(
    file: SystemFile, roles: Sequence[Role], *, may_lack_gold: bool = False, are_words: bool = False
) -> SystemFile:
    """Return the file with typed columns, its words in the order of their sentences.

    Rows that share an id are a sentence's words if they have tokens, or `are_words` says so. Raises DataError naming file,
    row and column: a label that is not known, an id that occurs twice, a number that is NaN or infinite, a probability
    outside [0, 1], words that are not numbered from 0.
    """
    if not file.table.num_rows:
        raise DataError(f"{file.name}: holds no examples; give at least one")
    for role in roles:
        if not (may_lack_gold and role == "gold"):
            _require_known(file, role)
        if pa.types.is_floating(file.table[role].type):
            _require_finite(file, role, file.table[role])
        elif file.has_lists(role):
            _require_sets(file, role)
    file = _with_ids(file)
    file = _in_sentences(_with_words(file, are_words=are_words))
    are_numbers = any(pa.types.is_floating(file.table[role].type) for role in roles)
    return file if are_numbers else _with_probabilities(file)


def _require_known(file: SystemFile, role: Role) -> None:
    values = file.table[role]
    if values.null_count:
        row = first_null(values)
        what = "label it, or leave the row out" if role == "gold" else "give a prediction for every row"
        raise DataError(f"{file.where(row)}: {role} is not known; {what}")
    if pa.types.is_list(values.type) and pc.list_flatten(values).null_count:
        row = next(row for row, labels in enumerate(values.to_pylist()) if None in labels)
        raise DataError(f"{file.where(row)}: {role} has a label that is null in its list; name it, or leave it out")


def _require_sets(file: SystemFile, role: Role) -> None:
    """Refuse lists that hold an entry twice, or 0 or 1 for each of two labels: they are no sets of labels."""
    rows = [labels or [] for labels in file.table[role].to_pylist()]
    for row, labels in enumerate(rows):
        if len(set(labels)) < len(labels):
            label = next(label for place, label in enumerate(labels) if label in labels[:place])
            raise DataError(
                f"{file.where(row)}: {role} lists {label!r} twice; a set of labels holds each by name, once, and tags need a "
                "column of tokens beside them"
            )
    if rows and all(set(labels) in ({"0", "1"}, {"true", "false"}) for labels in rows):
        raise DataError(f"{file.name}: {role} has 0 or 1 for each label; list the names of the labels that hold")


def _require_finite(file: SystemFile, column: str, values: pa.ChunkedArray) -> None:
    found = values.to_numpy()
    wrong = np.flatnonzero(~np.isfinite(found) & ~flags(values.is_null()))
    if len(wrong):
        number = "NaN" if np.isnan(found[wrong[0]]) else "infinite"
        raise DataError(
            f"{file.where(int(wrong[0]))}: {column} is {number}; write a finite number, or leave the row out"
        )
    large = np.flatnonzero(np.abs(found) > _LARGEST)
    if len(large):
        raise DataError(
            f"{file.where(int(large[0]))}: {column} is {found[large[0]]:g}, and squares of numbers beyond {_LARGEST:g} are "
            "not finite; write a smaller number"
        )


def _with_ids(file: SystemFile) -> SystemFile:
    """Return the file with ids as text. Raises DataError if one is null."""
    if not file.has(ID):
        return file
    ids = file.table[ID]
    if ids.null_count:
        raise DataError(f"{file.where(first_null(ids))}: id is not known; give each example one")
    return file.with_column(ID, ids.cast(pa.string()))


def _with_words(file: SystemFile, *, are_words: bool) -> SystemFile:
    """Return the file with `word`, if it has none and rows share the id of their sentence."""
    if file.has(WORD) or not file.has(ID) or not (file.has(TOKEN) or are_words):
        return file
    is_repeated = pc.count_distinct(file.table[ID]).as_py() < file.table.num_rows
    return file.with_column(WORD, pa.array(_positions_in_runs(file.table[ID]), pa.int32())) if is_repeated else file


def _in_sentences(file: SystemFile) -> SystemFile:
    """Return the file with words in order, each sentence where its first row is. Raises DataError for ids that repeat."""
    if not file.has(WORD):
        _require_once(file, "")
        return file
    file = file.with_column(WORD, whole_numbers(file, WORD))
    if file.has(ID):
        _require_once(file, WORD)
        file = file.take(np.argsort(_codes(file, WORD), kind="stable"))
    words = file.table[WORD].to_numpy()
    before = np.concatenate([[-1], words[:-1]])
    if file.has(ID):
        before[_positions_in_runs(file.table[ID]) == 0] = -1
    wrong = np.flatnonzero((words != 0) & (words != before + 1))
    if len(wrong):
        raise DataError(
            f"{file.where(int(wrong[0]))}: word is {words[wrong[0]]}, which does not continue the row before; number the "
            "words of each sentence from 0"
        )
    return file


def _positions_in_runs(ids: pa.ChunkedArray) -> NDArray[np.int64]:
    """Return how many rows right before each have the same id, [rows]."""
    codes = ids.combine_chunks().dictionary_encode().indices.to_numpy()
    starts = np.flatnonzero(np.diff(codes, prepend=-1))
    positions: NDArray[np.int64] = np.arange(len(codes)) - np.repeat(starts, np.diff(np.append(starts, len(codes))))
    return positions


def _codes(file: SystemFile, extra: str) -> NDArray[np.int64]:
    """Return a number for each pair of id (by first occurrence) and word, [rows]."""
    ids = file.table[ID].combine_chunks().dictionary_encode().indices.to_numpy().astype(np.int64)
    words = file.table[extra].to_numpy().astype(np.int64) if extra else np.zeros_like(ids)
    pairs: NDArray[np.int64] = ids * (words.max() + 1) + words
    return pairs


def _require_once(file: SystemFile, extra: str) -> None:
    if not file.has(ID):
        return
    codes = _codes(file, extra)
    _, first = np.unique(codes, return_index=True)
    if len(first) < len(codes):
        again = int(np.setdiff1d(np.arange(len(codes)), first)[0])
        before = int(np.flatnonzero(codes == codes[again])[0])
        keys = f"{ID} and {extra}" if extra else ID
        raise DataError(
            f"{file.name}: {keys} occur twice: {file.table[ID][again].as_py()!r} in {file.unit} {file.numbers[again]} as in "
            f"{file.unit} {file.numbers[before]}; give each example an id of its own"
        )


def _with_probabilities(file: SystemFile) -> SystemFile:
    """Return the file with `score` and `loss` as numbers. Raises DataError for probabilities outside [0, 1]."""
    has_object = file.has("score") and pa.types.is_struct(file.table["score"].type)
    if has_object and file.has("predicted") and not file.has_lists("predicted"):
        raise DataError(
            f"{file.name}: score is an object; write the number of the predicted label, or call the column probabilities"
        )
    for name in _PROBABILITIES:
        if file.has(name) and pa.types.is_struct(file.table[name].type):
            for field in file.table[name].type:
                _require_probabilities(file, f"{name}.{field.name}", pc.struct_field(file.table[name], [field.name]))
        elif file.has(name) and name == "score":
            file = file.with_column(name, numbers(file, name))
            _require_probabilities(file, name, file.table[name])
    if file.has(_LOSS):
        file = file.with_column(_LOSS, numbers(file, _LOSS))
        _require_finite(file, _LOSS, file.table[_LOSS])
        negative = np.flatnonzero(file.table[_LOSS].to_numpy() < 0)
        if len(negative):
            raise DataError(f"{file.where(int(negative[0]))}: loss is below 0; write the loss, or drop the column")
    return file


def _require_probabilities(file: SystemFile, name: str, column: pa.ChunkedArray) -> None:
    values = numbers(file.with_column(name, column), name)
    _require_finite(file, name, values)
    if values.null_count:
        raise DataError(f"{file.where(first_null(values))}: {name} is null; write it, or drop the column")
    found = values.to_numpy()
    wrong = np.flatnonzero((found < -_PROBABILITY_SLACK) | (found > 1 + _PROBABILITY_SLACK))
    if len(wrong):
        raise DataError(
            f"{file.where(int(wrong[0]))}: {name} is {found[wrong[0]]:g}, and a probability is between 0 and 1; write "
            "probabilities, or drop the column"
        )
