"""The record of each stage's last run: its environment and its seconds, in one file that no stage reads.

Git keeps the file, so that it travels with a commit or a DVC experiment. Two runs whose records differ alone, and whose
outputs do too, were made by the same recipe on different machines.
"""

import time
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from typing import TypeVar

from pydantic import TypeAdapter, ValidationError

from stages.pipeline.environment import Compute, Environment, environment
from stages.pipeline.errors import DataError
from stages.pipeline.json_files import write_json
from stages.pipeline.paths import RUNS
from stages.pipeline.ranks import is_main_process

Config = TypeVar("Config")


@dataclass(frozen=True)
class StageRun:
    """A stage's last run here."""

    seconds: float
    """From the end of its imports to its last output."""
    environment: Environment


_RECORD = TypeAdapter(dict[str, StageRun])


def run_recorded(stage: Callable[[Config], Compute | None], config: Config) -> None:
    """Run `stage`, and record how long it took, and on what."""
    started = time.perf_counter()
    compute = stage(config)
    seconds = round(time.perf_counter() - started, 1)
    if is_main_process():
        _record(stage.__name__, StageRun(seconds, environment(compute)))


def stage_runs(content: bytes, origin: str) -> Mapping[str, StageRun]:
    """The runs in a record, by stage. Raises DataError naming `origin` if it is damaged."""
    try:
        return _RECORD.validate_json(content)
    except ValidationError as error:
        raise DataError(f"{origin}: is not whole, or of another version; the next run writes it anew") from error


def _record(name: str, run: StageRun) -> None:
    """Replace a stage's run; what can't be read is left out."""
    try:
        runs = dict(stage_runs(RUNS.read_bytes(), str(RUNS)))
    except (OSError, DataError):
        runs = {}
    runs[name] = run
    write_json(RUNS, {stage: asdict(each) for stage, each in runs.items()})
