"""The examples in which one run makes fewer errors than another."""

from collections.abc import Mapping, Sequence

import numpy as np

from stages.comparison.loaded_runs import Text
from stages.comparison.results import ChangedExample
from stages.reporting.annotations import annotations
from stages.reporting.content import change
from stages.scoring.core.predicted import Predictions
from stages.scoring.evaluation.predictions_file import PredictionsFile
from stages.scoring.evaluation.resampling import Array

_SAME = 1e-12
"""Means over seeds closer than this are equal."""


def changed_examples(
    files: tuple[PredictionsFile, PredictionsFile],
    predictions: tuple[Predictions, Predictions],
    errors: tuple[Array, Array],
    texts: Mapping[str, Text],
) -> list[ChangedExample]:
    """Return the examples in which the errors of two runs differ, the largest changes first.

    All arguments are of the base and of the other run; `errors`, [examples], may be means over seeds.
    """
    more = errors[1] - errors[0]
    changed = np.flatnonzero(np.abs(more) > _SAME)
    largest_first = changed[np.argsort(-np.abs(more[changed]), kind="stable")]
    base, other = (annotations(*each) for each in zip(files, predictions, strict=True))
    tokens, starts = files[0].tokens, files[0].starts

    def described(example: int) -> ChangedExample:
        before, after = float(errors[0][example]), float(errors[1][example])
        text = texts.get(files[0].ids[example])
        words: Sequence[str] = tokens[starts[example] : starts[example + 1]]
        return ChangedExample(
            id=files[0].ids[example],
            change=change([before, after], can_be_right=predictions[0].form != "number"),
            base_errors=before,
            other_errors=after,
            gold=base(example, "gold"),
            base=base(example, "predicted"),
            other=other(example, "predicted"),
            text=text.first if text else None,
            text_pair=text.second if text else None,
            tokens=words,
        )

    return [described(example) for example in largest_first.tolist()]
