"""Trainings in two processes, one after the other: the processes take longer to start than a tiny model to train."""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import pytest

from stages import train as stage
from stages.configuration.composition import compose_params
from stages.configuration.schema import TrainStage
from stages.configuration.validation import select, validate
from stages.pipeline.torchrun import is_main_process
from stages.training.processes import shutdown_distributed
from tests.support.imports import ROOT
from tests.support.trainings import OUTPUTS, result, signal_at


@dataclass(frozen=True)
class Job:
    """A training in a folder that is ready for it."""

    folder: str
    overrides: Sequence[str]
    stops: Sequence[int] = ()
    """The steps at which the main process gets a signal, each in a run of its own. The last run goes on to the end."""


def shared_trainings(jobs: Mapping[str, Job], results: Path) -> dict[str, dict[str, bytes]]:
    """Run all jobs in two processes; return each one's outputs, byte by byte."""
    told = json.dumps({name: asdict(job) for name, job in jobs.items()})
    done = subprocess.run(
        [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node=2", "-m", __name__,
         str(results), told],
        cwd=ROOT, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[:6000]
    return {name: result(results / name) for name in jobs}


def _main() -> None:
    results = Path(sys.argv[1])
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(stage, "shutdown_distributed", lambda: None)  # the next training shares the same processes
        for name, fields in json.loads(sys.argv[2]).items():
            _run(Job(**fields), results / name)
    shutdown_distributed()
    sys.stdout.flush()
    os._exit(0)  # as `ending_at_once` does


def _run(job: Job, into: Path) -> None:
    os.chdir(job.folder)
    config = select(validate(compose_params(job.overrides), "test"), TrainStage)
    for step in job.stops:
        with pytest.MonkeyPatch.context() as patch, pytest.raises(SystemExit):
            if is_main_process():
                signal_at(patch, step)
            stage.train(config)
    stage.train(config)
    if is_main_process():
        for output in OUTPUTS:
            (into / output).parent.mkdir(parents=True, exist_ok=True)
            shutil.move(output, into / output)


if __name__ == "__main__":
    _main()
