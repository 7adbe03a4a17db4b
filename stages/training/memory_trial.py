"""Whether a step of rows of given lengths fits into memory: tried on a GPU, calculated from two rows on a CPU.

A system without memory left ends a process that asks for more, so that on a CPU nothing can be tried.
"""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TypeAlias

import psutil
import torch
from transformers import PreTrainedModel

from stages.modeling.precision import Precision, device
from stages.tasks.columns.names import INPUT_IDS
from stages.training.memory import is_about_memory
from stages.training.processes import world_size

Fits: TypeAlias = Callable[[Sequence[int]], bool]
"""Whether forward and backward of rows of these lengths, in sub-words, fit beside all else that training needs."""

_KEPT = 3
"""What else there is for each weight: Adam's two moments, and what the optimizer or sharing gradients takes for a while."""
_CONTAINER_LIMIT = Path("/sys/fs/cgroup/memory.max")
"""The bytes that a container's processes may have, or `max`."""
_MARGIN = 1.5
"""What a step on a CPU takes at its height, by what it keeps for its backward pass: 1.23 was measured (MiniLM)."""


def fits_into_memory(model: PreTrainedModel, precision: Precision) -> Fits:
    """What answers the question for this model, on the device that it is moved to."""
    trial = _Trial(model, precision)
    return trial.fits_when_tried if device().type == "cuda" else trial.fits_by_calculation


class _Trial:
    """Steps of made-up rows."""

    def __init__(self, model: PreTrainedModel, precision: Precision) -> None:
        self._model = model
        torch.nn.Module.to(model, device())
        model.train()
        self._dtype = {"bf16": torch.bfloat16, "fp16": torch.float16}.get(precision)
        self._bytes_of_a_sub_word: float | None = None

    def fits_when_tried(self, lengths: Sequence[int]) -> bool:
        """Whether no memory error is raised. What was left by an attempt is given back before the next one."""
        try:
            kept = [torch.empty_like(weight) for weight in self._model.parameters() for _ in range(_KEPT)]
            self._loss(lengths).backward()
            del kept
        except (MemoryError, RuntimeError) as error:
            if not is_about_memory(error):
                raise
            return False
        finally:
            self._model.zero_grad()
            torch.cuda.empty_cache()
        return True

    def fits_by_calculation(self, lengths: Sequence[int]) -> bool:
        """Whether rows of the longest length would, by what one more of them takes."""
        longest = max(lengths)
        if self._bytes_of_a_sub_word is None:
            of_one_more = self._saved_bytes([longest] * 2) - self._saved_bytes([longest])
            self._bytes_of_a_sub_word = of_one_more / longest
        weights = sum(weight.nbytes for weight in self._model.parameters())
        needed = _MARGIN * self._bytes_of_a_sub_word * longest * len(lengths) + (1 + _KEPT) * weights
        return needed <= memory_left() / world_size()

    def _saved_bytes(self, lengths: Sequence[int]) -> int:
        """What rows keep for the backward pass, besides the weights."""
        weights = {weight.untyped_storage().data_ptr() for weight in self._model.parameters()}
        saved: dict[int, int] = {}

        def note(tensor: torch.Tensor) -> torch.Tensor:
            saved[tensor.untyped_storage().data_ptr()] = tensor.untyped_storage().nbytes()
            return tensor

        with torch.autograd.graph.saved_tensors_hooks(note, lambda tensor: tensor):
            kept = self._loss(lengths)
        del kept
        return sum(size for place, size in saved.items() if place not in weights)

    def _loss(self, lengths: Sequence[int]) -> torch.Tensor:
        """Some loss: what comes after the logits is little."""
        of_rows = torch.tensor(lengths)
        mask = (torch.arange(max(lengths)) < of_rows[:, None]).long().to(self._model.device)
        with torch.autocast(self._model.device.type, self._dtype, enabled=self._dtype is not None):
            logits: torch.Tensor = self._model(**{INPUT_IDS: mask, "attention_mask": mask}).logits
        return logits.float().sum()


def memory_left() -> int:
    """Bytes of main memory that this process may still take, of the machine's and of its container's."""
    left: int = psutil.virtual_memory().available
    limit = _CONTAINER_LIMIT.read_text().strip() if _CONTAINER_LIMIT.exists() else "max"
    return left if limit == "max" else min(left, int(limit) - psutil.Process().memory_info().rss)
