"""The record of each stage's last run: its environment and its seconds, in one file that no stage reads.

The seconds stand in another file as well, for `dvc exp show` and `dvc metrics`. `dvc.yaml` names it for no stage, so that
`dvc.lock` has no digest of it.

Git keeps the file, so it travels with a commit or a DVC experiment. If two runs have the same code and parameters and
different outputs, their records show how the machines differed.
"""

import time
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from typing import TypeVar

from pydantic import TypeAdapter, ValidationError

from stages.pipeline.environment import Compute, Environment, environment
from stages.pipeline.errors import DataError
from stages.pipeline.json_files import Json, write_json
from stages.pipeline.paths import RUNS, SECONDS
from stages.pipeline.torchrun import is_main_process

Config = TypeVar("Config")


@dataclass(frozen=True)
class StageRun:
    """A stage's last run here."""

    seconds: float
    """From the end of its imports to its last output."""
    environment: Environment


_RECORD = TypeAdapter(dict[str, StageRun])


def run_recorded(stage: Callable[[Config], Compute | None], config: Config) -> None:
    """Run `stage`; record its seconds and its environment."""
    started = time.perf_counter()
    compute = stage(config)
    seconds = round(time.perf_counter() - started, 1)
    if is_main_process():
        try:
            runs = dict(stage_runs(RUNS.read_bytes(), str(RUNS)))
        except (OSError, DataError):  # what can't be read is written anew
            runs = {}
        runs[stage.__name__] = StageRun(seconds, environment(compute))
        write_json(RUNS, {name: _written(run) for name, run in runs.items()})
        write_json(SECONDS, {"seconds": {name: run.seconds for name, run in runs.items()}})


def _written(run: StageRun) -> Json:
    """Return the record as it is written: without `gpu` where there was none."""
    written = asdict(run)
    compute = written["environment"]["compute"]
    if compute is not None and compute["gpu"] is None:
        del compute["gpu"]
    return written


def stage_runs(content: bytes, origin: str) -> Mapping[str, StageRun]:
    """Return the runs in a record, by stage. Raises DataError naming `origin` if it is damaged."""
    try:
        return _RECORD.validate_json(content)
    except ValidationError as error:
        raise DataError(f"{origin}: is incomplete, or from another version; the next run rewrites it") from error
