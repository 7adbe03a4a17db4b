"""The record of a sweep: its trials and the state of each, in a file that only the driver writes."""

import json
import re
import shutil
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Literal, TypeAlias

from pydantic import TypeAdapter, ValidationError

from stages.pipeline.errors import ConfigError, DataError
from stages.pipeline.outputs import write_text
from stages.sweep.node import TOKEN

if TYPE_CHECKING:
    from stages.sweep.trials import Trial

SWEEPS = Path(".dvc/tmp/sweeps")
"""A folder for each sweep, and the checkpoints of all."""
CHECKPOINTS_OF_SWEEPS = SWEEPS / "checkpoints"

_RECORD = "sweep.json"

State: TypeAlias = Literal["waiting", "running", "done", "failed", "pruned", "stopped"]
"""`failed`: it would fail again. `stopped`: together with the sweep, and can be continued."""


@dataclass
class TrialRecord:
    """A trial and its state."""

    name: str
    overrides: tuple[str, ...]
    state: State = "waiting"
    attempts: int = 0
    host: str = ""
    device: str = ""
    status: int | None = None
    """The exit status of the last attempt."""
    error: str = ""
    """Why it failed, in one line."""
    seconds: float = 0.0
    """How long its last attempt took."""
    stage: str = ""
    step: int = 0
    steps: int = 0
    seconds_left: float | None = None
    score: float | None = None
    """Its last validation score."""


@dataclass(frozen=True)
class SweepOptions:
    """The options of `stagewright sweep run`."""

    overrides: tuple[str, ...]
    trials: int | None = None
    """The number of trials of a search; None for every combination."""
    prune: bool = False
    gpus_per_job: float | None = None
    """None: 1 where there are GPUs."""
    cpus_per_job: int | None = None
    """None: threads x train.processes of the configuration."""
    jobs: int | None = None
    """The maximum number at once; None: as many as fit."""
    retries: int = 2
    """Further attempts if a machine or process is lost."""
    address: str | None = None
    """The address of a Ray cluster; None: only this machine."""
    remote: str | None = None
    """The DVC remote for data and results, if the machines share no disk."""


@dataclass
class SweepRecord:
    """A sweep: its options, its commit and its trials."""

    name: str
    base: str
    """The commit that is swept."""
    call: SweepOptions
    trials: list[TrialRecord] = field(default_factory=list)

    @property
    def folder(self) -> Path:
        """The folder with its logs, clones and journal."""
        return SWEEPS / self.name

    def add(self, trials: "Sequence[Trial]") -> None:
        """Add the trials that the record does not have yet."""
        known = {trial.name for trial in self.trials}
        self.trials += [TrialRecord(trial.name, trial.overrides) for trial in trials if trial.name not in known]

    def write(self) -> None:
        """Write the file, whole or not at all."""
        write_text(self.folder / _RECORD, json.dumps(asdict(self), indent=1) + "\n")

    def log(self, trial: str) -> Path:
        """Return the file with the output of all attempts of a trial."""
        return self.folder / "logs" / f"{trial}.log"

    def remove_clones(self) -> None:
        """Remove the clones of trials that were lost or stopped. Other trials have removed theirs."""
        for name in ("clones", "objects"):
            shutil.rmtree(self.folder / name, ignore_errors=True)

    def has_ended(self) -> bool:
        """Return whether all trials are done or pruned, so that nothing is left to continue."""
        return all(trial.state in ("done", "pruned") for trial in self.trials)

    def counts(self) -> str:
        """Return how many trials are in each state, in words."""
        states = [trial.state for trial in self.trials]
        return ", ".join(f"{states.count(state)} {state}" for state in dict.fromkeys(states)) or "no trial"


_ADAPTER = TypeAdapter(SweepRecord)


def read_record(folder: Path) -> SweepRecord:
    """Read the record in a sweep's folder. Raises DataError if it is damaged."""
    try:
        return _ADAPTER.validate_json((folder / _RECORD).read_bytes())
    except (OSError, ValidationError) as error:
        raise DataError(f"{folder / _RECORD}: can't be read; remove it with `stagewright sweep clean`") from error


def find_record(name: str) -> SweepRecord | None:
    """Return the record of the sweep `name`; None if there is none."""
    return read_record(SWEEPS / name) if (SWEEPS / name / _RECORD).exists() else None


def folders() -> list[Path]:
    """Return the folders of all sweeps in this repository, the newest last."""
    files = sorted(SWEEPS.glob(f"*/{_RECORD}"), key=lambda file: file.stat().st_mtime)
    return [file.parent for file in files]


def chosen_folder(name: str | None) -> Path:
    """Return the folder of the sweep `name`, or of the newest for None. Raises ConfigError if there is none."""
    known = folders()
    found = [folder for folder in known if name in (None, folder.name)]
    if not found:
        there = f"choose from {', '.join(folder.name for folder in known)}" if known else "there is none yet"
        raise ConfigError(f"{name or 'sweep'}: there is no such sweep; {there}")
    return found[-1]


def chosen_record(name: str | None) -> SweepRecord:
    """Return the record of the sweep `name`, or of the newest for None.

    Raises ConfigError if there is none, DataError if it can't be read.
    """
    return read_record(chosen_folder(name))


def require_name(name: str) -> None:
    """Raise ConfigError if `name` can't name a sweep. It names a folder, and the names of experiments begin with it."""
    if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9_-]*", name) or SWEEPS / name in (CHECKPOINTS_OF_SWEEPS, SWEEPS / TOKEN):
        raise ConfigError(f"--name {name}: is not a valid name of a sweep; use letters, digits, - and _")


def remove_sweep(folder: Path) -> None:
    """Remove a sweep's folder. Its experiments stay."""
    shutil.rmtree(folder, ignore_errors=True)


def find_trial(record: SweepRecord, name: str) -> TrialRecord:
    """Return the trial with this name, or whose name ends with it. Raises ConfigError if there is none, or several."""
    found = [trial for trial in record.trials if trial.name == name] or [
        trial for trial in record.trials if trial.name.endswith(name)
    ]
    if len(found) != 1:
        raise ConfigError(
            f"{name}: is the name of {len(found) or 'no'} trials of {record.name}; see `stagewright sweep status`"
        )
    return found[0]
