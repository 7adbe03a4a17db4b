"""How PyTorch and NumPy compute: with how many threads, in what memory, and whether only by algorithms that repeat bit by bit."""

import ctypes
import logging
import os
import platform
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

import torch
from threadpoolctl import threadpool_limits

Item = TypeVar("Item")
Result = TypeVar("Result")

log = logging.getLogger("stages.compute")

CUBLAS_WORKSPACE = "CUBLAS_WORKSPACE_CONFIG"

_M_TRIM_THRESHOLD, _M_MMAP_THRESHOLD = -1, -3  # as malloc.h has them
_LARGEST_MMAP_THRESHOLD = 2**25
"""Bytes: glibc takes no more."""


def use_threads(count: int) -> None:
    """Compute with `count` threads in this process, whatever the machine has and the environment says.

    The order in which threads' parts of a sum are added decides its last bits, so the number belongs to the recipe.
    More threads than cores give the same bytes as on a machine that has so many.
    """
    torch.set_num_threads(count)
    threadpool_limits(count, user_api="blas")
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    if cores > count and not torch.cuda.is_available():
        log.info("threads=%d of %d cores; a larger `threads` is faster and gives weights other last bits", count, cores)


def each_in_a_thread(function: Callable[[Item], Result], items: Sequence[Item]) -> Iterator[Result]:
    """The results in order, as `map` gives them; PyTorch's threads compute them side by side, an item each.

    No thread then waits for others after each operation, and what is serial in one goes on beside the others. Where items are
    fewer than threads, several threads share one. An error is that of the first item which has one; no more are begun then.
    """
    threads = torch.get_num_threads()
    at_once = max(1, min(threads, len(items)))
    torch.set_num_threads(threads // at_once)  # new threads take it over
    try:
        with ThreadPoolExecutor(at_once) as pool:
            yield from pool.map(function, items)
    finally:
        torch.set_num_threads(threads)


def keep_freed_memory() -> None:
    """Let this process keep the memory that tensors free for those that follow, where the C library is glibc.

    It gives large pieces back to the system, which zeroes them page by page when they are asked for again: 7,000 pages,
    and 13 ms in the system, in each step of the reference job on WNUT 17.
    """
    adjust = getattr(ctypes.CDLL(None), "mallopt", None)
    if adjust is not None and platform.libc_ver()[0] == "glibc":
        adjust(_M_MMAP_THRESHOLD, _LARGEST_MMAP_THRESHOLD)
        adjust(_M_TRIM_THRESHOLD, 2**31 - 1)


def use_tf32() -> None:
    """Let a GPU multiply what is in fp32 in TF32, several times as fast: 10 bits of fraction, added up in fp32."""
    if torch.cuda.is_available():
        torch.set_float32_matmul_precision("high")


def use_deterministic_algorithms(wanted: bool) -> None:
    """Whether a GPU adds in an order that is always the same. Before the first use of the GPU.

    What has no such algorithm then fails, and is not computed otherwise in silence.
    """
    if wanted:
        os.environ.setdefault(CUBLAS_WORKSPACE, ":4096:8")  # cuBLAS repeats itself with workspaces of fixed size alone
    torch.use_deterministic_algorithms(wanted)
    torch.backends.cudnn.deterministic = wanted
    torch.backends.cudnn.benchmark = False
    torch.utils.deterministic.fill_uninitialized_memory = False  # type: ignore[attr-defined]  # else costs time
