"""Distributed training: several processes, one per GPU, share each batch."""

import logging
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import distributed
from torch.distributed.elastic.multiprocessing import SignalException
from torch.distributed.elastic.multiprocessing.errors import ChildFailedError

from stages.pipeline.torchrun import world_size


def start_under_torchrun_if_needed(processes: int) -> None:
    """Replace this process by torchrun, which starts `processes` of it, unless a launcher has started it already.

    If somebody starts the stage under torchrun or `accelerate launch`, it uses their processes.
    """
    if processes > 1 and "WORLD_SIZE" not in os.environ:
        torchrun = [sys.executable, "-m", "stages.training.processes", "--standalone", f"--nproc-per-node={processes}"]
        os.environ.setdefault(
            "OMP_NUM_THREADS", "1"
        )  # as torchrun does, with a warning; the stage sets its own threads
        os.execv(sys.executable, [*torchrun, "-m", "stages.train", *sys.argv[1:]])


def shutdown_distributed() -> None:
    """Destroy the process group, if there is one."""
    if distributed.is_initialized():
        distributed.destroy_process_group()


@contextmanager
def ending_at_once() -> Iterator[None]:
    """Exit at the end of the block without the interpreter's cleanup, if several processes share the training.

    The interpreter's normal exit frees tensors that PyTorch's threads still hold, which sometimes aborts the process, even
    after `shutdown_distributed`. torchrun would then stop the other processes, also the one that writes the model.
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
    """Lets the processes agree on numbers. Tensors are on the CPU, since reading one on a GPU would wait for the GPU."""

    def __init__(self) -> None:
        """Create a process group. All processes must do so, after the default group exists."""
        self._group = distributed.new_group(backend="gloo") if world_size() > 1 else None

    def largest(self, *numbers: int) -> list[int]:
        """Return the maximum of each number over all processes."""
        together = torch.tensor(numbers)
        if self._group is not None:
            distributed.all_reduce(together, distributed.ReduceOp.MAX, self._group)
        return [int(number) for number in together]

    def all(self, is_true: bool) -> bool:
        """Return whether `is_true` is true in all processes."""
        return self.largest(int(not is_true)) == [0]


def main() -> None:
    """Run torchrun, and exit with the status of the training. torchrun by itself would show a traceback and exit with 1."""
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
