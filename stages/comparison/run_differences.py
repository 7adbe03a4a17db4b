"""What is different between two runs beside their scores: parameters, what their stages ran on, seconds, examples.

And what a reader must know of a run that is compared: how it was evaluated, and whether its metrics are its own.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict
from statistics import fmean

import numpy as np

from stages.comparison.loaded_runs import Run, Text, flat
from stages.comparison.results import ChangedExample, EnvironmentDifference, ParamDifference, Predicted, StageSeconds
from stages.configuration.kinds import is_known, labels_words
from stages.pipeline.json_files import Json
from stages.pipeline.stage_records import StageRun
from stages.reporting.annotations import Annotate, Annotation, annotations
from stages.reporting.content import change
from stages.scoring.core.entities import note_on_strays
from stages.scoring.core.metrics import metrics_of
from stages.scoring.core.predicted import Predictions, ScoringRules, rules_of
from stages.scoring.core.scores import value_of
from stages.scoring.evaluation.predictions_file import PredictionsFile
from stages.scoring.evaluation.resampling import Array

STAGES = ("download", "tokenize", "train", "evaluate", "export")


def param_differences(base: Mapping[str, Json], other: Mapping[str, Json]) -> list[ParamDifference]:
    """Return the parameters that differ, sorted; none if those of a run are not known."""
    if not base or not other:
        return []
    keys = sorted(key for key in {*base, *other} if base.get(key) != other.get(key))
    return [ParamDifference(key, base.get(key), other.get(key)) for key in keys]


def environment_differences(base: Mapping[str, StageRun], other: Mapping[str, StageRun]) -> list[EnvironmentDifference]:
    """Return the differences between what the stages ran on. One that several stages share is listed once."""
    stages: dict[tuple[str, Json, Json], list[str]] = {}
    for stage in (name for name in base if name in other):
        first, second = (recorded_environment(runs[stage]) for runs in (base, other))
        for key in sorted({*first, *second}):
            if first.get(key) != second.get(key):
                stages.setdefault((key, first.get(key), second.get(key)), []).append(stage)
    return [EnvironmentDifference(*difference, names) for difference, names in stages.items()]


_MEASURED = "peak_memory_mb"
"""What a run measured, and no difference of the machines."""


def recorded_environment(run: StageRun) -> dict[str, Json]:
    """Return what a stage ran on, by dotted keys such as `packages.torch`. Keys of the GPU are there only if it was used."""
    environment = asdict(run.environment)
    compute = environment["compute"] or {}
    gpu = compute.pop("gpu", None)
    if gpu is not None:
        compute["gpu"] = {name: value for name, value in gpu.items() if name != _MEASURED}
    return dict(flat(environment))


def stage_seconds(
    base: Sequence[Mapping[str, StageRun]], other: Sequence[Mapping[str, StageRun]]
) -> list[StageSeconds]:
    """Return the seconds of each stage that is recorded for both, in the order of the pipeline; over several seeds the mean."""
    found = []
    for stage in STAGES:
        runs = [[of_run[stage] for of_run in group if stage in of_run] for group in (base, other)]
        if all(runs):
            before, after = (fmean(run.seconds for run in group) for group in runs)
            machines = {_machine(run) for group in runs for run in group}
            found.append(StageSeconds(stage, before, after, is_same_machine=len(machines) == 1))
    return found


def _machine(run: StageRun) -> tuple[object, ...]:
    """Return what must be equal for seconds to be comparable."""
    environment = run.environment
    return environment.system, environment.cpu, environment.compute


_STALE = 1e-5
"""How far a metrics file, whose numbers are rounded, may be from what the predictions give."""


def notes_on(run: Run, predictions: Predictions, rules: ScoringRules) -> Iterator[str]:
    """Tell what is odd about a run that is scored by `rules`, a sentence each."""
    yield from (f"{run.name}: {doubt}" for doubt in run.doubts)
    yield from _otherwise_scored(run, rules) or _stale(run, predictions)
    if strays := note_on_strays(predictions):
        yield f"{run.name}: {strays}"


def note_on_readings(base: Run, other: Run) -> Iterator[str]:
    """Tell that the metrics files of two runs hold scores of tags that were read in two ways."""
    before, after = rules_of(base.params), rules_of(other.params)
    kind = str(base.params.get("task.kind"))
    if not (base.params and other.params) or (is_known(kind) and not labels_words(kind)):
        return
    if (before.mode, before.scheme) != (after.mode, after.scheme):
        yield (
            f"{other.name} was evaluated with evaluate.mode={after.mode} evaluate.scheme={after.scheme}, and {base.name} with "
            f"evaluate.mode={before.mode} evaluate.scheme={before.scheme}: their scores of entities can't be compared."
        )


def note_on_labels(files: Sequence[PredictionsFile], predictions: Predictions) -> Iterator[str]:
    """Tell that macro averages of label sets are over more labels than a run has by itself, where no file declares them."""
    if predictions.form != "labels" or files[0].description.is_declared:
        return
    if len({frozenset(file.labels_in_use) for file in files}) > 1:
        yield (
            f"The runs have different labels: macro averages are over all {len(predictions.labels)} labels of all runs, and a "
            "label that a run neither has nor predicts counts as 0."
        )


def _otherwise_scored(run: Run, rules: ScoringRules) -> list[str]:
    """Tell of a run that was evaluated by other rules than the base, by which it is scored here."""
    own = rules_of(run.params)
    if not run.params or (own.mode, own.scheme) == (rules.mode, rules.scheme):
        return []
    return [
        f"{run.name} was evaluated with evaluate.mode={own.mode} evaluate.scheme={own.scheme}; here it is scored like the "
        f"base, with evaluate.mode={rules.mode} evaluate.scheme={rules.scheme}."
    ]


def _stale(run: Run, predictions: Predictions) -> list[str]:
    """Tell of metrics that are not those of the predictions, as after `git checkout` without `dvc checkout`."""
    for metric in metrics_of(predictions.form):
        said = run.metrics.get(f"evaluate.{metric.name}")
        found = None if said is None else value_of(metric, predictions)
        if said is not None and found is not None and abs(said - found) > _STALE:
            return [
                f"{run.name}: metrics/evaluate.json has {metric.name} {said:.4f}, and its predictions give {found:.4f}: "
                "run `dvc checkout` or `dvc repro`."
            ]
    return []


def other_texts(ids: Sequence[str], one: Mapping[str, Text], two: Mapping[str, Text]) -> list[str]:
    """Return the ids of the examples of which both know a text, and not the same one."""
    return [id_ for id_ in ids if id_ in one and id_ in two and one[id_] != two[id_]]


def other_words(one: PredictionsFile, two: PredictionsFile) -> list[str]:
    """Return the ids of the sentences that don't have the same words in two files with the same rows, if both have words."""
    if not one.tokens or not two.tokens:
        return []
    differs = np.array(one.tokens, object) != np.array(two.tokens, object)
    sentences = np.searchsorted(one.starts, np.flatnonzero(differs), side="right") - 1
    return [one.ids[place] for place in np.unique(sentences).tolist()]


