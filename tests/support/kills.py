"""Killing a run of the whole pipeline, and looking at what it leaves behind."""

import hashlib
import os
import random
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal, TypeAlias

import psutil

from stages.pipeline.paths import (
    BASE_MODEL,
    CURVES,
    EXPORTED_MODEL,
    RAW_DATA,
    RUNS,
    SECONDS,
    TOKENIZED_DATA,
    TRAINED_MODEL,
)
from tests.support.workspace import Workspace

Victim: TypeAlias = Literal["dvc", "command", "group"]

COMMAND = (sys.executable, "-m", "stages.reproduction.reproduce")
SMALL = (
    "model=files", "data.train=40", "data.validation=16", "data.test=16",
    "train.epochs=1", "train.learning_rate=1e-3", "evaluate.resamples=100",
)  # fmt: skip
FOLDERS = ("data/", "models/", "metrics/")
OUTPUT_FOLDERS = tuple(
    path.as_posix() for path in (RAW_DATA, TOKENIZED_DATA, BASE_MODEL, TRAINED_MODEL, EXPORTED_MODEL, CURVES)
)
ORPHAN_SECONDS = 2.0
"""What is promised: no process outlives its parent by more."""

PROMPT_SECONDS = 1.0
"""What a command takes until its pipeline moves on."""


@dataclass(frozen=True)
class Undisturbed:
    """A run that nothing happened to: how long it took, and each of its files' digest by name."""

    seconds: float
    files: dict[str, str]


@dataclass
class Kill:
    """One kill, and what it left that it should not have."""

    task: str
    victim: Victim
    seconds: float
    stage: str = "-"
    faults: list[str] = field(default_factory=list)


def new_workspace(root: Path, model: Path, task: str) -> Workspace:
    """A clone with a tiny model and little data, in which nothing has run."""
    workspace = Workspace(root)
    workspace.python("stages.configuration.compose", *SMALL, f"task={task}", f"model.path={model}")
    workspace.commit("small")
    return workspace


def undisturbed(workspace: Workspace) -> Undisturbed:
    """Run the pipeline to its end."""
    started = time.monotonic()
    workspace.ok(*COMMAND)
    return Undisturbed(time.monotonic() - started, digests(workspace.root))


def killed_run(
    prepared: Workspace,
    root: Path,
    task: str,
    expected: Undisturbed,
    victims: Sequence[Victim],
    draw: random.Random,
    orphan_seconds: float = ORPHAN_SECONDS,
) -> list[Kill]:
    """Kill a run, and each of its repetitions, at moments spread over the pipeline; let the last one end, and compare."""
    workspace = prepared.copy_to(root)
    moments = sorted(draw.uniform(0, expected.seconds) for _ in victims)
    waits = [moment - before for moment, before in zip(moments, [0.0, *moments[:-1]], strict=True)]
    kills = [Kill(task, victim, PROMPT_SECONDS + wait) for victim, wait in zip(victims, waits, strict=True)]
    for kill in kills:
        _kill_one(workspace, kill, expected, orphan_seconds)
    kills[-1].faults += _faults_of_the_end(workspace, expected)
    shutil.rmtree(root)
    return kills


def _kill_one(workspace: Workspace, kill: Kill, expected: Undisturbed, orphan_seconds: float) -> None:
    root = workspace.root
    with subprocess.Popen(
        COMMAND, cwd=root, env=workspace.environment, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL, start_new_session=True,
    ) as command:  # fmt: skip
        with suppress(subprocess.TimeoutExpired):
            command.wait(kill.seconds)
        kill.stage = _stage_at_work(root)
        _strike(command, kill.victim)
        until = time.monotonic() + orphan_seconds
        while (left := _orphans(root, command)) and time.monotonic() < until:
            time.sleep(0.05)
        kill.faults += [f"orphan: {' '.join(process)}" for process in left]
        command.wait()  # where DVC alone was killed, it still puts back what DVC had removed
        kill.faults += _half_written(root, expected)


def _strike(command: subprocess.Popen[bytes], victim: Victim) -> None:
    """Kill DVC alone, our command alone, or both their process groups."""
    with suppress(psutil.NoSuchProcess, ProcessLookupError):
        dvc = _dvc_of(command)
        while victim == "dvc" and not dvc and command.poll() is None:  # it has not started yet
            time.sleep(0.02)
            dvc = _dvc_of(command)
        if victim == "dvc":
            for process in dvc:
                process.kill()
            return
        if victim == "group":
            for process in dvc:
                os.killpg(process.pid, signal.SIGKILL)
        os.killpg(command.pid, signal.SIGKILL)


def _dvc_of(command: subprocess.Popen[bytes]) -> list[psutil.Process]:
    return [child for child in psutil.Process(command.pid).children() if "dvc" in child.cmdline()]


def _orphans(root: Path, command: subprocess.Popen[bytes]) -> list[list[str]]:
    """What still runs below a process that was killed; our command is no orphan of its DVC."""
    return processes_in(root, but=command.pid if command.poll() is None else None)


def processes_in(root: Path, but: int | None = None) -> list[list[str]]:
    """The command line of every process that runs in a folder, but one.

    One that has no command line any more has given its memory back: it has ended, and is about to be a zombie.
    """
    found = []
    for process in psutil.process_iter():
        with suppress(psutil.NoSuchProcess, psutil.AccessDenied):
            if process.pid != but and process.status() != psutil.STATUS_ZOMBIE and Path(process.cwd()) == root:
                found.append(process.cmdline())
    return [command for command in found if command]


def _stage_at_work(root: Path) -> str:
    modules = [arguments[2] for arguments in processes_in(root) if arguments[1:2] == ["-m"]]
    return next((name.split(".")[1] for name in modules if name.count(".") == 1), "between stages")


def _half_written(root: Path, expected: Undisturbed) -> list[str]:
    """What is visible under the name of an output without being it, whole."""
    found = digests(root)
    outputs = {name: digest for name, digest in expected.files.items() if name.startswith(FOLDERS)}
    damaged = [name for name in sorted(outputs.keys() & found.keys()) if found[name] != outputs[name]]
    incomplete = [
        f"{folder}/ without {name}"
        for folder in OUTPUT_FOLDERS if (root / folder).is_dir()
        for name in sorted(outputs.keys() - found.keys()) if name.startswith(f"{folder}/")
    ]  # fmt: skip
    return [f"half-written: {name}" for name in (*damaged, *incomplete)]


def _faults_of_the_end(workspace: Workspace, expected: Undisturbed) -> list[str]:
    """Run the command to its end: it must succeed, and leave what an undisturbed run leaves, no more and no less."""
    done = workspace.run(*COMMAND)
    if done.returncode:
        return [f"exit status {done.returncode}: {(done.stdout + done.stderr)[-2000:]}"]
    found = digests(workspace.root)
    return [f"differs: {name}" for name in sorted({name for name, _ in found.items() ^ expected.files.items()})]


def digests(root: Path) -> dict[str, str]:
    """The digest of every file that git or DVC may look at."""
    files = (file for file in sorted(root.rglob("*")) if file.is_file())
    names = ((file.relative_to(root).as_posix(), file) for file in files)
    return {
        name: hashlib.md5(file.read_bytes()).hexdigest()
        for name, file in names
        if not name.startswith((".git/", ".dvc/cache/", ".dvc/tmp/"))
        and "__pycache__" not in name
        and name not in (RUNS.as_posix(), SECONDS.as_posix())  # these hold seconds
    }
