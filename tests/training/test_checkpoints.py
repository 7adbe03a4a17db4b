"""Checkpoints are whole or not used, few, and gone in the end."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from stages.pipeline.errors import BusyError, ConfigError
from stages.training.checkpoints import (
    FOLDER,
    KEPT_TRAININGS,
    SECONDS,
    Checkpoints,
    Pace,
    checkpoints_of,
    fault,
    write_manifest,
)
from stages.training.interruption import Interrupted
from tests.support.damage import DAMAGES, Damage
from tests.support.imports import ROOT

FILES = {"model.safetensors": bytes(range(256)) * 40, "progress.json": b"{}"}


@pytest.fixture
def checkpoints(tmp_path: Path) -> Checkpoints:
    return Checkpoints(tmp_path / ".checkpoints" / "key")


def write(checkpoints: Checkpoints, step: int) -> Path:
    written = checkpoints.partial / f"checkpoint-{step}"
    written.mkdir(parents=True)
    for name, content in FILES.items():
        (written / name).write_bytes(content)
    checkpoints.complete(written, step)
    return checkpoints.folder / f"step-{step:09d}"


@pytest.mark.parametrize("name", [*FILES, "manifest.json"])
@pytest.mark.parametrize("damage", DAMAGES)
def test_a_damaged_checkpoint_gives_way_to_an_older_one(
    name: str, damage: Damage, checkpoints: Checkpoints, caplog: pytest.LogCaptureFixture
) -> None:
    older, newer = write(checkpoints, 5), write(checkpoints, 10)
    assert checkpoints.newest_whole() == newer
    damage(newer / name)
    assert checkpoints.newest_whole() == older
    assert not newer.exists()
    assert [record.message for record in caplog.records if "step-000000010 is not used: " + name in record.message]
    damage(older / name)
    assert checkpoints.newest_whole() is None


def test_a_file_that_nobody_wrote_makes_a_checkpoint_unusable(checkpoints: Checkpoints) -> None:
    checkpoint = write(checkpoints, 5)
    (checkpoint / "pytorch_model.bin").write_bytes(b"a pickle")
    assert fault(checkpoint) == "pytorch_model.bin is not in its manifest"


def test_a_checkpoint_is_not_there_before_its_manifest_is(
    checkpoints: Checkpoints, monkeypatch: pytest.MonkeyPatch
) -> None:
    def killed(folder: Path) -> None:
        write_manifest(folder)
        assert not list(checkpoints.folder.glob("step-*"))
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr("stages.training.checkpoints.write_manifest", killed)
        with pytest.raises(KeyboardInterrupt):
            write(checkpoints, 5)
    assert checkpoints.newest_whole() is None
    checkpoints.prepare()
    assert not checkpoints.folder.parent.exists()


def test_the_two_newest_are_kept_and_none_in_the_end(checkpoints: Checkpoints) -> None:
    for step in (8, 9, 10, 11):
        write(checkpoints, step)
    assert [folder.name for folder in sorted(checkpoints.folder.glob("step-*"))] == ["step-000000010", "step-000000011"]
    checkpoints.remove()
    assert not checkpoints.folder.parent.exists()


def test_the_newest_trainings_are_kept(checkpoints: Checkpoints) -> None:
    root = checkpoints.folder.parent
    for age, key in enumerate(["newest", "newer", "old", "oldest"]):
        folder = write(Checkpoints(root / key), 1).parent
        os.utime(folder, (1e9 - age, 1e9 - age))
    checkpoints.prepare()
    assert sorted(folder.name for folder in root.iterdir()) == ["newer", "newest"]
    assert KEPT_TRAININGS == 3


HOLD = """
import sys, time
from pathlib import Path
from stages.training.checkpoints import Checkpoints
with Checkpoints(Path(sys.argv[1])).held():
    print("held", flush=True)
    time.sleep(600)
