"""Several processes, one a GPU, that share each batch."""

import logging
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import NoReturn

import torch
from torch import distributed
from torch.distributed.elastic.multiprocessing import SignalException
from torch.distributed.elastic.multiprocessing.errors import ChildFailedError


def start_under_torchrun_if_needed(processes: int) -> None:
    """Replace this process by torchrun with `processes` of it, unless it is one of them already.

    Started by hand under torchrun or `accelerate launch`, the stage uses the processes it finds.
    """
    if processes > 1 and "WORLD_SIZE" not in os.environ:
        _replace_by_torchrun(processes)


def world_size() -> int:
    """How many processes share each batch."""
    return int(os.environ.get("WORLD_SIZE", "1"))


def part() -> None:
    """End what connects the processes."""
    if distributed.is_initialized():
        distributed.destroy_process_group()


@contextmanager
def ending_at_once() -> Iterator[None]:
    """End this process with the block, or with the exit status it asks for, if others share the training.

    The interpreter's own end tears down tensors that PyTorch's threads still hold, which aborts the process now and then,
    also after `part`; torchrun would then stop the others, the one that writes the model among them.
    """
    status = 0
    try:
        yield
    except SystemExit as ending:
        if world_size() == 1 or not isinstance(ending.code, int):
            raise
        status = ending.code
    if world_size() > 1:
        logging.shutdown()
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(status)


class Agreement:
    """What the processes decide together, through main memory: a look at a tensor on the GPU would wait for it."""

    def __init__(self) -> None:
        """To be made in all processes, after the first group of them is."""
        self._group = distributed.new_group(backend="gloo") if world_size() > 1 else None

    def largest(self, *numbers: int) -> list[int]:
        """For each number the largest that a process has given."""
        together = torch.tensor(numbers)
        if self._group is not None:
            distributed.all_reduce(together, distributed.ReduceOp.MAX, self._group)
        return [int(number) for number in together]

    def all(self, is_true: bool) -> bool:
        """Whether it is true in all processes."""
        return self.largest(int(not is_true)) == [0]


def _replace_by_torchrun(processes: int) -> NoReturn:
    """This module's `main` is torchrun with the exit status of the training it starts."""
    torchrun = [sys.executable, "-m", "stages.training.processes", "--standalone", f"--nproc-per-node={processes}"]
    os.execv(sys.executable, [*torchrun, "-m", "stages.train", *sys.argv[1:]])


def main() -> None:
    """Run torchrun; exit as a training in one process does, where torchrun shows a traceback and exits with 1."""
    from torch.distributed import run

    try:
        run.main()
    except SignalException as interrupted:
        sys.exit(128 + interrupted.sigval)
    except ChildFailedError as failed:
        _, first = failed.get_first_failure()
        sys.exit(first.exitcode if first.exitcode > 0 else 128 - first.exitcode)


if __name__ == "__main__":
    main()
