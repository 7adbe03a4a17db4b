"""The checkpoints of a training run: written when one is due, whole or not at all, and removed after training has succeeded.

Training runs in several clones and on several machines may share a folder of checkpoints, each in a subfolder of its own.
"""

import hashlib
import json
import logging
import os
import platform
import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from importlib.metadata import version
from pathlib import Path

import torch
from pydantic import TypeAdapter, ValidationError
from ruamel.yaml import YAML

from stages.configuration.schema import TrainConfig, TrainStage
from stages.modeling.precision import Precision, device, resolved
from stages.pipeline.digests import sha256_of
from stages.pipeline.errors import ConfigError
from stages.pipeline.lock import PATIENCE, held_if_free, hold
from stages.pipeline.paths import CHECKPOINTS, DAG
from stages.pipeline.torchrun import is_main_process, world_size

log = logging.getLogger("stages.train")

KEPT_CHECKPOINTS = 2
"""The newest checkpoint, and one to fall back to."""
KEPT_TRAININGS = 3
"""How many training runs keep their checkpoints: this one and the newest others, so that stopped sweeps don't fill the disk.
Running ones are not counted, and always keep theirs."""
KEPT_SECONDS = 7 * 86_400.0
"""How long checkpoints are always kept in a folder that `FOLDER` names: many trials of a sweep may resume from it."""

FOLDER = "STAGEWRIGHT_CHECKPOINTS"
"""The environment variable that names a folder for the checkpoints of all trainings, in any clone, on any machine."""

_QUEUED = ".dvc/tmp/exps/*"
"""The folders of queued or temporary experiments. DVC removes each one after its experiment."""

_NAME = "step-{:09d}"


def checkpoints_of(config: TrainStage) -> "Checkpoints":
    """Return the checkpoints of the training run of `config`. Raises ConfigError if `FOLDER` is not an absolute path."""
    chosen = os.environ.get(FOLDER)
    if chosen and not Path(chosen).is_absolute():
        raise ConfigError(f"{FOLDER}={chosen!r} depends on where it is read; give an absolute path")
    folder = Path(chosen) if chosen else CHECKPOINTS
    return Checkpoints(folder / training_key(config), kept_seconds=KEPT_SECONDS if chosen else 0.0)


def are_lost_with_the_run() -> bool:
    """Return whether the checkpoints are in the folder of a queued or temporary experiment, which DVC removes."""
    return not os.environ.get(FOLDER) and any(folder.match(_QUEUED) for folder in (Path.cwd(), *Path.cwd().parents))


