"""Where trials come from: every combination of the values, or a search by Optuna that learns from what has ended."""

import math
import warnings
from collections import deque
from collections.abc import Sequence
from pathlib import Path
from typing import Protocol

import optuna
from hydra.core.override_parser.types import IntervalSweep, Override
from optuna.distributions import BaseDistribution, CategoricalDistribution, FloatDistribution
from optuna.pruners import BasePruner, NopPruner, SuccessiveHalvingPruner
from optuna.samplers import TPESampler
from optuna.storages import JournalStorage
from optuna.storages.journal import JournalFileBackend
from optuna.trial import FrozenTrial, TrialState, create_trial

from stages.pipeline.errors import ConfigError
from stages.scoring.core.metrics import higher_is_better
from stages.sweep.trials import Trial, bounds, choices, digest, grid, samples, swept, trial

_FACTOR_OF_LOG = 100.0
"""An interval that spans at least this factor is searched on a logarithmic scale."""
_PRUNED_TO = 3
"""After epochs 1, 3, 9, … a third goes on, and all that score as it does: before anything is learned, many score alike."""
_NOT_FAILED = (TrialState.RUNNING, TrialState.COMPLETE, TrialState.PRUNED)
_TRIAL = "trial"
"""The attribute under which Optuna's journal has a trial's overrides."""


class Source(Protocol):
    """Where the trials of a sweep come from."""

    def next(self) -> Trial | None:
        """Return a trial that has not been returned yet; None if there is none."""

    def is_worth_going_on(self, trial: Trial, epoch: int, score: float) -> bool:
        """Take a validation score of a running trial. Return whether it shall go on."""

    def ended(self, trial: Trial, score: float | None) -> None:
        """Take a trial's final score; None if it has none."""


class Grid:
    """Every combination of the values, in their order."""

    def __init__(self, sweep: str, overrides: Sequence[str]) -> None:
        """Raise ConfigError if one of the trials can't run."""
        self.trials = grid(sweep, overrides)
        self._left = deque(self.trials)

    def next(self) -> Trial | None:
        """Return the next one."""
        return self._left.popleft() if self._left else None

    def is_worth_going_on(self, trial: Trial, epoch: int, score: float) -> bool:
        """Let all go on."""
        return True

    def ended(self, trial: Trial, score: float | None) -> None:
        """Nothing depends on it."""


