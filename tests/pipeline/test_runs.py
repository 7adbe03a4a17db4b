"""The record of what stages ran on: complete, silent about whose machine it was, and outside of the DAG."""

import getpass
import json
import os
import platform
import socket
import subprocess
from importlib import metadata
from pathlib import Path
from typing import Any

import pytest
from ruamel.yaml import YAML

from stages.pipeline import environment
from stages.pipeline.environment import Compute, Gpu
from stages.pipeline.errors import DataError
from stages.pipeline.paths import RUNS, SECONDS
from stages.pipeline.stage_records import run_recorded, stage_runs
from tests.support.imports import ROOT
from tests.support.told import told


@pytest.fixture(autouse=True)
def repository(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A git repository with one module, where the stages run."""
    monkeypatch.chdir(tmp_path)
    git("init", "--quiet")
    (tmp_path / "stages").mkdir()
    (tmp_path / "stages/train.py").write_text("1\n")
    git("add", "--all")
    git("-c", "user.name=a", "-c", "user.email=a@example.com", "commit", "--quiet", "--message", "start")
    return tmp_path


def git(*arguments: str) -> str:
    return subprocess.run(["git", *arguments], capture_output=True, text=True, check=True).stdout.strip()


def train(config: str) -> Compute:
    return Compute("cpu", "bf16", 4)


def tokenize(config: str) -> None:
    return None


def record() -> dict[str, Any]:
    content: dict[str, Any] = json.loads(RUNS.read_text(encoding="utf-8"))
    return content


def test_a_run_is_recorded_with_all_that_may_change_its_bytes() -> None:
    run_recorded(train, "config")
    (run,) = record().values()
    found = run["environment"]
    assert run["seconds"] >= 0
    assert found["revision"] == git("rev-parse", "HEAD") and found["dirty"] is False
    assert found["python"] == platform.python_version() and found["system"].startswith(platform.system())
    assert found["cpu"]["architecture"]
    assert found["compute"] == {"device": "cpu", "precision": "bf16", "threads": 4}
    assert found["packages"]["torch"] == metadata.version("torch")
    assert {"datasets", "tokenizers", "numpy", "onnxruntime"} <= set(found["packages"])
    assert "pytest" not in found["packages"]  # no extra


def test_stages_keep_their_records_side_by_side_and_the_last_run_counts() -> None:
    for stage in (tokenize, train, tokenize):
        run_recorded(stage, "config")
    assert list(record()) == ["tokenize", "train"]
    assert record()["tokenize"]["environment"]["compute"] is None
    seconds = {name: run["seconds"] for name, run in record().items()}
    assert json.loads(SECONDS.read_text(encoding="utf-8")) == {"seconds": seconds}
    assert {name: run.environment.compute for name, run in stage_runs(RUNS.read_bytes(), "x").items()} == {
        "tokenize": None,
        "train": Compute("cpu", "bf16", 4),
    }


def test_how_a_gpu_was_used_is_recorded_where_there_is_one() -> None:
    gpu = Gpu("packed (flash)", 1234)

    def evaluate(config: str) -> Compute:
        return Compute("A GPU", "bf16", 4, gpu)

    for stage in (train, evaluate):
        run_recorded(stage, "config")
    computes = {name: run["environment"]["compute"] for name, run in record().items()}
    assert computes["evaluate"]["gpu"] == {"packing": "packed (flash)", "peak_memory_mb": 1234, "compilation": None}
    assert "gpu" not in computes["train"], "the files of a CPU are as they were"
    read = stage_runs(RUNS.read_bytes(), "x")["evaluate"].environment.compute
    assert read is not None and read.gpu == gpu


def test_a_stage_that_fails_leaves_the_record_as_it_was() -> None:
    def download(config: str) -> None:
        raise DataError("no")

    run_recorded(tokenize, "config")
    before = RUNS.read_bytes()
    with pytest.raises(DataError):
        run_recorded(download, "config")
    assert RUNS.read_bytes() == before


def test_only_the_main_process_of_several_writes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RANK", "1")
    run_recorded(train, "config")
    assert not RUNS.exists()


@pytest.mark.parametrize("content", ["{", "[]", '{"train": {"seconds": "long"}}', '{"train": {"seconds": 1}}'])
def test_a_damaged_record_is_told_and_written_anew(content: str) -> None:
    RUNS.parent.mkdir()
    RUNS.write_text(content)
    with pytest.raises(DataError) as error:
        stage_runs(RUNS.read_bytes(), "metrics/runs.json")
    assert told(error).startswith("metrics/runs.json: ")
    run_recorded(train, "config")
    assert list(record()) == ["train"]


def test_changed_code_is_dirty_and_changed_parameters_are_not(repository: Path) -> None:
    (repository / "params.yaml").write_text("seed: 1\n")
    run_recorded(train, "config")
    assert record()["train"]["environment"]["dirty"] is False
    (repository / "stages/train.py").write_text("2\n")
    run_recorded(train, "config")
    assert record()["train"]["environment"]["dirty"] is True


def test_a_new_module_is_dirty(repository: Path) -> None:
    (repository / "stages/new.py").write_text("2\n")
    assert environment.environment(None).dirty is True


def test_without_git_or_the_installed_project_the_rest_is_recorded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "")
    monkeypatch.setattr(environment, "_PROJECT", "a project that is not there")
    found = environment.environment(None)
    assert (found.revision, found.dirty, found.packages) == (None, None, {})


def test_nothing_tells_whose_machine_it_was(repository: Path) -> None:
    run_recorded(train, "config")
    text = RUNS.read_text(encoding="utf-8")
    for secret in (socket.gethostname(), str(Path.home()), str(repository), os.environ.get("HOME", "/root")):
        assert secret not in text
    words = text.replace('"', " ").replace(",", " ").split()
    assert getpass.getuser() not in words


def test_the_record_is_in_git_and_no_part_of_the_dag() -> None:
    dag = YAML(typ="safe").load((ROOT / "dvc.yaml").read_text(encoding="utf-8"))
    listed = [*(dep for stage in dag["stages"].values() for dep in stage["deps"])]
    for file in (RUNS, SECONDS):
        assert file.as_posix() not in json.dumps(dag["stages"])
        assert not any(file.is_relative_to(dep) for dep in listed)
        ignored = subprocess.run(["git", "check-ignore", "--quiet", file.as_posix()], cwd=ROOT, check=False)
        assert ignored.returncode == 1
    assert dag["metrics"] == [SECONDS.as_posix()], "DVC shows the seconds"
