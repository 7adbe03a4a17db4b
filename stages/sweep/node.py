"""The worker that runs one job of a sweep on a machine of the cluster: it clones the project, and runs DVC in the clone.

Ray sends this module to the machines by value, so it imports only the standard library. The project's own code comes with
the clone.
"""

import fcntl
import json
import os
import platform
import re
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Literal, TypeAlias

Purpose: TypeAlias = Literal["prepare", "run"]

PROGRESS = "STAGEWRIGHT_PROGRESS"
"""The environment variable that names the file to which training writes its progress."""
CHECKPOINTS = "STAGEWRIGHT_CHECKPOINTS"
"""The environment variable that names the folder of checkpoints."""

REMOTE = "STAGEWRIGHT_SWEEP_REMOTE"
"""The environment variable that names the DVC remote of a clone whose machine does not share the driver's disk."""

TOKEN = "token"
"""The name of the file that shows a machine whether it shares the driver's disk."""
_DIGITS = 16
"""Digits of a token in the name of a folder."""

_DVC_FAILED = 255
_SHARE_OR_REMOTE = "share that disk, or name a DVC remote with --remote"
_LONGEST_READ = 1 << 16
"""Bytes of a log that are fetched at a time."""
_GRACE = 40.0
"""Seconds that a stopped trial has to write its last checkpoint."""


@dataclass(frozen=True)
class Sharing:
    """Where machines read the project's data, and how they hand over results."""

    folder: str
    """The sweep's folder as the driver sees it."""
    cache: str
    """DVC's cache as the driver sees it."""
    token: str
    """The content of the file `token` beside the sweep's folder. A machine that can read it there shares the driver's disk."""
    remote: str | None = None
    """The DVC remote through which data and results go where no disk is shared."""
    subfolder: str = ""
    """The project's folder inside its git repository; empty if it is the root."""
    config: str = ""
    """The text of a `.dvc/config.local` with the driver's remotes and their credentials."""


@dataclass(frozen=True)
class Job:
    """One run of the pipeline in a clone."""

    name: str
    purpose: Purpose
    """`prepare`: download and tokenize alone, into the cache. `run`: all stages, as a DVC experiment of that name."""
    overrides: tuple[str, ...]
    base: str
    """The commit that is run."""
    sharing: Sharing
    packages: Mapping[str, str] = field(default_factory=dict)
    checkpoints: str | None = None
    """The folder of checkpoints, if it is not the sweep's own."""


@dataclass(frozen=True)
class Machine:
    """The machine of a job."""

    host: str
    devices: str
    """The GPUs that the job sees, or `cpu`."""
    differences: tuple[str, ...]
    """The versions of Python and of packages that differ from the driver's, in words."""


@dataclass(frozen=True)
class Outcome:
    """How a job ended."""

    status: int
    """0, the exit status of the stage that failed, or 128 + the signal that ended it; DVC's if no stage failed."""
    seconds: float
    error: str = ""
    """The stage's error, in one line."""
    bundle: bytes = b""
    """A git bundle of the experiment."""


@dataclass(frozen=True)
class Progress:
    """How far a running job is."""

    log: bytes
    """What was added to its log since the last call."""
    step: int = 0
    steps: int = 0
    seconds_left: float | None = None
    scores: tuple[float, ...] = ()
    """The scores of all validations so far."""


