"""Locks that end with their holder, stages that end with their DVC, and copies of `dvc.lock` that are whole."""

import fcntl
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import psutil
import pytest

from stages.pipeline import recovery
from stages.pipeline.errors import BusyError
from stages.pipeline.lock import Holder, busy, hold, holder
from stages.pipeline.lock_schema import parse_lock
from stages.pipeline.orphans import DVC_STAGE, PATIENCE
from stages.pipeline.paths import KEPT_LOCK, LOCK, WRITING
from tests.support.imports import ROOT
from tests.support.small_project import SOON, wait_until

# Locks


@contextmanager
def held_elsewhere(path: Path) -> Iterator[subprocess.Popen[str]]:
    """Another process that holds the lock."""
    script = "import sys, time; from pathlib import Path; from stages.pipeline.lock import hold\n"
    script += "with hold(Path(sys.argv[1]), 'stage train'): print('held', flush=True); time.sleep(60)"
    command = [sys.executable, "-c", script, str(path)]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "held\n"
        yield process
        process.kill()


def test_a_lock_names_its_holder_and_is_free_once_that_is_killed(tmp_path: Path) -> None:
    path = tmp_path / "deep" / "lock"
    with held_elsewhere(path) as other:
        with pytest.raises(BusyError, match=rf"process {other.pid}, stage train, since \d{{4}}-"), hold(path, "second"):
            raise AssertionError
        assert (found := holder(path)) is not None
        assert found.pid == other.pid
        other.kill()
        other.wait()
        with hold(path, "second"):
            assert (found := holder(path)) is not None
            assert found.name == "second"
    assert holder(path) is None


def test_two_processes_that_ask_for_the_holder_do_not_take_each_other_for_it(tmp_path: Path) -> None:
    path = tmp_path / "lock"
    with hold(path, "train"):
        pass
    with path.open(encoding="utf-8") as asking:
        fcntl.flock(asking, fcntl.LOCK_SH)
        assert holder(path) is None


def test_a_lock_is_waited_for_as_long_as_patience_goes(tmp_path: Path) -> None:
    with held_elsewhere(tmp_path / "lock") as other:
        started = time.monotonic()
        with pytest.raises(BusyError), hold(tmp_path / "lock", "second", patience=0.3):
            raise AssertionError
        assert time.monotonic() - started >= 0.3
        killed_soon = subprocess.Popen(["sh", "-c", f"sleep 0.3; kill -9 {other.pid}"])
        with killed_soon, hold(tmp_path / "lock", "second", patience=30):
            pass


def test_a_lock_whose_holders_remove_it_is_held_by_one_at_a_time(tmp_path: Path) -> None:
    """Whoever waited for a file that was removed would hold it beside the holder of the next one."""
    script = (
        "import sys; from pathlib import Path; from stages.pipeline.lock import hold, held_if_free\n"
        "lock, count = Path(sys.argv[1], 'lock'), Path(sys.argv[1], 'count')\n"
        "import stages.pipeline.lock as it; it.INTERVAL = 0.0005; added = 0\n"
        "while added < 300:\n"
        "    with hold(lock, 'one', patience=60) if added % 2 else held_if_free(lock, 'one') as is_held:\n"
        "        if is_held is not False:\n"
        "            count.write_text(str(int(count.read_text()) + 1)); added += 1\n"
        "            lock.unlink()\n"
    )
    (tmp_path / "count").write_text("0")
    command = [sys.executable, "-c", script, str(tmp_path)]
    processes = [subprocess.Popen(command, cwd=ROOT) for _ in range(3)]
    assert [process.wait() for process in processes] == [0, 0, 0]
    assert (tmp_path / "count").read_text() == "900"


def test_a_holder_on_another_machine_is_named_with_it_and_is_not_ours_to_end() -> None:
    told = str(busy(Holder(7, "training", "now", host="far away")))
    assert (
        told
        == "another run is in progress in this folder (process 7 on far away, training, since now); wait for it to end"
    )


@pytest.mark.parametrize("content", ["", " 123\n", "{", '{"pid": 1}'])
def test_a_holder_that_has_not_said_who_it_is_is_busy_all_the_same(content: str, tmp_path: Path) -> None:
    with held_elsewhere(tmp_path / "lock"):
        (tmp_path / "lock").write_text(content, encoding="utf-8")
        with pytest.raises(BusyError, match="another run has just started"), hold(tmp_path / "lock", "second"):
            raise AssertionError


