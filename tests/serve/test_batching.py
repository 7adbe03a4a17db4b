"""Requests that wait together share a call, and none loses its outputs, gets another's, or suffers from another's fault."""

import threading
from collections.abc import Sequence
from concurrent.futures import Future

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stages.serve import batching
from stages.serve.batching import BatchingWorker, ComputeError, QueueFullError


class Panic(BaseException):
    """No Exception."""


class Model:
    """Squares numbers, once it may. Fails for those that it is told to."""

    def __init__(self, failing: Sequence[int] = (), *, waits: bool = False, error: type[BaseException] = ValueError):
        self.failing, self.error = set(failing), error
        self.calls: list[list[int]] = []
        self.began, self.may_go_on = threading.Event(), threading.Event()
        if not waits:
            self.may_go_on.set()

    def __call__(self, inputs: Sequence[int]) -> list[int]:
        self.began.set()
        assert self.may_go_on.wait(60)
        self.calls.append(list(inputs))
        if self.failing.intersection(inputs):
            raise self.error("this one\nfails")
        return [number * number for number in inputs]


def held(model: Model, max_waiting: int = 10_000) -> tuple[BatchingWorker[int, int], Future[Sequence[int]]]:
    """A worker that is in a call, so that what is submitted next waits."""
    worker = BatchingWorker(model, max_waiting=max_waiting)
    first = worker.submit([7])
    assert model.began.wait(60)
    return worker, first


@settings(max_examples=50)
@given(st.lists(st.lists(st.integers(0, 40), max_size=8), max_size=30), st.sets(st.integers(0, 40), max_size=3))
def test_each_request_gets_its_own_outputs_or_its_own_failure(requests: list[list[int]], failing: set[int]) -> None:
    model = Model([*failing - {7}], waits=True)
    worker, first = held(model)
    submitted = [worker.submit(request) for request in requests]
    model.may_go_on.set()
    assert worker.stop(60)
    assert first.result() == [49]
    for request, outputs in zip(requests, submitted, strict=True):
        if model.failing.intersection(request):
            with pytest.raises(ComputeError, match=r"^ValueError: this one$"):
                outputs.result()
        else:
            assert outputs.result() == [number * number for number in request]
    if not model.failing:
        together = [number for request in requests for number in request]
        assert model.calls[1:] == ([together] if together else []), "those that waited share a call"


def test_a_call_has_a_bounded_number_of_inputs_unless_a_request_has_more(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(batching, "_MOST_AT_ONCE", 4)
    model = Model(waits=True)
    worker, _ = held(model)
    for size in (2, 2, 1, 6, 3):
        worker.submit([size] * size)
    model.may_go_on.set()
    assert worker.stop(60)
    assert [len(call) for call in model.calls] == [1, 4, 1, 6, 3]


def test_what_is_no_exception_fails_a_request_and_not_the_worker() -> None:
    worker = BatchingWorker(Model([3], error=Panic), max_waiting=10)
    with pytest.raises(ComputeError, match="Panic: this one"):
        worker.submit([1, 3]).result(60)
    assert worker.submit([2]).result(60) == [4]
    assert worker.stop(60)


def test_a_model_that_loses_an_output_fails() -> None:
    worker: BatchingWorker[int, int] = BatchingWorker(lambda inputs: inputs[1:], max_waiting=10)
    with pytest.raises(ComputeError, match="AssertionError"):
        worker.submit([1, 2]).result(60)
    assert worker.stop(60)


def test_no_more_wait_than_may_and_there_is_room_again_afterwards() -> None:
    model = Model(waits=True)
    worker, first = held(model, max_waiting=5)
    waiting = [worker.submit([1, 2]), worker.submit([3, 4, 5])]
    with pytest.raises(QueueFullError):
        worker.submit([6])
    model.may_go_on.set()
    assert [list(each.result(60)) for each in (first, *waiting)] == [[49], [1, 4], [9, 16, 25]]
    assert worker.submit([1, 2, 3, 4, 5]).result(60) == [1, 4, 9, 16, 25]
    assert worker.stop(60)


def test_what_is_cancelled_while_it_waits_is_not_computed() -> None:
    model = Model(waits=True)
    worker, first = held(model)
    unwanted, wanted = worker.submit([2]), worker.submit([3])
    assert unwanted.cancel() and not first.cancel()
    model.may_go_on.set()
    assert worker.stop(60)
    assert wanted.result() == [9] and model.calls == [[7], [3]]


def test_a_worker_that_stops_accepts_no_more_and_tells_whether_it_has_ended() -> None:
    model = Model(waits=True)
    worker, first = held(model)
    waiting = worker.submit([2])
    assert not worker.stop(0)
    with pytest.raises(QueueFullError):
        worker.submit([3])
    model.may_go_on.set()
    assert worker.stop(60)
    assert first.result() == [49] and waiting.result() == [4]
