"""Several processes, one a GPU, that share each batch."""

import os
import sys
from typing import NoReturn

from stages.pipeline.errors import ConfigError


def start_under_torchrun_if_needed(processes: int) -> None:
    """Replace this process by torchrun with `processes` of it, unless it is one of them already.

    Started by hand under torchrun or `accelerate launch`, the stage uses the processes it finds.
    """
    if processes > 1 and "WORLD_SIZE" not in os.environ:
        _replace_by_torchrun(processes)


def world_size() -> int:
    """How many processes share each batch."""
    return int(os.environ.get("WORLD_SIZE", "1"))


def rows_for_each_process(batch_size: int, gradient_accumulation: int) -> int:
    """A batch's rows that one process computes at once. Raises ConfigError if the batch can't be shared evenly."""
    parts = world_size() * gradient_accumulation
    if batch_size % parts:
        raise ConfigError(
            f"train.batch_size={batch_size} is not divisible by {world_size()} processes x "
            f"train.gradient_accumulation={gradient_accumulation}; change one of them"
        )
    return batch_size // parts


def _replace_by_torchrun(processes: int) -> NoReturn:
    torchrun = [sys.executable, "-m", "torch.distributed.run", "--standalone", f"--nproc-per-node={processes}"]
    os.execv(sys.executable, [*torchrun, "-m", "stages.train", *sys.argv[1:]])