class Search:
    """Trials that Optuna chooses by those that have ended (TPE), and ends early if they lag behind (successive halving).

    Its journal is in the sweep's folder. In it, a search of the same values on other data or another model, whose files have
    changed, is a study of its own: it learns nothing from the scores on the former ones. A search that goes on takes up the
    trials that had not ended, or had failed. One that Optuna asks for again is not run again: it ends as the first one did.
    """

    def __init__(self, sweep: str, overrides: Sequence[str], trials: int, *, prune: bool, journal: Path) -> None:
        """`trials`: how many are tried in all. Raise ConfigError if what is searched is not valid at its ends."""
        self._sweep, self._parsed, self._wanted = sweep, swept(overrides), trials
        searched = [each for each in self._parsed if each.is_sweep_override()]
        if not searched:
            raise ConfigError(
                "--trials: there is nothing to search; give values, as in -S 'train.learning_rate=interval(1e-5,1e-3)'"
            )
        self._space = {each.get_key_element(): _distribution(each) for each in searched}
        checked = _checked(sweep, self._parsed)
        self.metric = checked[0].metric
        optuna.logging.set_verbosity(optuna.logging.WARNING)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
            halving = SuccessiveHalvingPruner(min_resource=1, reduction_factor=_PRUNED_TO)
            pruner: BasePruner = halving if prune else NopPruner()
            self._study = optuna.create_study(
                storage=JournalStorage(JournalFileBackend(str(journal))),
                study_name=f"{sweep}-{digest([each.name for each in checked])}",
                direction="maximize" if higher_is_better(self.metric) else "minimize",
                pruner=pruner,
                load_if_exists=True,
            )
        seed = int(
            digest([sweep, len(self._study.trials)]), 16
        )  # another one for a search that goes on, or of another name
        self._study.sampler = TPESampler(seed=seed)
        self._wanted += self._reopen_failed()
        self._open = deque(each._trial_id for each in self._study.trials if each.state == TrialState.RUNNING)
        self._asked: dict[str, list[optuna.trial.Trial]] = {}
        """Optuna's trials by the name of ours: several if it asks for the values of one that is at work."""
        self._pruned: set[str] = set()

    def next(self) -> Trial | None:
        """Ask for the next one. One that had not ended comes again with the values that it had."""
        while self._open:
            asked = optuna.trial.Trial(self._study, self._open.popleft())
            if _TRIAL in asked.user_attrs:
                if (made := self._as_trial(asked)) is not None:
                    return made
                continue
            self._study.tell(asked, state=TrialState.FAIL)  # the driver was killed between two entries of the journal
        while len(self._study.trials) < self._wanted:
            asked = self._study.ask(self._space)
            values = [_chosen(each, asked.params) for each in self._parsed]
            known = self._with_values(values, TrialState.PRUNED, TrialState.FAIL)
            asked.set_user_attr(_TRIAL, values)
            if known:
                self._study.tell(asked, state=known[0].state)
            elif (made := self._as_trial(asked)) is not None:
                return made
        return None

    def is_worth_going_on(self, trial: Trial, epoch: int, score: float) -> bool:
        """Report a score and ask the pruner."""
        asked = self._asked[trial.name][0]
        asked.report(score, epoch)
        if asked.should_prune():
            self._pruned.add(trial.name)
        return trial.name not in self._pruned

    def ended(self, trial: Trial, score: float | None) -> None:
        """Tell Optuna. Nothing is learnt from a trial that has failed."""
        for asked in self._asked.pop(trial.name):
            if score is not None and math.isfinite(score):
                self._study.tell(asked, score)
            else:
                self._study.tell(asked, state=TrialState.PRUNED if trial.name in self._pruned else TrialState.FAIL)

    def _as_trial(self, asked: optuna.trial.Trial) -> Trial | None:
        """Return a trial; None if it is at work already."""
        made = trial(self._sweep, asked.user_attrs[_TRIAL])
        same = self._asked.setdefault(made.name, [])
        same.append(asked)
        return made if len(same) == 1 else None

    def _with_values(self, values: list[str], *states: TrialState) -> list[FrozenTrial]:
        """Return Optuna's trials with these values that are in one of the states."""
        return [each for each in self._study.get_trials(states=states) if each.user_attrs.get(_TRIAL) == values]

    def _reopen_failed(self) -> int:
        """Ask again for what has failed in an earlier call. Return how many trials of the journal have failed."""
        failed = self._study.get_trials(states=(TrialState.FAIL,))
        for each in failed:
            values = each.user_attrs.get(_TRIAL)
            if values is not None and not self._with_values(values, *_NOT_FAILED):
                self._study.add_trial(
                    create_trial(
                        state=TrialState.RUNNING,
                        params=each.params,
                        distributions=each.distributions,
                        user_attrs=each.user_attrs,
                    )
                )
        return len(failed)


def _distribution(override: Override) -> BaseDistribution:
    value = override.value()
    if not isinstance(value, IntervalSweep):
        return CategoricalDistribution(choices(override))
    low, high = bounds(value)
    if low >= high:
        raise ConfigError(f"-S {override.input_line}: its end is below its beginning; write the smaller number first")
    is_log = low > 0 and ("log" in value.tags or high / low >= _FACTOR_OF_LOG)
    return FloatDistribution(low, high, log=is_log)


def _chosen(override: Override, values: dict[str, object]) -> str:
    """Return an override with the value that was chosen. Numbers have four digits, which can be read."""
    key = override.get_key_element()
    value = values.get(key)
    if value is None:
        return choices(override)[0]
    return f"{key}={value:.4g}" if isinstance(value, float) else str(value)


def _checked(sweep: str, parsed: Sequence[Override]) -> list[Trial]:
    """Compose each value once, with the first ones of all others. Return the trials, that of all first values first."""
    tried = [samples(each) for each in parsed]
    return [trial(sweep, [each[0] for each in tried])] + [
        trial(sweep, [value if at == place else each[0] for at, each in enumerate(tried)])
        for place, values in enumerate(tried)
        for value in values[1:]
    ]
