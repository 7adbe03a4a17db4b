"""`dvc repro` through our command: one at a time, after any kill, and with what DVC left half-written put right."""

import json
import os
import shlex
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from stages.pipeline.lock import hold
from stages.pipeline.paths import SWEEPING
from tests.support.kills import ORPHAN_SECONDS, processes_in
from tests.support.small_project import REPRODUCE, SmallProject, wait_until

pytestmark = pytest.mark.slow

LOCK = "dvc.lock"
PATH_LOCKS = ".dvc/tmp/rwlock"


@pytest.fixture(scope="module")
def ran(tmp_path_factory: pytest.TempPathFactory) -> SmallProject:
    """A project in which the stage has run; tests work on copies."""
    project = SmallProject(tmp_path_factory.mktemp("project") / "ran")
    project.ok(*REPRODUCE)
    project.commit("ran")
    return project


@pytest.fixture
def project(ran: SmallProject, tmp_path: Path) -> Iterator[SmallProject]:
    copy = ran.copy_to(tmp_path / "project")
    yield copy
    (copy.root / "wait").unlink(missing_ok=True)
    wait_until(lambda: not processes_in(copy.root))


def write(project: SmallProject, name: str, content: str | bytes) -> None:
    file = project.root / name
    file.write_bytes(content.encode() if isinstance(content, str) else content)


# Two at once


@pytest.mark.parametrize("first", [REPRODUCE, ("dvc", "repro")], ids=["ours", "dvc"])
def test_the_second_run_ends_soon_and_names_the_first(first: tuple[str, ...], project: SmallProject) -> None:
    project.want("two")
    running = project.start_and_wait_in_stage(*first)
    started = time.monotonic()
    second = project.run(*REPRODUCE)
    assert time.monotonic() - started < 5
    assert second.returncode == 1
    assert second.stderr.count("\n") == 1
    assert f"error: another run is in progress in this folder (process {running.pid}, " in second.stderr
    assert "; it is in stage train since " in second.stderr
    (project.root / "wait").unlink()
    running.communicate()
    assert running.returncode == 0
    assert project.model() == "two" * 1000


# Killed runs


@pytest.mark.parametrize("shell", ["/bin/sh", "/bin/bash"])
@pytest.mark.parametrize("victim", ["dvc", "command"])
def test_a_stage_ends_with_what_started_it_and_the_next_run_succeeds(
    victim: str, shell: str, project: SmallProject
) -> None:
    project.want("two")
    command = project.start_and_wait_in_stage(*REPRODUCE, SHELL=shell)
    target = psutil.Process(command.pid)
    if victim == "dvc":
        target = next(child for child in target.children() if "dvc" in child.cmdline())
    target.kill()
    time.sleep(ORPHAN_SECONDS)
    assert not processes_in(project.root)
    command.communicate()
    (project.root / "wait").unlink()
    project.ok(*REPRODUCE)
    assert project.model() == "two" * 1000
    assert project.runs()[-3:] == ["started", "started", "ended"]


def test_a_run_right_after_the_kill_waits_for_the_orphan(project: SmallProject) -> None:
    project.want("two")
    write(project, "stage.py", "import signal; signal.signal(signal.SIGTERM, signal.SIG_IGN)\n" + stage_of(project))
    command = project.start_and_wait_in_stage("dvc", "repro")
    command.kill()
    command.communicate()
    (project.root / "wait").unlink()
    project.ok(*REPRODUCE)
    assert project.model() == "two" * 1000


def stage_of(project: SmallProject) -> str:
    return (project.root / "stage.py").read_text(encoding="utf-8")


@pytest.mark.parametrize(("number", "status"), [(signal.SIGTERM, 143), (signal.SIGINT, 130)])
def test_a_signal_reaches_the_stage_and_its_status_comes_back(
    number: signal.Signals, status: int, project: SmallProject
) -> None:
    before = project.state()
    project.want("two")
    command = project.start_and_wait_in_stage(*REPRODUCE)
    command.send_signal(number)
    shown, _ = command.communicate(timeout=30)
    assert command.returncode == status, shown
    assert not processes_in(project.root)
    assert project.state() == before


