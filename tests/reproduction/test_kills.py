"""Runs killed at random moments end as if nothing had happened; `python -m benchmarks.kills` does it 200 times."""

import random
from pathlib import Path

import pytest

from tests.support.imports import ROOT
from tests.support.kills import Undisturbed, Victim, digests, killed_run, new_workspace, undisturbed
from tests.support.small_project import REPRODUCE, SOON, SmallProject
from tests.support.workspace import Workspace

pytestmark = pytest.mark.slow

VICTIMS: tuple[Victim, ...] = ("dvc", "command", "group")


@pytest.mark.parametrize("task", ["text", "tokens"])
def test_a_killed_run_ends_with_the_bytes_of_an_undisturbed_one(task: str, tiny_model: Path, tmp_path: Path) -> None:
    prepared: Workspace = new_workspace(tmp_path / "prepared", tiny_model, task)
    expected: Undisturbed = undisturbed(prepared.copy_to(tmp_path / "undisturbed"))
    kills = killed_run(prepared, tmp_path / "killed", task, expected, VICTIMS, random.Random(task), SOON)
    assert [fault for kill in kills for fault in kill.faults] == []


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> SmallProject:
    return SmallProject(tmp_path_factory.mktemp("small") / "project")


@pytest.fixture(scope="module")
def small_undisturbed(small: SmallProject, tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    project = small.copy_to(tmp_path_factory.mktemp("undisturbed") / "project")
    project.ok(*REPRODUCE)
    return digests(project.root)


@pytest.mark.parametrize("write", range(7, 127, 11))  # DVC makes some 125 changes to files in such a run
def test_dvc_may_be_killed_between_any_two_of_its_writes(
    write: int, small: SmallProject, small_undisturbed: dict[str, str], tmp_path: Path
) -> None:
    project = small.copy_to(tmp_path / "project")
    path = f"{ROOT}/tests/support/killed_at_write:{ROOT}"
    killed = project.run(*REPRODUCE, KILL_AT_WRITE=str(write), PYTHONPATH=path)
    assert killed.returncode == 137, killed.stdout + killed.stderr
    project.ok(*REPRODUCE)
    after = digests(project.root)
    assert {**after, "runs.log": ""} == {**small_undisturbed, "runs.log": ""}
