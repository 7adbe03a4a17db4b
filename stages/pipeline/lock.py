"""A lock on a file that names its holder. The system releases it however the process ends, so none is left behind.

It also holds between machines that share the file over NFS, where Linux locks a range of bytes in place of the file.
"""

import fcntl
import json
import logging
import os
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass, field
from datetime import datetime
from pathlib import Path
from typing import TextIO

from stages.pipeline.errors import BusyError

log = logging.getLogger("stages.lock")

INTERVAL = 0.1
"""Seconds between two attempts."""

PATIENCE = 2.5
"""Seconds in which the orphans of a killed run exit."""


@dataclass(frozen=True)
class Holder:
    """The process that holds a lock: its number, what it does, since when, and its machine."""

    pid: int
    name: str
    since: str
    host: str = field(default_factory=socket.gethostname)

    def __str__(self) -> str:
        there = "" if self.is_here else f" on {self.host}"
        return f"process {self.pid}{there}, {self.name}, since {self.since}"

    @property
    def is_here(self) -> bool:
        """Whether the process is one of this machine."""
        return self.host == socket.gethostname()


@contextmanager
def hold(path: Path, name: str, *, patience: float = 0.0) -> Iterator[None]:
    """Hold the lock at `path` while the block runs, as `name`.

    Raises BusyError, which names the holder, if it is not free within `patience` seconds.
    """
    until = time.monotonic() + patience
    while (file := _opened(path, or_unlocked=True)) is None:
        if time.monotonic() >= until:
            raise busy(_named(path))
        time.sleep(INTERVAL)
    with file:
        _write(file, Holder(os.getpid(), name, moment(time.time())))
        yield


@contextmanager
def held_if_free(path: Path, name: str) -> Iterator[bool]:
    """Yield whether the lock at `path` is held while the block runs.

    It is not if somebody else holds it, nor on a file system without locks, where somebody might.
    """
    file = _opened(path, or_unlocked=False)
    if file is None:
        yield False
        return
    with file:
        _write(file, Holder(os.getpid(), name, moment(time.time())))
        yield True


def holder(path: Path) -> Holder | None:
    """Return who holds the lock at `path` now; None if nobody does, or the holder has not written its name yet.

    Asking takes a shared lock for a moment: two processes that ask do not see each other, and NFS grants no other one on a
    file that is open for reading.
    """
    try:
        with path.open("r", encoding="utf-8") as file:
            return None if _locked(file, or_unlocked=True, kind=fcntl.LOCK_SH) else _read(file)
    except FileNotFoundError:
        return None


def _named(path: Path) -> Holder | None:
    """Return the holder that the file names; None if it names none, or has been removed."""
    try:
        with path.open("r", encoding="utf-8") as file:
            return _read(file)
    except FileNotFoundError:
        return None


def busy(holder: Holder | None) -> BusyError:
    """Return the error to raise where `holder` is found at work."""
    if holder is None:
        return BusyError("another run has just started in this folder; wait for it to end")
    end = f", or end it with `kill {holder.pid}`" if holder.is_here else ""
    return BusyError(f"another run is in progress in this folder ({holder}); wait for it to end{end}")


def moment(seconds: float) -> str:
    """Return a time as text, to the second, in the local time zone."""
    return datetime.fromtimestamp(seconds).isoformat(" ", "seconds")


def _opened(path: Path, *, or_unlocked: bool) -> TextIO | None:
    """Open the file and lock it; None if somebody else holds it. Where its last holder has removed it, open a new one."""
    while True:
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            file = path.open("a+", encoding="utf-8")
        except FileNotFoundError:  # the folder has just been removed
            continue
        if not _locked(file, or_unlocked=or_unlocked):
            file.close()
            return None
        with suppress(FileNotFoundError):
            if os.path.samestat(os.fstat(file.fileno()), path.stat()):
                return file
        file.close()


def _locked(file: TextIO, *, or_unlocked: bool, kind: int = fcntl.LOCK_EX) -> bool:
    """Try to lock. `or_unlocked`: on a file system without locks this counts as done, with a warning."""
    try:
        fcntl.flock(file, kind | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError as error:
        if or_unlocked:
            log.warning(
                "%s: can't be locked (%s); don't start two runs in this folder at once", file.name, error.strerror
            )
        return or_unlocked
    return True


def _write(file: TextIO, holder: Holder) -> None:
    file.truncate(0)
    json.dump(asdict(holder), file)
    file.flush()


def _read(file: TextIO) -> Holder | None:
    file.seek(0)
    try:
        return Holder(**json.loads(file.read()))
    except (ValueError, TypeError):  # it is being written at this moment
        return None