"""


@contextmanager
def at_work(*folders: Path) -> Iterator[list[subprocess.Popen[str]]]:
    """Processes that each hold the checkpoints of a training."""
    processes = [
        subprocess.Popen([sys.executable, "-c", HOLD, str(folder)], cwd=ROOT, stdout=subprocess.PIPE, text=True)
        for folder in folders
    ]
    try:
        for process in processes:
            assert process.stdout is not None and process.stdout.readline() == "held\n"
        yield processes
    finally:
        for process in processes:
            process.kill()
            process.communicate()


def test_checkpoints_of_a_training_at_work_are_never_removed(checkpoints: Checkpoints) -> None:
    """Nor do they count: of those that nobody works on, the newest are kept as ever."""
    root = checkpoints.folder.parent
    for age, key in enumerate(["a", "b", "c", "d", "e"]):
        os.utime(write(Checkpoints(root / key), 1).parent, (1e9 - age, 1e9 - age))
    (root / "killed before its first.lock").touch()
    with at_work(*(root / key for key in "abcd")) as processes:
        checkpoints.prepare()
        assert {folder.name for folder in root.iterdir() if folder.is_dir()} == {*"abcde"}
        for process in processes[:3]:
            process.kill()
            process.wait()
        checkpoints.prepare()
        assert {folder.name for folder in root.iterdir() if folder.is_dir()} == {*"abd"}
        assert {file.name for file in root.iterdir() if not file.is_dir()} == {"d.lock"}
        with (
            pytest.raises(BusyError, match=rf"process {processes[3].pid}, training d, since .* `kill "),
            Checkpoints(root / "d").held(),
        ):
            raise AssertionError


def test_in_a_folder_that_was_chosen_all_are_kept_for_a_week(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("stages.training.checkpoints.training_key", lambda config: config)
    monkeypatch.setenv(FOLDER, str(tmp_path))
    now = time.time()
    for days, key in ((0, "a"), (1, "b"), (6, "c"), (8, "d"), (9, "e")):
        os.utime(write(Checkpoints(tmp_path / key), 1).parent, (now - days * 86_400, now - days * 86_400))
    checkpoints_of("own").prepare()  # type: ignore[arg-type]
    assert {folder.name for folder in tmp_path.iterdir()} == {*"abc"}
    for key in "ab":
        Checkpoints(tmp_path / key).remove()
    monkeypatch.setenv(FOLDER, "somewhere")
    with pytest.raises(ConfigError, match="give an absolute path"):
        checkpoints_of("own")  # type: ignore[arg-type]


def test_a_training_that_was_stopped_says_what_the_same_command_does(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def line(step: int | None) -> str:
        return Interrupted(signal.SIGTERM, step).line

    monkeypatch.chdir(tmp_path)
    assert line(5) == "stopped by SIGTERM after step 5; run the same command to continue from there"
    assert line(None).endswith("start again, from the last checkpoint if there is one")
    queued = tmp_path / ".dvc/tmp/exps/tmp1a2b"
    queued.mkdir(parents=True)
    monkeypatch.chdir(queued)
    for step in (5, None):
        assert "the same command starts from the beginning" in line(step) and f"let {FOLDER} name a folder" in line(
            step
        )
    monkeypatch.setenv(FOLDER, str(tmp_path / "checkpoints"))
    assert line(5).endswith("continue from there")


def test_a_checkpoint_that_took_long_is_followed_by_a_longer_pause(monkeypatch: pytest.MonkeyPatch) -> None:
    now = 1000.0
    monkeypatch.setattr("time.monotonic", lambda: now)
    monkeypatch.delenv(SECONDS, raising=False)
    pace = Pace(10_000_000)
    now += 59
    assert not pace.is_due
    now += 2
    assert pace.is_due
    pace.took(6.0)
    now += 299
    assert not pace.is_due
    now += 2
    assert pace.is_due
    pace.took(0.1)
    now += 61
    assert pace.is_due


def test_the_first_checkpoint_of_a_large_model_comes_later(monkeypatch: pytest.MonkeyPatch) -> None:
    now = 1000.0
    monkeypatch.setattr("time.monotonic", lambda: now)
    monkeypatch.delenv(SECONDS, raising=False)
    pace = Pace(2_000_000_000)
    now += 499
    assert not pace.is_due
    now += 2
    assert pace.is_due


def test_the_pause_can_be_chosen(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(SECONDS, "0")
    pace = Pace(0)
    pace.took(100.0)
    assert pace.is_due
    monkeypatch.setenv(SECONDS, "often")
    with pytest.raises(ConfigError, match="is not a number of seconds"):
        Pace(0)
