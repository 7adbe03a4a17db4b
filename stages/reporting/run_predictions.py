"""A run's predictions as a page shows them: the confusion matrix and the calibration."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from stages.reporting.content import Calibration, CalibrationBin, Confusion
from stages.scoring.core.bases import BINS, calibration_bins
from stages.scoring.core.entities import EntityPredictions
from stages.scoring.core.metrics import METRICS
from stages.scoring.core.predicted import LabelPredictions, Predictions, ScoringRules
from stages.scoring.evaluation.measured import measured
from stages.scoring.evaluation.plots import confusion_counts
from stages.scoring.evaluation.predictions_file import SCORE, PredictionsFile, labelled, read_predictions
from stages.tags import schemes

MOST_LABELS = 30
"""More labels than this can't be read: those that are confused least become one."""

OTHERS = "(all others)"


@dataclass(frozen=True)
class RunPredictions:
    """What a run predicted for the examples of which gold is known."""

    file: PredictionsFile
    predictions: Predictions
    is_complete: bool = True
    """Whether gold is known of all examples."""

    @classmethod
    def of(cls, table: pa.Table, rules: ScoringRules | None = None) -> "RunPredictions | None":
        """Read a table of predictions; None if gold is known of no example. Raises DataError as `read_predictions` does."""
        known = labelled(table)
        if not known.num_rows and table.num_rows:
            return None
        file = read_predictions(known)
        return cls(file, file.predictions(rules or ScoringRules()), known.num_rows == table.num_rows)

    @property
    def rank(self) -> str | None:
        """What wrong examples are sorted by; None where probabilities are not known."""
        if self.predictions.form == "number":
            return "absolute error"
        return "confidence" if SCORE in self.file.table.column_names else None


def confusion_of(run: RunPredictions | None, names: Sequence[str] = ()) -> Confusion | None:
    """Count what was predicted for what; None if units have no single label, or some gold is not known.

    `names` are the labels in the order to show them; others that occur come behind. Entity tags are counted by type: their
    prefixes say where an entity begins, which its span says as well.
    """
    if run is None or not run.is_complete or not isinstance(run.predictions, LabelPredictions | EntityPredictions):
        return None
    units = run.predictions.words if isinstance(run.predictions, EntityPredictions) else run.predictions
    labels = list(dict.fromkeys([*names, *units.names]))
    row_of = np.array([labels.index(name) for name in units.names], np.int64)
    if isinstance(run.predictions, EntityPredictions):
        labels, of_tag = _by_type(labels)
        row_of = of_tag[row_of]
    matrix = confusion_counts(row_of[units.gold], row_of[units.predicted], len(labels))
    return _readable(Confusion("words" if run.file.has_words else "examples", tuple(labels), _rows(matrix)))


def calibration_of(run: RunPredictions | None) -> Calibration | None:
    """Return the calibration of texts; None unless each has one label with its probability, and all gold is known."""
    if run is None or not run.is_complete or run.file.has_words or not isinstance(run.predictions, LabelPredictions):
        return None
    return calibration(run.predictions)


def calibration(texts: LabelPredictions) -> Calibration | None:
    """Return the bins of the calibration error; None where probabilities are not known."""
    if texts.confidence is None:
        return None
    bins = calibration_bins(texts.confidence)
    counts = np.bincount(bins, minlength=BINS)
    sums = (np.bincount(bins, each, minlength=BINS) for each in (texts.confidence, texts.gold == texts.predicted))
    rows = zip(counts.tolist(), *((each / np.maximum(counts, 1)).tolist() for each in sums), strict=True)
    (error,) = measured(texts, [METRICS["calibration_error"]])
    return Calibration(
        tuple(CalibrationBin(k / BINS, (k + 1) / BINS, *row) for k, row in enumerate(rows)), error.observed() or 0.0
    )


def _by_type(tags: Sequence[str]) -> tuple[list[str], NDArray[np.int64]]:
    """Return the types of tags, `O` first, and each tag's index among them."""
    types = [(schemes.parse(tag) or schemes.Tag(schemes.OUTSIDE, "")).type or schemes.OUTSIDE for tag in tags]
    order = list(dict.fromkeys([schemes.OUTSIDE, *types]))
    return order, np.array([order.index(type_) for type_ in types], np.int64)


def _readable(confusion: Confusion) -> Confusion:
    """Reduce a confusion to `MOST_LABELS` labels: those confused most, in their order, and one for all others."""
    if len(confusion.labels) <= MOST_LABELS:
        return confusion
    matrix = np.array(confusion.counts)
    wrong = matrix.sum(axis=0) + matrix.sum(axis=1) - 2 * matrix.diagonal()
    kept = np.sort(np.argsort(-wrong, kind="stable")[: MOST_LABELS - 1])
    index = np.full(len(matrix), len(kept))
    index[kept] = np.arange(len(kept))
    folded = np.zeros((len(kept) + 1, len(kept) + 1), np.int64)
    np.add.at(folded, (index[:, None], index[None, :]), matrix)
    return Confusion(confusion.unit, (*(confusion.labels[k] for k in kept), OTHERS), _rows(folded))


def _rows(matrix: NDArray[np.int64]) -> tuple[tuple[int, ...], ...]:
    return tuple(tuple(row) for row in matrix.tolist())