@pytest.mark.slow
def test_a_stage_does_not_write_beside_another_and_leaves_the_outputs_to_it(tmp_path: Path) -> None:
    (tmp_path / "params.yaml").write_bytes((ROOT / "params.yaml").read_bytes())
    environment = {**os.environ, "PYTHONPATH": str(ROOT), DVC_STAGE: "tokenize"}
    with held_elsewhere(tmp_path / WRITING) as other:
        command = [sys.executable, "-m", "stages.tokenize"]
        done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert f"error: another run is in progress in this folder (process {other.pid}, stage train, since " in done.stderr
    assert "could not restore" not in done.stdout + done.stderr
    assert not (tmp_path / "data").exists()


# Orphans

STAGE = "import stages, time, sys; print('ready', flush=True); time.sleep(60)"
DEAF = f"import signal; signal.signal(signal.SIGTERM, signal.SIG_IGN); {STAGE}"
FORKED = "import os; os.fork(); " + STAGE
LATE = "import os, time; time.sleep(1); " + STAGE
BARELY_STARTED = "import os, time; fork = os.fork; os.fork = lambda: fork() or time.sleep(1) or 0; "


@contextmanager
def started_by_dvc(
    shell: str, stage: str, rest: str = ""
) -> Iterator[tuple[subprocess.Popen[str], Callable[[], bool]]]:
    """A process that starts a stage as DVC does, and whether anything below it still lives."""
    line = [shell, "-c", f'"{sys.executable}" -c "{stage}"{rest}']
    start = f"import os, subprocess; subprocess.Popen({line!r}, env={{**os.environ, {DVC_STAGE!r}: 'train'}}).wait()"
    with subprocess.Popen([sys.executable, "-c", start], cwd=ROOT, stdout=subprocess.PIPE, text=True) as dvc:
        below: list[psutil.Process] = []

        def some_live() -> bool:
            below.extend(child for child in psutil.Process(dvc.pid).children(recursive=True) if child not in below)
            return any(psutil.pid_exists(one.pid) and one.status() != psutil.STATUS_ZOMBIE for one in below)

        if stage is not LATE:
            assert dvc.stdout is not None
            dvc.stdout.readline()
        else:
            wait_until(some_live)
        assert some_live()
        yield dvc, lambda: any(one.is_running() and one.status() != psutil.STATUS_ZOMBIE for one in below)
        for one in below:
            if one.is_running():
                one.kill()


@pytest.mark.parametrize("rest", ["", "; true"], ids=["last", "not last"])
@pytest.mark.parametrize("shell", ["/bin/sh", "/bin/bash"])
@pytest.mark.parametrize("stage", [STAGE, DEAF, FORKED, LATE], ids=["plain", "deaf", "forked", "late"])
def test_a_stage_and_what_it_started_end_soon_after_dvc(stage: str, shell: str, rest: str) -> None:
    with started_by_dvc(shell, stage, rest) as (dvc, some_live):
        dvc.kill()
        wait_until(lambda: not some_live(), SOON)


def test_in_a_container_whose_first_process_is_a_shell_a_stage_ends_too() -> None:
    """It takes on orphans in the very process group of DVC."""
    container = ["unshare", "--map-root-user", "--pid", "--fork", "--mount-proc"]
    if shutil.which("unshare") is None or subprocess.run([*container, "true"], check=False).returncode:
        pytest.skip("this machine has no namespaces for us")
    dvc = "import os, subprocess, sys; stage = subprocess.Popen([sys.executable, '-c', sys.argv[1]], "
    dvc += f"env={{**os.environ, {DVC_STAGE!r}: 'train'}}, stdout=subprocess.PIPE); "
    dvc += "print(stage.stdout.readline()); os.kill(os.getpid(), 9)"
    look = "import os, psutil, tests.support.small_project as it; "
    look += f"it.wait_until(lambda: psutil.pids() == [1, os.getpid()], {SOON})"
    shell = ["bash", "-c", '"$0" -c "$1" "$2"; "$0" -c "$3"; exit $?', sys.executable, dvc, STAGE, look]
    done = subprocess.run([*container, *shell], cwd=ROOT, capture_output=True, text=True, check=False)
    assert "ready" in done.stdout
    assert done.returncode == 0, done.stderr


