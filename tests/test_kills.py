"""Runs killed at random moments end as if nothing had happened; `python -m benchmarks.kills` does it 200 times."""

import random
from pathlib import Path

import pytest

from tests.kills import Undisturbed, Victim, killed_run, new_workspace, undisturbed
from tests.workspace import Workspace

pytestmark = pytest.mark.slow

VICTIMS: tuple[Victim, ...] = ("dvc", "command", "group")


@pytest.mark.parametrize("task", ["text", "tokens"])
def test_a_killed_run_ends_with_the_bytes_of_an_undisturbed_one(task: str, tiny_model: Path, tmp_path: Path) -> None:
    prepared: Workspace = new_workspace(tmp_path / "prepared", tiny_model, task)
    expected: Undisturbed = undisturbed(prepared.copy_to(tmp_path / "undisturbed"))
    kills = killed_run(prepared, tmp_path / "killed", task, expected, VICTIMS, random.Random(task))
    assert [fault for kill in kills for fault in kill.faults] == []
