"""`make check-gpu` on a CPU, with attention row by row in the kernels' place, so that they can't rot."""

import subprocess
import sys
from collections.abc import Sequence
from typing import Any

import pytest
import torch

from benchmarks import check_gpu
from benchmarks.check_gpu import Machine, dropout_fault, kernel_fault
from benchmarks.row_kernels import mixing_rows, reference, without_window
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
    assert all(line.startswith("passed  ") for line in lines[:-1])
    kinds = (
        "kernel: varlen",
        "dropout: flash",
        "kernel: efficient",
        "kernel: flex",
        "model: minilm",
        "same bits",
        "compiled",
    )
    for said in kinds:
        assert said in done.stdout


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


def test_a_check_that_fails_ends_with_status_1(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def failing() -> str:
        raise ValueError("no kernel image\nfor this device")

    def not_here() -> str:
        raise check_gpu.NotHereError("no bf16")

    found = [("one", lambda: None), ("two", failing), ("three", not_here)]
    monkeypatch.setattr(check_gpu, "checks", lambda _: found)
    monkeypatch.setattr(check_gpu, "use_deterministic_algorithms", lambda _: None)
    monkeypatch.setattr(sys, "argv", ["check", "--device", "cpu", "--tiny"])
    with pytest.raises(SystemExit) as ended:
        check_gpu.main()
    assert ended.value.code == 1
    told = "passed  one\nFAILED  two: ValueError: no kernel image\npadded  three: no bf16\n1 failed\n"
    assert capsys.readouterr().out == told
