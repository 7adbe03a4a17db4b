"""DVC's cache: every file under the name of its content. DVC checks that once, and then believes a read-only file.

What DVC has put there by itself is believed here too, until its size, time or inode changes; that makes the check quick.
"""

import hashlib
import json
import logging
import os
from pathlib import Path
from typing import TypeAlias

from stages.pipeline.outputs import write_text

log = logging.getLogger("stages.reproduction")

CACHE = Path(".dvc/cache/files/md5")
_BELIEVED = Path(".dvc/tmp/believed.json")

_Stamps: TypeAlias = dict[str, list[int]]
"""Size in bytes, time of change in nanoseconds, and inode of every file of the cache, by its name there."""


def mend_cache() -> None:
    """Remove from the cache what is not what its name says; what the workspace still has whole goes back in."""
    believed = _read_believed()
    damaged = [
        name for name, stamp in _stamps().items() if believed.get(name) != stamp and not _remove_if_damaged(name)
    ]
    if damaged:
        _put_back_from_workspace()
        for name in damaged:
            back = (CACHE / name).is_file() and _remove_if_damaged(name)
            outcome = "put back from the workspace" if back else "removed, so that a stage that needs it runs again"
            log.info("%s: was damaged; %s", CACHE / name, outcome)
    remember_cache()


def remember_cache() -> None:
    """Believe every file that is in the cache now."""
    stamps = _stamps()
    if stamps != _read_believed():
        write_text(_BELIEVED, json.dumps(stamps) + "\n")


def _remove_if_damaged(name: str) -> bool:
    """Whether the file is what its name says; it is gone if not."""
    file = CACHE / name
    with file.open("rb") as content:
        whole = hashlib.file_digest(content, "md5").hexdigest() == name.replace("/", "").removesuffix(".dir")
    if not whole:
        file.unlink()
    return whole


def _put_back_from_workspace() -> None:
    from dvc.repo import Repo  # takes longer to import than everything else here

    with Repo() as repo:
        for stage in repo.index.stages:
            for out in stage.outs:
                if (
                    out.use_cache
                    and out.hash_info
                    and out.exists
                    and not out.changed_checksum()
                    and out.changed_cache()
                ):
                    out.commit()


def _stamps() -> _Stamps:
    found: _Stamps = {}
    if not CACHE.is_dir():
        return found
    for folder in os.scandir(CACHE):
        if folder.is_dir() and len(folder.name) == 2:
            for entry in os.scandir(folder):
                stat = entry.stat()
                found[f"{folder.name}/{entry.name}"] = [stat.st_size, stat.st_mtime_ns, stat.st_ino]
    return found


def _read_believed() -> _Stamps:
    try:
        content: _Stamps = json.loads(_BELIEVED.read_bytes())
    except (OSError, ValueError):
        return {}
    return content
