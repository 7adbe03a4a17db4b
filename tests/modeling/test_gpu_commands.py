"""`make check-gpu` and `make bench-gpu` on a CPU, with attention row by row in the kernels' place, so that they can't rot."""

import json
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from benchmarks import check_gpu, gpu
from benchmarks.check_gpu import Machine, dropout_fault, kernel_fault
from benchmarks.gpu_models import SIZES
from benchmarks.imdb_lengths import LONGEST, TABLE, drawn_lengths
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


@pytest.mark.slow
def test_the_benchmark_writes_its_table(tmp_path: Path) -> None:
    done = run("benchmarks.gpu", "--out", str(tmp_path / "gpu"))
    assert done.returncode == 0, done.stderr
    found = json.loads((tmp_path / "gpu.json").read_text())
    kinds = {(each["model"], each["purpose"], each["side"]) for each in found}
    assert len(kinds) == 4 * len(SIZES) + 1
    assert all(each["milliseconds"] > 0 and each["tokens"] > 0 and each["padding"] > 1 for each in found)
    assert {(each["side"], each["trial"]) for each in found} == {
        ("padded", None),
        ("packed", "packed (flash)"),
        ("compiled", "packed (flash), compiled"),
    }
    table = (tmp_path / "gpu.md").read_text().splitlines()
    assert sum(line.startswith("| ") for line in table) == 1 + len(found)


def test_what_is_cut_off_leaves_the_rest(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    measured: list[int] = []

    def measurements(*_: Any) -> Any:
        def first() -> gpu.Figures:
            measured.append(1)
            return gpu.Figures("m", "training", "fp32", "padded", None, 1.0, 2.0, 1.5, None)

        def killed() -> gpu.Figures:
            raise KeyboardInterrupt

        yield from (first, killed)

    monkeypatch.setattr(gpu, "_measurements", measurements)
    monkeypatch.setattr(sys, "argv", ["gpu", "--device", "cpu", "--tiny", "--out", str(tmp_path / "gpu")])
    with pytest.raises(KeyboardInterrupt):
        gpu.main()
    assert measured == [1] and len(json.loads((tmp_path / "gpu.json").read_text())) == 1
    monkeypatch.setattr(sys, "argv", [*sys.argv, "--seconds", "-1"])
    gpu.main()
    assert measured == [1], "nothing begins when the time is up"


def test_packed_rows_are_compared_with_the_padded_ones_of_their_kind() -> None:
    def of(side: gpu.Side, tokens: float | None, trial: str | None = None) -> gpu.Figures:
        return gpu.Figures("m", "training", "bf16", side, trial, 2.0, tokens, 1.5, 10.0)

    lines = gpu.table([of("padded", 100.0), of("packed", 180.0, "packed (flash)"), of("packed", None, "padded: no")])
    assert [line.split(" | ")[6] for line in lines.splitlines()[2:]] == ["1.00", "1.80", "-"]


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


def test_lengths_are_drawn_as_often_as_they_occur() -> None:
    table = {int(length): count for length, count in json.loads(TABLE.read_text()).items()}
    assert sum(table.values()) == 25_000 and max(table) == LONGEST
    lengths = drawn_lengths(20_000)
    mean = sum(length * count for length, count in table.items()) / 25_000
    assert lengths.mean() == pytest.approx(mean, rel=0.02)
    assert np.mean(lengths == LONGEST) == pytest.approx(table[LONGEST] / 25_000, abs=0.02)
    assert drawn_lengths(100, longest=40).max() <= 40 and drawn_lengths(100, longest=40).min() >= 1
