"""What a reader must know of a run that is compared: how it was evaluated, and whether its metrics are its own."""

from collections.abc import Iterator, Sequence

from stages.comparison.loaded_runs import Run
from stages.scoring.core.entities import told_strays
from stages.scoring.core.metrics import metrics_of
from stages.scoring.core.predicted import Predictions, ScoringRules, rules_of
from stages.scoring.core.scores import value_of
from stages.scoring.evaluation.predictions_file import PredictionsFile

_STALE = 1e-5
"""How far a metrics file, whose numbers are rounded, may be from what the predictions give."""


def notes_on(run: Run, predictions: Predictions, rules: ScoringRules) -> Iterator[str]:
    """Tell what is odd about a run that is scored by `rules`, a sentence each."""
    yield from _otherwise_scored(run, rules) or _stale(run, predictions)
    if strays := told_strays(predictions):
        yield f"{run.name}: {strays}"


def note_on_labels(files: Sequence[PredictionsFile], predictions: Predictions) -> Iterator[str]:
    """Tell that macro averages of label sets are over more labels than a run has by itself, where no file declares them."""
    if predictions.form != "labels" or files[0].description.is_declared:
        return
    if len({frozenset(file.labels_in_use) for file in files}) > 1:
        yield (
            f"The runs don't have the same labels: macro averages are over all {len(predictions.labels)} of them together, and "
            "a label that a run neither has nor predicts counts as 0."
        )


def _otherwise_scored(run: Run, rules: ScoringRules) -> list[str]:
    """Tell of a run that was evaluated by other rules than the base, by which it is scored here."""
    own = rules_of(run.params)
    if not run.params or (own.mode, own.scheme) == (rules.mode, rules.scheme):
        return []
    return [
        f"{run.name} was evaluated with evaluate.mode={own.mode} evaluate.scheme={own.scheme}; here it is scored as the base "
        f"was, with evaluate.mode={rules.mode} evaluate.scheme={rules.scheme}."
    ]


def _stale(run: Run, predictions: Predictions) -> list[str]:
    """Tell of metrics that are not those of the predictions, as after `git checkout` without `dvc checkout`."""
    for metric in metrics_of(predictions.form):
        said = run.metrics.get(f"evaluate.{metric.name}")
        found = None if said is None else value_of(metric, predictions)
        if said is not None and found is not None and abs(said - found) > _STALE:
            return [
                f"{run.name}: metrics/evaluate.json says {metric.name} {said:.4f}, its predictions give {found:.4f}: "
                "run `dvc checkout` or `dvc repro`."
            ]
    return []
