"""`make check-gpu` on a CPU, with attention row by row in the kernels' place, so that they can't rot."""

import re
import subprocess
import sys
from collections.abc import Sequence
from itertools import product
from typing import Any

import pytest
import torch

from benchmarks import check_gpu
from benchmarks.check_gpu import (
    Machine,
    default_spread,
    dropout_fault,
    family_fault,
    kernel_fault,
    repetition_fault,
)
from benchmarks.gpu_models import HEADS, SIZES, Task
from benchmarks.row_kernels import mixing_rows, reference, without_window
from stages.modeling.cpu.packing import PACKED_FAMILIES
from stages.modeling.gpu.kernels import Bounds
from tests.support.imports import ROOT

pytestmark = pytest.mark.usefixtures("one_thread")

CPU = Machine(torch.device("cpu"), tiny=True)


def run(module: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", module, "--tiny", "--device", "cpu", *arguments]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)


@pytest.mark.slow
def test_the_checks_pass_by_attention_row_by_row() -> None:
    done = run("benchmarks.check_gpu")
    lines = done.stdout.splitlines()
    assert done.returncode == 0 and lines[-1] == "0 failed", done.stdout + done.stderr
    found = [re.fullmatch(r"(passed|stated) +[0-9.]+ s  ([^:]+): (.+)", line) for line in lines[:-1]]
    groups: dict[str, list[str]] = {}
    for line in found:
        assert line is not None, done.stdout
        assert (line[1] == "stated") == (line[2] == "the default's spread")
        groups.setdefault(line[2], []).append(line[3])
    ways = product(("bf16", "fp32"), PACKED_FAMILIES, HEADS, ("training", "prediction"))
    assert groups["packed"] == [
        f"{family}, {task}, {precision}, {purpose}" for precision, family, task, purpose in ways
    ]
    assert groups["the same bits twice"] == [f"{size}, {task}" for size, task in product(SIZES, HEADS)]
    assert [stated.partition(":")[0] for stated in groups["the default's spread"]] == groups["the same bits twice"]
    assert [*groups] == [
        "packed",
        "the same bits twice",
        "the default's spread",
        "kernel",
        "dropout",
        "a planted fault is found",
        "the host never waits",
        "model",
        "compiled layers",
    ]
    kernels = {name.partition(",")[0] for name in groups["kernel"]}
    assert kernels == {"varlen", "efficient", "flex"}


@pytest.mark.parametrize("kernel", [mixing_rows, without_window])
def test_the_checks_find_wrong_kernels(kernel: Any) -> None:
    fault = kernel_fault(CPU, kernel, torch.float32, 4, first=False)
    assert fault is not None and "from what it should be" in fault
    assert kernel_fault(CPU, reference, torch.float32, 4, first=False) is None


def test_the_checks_find_wrong_dropout() -> None:
    def unscaled(*states: Any, dropout: float, **named: Any) -> torch.Tensor:
        return reference(*states, dropout=dropout, **named) * (1 - dropout)

    def none(*states: Any, dropout: float, **named: Any) -> torch.Tensor:
        return reference(*states, dropout=0.0, **named)

    def of_another_draw(*states: Any, dropout: float, **named: Any) -> torch.Tensor:
        found = reference(*states, dropout=dropout, **named)
        other = reference(*states, dropout=dropout, **named)
        return found.detach() + other - other.detach()

    wrong: Sequence[tuple[Any, str]] = [
        (unscaled, "the mean"),
        (none, "two draws"),
        (of_another_draw, "the gradient"),
    ]
    for kernel, said in wrong:
        fault = dropout_fault(CPU, kernel, torch.float32, None, first=False)
        assert fault is not None and fault.startswith(said)
    assert dropout_fault(CPU, reference, torch.float32, None, first=False) is None


@pytest.mark.parametrize("task", HEADS)
def test_the_checks_find_a_family_whose_packed_rows_are_wrong(task: Task, monkeypatch: pytest.MonkeyPatch) -> None:
    assert family_fault(CPU, "electra", task, "bf16", True) is None
    monkeypatch.setattr(check_gpu, "reference", mixing_rows)
    fault = family_fault(CPU, "electra", task, "bf16", True)
    assert fault is not None and fault.startswith("rows of [1, ") and "padded: without padding" in fault


def test_a_row_alone_is_checked_too(monkeypatch: pytest.MonkeyPatch) -> None:
    """It has no row but the filler beside it."""

    def wrong(
        query: torch.Tensor, key: torch.Tensor, value: torch.Tensor, bounds: Bounds, **named: Any
    ) -> torch.Tensor:
        right = reference(query, key, value, bounds, **named)
        return right * 2 if len(bounds.keys) <= 2 else right

    monkeypatch.setattr(check_gpu, "reference", wrong)
    fault = family_fault(CPU, "bert", "token classification", "fp32", False)
    assert fault is not None and fault.startswith("rows of [20] sub-words: padded: without padding")


def test_the_spread_of_two_trainings_is_their_distance_over_what_they_changed(monkeypatch: pytest.MonkeyPatch) -> None:
    start = torch.nn.Linear(1, 2)
    moved = [torch.tensor([[3.0], [0.0]]), torch.tensor([0.0, 4.0])]
    further = [torch.tensor([[0.0], [0.0]]), torch.tensor([0.0, 0.5])]
    first = [weight.detach() + change for weight, change in zip(start.parameters(), moved, strict=True)]
    trained = iter([first, [weight + change for weight, change in zip(first, further, strict=True)]])
    monkeypatch.setattr(check_gpu, "_trained", lambda *_: next(trained))
    monkeypatch.setattr(check_gpu, "random_model", lambda *_, **__: start)
    found = default_spread(CPU, "minilm", "text classification")
    assert found.figure == "1.0e-01 of what 3 steps changed, and 5.0e-01 in a weight at most"


def test_trainings_that_differ_are_found(monkeypatch: pytest.MonkeyPatch) -> None:
    calls: list[int] = []

    def unsteady(*states: Any, **named: Any) -> torch.Tensor:
        calls.append(1)
        return reference(*states, **named) * (1 + 1e-3 * len(calls))

    assert repetition_fault(CPU, "minilm", "token classification") is None
    monkeypatch.setattr(check_gpu, "reference", unsteady)
    fault = repetition_fault(CPU, "minilm", "token classification")
    assert fault is not None and fault.startswith("the weights differ")


def test_a_check_that_fails_ends_with_status_1(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def failing() -> str:
        raise ValueError("no kernel image\nfor this device")

    def not_here() -> str:
        raise check_gpu.NotHereError("no bf16")

    found = [("one", lambda: None), ("two", failing), ("three", not_here), ("four", lambda: check_gpu.Stated("7"))]
    monkeypatch.setattr(check_gpu, "checks", lambda _: found)
    monkeypatch.setattr(check_gpu, "use_deterministic_algorithms", lambda _: None)
    monkeypatch.setattr(sys, "argv", ["check", "--device", "cpu", "--tiny"])
    with pytest.raises(SystemExit) as ended:
        check_gpu.main()
    assert ended.value.code == 1
    told = [
        "passed    0.0 s  one",
        "FAILED    0.0 s  two: ValueError: no kernel image",
        "padded    0.0 s  three: no bf16",
        "stated    0.0 s  four: 7",
        "1 failed",
    ]
    assert capsys.readouterr().out.splitlines() == told
