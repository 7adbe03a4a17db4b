"""Where the trials of a sweep come from: every combination of the values (`Grid`), or a search by Optuna (`Search`)."""

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
from stages.sweep.trials import Trial, bounds, choices, digest, grid, parse_overrides, sample_values, trial

_FACTOR_OF_LOG = 100.0
"""An interval that spans at least this factor is searched on a logarithmic scale."""
_PRUNED_TO = 3
"""After epochs 1, 3, 9, … the best third continues, and all that score like the worst of it: at first, many score alike."""
_NOT_FAILED = (TrialState.RUNNING, TrialState.COMPLETE, TrialState.PRUNED)
_TRIAL = "trial"
"""The attribute of Optuna's trials that holds the overrides of ours."""


class TrialSource(Protocol):
    """Where the trials of a sweep come from."""

    def next(self) -> Trial | None:
        """Return a trial that has not been returned yet; None if there is none."""

    def should_continue(self, trial: Trial, epoch: int, score: float) -> bool:
        """Report a validation score of a running trial. Return whether the trial should continue."""

    def finish(self, trial: Trial, score: float | None) -> None:
        """Report the final score of a trial; None if it failed or was pruned."""


class Grid:
    """Every combination of the values, in their order."""

    def __init__(self, sweep: str, overrides: Sequence[str]) -> None:
        """Raise ConfigError if one of the trials can't run."""
        self.trials = grid(sweep, overrides)
        self._left = deque(self.trials)

    def next(self) -> Trial | None:
        """Return the next combination."""
        return self._left.popleft() if self._left else None

    def should_continue(self, trial: Trial, epoch: int, score: float) -> bool:
        """Let all trials continue."""
        return True

    def finish(self, trial: Trial, score: float | None) -> None:
        """Do nothing: no combination depends on another."""


class Search:
    """Trials that Optuna chooses from the scores of earlier ones (TPE), and prunes if they lag behind (successive halving).

    Its journal is in the sweep's folder. In it, a search of the same values on other data or another model, whose files have
    changed, is a study of its own: it learns nothing from the scores on the former ones. A search that goes on takes up the
    trials that had not ended, or had failed. One that Optuna asks for again is not run again: it ends as the first one did.
    """

    def __init__(self, sweep: str, overrides: Sequence[str], trials: int, *, prune: bool, journal: Path) -> None:
        """`trials`: how many are run in all. Raise ConfigError if a value, or an end of an interval, is not valid."""
        self._sweep, self._parsed, self._wanted = sweep, parse_overrides(overrides), trials
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
        self._wanted += self._requeue_failed()
        self._unfinished = deque(each._trial_id for each in self._study.trials if each.state == TrialState.RUNNING)
        self._asked: dict[str, list[optuna.trial.Trial]] = {}
        """Optuna's running trials by the name of ours: several if it chose the same values again meanwhile."""
        self._pruned: set[str] = set()

    def next(self) -> Trial | None:
        """Return the next trial: first those of the journal that have not ended, with the values that they had."""
        while self._unfinished:
            asked = optuna.trial.Trial(self._study, self._unfinished.popleft())
            if _TRIAL in asked.user_attrs:
                if (made := self._as_trial(asked)) is not None:
                    return made
                continue
            self._study.tell(asked, state=TrialState.FAIL)  # the driver was killed between two entries of the journal
        while len(self._study.trials) < self._wanted:
            asked = self._study.ask(self._space)
            values = [_override_with(each, asked.params) for each in self._parsed]
            known = self._with_values(values, TrialState.PRUNED, TrialState.FAIL)
            asked.set_user_attr(_TRIAL, values)
            if known:
                self._study.tell(asked, state=known[0].state)
            elif (made := self._as_trial(asked)) is not None:
                return made
        return None

    def should_continue(self, trial: Trial, epoch: int, score: float) -> bool:
        """Report the score and ask the pruner."""
        asked = self._asked[trial.name][0]
        asked.report(score, epoch)
        if asked.should_prune():
            self._pruned.add(trial.name)
        return trial.name not in self._pruned

    def finish(self, trial: Trial, score: float | None) -> None:
        """Report the score to Optuna, which learns nothing from a trial that has failed."""
        for asked in self._asked.pop(trial.name):
            if score is not None and math.isfinite(score):
                self._study.tell(asked, score)
            else:
                self._study.tell(asked, state=TrialState.PRUNED if trial.name in self._pruned else TrialState.FAIL)

    def _as_trial(self, asked: optuna.trial.Trial) -> Trial | None:
        """Return our trial for one of Optuna's; None if it is running already."""
        made = trial(self._sweep, asked.user_attrs[_TRIAL])
        same = self._asked.setdefault(made.name, [])
        same.append(asked)
        return made if len(same) == 1 else None

    def _with_values(self, values: list[str], *states: TrialState) -> list[FrozenTrial]:
        """Return Optuna's trials of these values in any of the states."""
        return [each for each in self._study.get_trials(states=states) if each.user_attrs.get(_TRIAL) == values]

    def _requeue_failed(self) -> int:
        """Queue again what failed in an earlier call. Return how many trials of the journal have failed."""
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


def _override_with(override: Override, values: dict[str, object]) -> str:
    """Return an override with the chosen value. Numbers have four significant digits."""
    key = override.get_key_element()
    value = values.get(key)
    if value is None:
        return choices(override)[0]
    return f"{key}={value:.4g}" if isinstance(value, float) else str(value)


def _checked(sweep: str, parsed: Sequence[Override]) -> list[Trial]:
    """Compose each value once, with the first ones of all others. Return the trials, that of all first values first."""
    tried = [sample_values(each) for each in parsed]
    return [trial(sweep, [each[0] for each in tried])] + [
        trial(sweep, [value if at == place else each[0] for at, each in enumerate(tried)])
        for place, values in enumerate(tried)
        for value in values[1:]
    ]