_SAME = 1e-12
"""Means over seeds closer than this are equal."""


def changed_examples(
    files: tuple[Sequence[PredictionsFile], Sequence[PredictionsFile]],
    predictions: tuple[Sequence[Predictions], Sequence[Predictions]],
    errors: tuple[Array, Array],
    texts: Mapping[str, Text],
) -> list[ChangedExample]:
    """Return the examples in which the errors of two runs differ, the largest changes first.

    All arguments are of the base and of the other run, each of all its seeds; `errors`, [examples], are means over them.
    """
    more = errors[1] - errors[0]
    changed = np.flatnonzero(np.abs(more) > _SAME)
    largest_first = changed[np.argsort(-np.abs(more[changed]), kind="stable")]
    base, other = (
        [annotations(*seed) for seed in zip(*run, strict=True)] for run in zip(files, predictions, strict=True)
    )
    first = files[0][0]
    tokens, starts = first.tokens, first.starts

    def described(example: int) -> ChangedExample:
        before, after = float(errors[0][example]), float(errors[1][example])
        text = texts.get(first.ids[example])
        words: Sequence[str] = tokens[starts[example] : starts[example + 1]]
        return ChangedExample(
            id=first.ids[example],
            change=change([before, after], can_be_right=predictions[0][0].form != "number"),
            base_errors=before,
            other_errors=after,
            gold=base[0](example, "gold"),
            base=_over_seeds(base, example),
            other=_over_seeds(other, example),
            text=text.first if text else None,
            text_pair=text.second if text else None,
            tokens=words,
        )

    return [described(example) for example in largest_first.tolist()]


def _over_seeds(seeds: Sequence[Annotate], example: int) -> list[Predicted]:
    """Return the distinct predictions for an example, those of most seeds first."""
    found: list[Annotation] = [seed(example, "predicted") for seed in seeds]
    once = [each for place, each in enumerate(found) if each not in found[:place]]
    return sorted((Predicted(each, found.count(each)) for each in once), key=lambda each: -each.seeds)
