"""Putting back the last whole `dvc.lock` when DVC was stopped while it wrote the next one."""

import logging
import shutil
import subprocess
from pathlib import Path

from stages.pipeline.dvc_lock import is_whole
from stages.pipeline.errors import DataError
from stages.pipeline.outputs import write_text
from stages.pipeline.paths import KEPT_LOCK, LOCK

log = logging.getLogger("stages.reproduction")

BROKEN = Path(".dvc/tmp/dvc.lock.broken")
"""Where what was replaced stays, for whoever wants to look."""


def mend_lock() -> None:
    """Replace a `dvc.lock` that is cut off: by the copy of ours, the one in git, or nothing, so that all runs again.

    What it then lacks DVC takes from its run cache. Raises DataError for merge conflicts, which are the user's to solve.
    """
    content = LOCK.read_bytes() if LOCK.is_file() else None
    if content is None or is_whole(content):
        return
    if b"<<<<<<<" in content:
        raise DataError(f"{LOCK}: has merge conflicts; solve them (`git checkout --theirs {LOCK}`), then run again")
    committed = _committed()
    if content == committed:
        return  # of a form that we don't know
    shutil.copyfile(LOCK, BROKEN)
    for source, copy in (("the last run's", _read(KEPT_LOCK)), ("the last commit's", committed)):
        if copy is not None and is_whole(copy):
            write_text(LOCK, copy.decode("utf-8"))
            log.info("%s: was half-written by a killed run; put %s back", LOCK, source)
            return
    LOCK.unlink()
    log.info("%s: was half-written by a killed run; removed", LOCK)


def _read(path: Path) -> bytes | None:
    return path.read_bytes() if path.is_file() else None


def _committed() -> bytes | None:
    shown = subprocess.run(["git", "show", f"HEAD:./{LOCK}"], capture_output=True, check=False)
    return shown.stdout if shown.returncode == 0 else None