class Worker:
    """Runs one job. Its methods are called from several threads at once."""

    def __init__(self, job: Job) -> None:
        """Choose the folders of the job on this machine. Nothing is started yet."""
        self._job = job
        folder = Path(job.sharing.folder)
        token = folder.with_name(TOKEN)
        self._shares_disk = token.is_file() and token.read_text(encoding="utf-8") == job.sharing.token
        self._folder = folder if self._shares_disk else _local_folder(job.sharing.token) / folder.name
        self.clone = self._folder / "clones" / job.name
        self._project = self.clone / job.sharing.subfolder
        self._log = self._folder / "clones" / f"{job.name}.log"
        self._log.unlink(missing_ok=True)  # an attempt's whose machine was lost
        self._process: subprocess.Popen[bytes] | None = None
        self._is_stopped = False

    def machine(self) -> Machine:
        """Return the machine that the job runs on."""
        found = {name: _version(name) for name in self._job.packages if name != "python"}
        found["python"] = platform.python_version()
        differences = (
            f"{name} {found[name]}, here {wanted}"
            for name, wanted in self._job.packages.items()
            if found[name] != wanted
        )
        devices = os.environ.get("CUDA_VISIBLE_DEVICES", "")
        return Machine(socket.gethostname(), devices or "cpu", tuple(differences))

    def run(self, bundle: bytes) -> Outcome:
        """Clone the project from a git bundle of the base commit, run the job in the clone and return how it ended."""
        started, job = time.monotonic(), self._job
        if not self._shares_disk and job.sharing.remote is None:
            return Outcome(1, 0.0, f"{socket.gethostname()} doesn't see {job.sharing.folder}; {_SHARE_OR_REMOTE}")
        self._clone(bundle)
        command = [sys.executable, "-m", "stages.sweep.clone_run", job.purpose, job.name, *job.overrides]
        with self._log.open("wb") as log:
            self._process = subprocess.Popen(
                command, cwd=self._project, env=self._environment(), stdin=subprocess.DEVNULL, stdout=log, stderr=log
            )
            if self._is_stopped:
                self._process.terminate()
            status = self._process.wait()
        if status == 0:
            made = self._bundled() if job.purpose == "run" else b""
            return Outcome(0, time.monotonic() - started, bundle=made)
        said = self._log.read_text(encoding="utf-8", errors="replace")
        return Outcome(_stage_status(said, status), time.monotonic() - started, error=_error(said))

    def progress(self, offset: int) -> Progress:
        """Return the job's progress, and its log from byte `offset` on, at most `_LONGEST_READ` bytes of it."""
        try:
            with self._log.open("rb") as file:
                file.seek(offset)
                log = file.read(_LONGEST_READ)
        except OSError:
            return Progress(b"")
        return _read_progress(self._progress_file, log)

    def stop(self) -> None:
        """Ask the job to write a checkpoint and end. Kill it if it has not ended after `_GRACE` seconds."""
        self._is_stopped = True
        if self._process is None:
            return
        self._process.terminate()
        try:
            self._process.wait(_GRACE)
        except subprocess.TimeoutExpired:
            self._process.kill()

    def remove(self) -> None:
        """Remove the clone and the log of the job."""
        shutil.rmtree(self.clone, ignore_errors=True)
        self._log.unlink(missing_ok=True)

    @property
    def _progress_file(self) -> Path:
        return self._project / ".dvc" / "tmp" / "progress.jsonl"

    def _clone(self, bundle: bytes) -> None:
        """Make a new clone. All clones of a machine share one repository of git objects."""
        shutil.rmtree(self.clone, ignore_errors=True)
        self.clone.parent.mkdir(parents=True, exist_ok=True)
        objects = self._folder / "objects" / self._job.base
        with (self._folder / "objects.lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            if not objects.is_dir():
                _clone_bundle(bundle, objects)
        _git("clone", "--quiet", "--shared", "--no-checkout", str(objects), str(self.clone))
        _git("-c", "advice.detachedHead=false", "checkout", "--quiet", "--detach", self._job.base, folder=self.clone)
        self._configure_dvc()

    def _configure_dvc(self) -> None:
        """Let DVC use the driver's cache if this machine shares its disk, else a cache of its own, and link files from it."""
        sharing = self._job.sharing
        cache = Path(sharing.cache) if self._shares_disk else self._folder.parent / "cache"
        own = f'[cache]\n    dir = """{cache}"""\n    type = reflink,hardlink,symlink\n'
        (self._project / ".dvc" / "config.local").write_text(sharing.config + own, encoding="utf-8")

    def _environment(self) -> dict[str, str]:
        """Return the job's environment variables, without Ray's OMP_NUM_THREADS: the configuration sets threads."""
        job = self._job
        own = {
            CHECKPOINTS: job.checkpoints or str(self._folder.parent / "checkpoints"),
            PROGRESS: str(self._progress_file),
            "DVC_NO_ANALYTICS": "1",
            "DVC_SITE_CACHE_DIR": str(self._project / ".dvc" / "tmp" / "site"),
            "PATH": os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", os.defpath)]),
        }
        if job.sharing.remote is not None and not self._shares_disk:
            own[REMOTE] = job.sharing.remote
        kept = {name: value for name, value in os.environ.items() if name != "OMP_NUM_THREADS"}
        return {**kept, **own}

    def _bundled(self) -> bytes:
        """Return the experiment's commits as a git bundle."""
        refs = _git("for-each-ref", "--format=%(refname)", f"refs/exps/*/*/{self._job.name}", folder=self.clone).split()
        file = self._project / ".dvc" / "tmp" / "experiment.bundle"
        _git("bundle", "create", "--quiet", str(file), *refs, f"^{self._job.base}", folder=self.clone)
        return file.read_bytes()


def remove_local_folder(token: str) -> None:
    """Remove what sweeps of the project with this token left on this machine, if it does not share the driver's disk."""
    shutil.rmtree(_local_folder(token), ignore_errors=True)


def _local_folder(token: str) -> Path:
    """Return the folder for all sweeps of a project on a machine that does not share the driver's disk."""
    return Path(tempfile.gettempdir(), f"stagewright-{os.getuid()}", token[:_DIGITS])


def _clone_bundle(bundle: bytes, objects: Path) -> None:
    objects.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=objects.parent) as folder:
        file = Path(folder, "base.bundle")
        file.write_bytes(bundle)
        _git("clone", "--quiet", "--bare", str(file), f"{folder}/objects")
        Path(folder, "objects").rename(objects)


def _stage_status(log: str, status: int) -> int:
    """Return the exit status of the stage that failed; 128 + the signal if one ended it.

    DVC exits with 255 whatever failed, and its log has the stage's own status. That is 1 if DVC itself failed.
    """
    if status == _DVC_FAILED:
        logged = re.findall(r"exited with (-?\d+)", log)
        status = int(logged[-1]) if logged else 1
    return status if status >= 0 else 128 - status


def _error(log: str) -> str:
    """Return the last error in a log: the stage's own, else DVC's."""
    found = re.findall(r"^error: (.+)$", log, re.MULTILINE) or re.findall(r"^ERROR: (.+)$", log, re.MULTILINE)
    return found[-1].strip() if found else ""


def _read_progress(file: Path, log: bytes) -> Progress:
    """Read the progress file of training: one JSON object a line, of which the last may be cut off."""
    step, steps, left, scores = 0, 0, None, list[float]()
    try:
        written = file.read_text(encoding="utf-8").split("\n")[:-1]
    except OSError:
        written = []
    for line in written:
        entry = json.loads(line)
        step, steps, left = entry["step"], entry["steps"], entry["seconds_left"]
        if entry["score"] is not None:
            scores.append(entry["score"])
    return Progress(log, step, steps, left, tuple(scores))


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return "missing"


def _git(*arguments: str, folder: Path | None = None) -> str:
    return _run("git", *arguments, folder=folder)


def _run(*command: str, folder: Path | None = None) -> str:
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    if done.returncode:
        said = " ".join(done.stderr.split())
        raise RuntimeError(f"`{' '.join(command)}` ended with {done.returncode}: {said}")
    return done.stdout
