"""Trying settings and composing anew, as a user does it: `--look`, `dvc exp run -S`, and data that change in place."""

import re
from pathlib import Path

import pytest

from stages.pipeline.lock import hold
from tests.support.workspace import Workspace

ROWS = "review,stars\n" + "".join(f"text {number},{'up' if number % 3 else 'down'}\n" for number in range(20))


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("data")
    for name in ("train", "test"):
        (folder / f"{name}.csv").write_text(ROWS, encoding="utf-8")
    return folder


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Workspace:
    return Workspace(tmp_path_factory.mktemp("project") / "a clone")


def files(data: Path, *more: str) -> list[str]:
    return ["task=text", "data=files", f"data.train={data}/train.csv", f"data.test={data}/test.csv", *more]


def everything(root: Path) -> dict[str, tuple[int, bytes]]:
    found = (file for file in root.rglob("*") if file.is_file() and "__pycache__" not in file.parts)
    return {str(file): (file.stat().st_mtime_ns, file.read_bytes()) for file in found}


def test_look_reads_and_tells_beside_a_run_and_touches_nothing(project: Workspace, data: Path, tmp_path: Path) -> None:
    columns = ["data.text_column=review", "data.label_column=stars"]
    temporary = {"TMPDIR": str(tmp_path)}
    with hold(project.root / ".dvc/tmp/writing", "stage train"):
        before = everything(project.root)
        seen = project.ok("python", "-m", "stages.download", "--look", *files(data, *columns), **temporary)
        assert everything(project.root) == before
    assert "columns: text from review (first: text 0), label from stars (first: down)" in seen.splitlines()
    assert "labels: 2: down, up" in seen.splitlines() and len(seen.splitlines()) <= 15
    wrong = project.run("python", "-m", "stages.download", *files(data, "data.text_column=body"), "--look", **temporary)
    assert wrong.returncode == 1 and wrong.stderr.startswith("error: ") and len(wrong.stderr.splitlines()) == 1
    assert "has no column body; set data.text_column to one of its columns: review, stars" in wrong.stderr
    assert list(tmp_path.iterdir()) == []


def test_look_tells_what_would_stop_a_run_after_all_else(project: Workspace, data: Path) -> None:
    text = (data / "train.csv").read_text(encoding="utf-8")
    (data / "single.csv").write_text(re.sub(",(up|down)", ",up", text), encoding="utf-8")
    columns = ["data.text_column=review", "data.label_column=stars"]
    one_label = [*files(data, *columns), f"data.train={data}/single.csv", f"data.test={data}/single.csv"]
    seen = project.run("python", "-m", "stages.download", "--look", *one_label)
    assert seen.returncode == 1 and "every example has the same label" in seen.stderr
    assert "labels: 1: up" in seen.stdout.splitlines()


def queued(project: Workspace, *overrides: str, command: str = "exp") -> tuple[str, str]:
    """Queue an experiment; return what was printed and its `params.yaml`."""
    told = project.ok("dvc", command, "run", "--queue", *(part for each in overrides for part in ("-S", each)))
    return told, project.git("show", "refs/exps/celery/stash:params.yaml")


def test_an_experiment_takes_the_files_fingerprint_and_tells_what_it_resets(project: Workspace, data: Path) -> None:
    params = project.root / "params.yaml"
    committed = params.read_text(encoding="utf-8")
    params.write_text(committed.replace("seed: 42", "seed: 9"), encoding="utf-8")
    told, first = queued(project, *files(data, "data.name='${x}'".replace("$", "\\$")))
    assert "params.yaml: composing conf/ resets seed (9 → 42); to keep them, name them by -S too" in told
    assert "seed: 9" in (project.root / ".dvc/tmp/params.before.yaml").read_text(encoding="utf-8")
    assert "name: ${x}" in first
    (data / "train.csv").write_text(ROWS.replace("text 0", "text z"), encoding="utf-8")
    told, second = queued(project, *files(data, "seed=9"))
    assert "resets" not in told
    prints = [re.search(r"fingerprint: sha256-\w{16}\n", each) for each in (first, second)]
    assert prints[0] and prints[1] and prints[0].group() != prints[1].group()
    told, _ = queued(project, "train.epochs=3", command="experiments")  # `exp` in full
    assert "cp .dvc/tmp/params.before.yaml params.yaml && dvc exp run --no-hydra --queue -S train.epochs=3" in told
    params.write_text(committed, encoding="utf-8")


def test_data_changed_in_place_change_what_is_composed_and_nothing_else_does(project: Workspace, data: Path) -> None:
    compose = ("python", "-m", "stages.configuration.compose", *files(data))
    project.ok(*compose)
    composed = (project.root / "params.yaml").read_bytes()
    clone = Workspace.clone(project, project.root.parent / "another")
    clone.ok(*compose)
    assert (clone.root / "params.yaml").read_bytes() == composed
    (data / "test.csv").write_text(ROWS.replace("text 1", "text y"), encoding="utf-8")
    refused = project.run("python", "-m", "stages.download")
    assert refused.returncode == 1 and "the files have changed since params.yaml was composed" in refused.stderr
    assert project.ok(*compose) == ""
    assert (project.root / "params.yaml").read_bytes() != composed
