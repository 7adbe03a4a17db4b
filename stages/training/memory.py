"""Memory that does not suffice: which setting needs less of it."""

from collections.abc import Iterator
from contextlib import contextmanager

import torch

from stages.pipeline.errors import TrainingError

FOR_TRAINING = "set train.gradient_accumulation=auto, or lower tokenize.max_length, or choose a smaller model"
FOR_VALIDATION = "lower train.evaluation_batch_size or tokenize.max_length"


def for_steps(gradient_accumulation: int) -> str:
    """What to do when a step needs too much."""
    return (
        f"set train.gradient_accumulation={2 * gradient_accumulation}, which computes the same train.batch_size in "
        "smaller parts, or lower tokenize.max_length"
    )


@contextmanager
def memory_or(advice: str) -> Iterator[None]:
    """Turn what PyTorch raises when memory is full into TrainingError, with `advice` on what to change."""
    try:
        yield
    except (MemoryError, RuntimeError) as error:
        if not is_about_memory(error):
            raise
        where = "the GPU's memory" if isinstance(error, torch.OutOfMemoryError) else "memory"
        raise TrainingError(f"train: {where} is full; {advice}") from error


def is_about_memory(error: Exception) -> bool:
    """Whether it was raised for want of memory. For that of the system PyTorch raises a plain RuntimeError."""
    return isinstance(error, (MemoryError, torch.OutOfMemoryError)) or "DefaultCPUAllocator" in str(error)
