"""Rank configurations by their validation score. The test split is read for the best one only."""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from statistics import fmean

import numpy as np

from stages.comparison.run_groups import mean_and_deviation, mean_measured
from stages.pipeline.errors import DataError
from stages.pipeline.json_files import Json
from stages.pipeline.paths import PREDICTIONS
from stages.scoring.core.metrics import USUAL_HEADLINE, higher_is_better
from stages.scoring.core.predicted import ScoringRules, rules_of
from stages.scoring.evaluation.measured import Measured
from stages.scoring.evaluation.resampling import (
    FEWEST_EXAMPLES,
    RESAMPLES,
    Array,
    Draws,
    Interval,
    Statistic,
    interval,
)
from stages.sweep.leaderboard.best_set import p_of_being_best
from stages.sweep.leaderboard.experiments import Experiment
from stages.sweep.leaderboard.keys import by_size, key_effects, swept_keys
from stages.sweep.leaderboard.results import Board, Chosen, Leaderboard, LeftOut, Row, TrialScore
from stages.sweep.leaderboard.scored_trials import (
    ScoredTrial,
    TrialGroup,
    distinct,
    groups_of,
    measure,
    scored_by_training,
)

LEVEL = 0.05
RESAMPLES_OF_MANY = 2_000
"""Bootstrap resamples for the intervals of all configurations. The final test score has `RESAMPLES`."""
_SUMS_AT_ONCE = 1 << 24
"""Sums over resamples that are held in memory at once."""
_CODE = "code"


@dataclass
class _Configuration:
    """The trials that differ only in their seed."""

    trials: list[ScoredTrial]
    resampled: Array | None = None
    """[resamples]: the mean score over seeds; None where a trial has no predictions."""
    p: float | None = None
    """As `Row.p`."""

    @property
    def score(self) -> float:
        """Return the mean score over seeds."""
        return fmean(trial.score for trial in self.trials if trial.score is not None)

    @property
    def missing(self) -> str | None:
        """Return why some predictions are not at hand; None if all are."""
        return next((trial.missing for trial in self.trials if trial.missing), None)


def leaderboard(
    experiments: Sequence[Experiment],
    left_out: Sequence[LeftOut] = (),
    *,
    base: str = "",
    metric: str | None = None,
    level: float = LEVEL,
    resamples: int = RESAMPLES_OF_MANY,
) -> Leaderboard:
    """Rank experiments, on one board for each task and validation split.

    `metric`: None for the `task.metric` of most of them. Tasks that it is not defined for are left out; DataError is raised if
    there is no other task. `level`: as `Leaderboard.level`.
    """
    trials, repeated = distinct([ScoredTrial.read(each) for each in experiments])
    without = [*left_out, *repeated]
    boards, errors = list[Board](), list[DataError]()
    for group in groups_of(trials):
        try:
            board, unscored = _board(group, metric, level, resamples)
        except DataError as error:
            errors.append(error)
            unscored, board = [LeftOut(trial.experiment.name, str(error)) for trial in group.trials], None
        boards += [] if board is None else [board]
        without += unscored
    if errors and not boards:
        raise errors[0]
    return Leaderboard(base, _numbered(boards), sorted(without, key=lambda each: each.name), level, resamples)


def _board(group: TrialGroup, metric: str | None, level: float, resamples: int) -> tuple[Board | None, list[LeftOut]]:
    asked = Counter(rules_of(trial.experiment.params) for trial in group.trials)
    usual = max(asked, key=lambda rules: asked[rules])
    rules = replace(usual, metric=metric or usual.metric)
    rules = measure([trial for trial in group.trials if trial.file is not None], rules)
    name = rules.metric or USUAL_HEADLINE["label"]
    unscored = list(scored_by_training(group.trials, name, rules))
    ranked = [trial for trial in group.trials if trial.score is not None]
    if not ranked:
        return None, unscored
    sign = 1.0 if higher_is_better(name) else -1.0
    configurations = _configurations(ranked)
    examples = next((trial.file.examples for trial in ranked if trial.file is not None), 0)
    configurations.sort(key=lambda each: (-sign * each.score, each.trials[0].experiment.name))
    _compare(configurations, examples, level, resamples)
    settings = _settings(configurations)
    keys = swept_keys(settings)
    scores = [trial.score for each in configurations for trial in each.trials if trial.score is not None]
    of_trials = [chosen for each, chosen in zip(configurations, settings, strict=True) for _ in each.trials]
    board = Board(
        title=_title(ranked[0].experiment, group),
        kind=group.kind,
        target=group.target,
        metric=name,
        higher_is_better=sign > 0,
        examples=examples,
        keys=keys,
        rows=[
            _row(each, configurations, {key: chosen.get(key) for key in keys}, examples, level)
            for each, chosen in zip(configurations, settings, strict=True)
        ],
        chosen=_chosen(configurations[0], rules, level),
        effects=key_effects(keys, of_trials, scores),
        notes=[*_notes(configurations, [trial.experiment for trial in ranked], rules, examples)],
    )
    return board, unscored


def _configurations(trials: Sequence[ScoredTrial]) -> list[_Configuration]:
    by_recipe: dict[str, list[ScoredTrial]] = {}
    for trial in trials:
        by_recipe.setdefault(trial.experiment.recipe, []).append(trial)
    return [
        _Configuration(sorted(each, key=lambda trial: by_size(trial.experiment.seed))) for each in by_recipe.values()
    ]


def _compare(configurations: Sequence[_Configuration], examples: int, level: float, resamples: int) -> None:
    """Set the resampled scores and `p` of all configurations that have predictions. `configurations`: the best first."""
    known = [each for each in configurations if all(trial.measured for trial in each.trials)]
    if not known:
        return
    scores = iter(_resampled([trial.known for each in known for trial in each.trials], examples, resamples))
    for each in known:
        each.resampled = np.mean([next(scores) for _ in each.trials], axis=0)
    means = [mean_measured([trial.known for trial in each.trials]) for each in known]
    for each, p in zip(known, p_of_being_best(means, level), strict=True):
        each.p = p


