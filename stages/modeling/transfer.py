"""Copies between the host and a GPU for which neither waits for the other."""

from collections import deque
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from threading import local

import torch

_AHEAD = 2
"""What a GPU is asked to compute before the host waits for a result."""

_known = local()
"""By thread: the attention mask on the host of the batch that a model is being called with."""


def on_device(tensor: torch.Tensor, device: torch.device) -> torch.Tensor:
    """Return the tensor on the device. From the host to a GPU it is copied from pinned memory, and the host goes on."""
    if device.type != "cuda" or tensor.device.type != "cpu":
        return tensor.to(device)
    return tensor.pin_memory().to(device, non_blocking=True)


@contextmanager
def mask_known(mask: torch.Tensor | None) -> Iterator[None]:
    """Tell a model that is called inside the block what its batch's attention mask is on the host. None: it is not known.

    To read it from the GPU, the host would have to wait until all that it has asked of the GPU is done, once a step.
    """
    before = getattr(_known, "mask", None)
    _known.mask = mask
    try:
        yield
    finally:
        _known.mask = before


def on_host(mask: torch.Tensor) -> torch.Tensor:
    """Return the attention mask on the host: the one that is known, else a copy of this one."""
    if mask.device.type == "cpu":
        return mask
    known: torch.Tensor | None = getattr(_known, "mask", None)
    return known if known is not None and known.shape == mask.shape else mask.cpu()


def fetched(results: Iterable[torch.Tensor]) -> Iterator[torch.Tensor]:
    """Yield the results on the host, each of a GPU's after it has been asked for the next ones, so that it does not idle.

    Each is copied as soon as it is there: a copy that is asked for later would wait for the next ones too.
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
    """A copy from a GPU to the host's pinned memory, for which nobody waits yet."""

    def __init__(self, result: torch.Tensor) -> None:
        self._copy = result.to("cpu", non_blocking=True)
        self._is_there = torch.cuda.Event()
        self._is_there.record(torch.cuda.current_stream(result.device))

    def done(self) -> torch.Tensor:
        """Wait until the copy is there, and not for what the GPU was asked for after it."""
        self._is_there.synchronize()
        return self._copy
