"""Checkpoints are whole or not used, few, and gone in the end."""

import os
from pathlib import Path

import pytest

from stages.pipeline.errors import ConfigError
from stages.training.checkpoints import KEPT_TRAININGS, SECONDS, Checkpoints, Pace, fault, write_manifest
from tests.support.damage import DAMAGES, Damage

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
    with pytest.raises(ConfigError, match="is no number of seconds"):
        Pace(0)
