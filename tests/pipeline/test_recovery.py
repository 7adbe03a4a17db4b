"""Outputs of the last good run, put back after a stage has failed."""

import shutil
from pathlib import Path

import pytest

from stages.pipeline.orphans import DVC_STAGE
from stages.pipeline.paths import KEPT
from stages.pipeline.recovery import keep_outputs, restore_outputs
from tests.support.small_project import SmallProject

DAG = """
stages:
  train:
    cmd: mkdir -p metrics/curves && cp wanted.txt metrics/train.json && cp wanted.txt metrics/curves/loss.tsv
    deps: [wanted.txt]
    metrics: [{metrics/train.json: {cache: false}}]
    plots: [{metrics/curves: {cache: false}}]
"""


@pytest.mark.parametrize("kept", ["nothing", "the same", "another run's"])
def test_what_git_holds_is_put_back_after_a_run_that_dvc_restored(
    kept: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The stage did not run then, so that it kept no copies."""
    project = SmallProject(tmp_path / "project")
    (project.root / "dvc.yaml").write_text(DAG, encoding="utf-8")
    monkeypatch.chdir(project.root)
    monkeypatch.setenv(DVC_STAGE, "train")
    for wanted in ("1", "2", "1"):
        project.want(wanted)
        shown = project.ok("dvc", "repro")
        if kept == "the same" or (kept == "another run's" and wanted == "2"):
            keep_outputs()
    assert "is cached" in shown and KEPT.exists() == (kept != "nothing")
    for file in (Path("metrics/train.json"), Path("metrics/curves/loss.tsv")):
        file.unlink()
    Path("metrics/curves").rmdir()
    restore_outputs()
    for file in (Path("metrics/train.json"), Path("metrics/curves/loss.tsv")):
        assert file.read_text(encoding="utf-8") == "1" and not file.is_symlink()


CACHED = DAG.replace("metrics/train.json && cp", "metrics/train.json && cp wanted.txt model && cp").replace(
    "    metrics:", "    outs: [model]\n    metrics:"
)


def test_a_clone_without_a_cache_gets_back_what_git_holds_in_silence(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    project = SmallProject(tmp_path / "project")
    (project.root / "dvc.yaml").write_text(CACHED, encoding="utf-8")
    project.want("1")
    project.ok("dvc", "repro")
    project.ok("git", "add", "-A")
    project.ok("git", "commit", "-qm", "all")
    monkeypatch.chdir(project.root)
    monkeypatch.setenv(DVC_STAGE, "train")
    shutil.rmtree(".dvc/cache")
    for file in (Path("model"), Path("metrics/train.json")):
        file.unlink()
    restore_outputs()
    assert Path("metrics/train.json").read_text(encoding="utf-8") == "1" and not Path("model").exists()
    assert not caplog.records
