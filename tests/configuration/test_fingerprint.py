"""The fingerprint that composition takes of local files: another one where, and only where, what is read has changed."""

import os
import shutil
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from stages.configuration.compose import write_params
from stages.configuration.composition import compose_params
from stages.configuration.hydra_plugins import fingerprint as module
from stages.configuration.hydra_plugins.fingerprint import fingerprint, unwatched
from stages.configuration.params_file import read_params
from stages.configuration.schema import FilesData
from stages.pipeline.errors import DataError
from stages.pipeline.paths import PARAMS
from stages.sources.data_source import write_data
from stages.sweep.trials import grid
from tests.support.imports import ROOT

ROWS = "text,label\na,1\nb,2\n"


@pytest.fixture(autouse=True)
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    shutil.copytree(ROOT / "conf", tmp_path / "project/conf")
    (tmp_path / "project/.dvc").mkdir()
    monkeypatch.chdir(tmp_path / "project")
    write("train.csv", ROWS), write("test.csv", ROWS), write("parts/1.csv", ROWS), write("parts/b/2.csv", "x")
    write("brat/a.txt", "Ana"), write("brat/a.ann", "T1\tPER 0 3\tAna\n")
    return tmp_path / "project"


def write(name: str, content: str) -> None:
    Path(name).parent.mkdir(exist_ok=True)
    Path(name).write_text(content, encoding="utf-8")


def composed(*overrides: str, train: str = "train.csv", test: str = "test.csv") -> dict[str, Any]:
    data = compose_params(["data=files", f"data.train={train}", f"data.test={test}", *overrides])["data"]
    assert isinstance(data, dict)
    return data


def in_place() -> None:
    """Same size, same time: only the content differs."""
    stat = Path("train.csv").stat()
    write("train.csv", ROWS.replace("a,1", "a,9"))
    os.utime("train.csv", ns=(stat.st_atime_ns, stat.st_mtime_ns))


CHANGES: dict[str, Callable[[], object]] = {
    "train.csv": in_place,
    "parts": lambda: write("parts/b/2.csv", "y"),
    "parts/*.csv": lambda: write("parts/3.csv", ROWS),
    "'parts/**/*.csv'": lambda: Path("parts/b/2.csv").rename("parts/b/0.csv"),
    "[train.csv,parts/1.csv]": lambda: Path("parts/1.csv").write_text("z"),
    "'zip://a/*.csv::train.csv'": in_place,
    **dict.fromkeys(["brat", "brat/*.txt", "brat/a.txt"], lambda: write("brat/a.ann", "T1\tLOC 0 3\tAna\n")),
    "brat/a.ann": lambda: write("brat/a.txt", "Bob"),
}


@pytest.mark.parametrize("place", CHANGES)
def test_a_change_of_what_a_place_names_changes_it(place: str) -> None:
    before = composed(train=place)["fingerprint"]
    assert before is not None and composed(train=place)["fingerprint"] == before
    CHANGES[place]()
    assert composed(train=place)["fingerprint"] not in (None, before)


