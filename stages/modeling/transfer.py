"""Copies between the host and a GPU for which neither waits for the other."""

from collections import deque
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from threading import local

import torch

_AHEAD = 2
"""How many results a GPU computes ahead of the one that the host waits for."""

_known = local()
"""By thread: the attention mask on the host of the batch that a model is being called with."""


def on_device(tensor: torch.Tensor, device: torch.device) -> torch.Tensor:
    """Return the tensor on the device. From the host to a GPU it is copied from pinned memory, and the host goes on."""
    if device.type != "cuda" or tensor.device.type != "cpu":
        return tensor.to(device)
    return tensor.pin_memory().to(device, non_blocking=True)


@contextmanager
def use_host_mask(mask: torch.Tensor | None) -> Iterator[None]:
    """Let `on_host` return `mask`, which is on the host, for the batch of a model that is called inside the block.

    Without it, or with None, `on_host` copies the mask from the GPU, and waits until the GPU has done all its work.
    """
    before = getattr(_known, "mask", None)
    _known.mask = mask
    try:
        yield
    finally:
        _known.mask = before


def on_host(mask: torch.Tensor) -> torch.Tensor:
    """Return the attention mask on the host: that of `use_host_mask` if it has the same shape, else a copy of this one."""
    if mask.device.type == "cpu":
        return mask
    known: torch.Tensor | None = getattr(_known, "mask", None)
    return known if known is not None and known.shape == mask.shape else mask.cpu()


def fetched(results: Iterable[torch.Tensor]) -> Iterator[torch.Tensor]:
    """Yield the results on the host, in order.

    Those of a GPU are yielded `_AHEAD` results late, so that the GPU has work while the host waits. Each copy starts right after
    its result: started later, it would wait for the results after it too.
    """
    waiting = deque[_Copy]()
    for result in results:
        if result.device.type == "cpu":
            yield result
            continue
        waiting.append(_Copy(result))
        if len(waiting) > _AHEAD:
            yield waiting.popleft().done()
    yield from (copy.done() for copy in waiting)


class _Copy:
    """A copy from a GPU to the host's pinned memory that has been started."""

    def __init__(self, result: torch.Tensor) -> None:
        self._copy = result.to("cpu", non_blocking=True)
        self._is_there = torch.cuda.Event()
        self._is_there.record(torch.cuda.current_stream(result.device))

    def done(self) -> torch.Tensor:
        """Wait for the copy, but not for the GPU's work after it, and return it."""
        self._is_there.synchronize()
        return self._copy
