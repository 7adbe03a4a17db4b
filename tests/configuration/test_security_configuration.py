"""Whatever is wrong with a configuration: one line that names the key, exit status 1, at once, and everything as it was."""

import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

import pytest
from ruamel.yaml import YAML

from stages.configuration import compose, composition
from stages.configuration.run_stage import params_or_exit, run_stage
from stages.configuration.schema import DownloadStage
from tests.support.imports import ROOT
from tests.support.invalid_configurations import BASES, Case, cases

LIMIT = 3.0
"""Seconds of computing: a busy machine takes longer by the clock."""


@pytest.fixture
def workspace(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The configuration, in a folder in which an earlier run has left its outputs."""
    monkeypatch.setenv("HOME", "/home/somebody")
    shutil.copytree(ROOT / "conf", tmp_path / "conf")
    shutil.copyfile(ROOT / "params.yaml", tmp_path / "params.yaml")
    for name in ("data/raw/kept", "metrics/download.json", "models/base/kept", "dvc.lock"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text("earlier")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def state(root: Path) -> dict[str, bytes]:
    return {str(file): file.read_bytes() for file in root.rglob("*") if file.is_file()}


def made(count: int, seed: int) -> list[Case]:
    return cases(count, seed, {name: composition.compose_params(list(overrides)) for name, overrides in BASES.items()})


def fail(_: DownloadStage) -> None:
    raise AssertionError("the stage was run")


def run_in_process(case: Case, monkeypatch: pytest.MonkeyPatch) -> None:
    """As the command does. A `params.yaml` that could not be written by the composition comes from an editor."""
    if case.params is None:
        monkeypatch.setattr(sys, "argv", ["compose", "--", *case.overrides])
        compose.main()
    else:
        Path("params.yaml").write_text(case.params, encoding="utf-8")
        monkeypatch.setattr(sys, "argv", ["download"])
        run_stage(fail, DownloadStage, params_or_exit(), offline=False)


def faults_in_the_answer(case: Case, status: object, printed: str, seconds: float) -> list[str]:
    """What is wrong with the answer to an invalid configuration."""
    lines = printed.splitlines()
    return [
        what
        for what, is_so in {
            f"exit status {status}": status != 1,
            f"{len(lines)} lines": len(lines) != 1,
            "not an error": not printed.startswith("error: "),
            "the key is not named": case.key not in printed,
            "a value of the environment": "/home/somebody" in printed,
            f"{seconds:.1f} s": seconds > LIMIT,
        }.items()
        if is_so
    ]


def check(
    found: list[Case], workspace: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    params = (workspace / "params.yaml").read_bytes()
    before = state(workspace)
    wrong = []
    for case in found:
        started, status = time.process_time(), None
        try:
            run_in_process(case, monkeypatch)
        except SystemExit as stop:
            status = stop.code
        faults = faults_in_the_answer(case, status, capsys.readouterr().err, time.process_time() - started)
        (workspace / "params.yaml").write_bytes(params)
        wrong += [(case, faults)] if faults or state(workspace) != before else []
    assert wrong == []


def test_invalid_configurations_are_told(
    workspace: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    check(made(60, seed=1), workspace, monkeypatch, capsys)


@pytest.mark.slow
def test_a_thousand_invalid_configurations_are_told(
    workspace: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    check(made(1000, seed=2), workspace, monkeypatch, capsys)


@pytest.mark.slow
@pytest.mark.parametrize("stage", ["compose", "download", "tokenize", "train", "evaluate", "export"])
def test_the_commands_tell_them_in_three_seconds(workspace: Path, stage: str) -> None:
    module = "stages.configuration.compose" if stage == "compose" else f"stages.{stage}"
    wanted = [case for case in made(300, seed=3) if (case.params is None) == (stage == "compose")]
    for case in wanted[:2]:
        if case.params is not None:
            (workspace / "params.yaml").write_text(case.params, encoding="utf-8")
        started = seconds_of_commands()
        done = subprocess.run(
            [sys.executable, "-m", module, *case.overrides],
            env={**os.environ, "PYTHONPATH": str(ROOT)}, capture_output=True, text=True, check=False,
        )  # fmt: skip
        assert faults_in_the_answer(case, done.returncode, done.stderr, seconds_of_commands() - started) == []
        assert done.stdout == ""


def seconds_of_commands() -> float:
    """That all commands run so far have computed."""
    times = os.times()
    return times.children_user + times.children_system


# params.yaml and conf/


EDITS = [
    ("config.yaml", "seed: 42", "seed: 43"),
    ("config.yaml", "task: text", "task: tokens"),
    ("task/text.yaml", "metric: accuracy", "metric: f1"),
    ("task/text.yaml", "pooling: mean", "pooling: max"),
    ("data/demo.yaml", "train: 1600", "train: 1601"),
    ("data/demo.yaml", "seed: 0", "seed: 1"),
    ("data/demo.yaml", "  train: null", "  train: 5"),
    ("data/demo.yaml", "fail_on: error", "fail_on: never"),
    ("data/demo.yaml", "name: demo-${task.kind}", "name: demo"),
    ("model/minilm.yaml", "name: minilm", "name: mini"),
    ("model/minilm.yaml", "sha256: 53aa", "sha256: 53ab"),
    ("tokenize/default.yaml", "max_length: null", "max_length: 256"),
    ("tokenize/default.yaml", "label_on: first", "label_on: all"),
    ("train/default.yaml", "epochs: 2", "epochs: 3"),
    ("train/default.yaml", "learning_rate: 1.0e-4", "learning_rate: 1.0e-5"),
    ("train/default.yaml", "warmup: 0.0", "warmup: 0.1"),
    ("train/default.yaml", "early_stopping: null", "early_stopping: 2"),
    ("evaluate/default.yaml", "score: true", "score: false"),
    ("evaluate/default.yaml", "slices: []", "slices: [length]"),
    ("export/default.yaml", "onnx: auto", "onnx: false"),
]


def checked(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> tuple[int, str]:
    monkeypatch.setattr(sys, "argv", ["compose", "--check"])
    try:
        compose.main()
    except SystemExit as stop:
        assert isinstance(stop.code, int)
        return stop.code, capsys.readouterr().err
    return 0, capsys.readouterr().err


@pytest.mark.parametrize(("file", "before", "after"), EDITS)
def test_an_edit_of_the_configuration_that_was_not_composed_is_found(
    workspace: Path, file: str, before: str, after: str,
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    assert checked(capsys, monkeypatch) == (0, "")
    path = workspace / "conf" / file
    text = path.read_text(encoding="utf-8")
    assert text.count(before) == 1
    path.write_text(text.replace(before, after), encoding="utf-8")
    status, told = checked(capsys, monkeypatch)
    group = file.partition("/")[0].removesuffix(".yaml").replace("config", before.partition(":")[0])
    assert status == 1
    assert told.startswith(f"error: params.yaml: is not what conf/ composes to ({group}")
    assert before.partition(":")[0].strip() in told


def test_a_comment_is_no_difference(
    workspace: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    path = workspace / "conf/train/default.yaml"
    path.write_text("# a comment\n" + path.read_text(encoding="utf-8"), encoding="utf-8")
    assert checked(capsys, monkeypatch) == (0, "")


@pytest.mark.parametrize("content", [None, "<<<<<<< HEAD\na: [", "", "- 1"])
def test_params_that_are_gone_or_broken_are_told_and_composed_anew(
    workspace: Path, content: str | None, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    path = workspace / "params.yaml"
    path.unlink() if content is None else path.write_text(content, encoding="utf-8")
    assert checked(capsys, monkeypatch)[0] == 1
    monkeypatch.setattr(sys, "argv", ["compose"])
    compose.main()
    assert YAML(typ="safe").load(path.read_text(encoding="utf-8")) == composition.compose_params([])
