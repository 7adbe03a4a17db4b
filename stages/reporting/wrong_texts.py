"""The texts that runs got wrong, from their predictions files."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from datasets import Dataset
from numpy.typing import NDArray

from stages.pipeline.errors import DataError
from stages.reporting.changes import change
from stages.reporting.content import Mistake, TextExample, TextPrediction
from stages.tasks.columns.names import SECOND_TEXT


@dataclass(frozen=True)
class _Judged:
    """What a run says of a text, and how wrong that is."""

    gold: str
    predicted: TextPrediction
    mistakes: tuple[Mistake, ...]
    errors: float
    """The number of wrong labels, or the absolute error."""
    rank: float


def wrong_texts(runs: Sequence[pa.Table], raw: Dataset) -> tuple[TextExample, ...]:
    """One example a text that at least one run has wrong, in the order of the split; of numbers, every text.

    `runs` are predictions files of the same texts, the base first; `raw` is the split. Texts without gold have no
    mistakes. Raises DataError if predictions and texts are not of the same examples.
    """
    _require_same_examples([run["id"] for run in runs], raw)
    judged = _judge(runs[0]["gold"].type)
    wrong = np.logical_or.reduce([_wrong_rows(run) for run in runs])
    rows = np.flatnonzero(wrong).tolist()
    parts = [judged(_columns(run).take(pa.array(rows, pa.int64())), place) for place, run in enumerate(runs)]
    columns = [name for name in ("id", "text", SECOND_TEXT) if name in raw.column_names]
    texts = raw.select(rows).select_columns(columns).to_list() if rows else []
    return tuple(_example(text, of_runs) for text, of_runs in zip(texts, zip(*parts, strict=True), strict=True))


def _columns(run: pa.Table) -> pa.Table:
    return run.select([name for name in ("gold", "predicted", "score") if name in run.column_names])


def _example(text: Mapping[str, Any], runs: Sequence[_Judged]) -> TextExample:
    return TextExample(
        id=text["id"],
        change=change([run.errors for run in runs]),
        rank=max(run.rank for run in runs if run.mistakes),
        text=text["text"],
        second_text=text.get(SECOND_TEXT),
        gold=runs[0].gold,
        predicted=tuple(run.predicted for run in runs),
        mistakes=tuple(mistake for run in runs for mistake in run.mistakes),
    )


def _wrong_rows(run: pa.Table) -> NDArray[np.bool_]:
    gold, predicted = run["gold"], run["predicted"]
    if pa.types.is_string(gold.type):
        return np.asarray(pc.fill_null(pc.not_equal(gold, predicted), False), bool)
    if pa.types.is_floating(gold.type):
        return np.asarray(pc.is_valid(gold), bool)
    pairs = zip(gold.to_pylist(), predicted.to_pylist(), strict=True)
    return np.array([truth is not None and set(truth) != set(guess) for truth, guess in pairs], bool)


def _judge(gold: pa.DataType) -> Callable[[pa.Table, int], list[_Judged]]:
    if pa.types.is_string(gold):
        return _judged_label
    return _judged_number if pa.types.is_floating(gold) else _judged_labels


def _judged_label(rows: pa.Table, run: int) -> list[_Judged]:
    """One label: ranked by its probability."""
    return [
        _Judged(
            gold=row["gold"],
            predicted=TextPrediction(row["predicted"], row.get("score")),
            mistakes=_wrong_label(row["gold"], row["predicted"], run),
            errors=float(row["gold"] != row["predicted"]),
            rank=row.get("score") or 0.0,
        )
        for row in rows.to_pylist()
    ]


def _judged_labels(rows: pa.Table, run: int) -> list[_Judged]:
    """Several labels: ranked by the largest probability of a wrong decision on one of them."""
    judged = []
    for row in rows.to_pylist():
        gold, predicted, scores = row["gold"], row["predicted"], row.get("score") or {}
        missed = [label for label in gold if label not in predicted]
        spurious = [label for label in predicted if label not in gold]
        certain = [1 - scores.get(label, 1.0) for label in missed] + [scores.get(label, 0.0) for label in spurious]
        mistakes = [Mistake("missed", label, None, run) for label in missed]
        mistakes += [Mistake("spurious", None, label, run) for label in spurious]
        judged.append(
            _Judged(
                gold=_listed(gold),
                predicted=TextPrediction(_listed(predicted)),
                mistakes=tuple(mistakes),
                errors=len(mistakes),
                rank=max(certain, default=0.0),
            )
        )
    return judged


def _judged_number(rows: pa.Table, run: int) -> list[_Judged]:
    """A number: no text is right or wrong, but some are off by more than others."""
    return [
        _Judged(
            gold=f"{row['gold']:.6g}",
            predicted=TextPrediction(f"{row['predicted']:.6g}"),
            mistakes=(Mistake("wrong number", run=run),),
            errors=abs(row["predicted"] - row["gold"]),
            rank=abs(row["predicted"] - row["gold"]),
        )
        for row in rows.to_pylist()
    ]


def _wrong_label(gold: str, predicted: str, run: int) -> tuple[Mistake, ...]:
    return () if gold == predicted else (Mistake("wrong label", gold, predicted, run),)


def _listed(labels: Sequence[str]) -> str:
    return ", ".join(labels) or "(none)"


def _require_same_examples(ids: Sequence[pa.ChunkedArray], raw: Dataset) -> None:
    expected = raw["id"][:]
    if any(each.to_pylist() != expected for each in ids):
        raise DataError(
            "predictions and test split: are not of the same examples; run `dvc repro` in the revision that is reported on"
        )
