"""Experiments with their scores on one split, in groups that can be ranked together."""

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import pyarrow as pa

from stages.comparison.aligned_files import shared_labels
from stages.configuration.kinds import labels_words
from stages.pipeline.errors import DataError
from stages.pipeline.paths import RAW_DATA, VALIDATION_PREDICTIONS
from stages.scoring.core.metrics import METRICS, USUAL_HEADLINE, Form, Metric, metrics_of
from stages.scoring.core.predicted import ScoringRules, rules_of
from stages.scoring.core.scores import is_computable
from stages.scoring.evaluation.measured import Measured, measured
from stages.scoring.evaluation.predictions_file import GOLD, ID, WORD, PredictionsFile, read_predictions
from stages.sweep.leaderboard.experiments import Experiment
from stages.sweep.leaderboard.results import LeftOut


@dataclass
class ScoredTrial:
    """An experiment and its score on a split."""

    experiment: Experiment
    file: PredictionsFile | None = None
    missing: str | None = None
    """Why its predictions are not at hand, in one line."""
    measured: Measured | None = None
    score: float | None = None

    @classmethod
    def read(cls, experiment: Experiment, path: Path = VALIDATION_PREDICTIONS) -> "ScoredTrial":
        """Read the predictions of an experiment, without scoring them."""
        try:
            return cls(experiment, read_predictions(experiment.predictions(path), f"{path} of {experiment.name}"))
        except DataError as error:
            return cls(experiment, missing=str(error))

    @property
    def known(self) -> Measured:
        """The metric as measured on its predictions, which must be there."""
        assert self.measured is not None
        return self.measured


@dataclass
class TrialGroup:
    """The trials of one task on one validation split."""

    kind: str
    target: str
    trials: list[ScoredTrial] = field(default_factory=list)


def distinct(trials: Sequence[ScoredTrial]) -> tuple[list[ScoredTrial], list[LeftOut]]:
    """Leave out repeats: experiments with the configuration and seed of another one. Return the trials, and what is left out."""
    known: dict[tuple[str, str], ScoredTrial] = {}
    repeated = []
    for trial in sorted(trials, key=lambda trial: (trial.file is None, trial.experiment.name)):
        first = known.setdefault((trial.experiment.recipe, str(trial.experiment.seed)), trial)
        if first is not trial:
            reason = f"has the configuration and seed of {first.experiment.name}"
            repeated.append(LeftOut(trial.experiment.name, reason))
    return list(known.values()), repeated


def groups_of(trials: Sequence[ScoredTrial]) -> list[TrialGroup]:
    """Group trials by task and validation split. A trial without predictions joins those on the same raw data."""
    groups: dict[tuple[object, ...], TrialGroup] = {}
    splits: dict[tuple[object, ...], str] = {}
    for trial in sorted(trials, key=lambda trial: trial.file is None):
        params, raw = trial.experiment.params, trial.experiment.outputs.get(RAW_DATA)
        task = params.get("task.kind"), params.get("task.target")
        split = splits.get((*task, raw), f"raw {raw}") if trial.file is None else _digest(trial.file)
        splits.setdefault((*task, raw), split)
        groups.setdefault((*task, split), TrialGroup(str(task[0]), str(task[1]))).trials.append(trial)
    return list(groups.values())


def _digest(file: PredictionsFile) -> str:
    """Return a digest of the examples and their gold labels."""
    columns = [name for name in (ID, WORD, GOLD) if name in file.table.column_names]
    table = file.table.select(columns).combine_chunks().replace_schema_metadata(None)
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, table.schema) as stream:
        stream.write_table(table)
    return hashlib.sha256(sink.getvalue()).hexdigest()


def measure(trials: Sequence[ScoredTrial], rules: ScoringRules) -> ScoringRules:
    """Score the predictions of all trials, with the same rules and labels. Return the rules with the metric that was used.

    Raises DataError if it is not defined for what is predicted.
    """
    if not trials:
        return rules
    files = [trial.file for trial in trials if trial.file is not None]
    names, description = shared_labels(files), files[0].description
    metric: Metric | None = None
    for trial, file in zip(trials, files, strict=True):
        predictions = replace(file, description=description).predictions(rules, names)
        if metric is None:
            metric = _metric(rules.metric or USUAL_HEADLINE[predictions.form], predictions.form)
        if not is_computable(metric, [predictions]):
            trial.missing = f"{metric.name} can't be computed from its predictions"
            continue
        trial.measured = next(measured(predictions, [metric]))
        trial.score = trial.measured.observed()
    assert metric is not None
    return replace(rules, metric=metric.name)


def _reads_tags(trial: ScoredTrial, metric: str) -> bool:
    """Whether a score depends on how tags are read as entities."""
    formula = METRICS[metric].formulas.get("entities")
    is_of_words = labels_words(str(trial.experiment.params.get("task.kind")))
    return is_of_words and formula is not None and formula.basis in ("label_counts", "pooled_counts")


def _metric(name: str, form: Form) -> Metric:
    """Return the metric of this name. Raises DataError if it is not defined for this form of predictions."""
    known = metrics_of(form)
    if METRICS.get(name) not in known:
        raise DataError(
            f"metric {name}: can't be computed from these predictions; choose another with --metric from "
            f"{', '.join(metric.name for metric in known)}"
        )
    return METRICS[name]


def scored_by_training(trials: Sequence[ScoredTrial], metric: str, rules: ScoringRules) -> Iterator[LeftOut]:
    """Take the validation score of trials without predictions from their training; yield those that have none.

    A score that reads tags in another way than `rules` is none: without predictions it can't be scored as the others are.
    """
    for trial in trials:
        own = rules_of(trial.experiment.params)
        is_read_alike = not _reads_tags(trial, metric) or (own.mode, own.scheme) == (rules.mode, rules.scheme)
        if trial.measured is None and not is_read_alike:
            how = f"evaluate.mode={own.mode} evaluate.scheme={own.scheme}"
            yield LeftOut(trial.experiment.name, f"its training has scored with {how}, and {trial.missing}")
            continue
        if trial.measured is None:
            trial.score = trial.experiment.scores.get(metric)
        if trial.score is None:
            yield LeftOut(trial.experiment.name, f"its {metric} on validation is not defined")
