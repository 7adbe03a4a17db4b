"""Repair what a killed run left half-written: files in DVC's cache, `dvc.lock`, and partial files beside outputs.

Stale entries of `.dvc/tmp/rwlock`, where DVC records which process reads or writes which path, are removed. DVC writes
that file in place, so a killed DVC can leave half of it. And DVC takes every process number that is in use for the
process it recorded, even if another program has the number now, or the process is a zombie.
"""

import hashlib
import json
import logging
import os
import re
import shutil
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias

from psutil import AccessDenied, NoSuchProcess, Process

from stages.pipeline.errors import DataError
from stages.pipeline.git import file_at
from stages.pipeline.lock import PATIENCE, Holder, busy, hold, holder, moment
from stages.pipeline.orphans import lives
from stages.pipeline.outputs import remove_partials, write_text
from stages.pipeline.paths import KEPT_LOCK, LOCK, METRICS, RAW_DATA, SWEEPING, TRAINED_MODEL
from stages.pipeline.recovery import is_whole

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
        living = [(note, found) for note in _notes() if (found := _holder(note, written)) is not None]
        if not living:
            break
        if time.monotonic() >= until:
            writers = [found for note, found in living if note.writes]
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


CACHE = Path(".dvc/cache/files/md5")
"""DVC's cache: every file under the MD5 of its content. DVC checks a file once, and then trusts it while it is read-only."""

BROKEN_LOCK = Path(".dvc/tmp/dvc.lock.broken")
"""A copy of the `dvc.lock` that was replaced last."""

_CHECKED = Path(".dvc/tmp/believed.json")
"""The stamps of the cache's files when they were last known to be whole: a file is read again only if its stamp differs."""

_OUTPUT_FOLDERS = (RAW_DATA.parent, TRAINED_MODEL.parent, METRICS)
_RUN_CACHE = CACHE.parent.parent / "runs"
_TEMPORARY = re.compile(r"\.[\w-]{22}\.tmp")
"""The names under which DVC copies a file before it renames it, and tests which links a file system supports."""

_Stamps: TypeAlias = dict[str, list[int]]
"""Size in bytes, modification time in nanoseconds, and inode of every file of the cache, by its path there."""


def mend_cache() -> None:
    """Remove damaged files from the cache. A file that is whole in the workspace goes back into the cache."""
    checked = _read_checked()
    changed = [name for name, stamp in _stamps().items() if checked.get(name) != stamp]
    damaged = [name for name in changed if not _is_whole_or_removed(name)]
    if damaged:
        _commit_from_workspace()
        for name in damaged:
            is_back = (CACHE / name).is_file() and _is_whole_or_removed(name)
            outcome = "put back from the workspace" if is_back else "removed, so that a stage that needs it runs again"
            log.info("%s: was damaged; %s", CACHE / name, outcome)
    remember_cache()


def remember_cache() -> None:
    """Record that every file in the cache is whole now."""
    stamps = _stamps()
    if stamps != _read_checked():
        write_text(_CHECKED, json.dumps(stamps) + "\n")


def _is_whole_or_removed(name: str) -> bool:
    """Return whether the file's content has the MD5 that is its name. If not, remove the file."""
    file = CACHE / name
    with file.open("rb") as content:
        is_whole_file = hashlib.file_digest(content, "md5").hexdigest() == name.replace("/", "").removesuffix(".dir")
    if not is_whole_file:
        file.unlink()
    return is_whole_file


def _commit_from_workspace() -> None:
    """Put outputs into the cache that the workspace has as `dvc.lock` records them, and the cache lacks."""
    from dvc.repo import Repo  # takes longer to import than everything else here

    with Repo() as repo:
        for out in (out for stage in repo.index.stages for out in stage.outs):
            is_recorded = out.use_cache and out.hash_info and out.exists and not out.changed_checksum()
            if is_recorded and out.changed_cache():
                out.commit()


def _stamps() -> _Stamps:
    found: _Stamps = {}
    if not CACHE.is_dir():
        return found
    for folder in os.scandir(CACHE):
        if folder.is_dir() and len(folder.name) == 2:
            for entry in os.scandir(folder):
                if _TEMPORARY.fullmatch(entry.name):
                    continue  # a sweep's trial is writing it
                stat = entry.stat()
                found[f"{folder.name}/{entry.name}"] = [stat.st_size, stat.st_mtime_ns, stat.st_ino]
    return found


def _read_checked() -> _Stamps:
    try:
        content: _Stamps = json.loads(_CHECKED.read_bytes())
    except (OSError, ValueError):
        return {}
    return content


def mend_lock() -> None:
    """Replace a `dvc.lock` that is cut off: by the kept copy, by the one in git, or by nothing, so that every stage runs.

    DVC takes what the replacement lacks from its run cache. Raises DataError for merge conflicts, which the user must solve.
    """
    content = _read(LOCK)
    if content is None or is_whole(content):
        return
    if b"<<<<<<<" in content:
        raise DataError(f"{LOCK}: has merge conflicts; solve them (`git checkout --theirs {LOCK}`), then run again")
    committed = file_at("HEAD", LOCK)
    if content == committed:
        return  # whole, in a form that is not known here
    shutil.copyfile(LOCK, BROKEN_LOCK)
    for source, copy in (("the last run's", _read(KEPT_LOCK)), ("the last commit's", committed)):
        if copy is not None and is_whole(copy):
            write_text(LOCK, copy.decode("utf-8"))
            log.info("%s: was half-written by a killed run; put %s back", LOCK, source)
            return
    LOCK.unlink()
    log.info("%s: was half-written by a killed run; removed", LOCK)


def _read(path: Path) -> bytes | None:
    return path.read_bytes() if path.is_file() else None


def remove_leftovers() -> None:
    """Remove partial and temporary files. Nothing else may be running here but a sweep, whose trials write into the cache."""
    for folder in _OUTPUT_FOLDERS:
        remove_partials(folder)
    is_written = holder(SWEEPING) is not None
    for folder in _OUTPUT_FOLDERS if is_written else (*_OUTPUT_FOLDERS, CACHE, _RUN_CACHE):
        for file in folder.rglob(".*.tmp"):
            if _TEMPORARY.fullmatch(file.name):
                file.unlink(missing_ok=True)
    for folder in () if is_written else _RUN_CACHE.glob("*/*"):
        if not any(folder.iterdir()):
            folder.rmdir()  # DVC fails on an empty folder of its run cache, every time