def _resampled(scores: Sequence[Measured], examples: int, resamples: int) -> Iterator[Array]:
    """Yield the values of each metric on the same resamples, [resamples] each, computed in blocks that fit into memory."""
    draws = Draws(examples, resamples, one_by_one=examples)
    waiting: list[Measured] = []
    width = 0
    for score in scores:
        waiting.append(score)
        width += score.statistic.counts.shape[1] if isinstance(score.statistic, Statistic) else 1
        if width * resamples > _SUMS_AT_ONCE:
            yield from draws.scores([each.statistic for each in waiting])
            waiting, width = [], 0
    if waiting:
        yield from draws.scores([each.statistic for each in waiting])


def _settings(configurations: Sequence[_Configuration]) -> list[Mapping[str, Json]]:
    """Return the parameters of each configuration, and a digest of its code if that differs."""
    first = [each.trials[0].experiment for each in configurations]
    if len({experiment.code for experiment in first}) == 1:
        return [experiment.configuration for experiment in first]
    return [{**experiment.configuration, _CODE: (experiment.code or "")[:8]} for experiment in first]


def _row(
    configuration: _Configuration,
    ranked: Sequence[_Configuration],
    settings: Mapping[str, Json],
    examples: int,
    level: float,
) -> Row:
    trials = [_trial_score(trial) for trial in configuration.trials]
    seconds = [trial.seconds for trial in trials if trial.seconds is not None]
    devices = {trial.device for trial in trials if trial.device is not None}
    return Row(
        rank=1 + next(place for place, each in enumerate(ranked) if each.score == configuration.score),
        settings=settings,
        trials=trials,
        score=configuration.score,
        interval=_interval(configuration.trials, configuration.resampled, examples, level),
        deviation=mean_and_deviation([trial.score for trial in configuration.trials])[1],
        p=configuration.p,
        is_among_best=None if configuration.p is None else configuration.p > level,
        seconds=fmean(seconds) if seconds else None,
        device=", ".join(sorted(devices)) or None,
        note=configuration.missing,
    )


def _trial_score(trial: ScoredTrial) -> TrialScore:
    assert trial.score is not None, "others are not ranked"
    experiment, run = trial.experiment, trial.experiment.stage_runs.get("train")
    compute = None if run is None else run.environment.compute
    return TrialScore(
        experiment.name,
        experiment.seed,
        trial.score,
        None if run is None else run.seconds,
        None if compute is None else compute.device,
    )


def _interval(trials: Sequence[ScoredTrial], resampled: Array | None, examples: int, level: float) -> Interval | None:
    if resampled is None:
        return None
    if len(trials) == 1:
        return trials[0].known.interval(resampled, 1 - level)
    found = interval(resampled, 1 - level, examples)
    return None if found is None or found.low == found.high else found


def _chosen(configuration: _Configuration, rules: ScoringRules, level: float) -> Chosen:
    """Score the test predictions of one configuration."""
    experiments = [trial.experiment for trial in configuration.trials]
    names = [experiment.name for experiment in experiments]
    trials = [ScoredTrial.read(experiment, PREDICTIONS) for experiment in experiments]
    if all(trial.file for trial in trials):
        measure(trials, rules)
    if missing := next((trial.missing for trial in trials if trial.missing), None):
        return Chosen(names, configuration.score, None, None, None, 0, missing)
    examples = trials[0].known.examples
    value, deviation = mean_and_deviation([trial.score for trial in trials])
    resampled = np.mean([*_resampled([trial.known for trial in trials], examples, RESAMPLES)], axis=0)
    found = _interval(trials, resampled, examples, level)
    return Chosen(names, configuration.score, value, found, deviation, examples)


def _title(experiment: Experiment, group: TrialGroup) -> str:
    return f"{experiment.params.get('data.name', 'data')} ({group.kind}, {group.target})"


def _numbered(boards: Sequence[Board]) -> list[Board]:
    """Number the boards that share a title: data of one name with different examples or labels."""
    numbers = Counter[str]()
    found = []
    for board in sorted(boards, key=lambda board: (board.title, -board.trials)):
        numbers[board.title] += 1
        same = sum(other.title == board.title for other in boards)
        found.append(replace(board, title=f"{board.title}, split {numbers[board.title]}") if same > 1 else board)
    return found


def _notes(
    configurations: Sequence[_Configuration], experiments: Sequence[Experiment], rules: ScoringRules, examples: int
) -> Iterator[str]:
    """Yield what a reader of the board must know, as sentences."""
    best = sum(each.score == configurations[0].score for each in configurations)
    if best > 1:
        yield f"{best} configurations share the best score; the first by name is the one whose test score is shown."
    if examples and examples < FEWEST_EXAMPLES:
        yield f"{examples} validation examples are too few for intervals, which need at least {FEWEST_EXAMPLES}."
    missing = [each for each in configurations if each.missing]
    if missing:
        yield (
            f"{len(missing)} of {len(configurations)} configurations (marked ?) are ranked by metrics/train.json alone: "
            f"{missing[0].missing}."
        )
    others = {rules_of(each.params) for each in experiments}
    if len({(each.mode, each.scheme) for each in others}) > 1:
        yield f"All are scored with evaluate.mode={rules.mode} evaluate.scheme={rules.scheme}."
    if metrics := sorted({str(each.metric) for each in others} - {str(rules.metric)}):
        yield f"Some trials chose their checkpoint by {', '.join(metrics)}; all are ranked by {rules.metric}."
