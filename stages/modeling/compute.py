"""How PyTorch and NumPy compute: threads, freed memory, TF32 and deterministic algorithms."""

import ctypes
import logging
import os
import platform
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

import torch
from threadpoolctl import threadpool_limits

from stages.modeling.precision import Precision, device_name
from stages.pipeline.environment import Compute, Gpu

Item = TypeVar("Item")
Result = TypeVar("Result")

log = logging.getLogger("stages.compute")

CUBLAS_WORKSPACE = "CUBLAS_WORKSPACE_CONFIG"

_M_TRIM_THRESHOLD, _M_MMAP_THRESHOLD = -1, -3  # as malloc.h has them
_LARGEST_MMAP_THRESHOLD = 2**25
"""Bytes; glibc accepts no more."""
_DEFAULT_MMAP_THRESHOLD = 2**17
"""Bytes; glibc's own default, which it raises as it runs unless it has been set."""


def configure_compute(threads: int, *, deterministic: bool | None = None, is_sharded: bool = False) -> None:
    """Set how this process computes.

    `deterministic`: for `use_deterministic_algorithms`; None changes nothing. `is_sharded`: whether the process holds a shard of
    the model, and so has to save memory.
    """
    use_threads(threads)
    use_tf32()
    if deterministic is not None:
        use_deterministic_algorithms(deterministic)
    (return_freed_memory if is_sharded else keep_freed_memory)()


def compute_record(
    precision: Precision,
    threads: int,
    packing: str | None = None,
    compilation: str | None = None,
) -> Compute:
    """Return the record of what a stage computed on.

    `packing` and `compilation`: the results of `use_packing` and `use_compilation` on a GPU.
    """
    gpu = None if packing is None else Gpu(packing, round(torch.cuda.max_memory_allocated() / 1e6), compilation)
    return Compute(device_name(), precision, threads, gpu)


def use_threads(count: int) -> None:
    """Compute with `count` threads in this process, whatever the machine and environment variables say.

    The thread count is part of the recipe: it determines the order of additions, and so the last bits of the weights. More
    threads than cores give the same bytes as on a machine with enough cores.
    """
    torch.set_num_threads(count)
    threadpool_limits(count, user_api="blas")
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    if cores > count and not torch.cuda.is_available():
        log.info(
            "threads=%d of %d cores; a larger `threads` is faster, and changes the last bits of the weights",
            count,
            cores,
        )


def each_in_a_thread(function: Callable[[Item], Result], items: Sequence[Item]) -> Iterator[Result]:
    """Yield the results in order, as `map` does, and compute each item in a thread of its own.

    Threads then do not wait for each other after each operation, and serial parts of one item overlap with the others. If there
    are fewer items than threads, several threads share an item. An exception is raised in the order of the items, and no further
    items are started.
    """
    threads = torch.get_num_threads()
    at_once = max(1, min(threads, len(items)))
    torch.set_num_threads(threads // at_once)  # new threads inherit it
    try:
        with ThreadPoolExecutor(at_once) as pool:
            yield from pool.map(function, items)
    finally:
        torch.set_num_threads(threads)


def keep_freed_memory() -> None:
    """Let this process keep the memory of freed tensors for later ones, where the C library is glibc.

    By default glibc returns large blocks to the system, which zeroes them page by page when they are allocated again: 7,000 pages
    and 13 ms of system time in each step of the reference job on WNUT 17.
    """
    _adjust_malloc(_M_MMAP_THRESHOLD, _LARGEST_MMAP_THRESHOLD)
    _adjust_malloc(_M_TRIM_THRESHOLD, 2**31 - 1)


def return_freed_memory() -> None:
    """Let this process return the memory of freed tensors to the system, where the C library is glibc.

    By default glibc keeps more and more of it, in pieces. Where layers are gathered and freed in turn, that took all that
    sharing them had saved: 2.1 instead of 0.9 GB for a model of 100 M parameters in two processes.
    """
    _adjust_malloc(_M_MMAP_THRESHOLD, _DEFAULT_MMAP_THRESHOLD)


def _adjust_malloc(parameter: int, value: int) -> None:
    adjust = getattr(ctypes.CDLL(None), "mallopt", None)
    if adjust is not None and platform.libc_ver()[0] == "glibc":
        adjust(parameter, value)


def use_tf32() -> None:
    """Let a GPU multiply fp32 matrices in TF32 (10 bits of mantissa, accumulated in fp32), which is several times as fast."""
    if torch.cuda.is_available():
        torch.set_float32_matmul_precision("high")


def use_deterministic_algorithms(wanted: bool) -> None:
    """Set whether PyTorch uses only deterministic algorithms. Call it before the first use of the GPU.

    An operation without a deterministic algorithm then raises an error.
    """
    if wanted:
        os.environ.setdefault(CUBLAS_WORKSPACE, ":4096:8")  # cuBLAS is deterministic only with workspaces of fixed size
    torch.use_deterministic_algorithms(wanted)
    torch.backends.cudnn.deterministic = wanted
    torch.backends.cudnn.benchmark = False
    torch.utils.deterministic.fill_uninitialized_memory = False  # type: ignore[attr-defined]  # it would only cost time
