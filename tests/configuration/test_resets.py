"""What composing resets in `params.yaml` is told before a stage runs, with the command that keeps it."""

import shutil
import sys
from pathlib import Path

import pytest

from stages.configuration import compose, resets
from stages.configuration.composition import compose_params
from stages.pipeline.paths import PARAMS, PARAMS_BEFORE
from tests.support.imports import ROOT

FILES = ["task=tokens", "data=files", "data.train=a.conll", "data.test=b.conll"]


@pytest.fixture(autouse=True)
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    shutil.copytree(ROOT / "conf", tmp_path / "conf")
    (tmp_path / ".dvc").mkdir()
    monkeypatch.chdir(tmp_path)


def composed(monkeypatch: pytest.MonkeyPatch, *overrides: str) -> None:
    monkeypatch.setattr(sys, "argv", ["compose", *overrides])
    compose.main()


def reset(before: list[str], after: list[str]) -> list[str]:
    """The keys that are told where `after` is composed over what `before` composed to."""
    compose.write_params(compose_params(before), PARAMS)
    return [each.key for each in resets.resets(after, compose_params(after), PARAMS)]


@pytest.mark.parametrize(
    ("before", "after", "told"),
    [
        ([], [], []),
        ([], ["seed=9", "task=tokens"], []),
        (["seed=9"], ["seed=9"], []),
        (["seed=9"], ["seed=42"], []),
        (["seed=9", "train.epochs=5"], ["train.epochs=7"], ["seed"]),
        (["seed=9", "train.epochs=5"], ["task=tokens"], ["train.epochs", "seed"]),
        (["data.train=7"], ["data=demo"], []),
        ([*FILES, "data.scheme=iob1"], [], ["task.kind", "task.metric", "data.source"]),
        (["train.epochs=5", "export.onnx=false"], ["experiment=wnut17"], ["train.epochs", "export.onnx"]),
        ([*FILES, "data.scheme=iob1"], ["train.epochs=3"], ["task.kind", "task.metric", "data.source"]),
        ([*FILES, "data.fingerprint=sha256-0123456789abcdef"], FILES, []),
        (["experiment=wnut17"], ["experiment=wnut17", "seed=1"], []),
        (["task=tokens"], ["task=text"], []),
        (["task=tokens", "data.seed=7"], ["task=text"], ["data.seed"]),
        (["task=tokens"], ["task=text", "data=demo", "train.epochs=3"], []),
        (["task=tokens", "data.name=own"], ["task=text"], ["data.name"]),
        (["task=tokens"], ["model=minilm"], ["task.kind", "task.metric", "data.name", "data.kind"]),
        (["experiment=wnut17"], ["experiment=imdb"], []),
        (["experiment=imdb", "train.epochs=5"], ["experiment=wnut17"], ["train.epochs"]),
        (["experiment=imdb"], ["experiment=wnut17", "seed=9"], []),
        (["experiment=imdb"], ["task=text"], ["data.source", "model.source", "tokenize.overflow", "train.learning_rate"]),
    ],
)  # fmt: skip
def test_settings_that_a_composition_does_not_take_over_are_found(
    before: list[str], after: list[str], told: list[str]
) -> None:
    assert reset(before, after) == told


def test_compose_tells_them_and_keeps_the_file(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    composed(monkeypatch)
    assert capsys.readouterr() == ("", "")
    edited = PARAMS.read_text(encoding="utf-8").replace("seed: 42", "seed: 9")
    PARAMS.write_text(edited, encoding="utf-8")
    composed(monkeypatch, "train.epochs=3")
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith(
        "params.yaml: composing conf/ resets seed (9 → 42); to keep them, name them as overrides, or:"
    )
    assert PARAMS_BEFORE.read_text(encoding="utf-8") == edited
    assert f"cp {PARAMS_BEFORE} {PARAMS} && dvc repro" in line


def test_an_edit_of_conf_is_no_reset(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    composed(monkeypatch, "seed=9")
    config = Path("conf/train/default.yaml")
    config.write_text(config.read_text(encoding="utf-8").replace("epochs: 2", "epochs: 3"), encoding="utf-8")
    composed(monkeypatch, "threads=1")
    assert "resets seed (9 → 42); to keep" in capsys.readouterr().err
    composed(monkeypatch, "threads=1", "train.epochs=5")
    assert capsys.readouterr().err == ""


def test_many_are_told_in_one_line(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    composed(monkeypatch, *(f"train.{key}=3" for key in ("epochs", "max_steps", "batch_size", "evaluate_every")),
             "threads=7", "seed=9", "evaluate.resamples=5")  # fmt: skip
    capsys.readouterr()
    composed(monkeypatch)
    assert "train.epochs (3 → 2), train.max_steps (3 → null)" in (told := capsys.readouterr().err)
    assert "and 2 more; to keep" in told and len(told.splitlines()) == 1