def test_a_stage_has_time_for_a_last_checkpoint_after_sigterm(project: SmallProject) -> None:
    save = "lambda *_: (time.sleep(3), Path('saved').touch(), sys.exit(143))"
    write(
        project, "stage.py", stage_of(project).replace("\nwith", f"\nimport signal; signal.signal(15, {save})\nwith", 1)
    )
    command = project.start_and_wait_in_stage(*REPRODUCE)
    command.terminate()
    command.communicate(timeout=30)
    assert command.returncode == 143
    assert (project.root / "saved").exists()


def test_a_stage_started_by_hand_outlives_its_shell(project: SmallProject) -> None:
    (project.root / "wait").touch()
    shell = project.start("/bin/sh", "-c", f"{shlex.quote(sys.executable)} stage.py & sleep 60")
    wait_until(lambda: project.runs().count("started") == 2)
    os.kill(shell.pid, signal.SIGKILL)
    time.sleep(1)
    (project.root / "wait").unlink()
    wait_until(lambda: project.runs()[-1] == "ended")
    os.killpg(shell.pid, signal.SIGKILL)
    shell.communicate()


# DVC's own files


@pytest.mark.parametrize("text", ["", '{"write": {"/x": {"pi', "[]", '{"write": {"/x": 3}}', '{"read": {"/x": [3]}}'])
def test_half_written_path_locks_do_not_stop_the_next_run(text: str, project: SmallProject) -> None:
    write(project, PATH_LOCKS, text)
    assert "didn't change" in project.ok(*REPRODUCE)


def note(project: SmallProject, pid: int) -> str:
    return json.dumps({"write": {str(project.root / "models/trained"): {"pid": pid, "cmd": "/bin/dvc repro"}}})


def test_a_number_that_now_belongs_to_something_else_does_not_block(project: SmallProject) -> None:
    with subprocess.Popen(["sleep", "60"]) as other:
        write(project, PATH_LOCKS, note(project, other.pid))
        assert project.run("dvc", "repro").returncode != 0  # what DVC makes of it
        assert "didn't change" in project.ok(*REPRODUCE)
        other.kill()


def test_a_number_that_is_only_not_forgotten_yet_does_not_block(project: SmallProject) -> None:
    with subprocess.Popen(["true"]) as other:
        wait_until(lambda: psutil.Process(other.pid).status() == psutil.STATUS_ZOMBIE)
        write(project, PATH_LOCKS, note(project, other.pid))
        assert "didn't change" in project.ok(*REPRODUCE)


@pytest.mark.parametrize("share", [0, 0.4, 0.97])
def test_a_cut_off_lock_file_is_put_back_and_nothing_runs_again(share: float, project: SmallProject) -> None:
    whole = (project.root / LOCK).read_bytes()
    write(project, LOCK, whole[: int(len(whole) * share)])
    shown = project.ok(*REPRODUCE)
    assert "dvc.lock: was half-written by a killed run; put the last run's back" in shown
    assert (project.root / LOCK).read_bytes() == whole
    assert project.runs() == ["started", "ended"]


def test_a_cut_off_lock_file_without_a_copy_is_taken_from_git(project: SmallProject) -> None:
    whole = (project.root / LOCK).read_bytes()
    (project.root / ".dvc/tmp/kept/dvc.lock").unlink()
    write(project, LOCK, whole[:100])
    assert "put the last commit's back" in project.ok(*REPRODUCE)
    assert (project.root / LOCK).read_bytes() == whole


def test_merge_conflicts_are_left_to_the_user(project: SmallProject) -> None:
    conflict = "<<<<<<< HEAD\nschema: '2.0'\n=======\n>>>>>>> other\n"
    write(project, LOCK, conflict)
    done = project.run(*REPRODUCE)
    assert done.returncode == 1
    assert done.stderr.startswith("error: dvc.lock: has merge conflicts")
    assert (project.root / LOCK).read_text() == conflict


