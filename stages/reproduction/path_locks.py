"""Remove stale entries of `.dvc/tmp/rwlock`, where DVC records which process reads or writes which path.

DVC writes the file in place, so a killed DVC can leave half of it. And DVC takes every process number that is in use
for the process it recorded, even if another program has the number now, or the process is a zombie.
"""

import json
import logging
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from psutil import AccessDenied, NoSuchProcess, Process

from stages.pipeline.lock import PATIENCE, Holder, busy, hold, moment
from stages.pipeline.orphans import lives

log = logging.getLogger("stages.reproduction")

PATH_LOCKS = Path(".dvc/tmp/rwlock")
GUARD = PATH_LOCKS.with_name("rwlock.lock")
"""What DVC locks while it changes the file."""


@dataclass(frozen=True)
class Note:
    """DVC's record of a process that reads or writes a path."""

    pid: int
    cmd: str
    writes: bool


def drop_dead_path_locks() -> None:
    """Remove the file once every process it records has ended. Raises BusyError if one that writes goes on for long."""
    until = time.monotonic() + PATIENCE
    while PATH_LOCKS.is_file():
        written = PATH_LOCKS.stat().st_mtime
        living = [(note, holder) for note in _notes() if (holder := _holder(note, written)) is not None]
        if not living:
            break
        if time.monotonic() >= until:
            writers = [holder for note, holder in living if note.writes]
            if writers:
                raise busy(writers[0])
            return  # readers end soon
        time.sleep(PATIENCE / 10)
    with hold(GUARD, "reproduce", patience=PATIENCE):
        PATH_LOCKS.unlink(missing_ok=True)


def _notes() -> list[Note]:
    """Return all records, each once; none if the file is not whole."""
    try:
        content = json.loads(PATH_LOCKS.read_bytes())
        written = content.get("write", {}).values()
        read = (note for notes in content.get("read", {}).values() for note in notes)
        return list(dict.fromkeys([*_typed(written, writes=True), *_typed(read, writes=False)]))
    except (ValueError, TypeError, KeyError, AttributeError):
        log.info("%s: was half-written by a killed run; removed", PATH_LOCKS)
        return []


def _typed(notes: Iterator[dict[str, object]], *, writes: bool) -> Iterator[Note]:
    return (Note(int(str(note["pid"])), str(note["cmd"]), writes) for note in notes)


def _holder(note: Note, written: float) -> Holder | None:
    """Return the process that DVC recorded; None if it has ended, even if its number is in use again."""
    try:
        process = Process(note.pid)
        started = process.create_time()
        if not lives(process) or started > written:
            return None
        try:
            line = " ".join(process.cmdline())
        except AccessDenied:  # another user's
            line = note.cmd
    except NoSuchProcess:
        return None
    # DVC leaves out the interpreter, and may name a module by its file
    is_it = line.endswith(note.cmd) or ("dvc" in line and line.endswith(note.cmd.partition(" ")[2]))
    return Holder(note.pid, f"`{note.cmd}`", moment(started)) if is_it else None
