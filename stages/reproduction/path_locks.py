"""`.dvc/tmp/rwlock`, where DVC notes which process reads and writes which path.

DVC writes it in place, so that a killed one can leave half of it. And it believes every process number that is in
use, be it by another program or by one that has ended and is only not forgotten yet.
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
    """DVC's note of one process that reads or writes a path."""

    pid: int
    cmd: str
    writes: bool


def drop_dead_path_locks() -> None:
    """Remove the file if all that it notes have ended. Raises BusyError if one that writes has not, and will not soon."""
    until = time.monotonic() + PATIENCE
    while PATH_LOCKS.is_file() and (living := _living()):
        if time.monotonic() >= until:
            writers = [holder for note, holder in living if note.writes]
            if writers:
                raise busy(writers[0])
            return  # who reads ends soon
        time.sleep(PATIENCE / 10)
    with hold(GUARD, "reproduce", patience=PATIENCE):
        PATH_LOCKS.unlink(missing_ok=True)


def _living() -> list[tuple[Note, Holder]]:
    written = PATH_LOCKS.stat().st_mtime
    found = ((note, _holder(note, written)) for note in _notes())
    return [(note, holder) for note, holder in found if holder is not None]


def _notes() -> list[Note]:
    """All notes, each once; none where the file is not whole, as nobody can go by it."""
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
    """The process that DVC noted; None if it has ended, though its number may be in use again."""
    try:
        process = Process(note.pid)
        started = process.create_time()
        if not lives(process) or started > written or not _runs(process, note.cmd):
            return None
    except NoSuchProcess:
        return None
    return Holder(note.pid, f"`{note.cmd}`", moment(started))


def _runs(process: Process, command: str) -> bool:
    """Whether the process was started with `command`, which lacks the interpreter and may name a module by its file."""
    try:
        line = " ".join(process.cmdline())
    except AccessDenied:
        return True
    return line.endswith(command) or ("dvc" in line and line.endswith(command.partition(" ")[2]))
