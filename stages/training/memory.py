"""Memory: whether a training step fits, and advice where it does not.

On a GPU a step is tried. On a CPU its memory is estimated from steps of one and two rows: a step that does not fit can't be
tried, because the system would kill the process.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TypeAlias

import psutil
import torch
from transformers import PreTrainedModel

from stages.columns.names import INPUT_IDS
from stages.modeling.batches import MASK
from stages.modeling.gradient_checkpointing import without_gradient_checkpointing
from stages.modeling.layers import layers_of
from stages.modeling.precision import Precision, device, logits_of
from stages.pipeline.errors import TrainingError
from stages.pipeline.torchrun import world_size

FOR_TRAINING = "set train.gradient_accumulation=auto, or lower tokenize.max_length, or choose a smaller model"
FOR_VALIDATION = "lower train.evaluation_batch_size or tokenize.max_length"


def for_steps(gradient_accumulation: int) -> str:
    """Return advice for a training step that needs too much memory."""
    return (
        f"set train.gradient_accumulation={2 * gradient_accumulation}, which computes the same train.batch_size in "
        "smaller parts, or lower tokenize.max_length"
    )


@contextmanager
def memory_errors(advice: str) -> Iterator[None]:
    """Turn out-of-memory errors inside the block into TrainingError, with `advice` on what to change."""
    try:
        yield
    except (MemoryError, RuntimeError) as error:
        if not is_about_memory(error):
            raise
        where = "the GPU's memory" if isinstance(error, torch.OutOfMemoryError) else "memory"
        raise TrainingError(f"train: {where} is full; {advice}") from error


def is_about_memory(error: Exception) -> bool:
    """Return whether the error says that memory is full. For main memory, PyTorch raises a plain RuntimeError."""
    return isinstance(error, (MemoryError, torch.OutOfMemoryError)) or "DefaultCPUAllocator" in str(error)


Fits: TypeAlias = Callable[[Sequence[int]], bool]
"""Returns whether the forward and backward pass of rows of these lengths (sub-words) fit beside all else that training needs."""

_COPIES = 3
"""Copies of each trained weight besides the weight itself: Adam's two moments, and a temporary one in the optimizer or where
processes exchange gradients."""
_CONTAINER_LIMIT = Path("/sys/fs/cgroup/memory.max")
"""The bytes that a container's processes may have, or `max`."""
_MARGIN = 1.5
"""A step's peak memory on a CPU, as a multiple of what it keeps for the backward pass; measured: 1.23 (MiniLM)."""


def fits_into_memory(model: PreTrainedModel, precision: Precision, subword: int) -> Fits:
    """Move the model to the device, and return a function that says which rows fit there.

    `subword`: an id that the model has an embedding for.
    """
    step = _StepMemory(model, precision, subword)
    return step.fits_when_tried if device().type == "cuda" else step.fits_by_estimate


class _StepMemory:
    """Tries or estimates training steps, on rows that repeat one sub-word."""

    def __init__(self, model: PreTrainedModel, precision: Precision, subword: int) -> None:
        self._model, self._precision, self._subword = model, precision, subword
        self._trained = [weight for weight in model.parameters() if weight.requires_grad]
        torch.nn.Module.to(model, device())
        model.train()
        self._bytes_of_a_sub_word: float | None = None

    def fits_when_tried(self, lengths: Sequence[int]) -> bool:
        """Try a step, and return whether it fits. The memory is freed afterwards."""
        try:
            optimizer_state = [torch.empty_like(weight) for weight in self._trained for _ in range(_COPIES)]
            self._loss(lengths).backward()
            del optimizer_state
        except (MemoryError, RuntimeError) as error:
            if not is_about_memory(error):
                raise
            return False
        finally:
            self._model.zero_grad()
            torch.cuda.empty_cache()
        return True

    def fits_by_estimate(self, lengths: Sequence[int]) -> bool:
        """Estimate from the memory of one more row whether so many rows of the largest length fit."""
        longest = max(lengths)
        if self._bytes_of_a_sub_word is None:
            self._bytes_of_a_sub_word = self._of_one_more_row(longest) / longest
        weights = sum(weight.nbytes for weight in self._model.parameters())
        trained = sum(weight.nbytes for weight in self._trained)
        needed = _MARGIN * self._bytes_of_a_sub_word * longest * len(lengths) + weights + _COPIES * trained
        return needed <= memory_left() / world_size()

    def _of_one_more_row(self, length: int) -> float:
        """Return the bytes that one more row needs at the peak, for what the backward pass keeps."""
        outside = self._saved_bytes([length] * 2) - self._saved_bytes([length])
        if not self._model.is_activation_checkpointing:
            return outside
        with without_gradient_checkpointing(self._model):
            everything = self._saved_bytes([length] * 2) - self._saved_bytes([length])
        layers, width = layers_of(self._model).count, int(self._model.config.get_text_config().hidden_size)
        between = layers * length * width * torch.finfo(torch.float32).bits // 8
        return outside + between + (everything - outside) / layers  # one layer at a time is computed anew

    def _saved_bytes(self, lengths: Sequence[int]) -> int:
        """Return the bytes that rows keep for the backward pass, besides the weights."""
        weights = {weight.untyped_storage().data_ptr() for weight in self._model.parameters()}
        saved: dict[int, int] = {}

        def note(tensor: torch.Tensor) -> torch.Tensor:
            saved[tensor.untyped_storage().data_ptr()] = tensor.untyped_storage().nbytes()
            return tensor

        with torch.autograd.graph.saved_tensors_hooks(note, lambda tensor: tensor):
            loss = self._loss(lengths)
        del loss
        return sum(size for place, size in saved.items() if place not in weights)

    def _loss(self, lengths: Sequence[int]) -> torch.Tensor:
        """Return a loss. It need not be the real one, which takes little memory besides the logits."""
        of_rows = torch.tensor(lengths)
        mask = (torch.arange(max(lengths)) < of_rows[:, None]).long()
        batch = {INPUT_IDS: torch.full_like(mask, self._subword), MASK: mask}
        return logits_of(self._model, batch, self._precision).float().sum()


def memory_left() -> int:
    """Return how many bytes of main memory this process may still take, by the machine and by its container's limit."""
    left: int = psutil.virtual_memory().available
    limit = _CONTAINER_LIMIT.read_text().strip() if _CONTAINER_LIMIT.exists() else "max"
    return left if limit == "max" else min(left, int(limit) - psutil.Process().memory_info().rss)
