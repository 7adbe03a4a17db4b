"""What the machine itself can do, and what a process has used of it."""

import resource
import time

import torch

_SIDE = 2048
_REPEATS = 10


def product_rate(dtype: torch.dtype, device: torch.device) -> float:
    """Floating-point operations a second of a product of two square matrices; the best of a few rounds."""
    matrix = torch.randn(_side(device), _side(device), dtype=dtype, device=device)
    seconds = min(_seconds(matrix) for _ in range(3))
    return _REPEATS * 2 * _side(device) ** 3 / seconds


def _side(device: torch.device) -> int:
    return _SIDE if device.type == "cpu" else 4 * _SIDE


def _seconds(matrix: torch.Tensor) -> float:
    wait_for(matrix.device)
    started = time.perf_counter()
    for _ in range(_REPEATS):
        matrix @ matrix
    wait_for(matrix.device)
    return time.perf_counter() - started


def wait_for(device: torch.device) -> None:
    """Until all that was asked of a GPU is done; a CPU does it at once."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)


def peak_memory(device: torch.device) -> float:
    """The most that this process has had, in MB: of the GPU, or resident."""
    if device.type == "cuda":
        return torch.cuda.max_memory_allocated(device) / 1e6
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e3