def cached(project: SmallProject) -> dict[str, Path]:
    """The files of DVC's cache: the model, the tokenizer, and the folder that lists them."""
    files = [file for file in (project.root / ".dvc/cache/files/md5").rglob("*") if file.is_file()]
    starts = {"model": "one", "tokenizer": "letters", "folder": "["}
    return {kind: file for kind, start in starts.items() for file in files if file.read_text().startswith(start)}


def damage(file: Path) -> None:
    file.chmod(0o644)
    file.write_text("damaged")
    file.chmod(0o444)  # DVC believes it from now on


@pytest.mark.parametrize("kind", ["model", "tokenizer", "folder"])
def test_a_damaged_cache_is_filled_from_the_workspace(kind: str, project: SmallProject) -> None:
    whole = cached(project)[kind].read_bytes()
    damage(cached(project)[kind])
    assert "was damaged; put back from the workspace" in project.ok(*REPRODUCE)
    assert cached(project)[kind].read_bytes() == whole
    assert project.runs() == ["started", "ended"]


@pytest.mark.parametrize("kind", ["model", "folder"])
def test_a_damaged_cache_without_a_workspace_makes_the_stage_run_again(kind: str, project: SmallProject) -> None:
    damage(cached(project)[kind])
    (project.root / "models/trained/model").unlink()
    assert "was damaged; removed" in project.ok(*REPRODUCE)
    assert project.model() == "one" * 1000
    assert project.runs() == ["started", "ended"] * 2


def test_damage_that_dvc_has_checked_out_goes_neither_back_nor_unseen(project: SmallProject) -> None:
    damage(cached(project)["model"])
    (project.root / "models/trained/model").unlink()
    project.ok("dvc", "checkout", "--force")
    assert project.model() == "damaged"
    assert "up to date" in project.ok("dvc", "status")  # what DVC makes of it
    project.ok(*REPRODUCE)
    assert project.model() == "one" * 1000


def test_leftovers_go(project: SmallProject) -> None:
    names = ["models/.trained.partial/model", "metrics/.train.json.partial", f"models/.{'a' * 22}.tmp"]
    names += [f".dvc/cache/files/md5/ab/.{'b-_' * 7}c.tmp"]
    for name in names:
        (project.root / name).parent.mkdir(parents=True, exist_ok=True)
        write(project, name, "half")
    write(project, "metrics/.mine.tmp", "not DVC's")
    project.ok(*REPRODUCE)
    assert not any((project.root / name).exists() for name in names)
    assert (project.root / "metrics/.mine.tmp").exists()


def test_what_the_trials_of_a_sweep_write_into_the_cache_is_left_alone(project: SmallProject) -> None:
    names = [f".dvc/cache/files/md5/ab/.{'b' * 22}.tmp", ".dvc/cache/runs/ab/abc/.keep"]
    for name in names:
        (project.root / name).parent.mkdir(parents=True, exist_ok=True)
        write(project, name, "half-written")
    (project.root / names[1]).unlink()
    with hold(project.root / SWEEPING, "sweep"):
        project.ok(*REPRODUCE)
    assert (project.root / names[0]).exists() and (project.root / names[1]).parent.exists()
    project.ok(*REPRODUCE)
    assert not (project.root / names[0]).exists() and not (project.root / names[1]).parent.exists()


def test_an_empty_folder_of_the_run_cache_goes(project: SmallProject) -> None:
    for folder in (project.root / ".dvc/cache/runs").glob("*/*"):
        shutil.rmtree(folder)
        folder.mkdir()
    (project.root / LOCK).unlink()
    assert project.run("dvc", "repro").returncode != 0  # what DVC makes of it
    project.ok(*REPRODUCE)
    assert project.model() == "one" * 1000


def test_dvcs_arguments_pass_through_and_a_failure_is_status_1(project: SmallProject) -> None:
    project.ok(*REPRODUCE, "--force", "train")
    assert project.runs() == ["started", "ended"] * 2
    done = project.run(*REPRODUCE, "no-such-stage")
    assert done.returncode == 1
    assert "no-such-stage" in done.stderr
