"""One thread owns the model. Requests that wait are taken together into one call of it."""

import threading
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field
from typing import Generic, TypeVar

from stages.pipeline.errors import first_line

Input = TypeVar("Input")
Output = TypeVar("Output")

_MOST_AT_ONCE = 256
"""The most inputs in a call, unless one request has more. Later requests wait for the whole call."""


class QueueFullError(Exception):
    """The queue has as many inputs as it may."""


class ComputeError(Exception):
    """The call failed for these inputs alone. The text is one line; the cause is what was raised."""


@dataclass(frozen=True)
class _Request(Generic[Input, Output]):
    inputs: Sequence[Input]
    outputs: Future[Sequence[Output]] = field(default_factory=Future)


class BatchingWorker(Generic[Input, Output]):
    """A thread that calls `compute` with the inputs of all requests that wait, one call at a time.

    Where a call fails, its requests are halved until those that fail are alone: the others get their outputs.
    """

    def __init__(self, compute: Callable[[Sequence[Input]], Sequence[Output]], *, max_waiting: int) -> None:
        """Start it. `compute` returns one output an input, in order. `max_waiting`: the most inputs that may wait."""
        self._compute, self._max_waiting = compute, max_waiting
        self._waiting: deque[_Request[Input, Output]] = deque()
        self._count = 0
        """The inputs of all requests that wait."""
        self._stops = False
        self._changed = threading.Condition()
        # a daemon: the process may end while a call takes longer than is waited for
        self._thread = threading.Thread(target=self._run, name="model", daemon=True)
        self._thread.start()

    def submit(self, inputs: Sequence[Input]) -> Future[Sequence[Output]]:
        """Queue inputs. They are not computed if the future is cancelled before their turn. Raises QueueFullError."""
        with self._changed:
            if self._stops or self._count + len(inputs) > self._max_waiting:
                raise QueueFullError
            request = _Request[Input, Output](inputs)
            self._waiting.append(request)
            self._count += len(inputs)
            self._changed.notify()
        return request.outputs

    def stop(self, seconds: float) -> bool:
        """Accept no more inputs, and end once all in the queue are computed. Return whether that took at most `seconds`."""
        with self._changed:
            self._stops = True
            self._changed.notify()
        self._thread.join(seconds)
        return not self._thread.is_alive()

    def _run(self) -> None:
        while batch := self._next_batch():
            self._answer([request for request in batch if request.outputs.set_running_or_notify_cancel()])

    def _next_batch(self) -> list[_Request[Input, Output]]:
        """Wait for requests, and take as many as fit into a call. Return nothing once the worker has to end."""
        batch, size = list[_Request[Input, Output]](), 0
        with self._changed:
            self._changed.wait_for(lambda: self._waiting or self._stops)
            while self._waiting and (not batch or size + len(self._waiting[0].inputs) <= _MOST_AT_ONCE):
                batch.append(self._waiting.popleft())
                size += len(batch[-1].inputs)
            self._count -= size
        return batch

    def _answer(self, batch: Sequence[_Request[Input, Output]]) -> None:
        inputs = [each for request in batch for each in request.inputs]
        try:
            outputs = self._compute(inputs) if inputs else []
            assert len(outputs) == len(inputs)
        except BaseException as error:  # a panic in a tokenizer's Rust is no Exception
            self._fail(batch, error)
            return
        begin = 0
        for request in batch:
            request.outputs.set_result(outputs[begin : begin + len(request.inputs)])
            begin += len(request.inputs)

    def _fail(self, batch: Sequence[_Request[Input, Output]], error: BaseException) -> None:
        if len(batch) > 1:
            half = len(batch) // 2
            self._answer(batch[:half])
            self._answer(batch[half:])
            return
        failure = ComputeError(f"{type(error).__name__}: {first_line(error)}")
        failure.__cause__ = error
        batch[0].outputs.set_exception(failure)