def test_equal_files_give_an_equal_one_on_any_machine(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    here = [composed(train=train)["fingerprint"] for train in ("train.csv", "parts", "'parts/*.csv'")]
    shutil.copytree(project, project.parent / "elsewhere")
    monkeypatch.chdir(project.parent / "elsewhere")
    there = [composed(train=f"{project.parent}/elsewhere/{name}")["fingerprint"] for name in ("train.csv", "parts")]
    assert [*there, composed(train="'parts/*.csv'")["fingerprint"]] == here


def test_what_is_not_here_is_not_watched() -> None:
    assert "fingerprint" not in compose_params([])["data"]  # type: ignore[operator]  # the demo
    assert compose_params(["data=imdb"])["data"]["fingerprint"] is None  # type: ignore[index]
    assert composed(train="https://example.org/a.csv", test="s3://b/a.csv")["fingerprint"] is None
    assert composed(train="nowhere.csv")["fingerprint"] is None
    with unwatched():
        assert composed()["fingerprint"] is None


def test_files_that_are_on_another_machine_keep_theirs() -> None:
    params = compose_params(["data=files", "data.train=train.csv", "data.test=test.csv"])
    write_params(params, PARAMS)
    Path("train.csv").unlink()
    assert {"data": composed()} == {"data": params["data"]}
    assert composed(train="other.csv")["fingerprint"] is None


def test_trials_of_a_sweep_take_it_along_and_are_others_after_a_change() -> None:
    sweep = ["data=files", "data.train=train.csv", "data.test=test.csv", "seed=1,2"]
    first = grid("mine", sweep)
    taken = {trial.overrides[-1] for trial in first}
    assert taken == {f"data.fingerprint={composed()['fingerprint']}"} and grid("mine", sweep) == first
    write("test.csv", ROWS + "c,1\n")
    assert not {trial.name for trial in grid("mine", sweep)} & {trial.name for trial in first}
    Path("train.csv").unlink()  # as on another machine
    assert compose_params([*first[0].overrides])["data"] == {**composed(), "fingerprint": taken.pop().partition("=")[2]}


def test_a_models_folder_that_changes_is_another_model_for_dvc_and_for_sweeps() -> None:
    chosen = ["model=files", "model.path=model"]
    write("model/config.json", "{}"), write("model/model.safetensors", "one")
    before, (trial,) = compose_params(chosen)["model"], grid("mine", chosen)
    assert isinstance(before, dict) and str(before["fingerprint"]).startswith("sha256-")
    assert trial.overrides[-1] == f"model.fingerprint={before['fingerprint']}" and grid("mine", chosen) == [trial]
    write("model/model.safetensors", "two")
    assert compose_params(chosen)["model"] != before
    assert grid("mine", chosen)[0].name != trial.name
    write_params({**compose_params([]), "model": before}, PARAMS)
    shutil.rmtree("model")  # as on another machine
    assert compose_params(chosen)["model"] == before
    assert compose_params(["model=files", "model.path=other"])["model"]["fingerprint"] is None  # type: ignore[index,call-overload]


def test_a_large_file_is_read_again_only_after_a_change(monkeypatch: pytest.MonkeyPatch) -> None:
    read: list[Path] = []
    digest = module._digest
    monkeypatch.setattr(module, "_digest", lambda path: (read.append(path), digest(path))[1])
    places = {"train": ["train.csv"]}
    first = fingerprint(places)
    assert fingerprint(places) == first and len(read) == 2  # just written: its time may not tell of a change
    monkeypatch.setattr(module, "_SETTLED", 0.0)
    assert fingerprint(places) == fingerprint(places) == first and len(read) == 3
    write("train.csv", ROWS + "c,1\n")
    assert fingerprint(places) != first and len(read) == 4


def test_a_known_file_is_read_again_after_a_change_that_keeps_its_size_and_time(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    os.utime("train.csv", (1e9, 1e9))
    monkeypatch.setattr(module, "_SETTLED", 0.0)
    first = fingerprint({"train": ["train.csv"]})
    assert module._KNOWN.exists()
    in_place()
    assert fingerprint({"train": ["train.csv"]}) != first


def test_download_refuses_files_that_have_changed_since(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_params(compose_params(["data=files", "data.train=train.csv", "data.test=test.csv"]), PARAMS)

    def data(*overrides: str) -> FilesData:
        monkeypatch.setattr(sys, "argv", ["stages.download", *overrides])
        params = read_params()
        assert params is not None and isinstance(params.data, FilesData)
        return params.data

    write_data(data(), None, tmp_path / "first")
    in_place()
    with pytest.raises(
        DataError, match=r"data\.fingerprint=sha256-\w{16}: the files have changed since params\.yaml was"
    ):
        write_data(data(), None, tmp_path / "second")
    write_data(data("data.text_column=text"), None, tmp_path / "third")  # by hand, any files are taken
    write_data(data("data=files", "data.train=train.csv", "data.test=test.csv"), None, tmp_path / "fourth")
