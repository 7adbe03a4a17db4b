"""Trainings in two processes, one after the other: the processes take longer to start than a tiny model to train."""

import json
import os
import shutil
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import pytest
from safetensors.torch import load_file
from torch import Tensor

from stages.configuration.composition import compose_params
from stages.configuration.schema import TrainStage
from stages.configuration.validation import select, validate
from stages.pipeline.torchrun import is_main_process
from stages.training.processes import shutdown_distributed
from tests.support.imports import ROOT
from tests.support.trainings import OUTPUTS, signal_at
from tests.support.workspace import Workspace


@dataclass(frozen=True)
class Job:
    """A training, by all overrides of the configuration."""

    overrides: Sequence[str]
    stops: Sequence[int] = ()
    """The steps at which the main process gets a signal, each in a run of its own. The last run goes on to the end."""


def shared_trainings(workspace: Workspace, jobs: Mapping[str, Job], results: Path) -> None:
    """Run all jobs in the workspace, and leave each one's outputs in the folder of its name in `results`."""
    results.mkdir()
    told = json.dumps({name: [job.overrides, job.stops] for name, job in jobs.items()})
    workspace.ok(
        sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node=2", "-m", __name__,
        str(results), told, PYTHONPATH=str(ROOT), OMP_NUM_THREADS="1",
    )  # fmt: skip


def weights_of(result: Path) -> dict[str, Tensor]:
    """The weights that a job has left."""
    return load_file(result / "models/trained/model.safetensors")


def _main() -> None:
    from stages import train as stage

    results = Path(sys.argv[1])
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(stage, "shutdown_distributed", lambda: None)  # the next training shares the same processes
        for name, (overrides, stops) in json.loads(sys.argv[2]).items():
            config = select(validate(compose_params(overrides), "test"), TrainStage)
            for step in stops:
                with pytest.MonkeyPatch.context() as stopping, pytest.raises(SystemExit):
                    if is_main_process():
                        signal_at(stopping, step)
                    stage.train(config)
            stage.train(config)
            if is_main_process():
                for output in OUTPUTS:
                    copy = shutil.copytree if Path(output).is_dir() else shutil.copy
                    (results / name / output).parent.mkdir(parents=True, exist_ok=True)
                    copy(output, results / name / output)
    shutdown_distributed()
    sys.stdout.flush()
    os._exit(0)  # as `ending_at_once` does


if __name__ == "__main__":
    _main()
