"""A lock on a file that names its holder. The system releases it however the process ends, so none is left behind."""

import fcntl
import json
import logging
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
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
    """The process that holds a lock: its number, what it does, and since when."""

    pid: int
    name: str
    since: str

    def __str__(self) -> str:
        return f"process {self.pid}, {self.name}, since {self.since}"


@contextmanager
def hold(path: Path, name: str, *, patience: float = 0.0) -> Iterator[None]:
    """Hold the lock at `path` while the block runs, as `name`.

    Raises BusyError, which names the holder, if it is not free within `patience` seconds.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("a+", encoding="utf-8") as file:
        until = time.monotonic() + patience
        while not _locked(file):
            if time.monotonic() >= until:
                raise busy(_read(file))
            time.sleep(INTERVAL)
        _write(file, Holder(os.getpid(), name, moment(time.time())))
        yield


def holder(path: Path) -> Holder | None:
    """Return who holds the lock at `path` now; None if nobody does, or the holder has not written its name yet."""
    try:
        with path.open("r", encoding="utf-8") as file:
            return None if _locked(file) else _read(file)
    except FileNotFoundError:
        return None


def busy(holder: Holder | None) -> BusyError:
    """Return the error to raise where `holder` is found at work."""
    if holder is None:
        return BusyError("another run has just begun here; wait for it to end")
    return BusyError(f"another run is at work here ({holder}); wait for it, or end it with `kill {holder.pid}`")


def moment(seconds: float) -> str:
    """Return a time as text, to the second, in the local time zone."""
    return datetime.fromtimestamp(seconds).isoformat(" ", "seconds")


def _locked(file: TextIO) -> bool:
    """Try to lock. On a file system without locks this counts as done, with a warning."""
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError as error:
        log.warning("%s: can't be locked (%s); don't start two runs at once here", file.name, error.strerror)
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