class Checkpoints:
    """The checkpoints of one training run, in folders `step-N`.

    A checkpoint is written into a hidden folder, which is renamed once its manifest is on the disk. While the run is active, on
    any machine, it holds a lock beside the folder.
    """

    def __init__(self, folder: Path, *, kept_seconds: float = 0.0) -> None:
        """`folder`: named by `training_key`. `kept_seconds`: how long the neighbouring folders, of other runs, are kept."""
        self.folder = folder
        self._kept_seconds = kept_seconds
        self.partial = folder / ".partial"
        """Where the next checkpoint is written."""

    @contextmanager
    def held(self) -> Iterator[None]:
        """Hold the lock of the training run inside the block.

        Raises BusyError if the same run is active already, here or on another machine.
        """
        if not is_main_process():
            yield
            return
        lock = _lock_of(self.folder)
        with hold(lock, f"training {self.folder.name}", patience=PATIENCE):
            try:
                yield
            finally:
                if not self.folder.exists():
                    lock.unlink(missing_ok=True)
                    self._remove_empty()

    def prepare(self) -> None:
        """Remove the half-written checkpoint of a killed run, and the checkpoints of the oldest runs that are not active."""
        self.discard_partial()
        kept, expiry = 1, time.time() - self._kept_seconds
        for changed, folder in sorted(self._others(), reverse=True):
            lock = _lock_of(folder)
            with held_if_free(lock, f"training {self.folder.name}, which looks for old checkpoints") as is_free:
                if not is_free:
                    continue
                kept += 1
                if kept > KEPT_TRAININGS and changed <= expiry:
                    shutil.rmtree(folder, ignore_errors=True)
                lock.unlink(missing_ok=True)
        self._remove_locks_alone()
        self._remove_empty()

    def _remove_locks_alone(self) -> None:
        """Remove the locks of runs that were killed before their first checkpoint."""
        for lock in self.folder.parent.glob("*.lock"):
            if lock != _lock_of(self.folder) and not lock.with_suffix("").exists():
                with held_if_free(lock, f"training {self.folder.name}, which removes it") as is_free:
                    if is_free:
                        lock.unlink(missing_ok=True)

    def _others(self) -> Iterator[tuple[float, Path]]:
        """Yield the folders of other runs, each after the time when a checkpoint was last written there."""
        for folder in self.folder.parent.glob("*"):
            with suppress(OSError):  # its run has ended meanwhile
                if folder.is_dir() and folder != self.folder:
                    yield folder.stat().st_mtime, folder

    def newest_whole(self) -> Path | None:
        """Return the newest checkpoint that matches its manifest. Remove newer ones that don't."""
        for checkpoint in reversed(self._all()):
            found = fault(checkpoint)
            if found is None:
                return checkpoint
            log.warning("%s is not used: %s", checkpoint, found)
            shutil.rmtree(checkpoint, ignore_errors=True)
        return None

    def complete(self, written: Path, step: int) -> None:
        """Turn `written`, a folder in `partial`, into the checkpoint of `step`. Raises OSError if the disk can't be written."""
        write_manifest(written)
        checkpoint = self.folder / _NAME.format(step)
        shutil.rmtree(checkpoint, ignore_errors=True)
        written.rename(checkpoint)
        sync_folder(self.folder)
        for old in self._all()[:-KEPT_CHECKPOINTS]:
            shutil.rmtree(old, ignore_errors=True)

    def discard_partial(self) -> None:
        """Remove a checkpoint that was not completed."""
        shutil.rmtree(self.partial, ignore_errors=True)
        self._remove_empty()

    def remove(self) -> None:
        """Remove all checkpoints."""
        shutil.rmtree(self.folder, ignore_errors=True)
        self._remove_empty()

    def _remove_empty(self) -> None:
        for folder in (self.folder, self.folder.parent):
            with suppress(OSError):  # it holds something
                folder.rmdir()

    def _all(self) -> list[Path]:
        """Return all checkpoints, the oldest first."""
        return sorted(self.folder.glob("step-*"))


def _lock_of(folder: Path) -> Path:
    return folder.with_name(f"{folder.name}.lock")


_MANIFEST_FILE = "manifest.json"


@dataclass(frozen=True)
class FileRecord:
    """The size and digest that a file must have."""

    size: int
    """Bytes."""
    sha256: str


_MANIFEST = TypeAdapter(dict[str, FileRecord])


def write_manifest(folder: Path) -> None:
    """Sync all files of `folder` to the disk, then write a manifest of them. Raises OSError if the disk can't be written."""
    records = {file.name: FileRecord(file.stat().st_size, _synced_digest(file)) for file in sorted(folder.iterdir())}
    manifest = folder / _MANIFEST_FILE
    manifest.write_bytes(_MANIFEST.dump_json(records, indent=2))
    _synced_digest(manifest)
    sync_folder(folder)


def fault(folder: Path) -> str | None:
    """Return how `folder` differs from its manifest, in a few words; None if it does not."""
    try:
        records = _MANIFEST.validate_json((folder / _MANIFEST_FILE).read_bytes())
    except OSError:
        return f"{_MANIFEST_FILE} is missing"
    except ValidationError:
        return f"{_MANIFEST_FILE} is damaged"
    found = {file.name for file in folder.iterdir()} - {_MANIFEST_FILE}
    odd = sorted(found ^ records.keys())
    if odd:
        return f"{odd[0]} is {'not in its manifest' if odd[0] in found else 'missing'}"
    damaged = (name for name, record in records.items() if not _matches(folder / name, record))
    return next((f"{name} is damaged" for name in damaged), None)