def test_a_stage_may_end_in_its_own_way_first() -> None:
    last_words = f"import signal, sys; signal.signal(15, lambda *_: (print('saved'), sys.exit())); {STAGE}"
    with started_by_dvc("/bin/sh", last_words) as (dvc, some_live):
        dvc.kill()
        wait_until(lambda: not some_live(), SOON)
        assert dvc.stdout is not None
        assert dvc.stdout.readline() == "saved\n"
    assert PATIENCE < 2


def test_a_stage_that_ends_leaves_no_watcher_and_its_status_is_its_own() -> None:
    script = "import stages, sys; sys.exit(7)"
    environment = {**os.environ, DVC_STAGE: "train"}
    with subprocess.Popen([sys.executable, "-c", script], cwd=ROOT, env=environment, start_new_session=True) as stage:
        assert stage.wait() == 7
    wait_until(lambda: not _group(stage.pid), SOON)


@pytest.mark.parametrize("start", ["", BARELY_STARTED], ids=["watching", "barely started"])
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_to_the_group_does_not_end_the_watcher_before_the_stage(number: signal.Signals, start: str) -> None:
    """Not even one that comes before the watcher has done anything."""
    patient = f"{start}import stages, signal; signal.signal({int(number)}, signal.SIG_IGN); {STAGE}"
    with started_by_dvc("/bin/bash", patient) as (dvc, some_live):
        watched = psutil.Process(dvc.pid).children(recursive=True)
        for process in watched:
            process.send_signal(number)
        dvc.kill()
        wait_until(lambda: not some_live(), SOON)


def test_by_hand_there_is_no_watcher() -> None:
    environment = {name: value for name, value in os.environ.items() if name != DVC_STAGE}
    with subprocess.Popen(
        [sys.executable, "-c", STAGE], cwd=ROOT, env=environment, stdout=subprocess.PIPE, text=True
    ) as stage:
        assert stage.stdout is not None
        stage.stdout.readline()
        assert not psutil.Process(stage.pid).children()
        stage.kill()


def _group(number: int) -> list[psutil.Process]:
    found = []
    for process in psutil.process_iter():
        with suppress(ProcessLookupError, psutil.NoSuchProcess):
            if os.getpgid(process.pid) == number and process.status() != psutil.STATUS_ZOMBIE:
                found.append(process)
    return found


# The copy of dvc.lock


def test_no_part_of_a_lock_file_passes_with_a_record_that_is_not_in_the_whole() -> None:
    lines = (ROOT / LOCK).read_bytes().splitlines(keepends=True)
    whole = parse_lock(b"".join(lines))
    assert whole is not None
    for end in range(len(lines)):
        part = parse_lock(b"".join(lines[:end]))
        for name, stage in part.stages.items() if part else ():
            known = whole.stages[name]
            assert stage.deps == known.deps[: len(stage.deps)]
            assert stage.outs == known.outs[: len(stage.outs)]
        if end % 20 == 0:
            assert parse_lock(b"".join([*lines[:end], lines[end][:-1]])) is None


@pytest.mark.parametrize(
    "content",
    [b"", b"\n", b"schema: '2.0'", b"stages: {}\n", b"schema: '2.0'\nstages: {train: {}}\n", b"\xff\n", b"a: [\n"],
)
def test_what_is_no_lock_file_is_not_whole(content: bytes) -> None:
    assert not recovery.is_whole(content)


def test_records_of_other_kinds_of_files_are_whole() -> None:
    text = b"schema: '2.0'\nstages:\n  own:\n    cmd: [a, b]\n    deps:\n    - path: s3://x\n      etag: '1'\n"
    assert recovery.is_whole(text)


def test_only_a_whole_lock_file_is_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    recovery.keep_lock()
    assert not KEPT_LOCK.exists()
    whole = (ROOT / LOCK).read_bytes()
    for content in (whole, whole[:-1], b""):
        LOCK.write_bytes(content)
        recovery.keep_lock()
        assert KEPT_LOCK.read_bytes() == whole