def sync_folder(folder: Path) -> None:
    """Wait until the folder's entries are on the disk, such as a rename in it."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _matches(file: Path, record: FileRecord) -> bool:
    try:
        return file.stat().st_size == record.size and sha256_of(file) == record.sha256
    except OSError:  # a bad sector, or a folder under a file's name
        return False


def _synced_digest(file: Path) -> str:
    """Wait until the file is on the disk; return its digest, computed from the page cache."""
    with file.open("r+b") as content:
        os.fsync(content.fileno())
        return hashlib.file_digest(content, "sha256").hexdigest()


SECONDS = "STAGEWRIGHT_CHECKPOINT_SECONDS"
"""The environment variable that sets the seconds between two checkpoints; 0 writes one after each step. It is no
parameter, because it depends on the machine, changes no result, and must not make DVC train again."""

_SHORTEST = 60.0
_PRICE = 0.02
_EXPECTED_SPEED = 200e6
"""Bytes a second that are assumed for writing and hashing, until the first checkpoint has been timed."""


class Pace:
    """Decides when the next checkpoint is due: after a minute, or later if writing would take more than 2 % of the time."""

    def __init__(self, size: int) -> None:
        """`size`: the approximate bytes of a checkpoint. Raises ConfigError if `SECONDS` is no number."""
        chosen = os.environ.get(SECONDS)
        try:
            self._chosen = None if chosen is None else float(chosen)
        except ValueError as error:
            raise ConfigError(f"{SECONDS}={chosen!r} is not a number of seconds") from error
        self.took(size / _EXPECTED_SPEED)

    @property
    def is_due(self) -> bool:
        """Whether the next checkpoint is due."""
        return time.monotonic() - self._last >= self._pause

    def took(self, seconds: float) -> None:
        """Start the pause after a checkpoint. `seconds`: how long writing it took, successful or not."""
        self._last = time.monotonic()
        self._pause = max(_SHORTEST, seconds / _PRICE) if self._chosen is None else self._chosen


_STAGE = "train"
_PACKAGES = ("accelerate", "datasets", "numpy", "safetensors", "torch", "transformers")


@dataclass(frozen=True)
class Machine:
    """The properties of a machine on which the last bits of a result depend."""

    processor: str
    precision: Precision
    threads: int
    processes: int


def training_key(config: TrainStage) -> str:
    """Return the name of a training run, a digest of all that its result depends on: it resumes only from its own checkpoints.

    That is the configuration, the stage's dependencies in `dvc.yaml`, the packages and the machine.
    """
    parts = {
        "config": asdict(config),
        "dependencies": {file.as_posix(): sha256_of(file) for file in _dependencies()},
        "packages": {package: version(package) for package in (*_PACKAGES, *_packages_asked_for(config.train))},
        "machine": asdict(_machine(config)),
    }
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()[:16]


def _packages_asked_for(train: TrainConfig) -> Iterator[str]:
    if train.adapter == "lora":
        yield "peft"
    if train.optimizer == "adamw_8bit":
        yield "bitsandbytes"


def _machine(config: TrainStage) -> Machine:
    return Machine(_processor(), resolved(config.train.precision), torch.get_num_threads(), world_size())


def _processor() -> str:
    if device().type == "cuda":
        return torch.cuda.get_device_name()
    has = torch.cpu.get_capabilities()
    products = (name for name in ("amx_bf16", "avx512_bf16") if has.get(name))
    return " ".join((platform.machine(), torch.backends.cpu.get_cpu_capability(), *products))


def _dependencies() -> Iterator[Path]:
    """Yield the files that the stage depends on in `dvc.yaml`: data, base model and code."""
    for name in YAML(typ="safe").load(DAG.read_text(encoding="utf-8"))["stages"][_STAGE]["deps"]:
        path = Path(name)
        files = [path] if path.is_file() else sorted(file for file in path.rglob("*") if file.is_file())
        yield from (file for file in files if file.suffix not in {".pyc", ".md"})
