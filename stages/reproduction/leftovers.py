"""Files that a killed run has left beside what it was writing."""

import re
from collections.abc import Iterator
from pathlib import Path

from stages.pipeline.outputs import remove_partials
from stages.pipeline.paths import METRICS, RAW_DATA, TRAINED_MODEL
from stages.reproduction.cache import CACHE

_OUTPUT_FOLDERS = (RAW_DATA.parent, TRAINED_MODEL.parent, METRICS)
_RUN_CACHE = CACHE.parent.parent / "runs"
_TEMPORARY = re.compile(r"\.[\w-]{22}\.tmp")
"""The names under which DVC copies before it renames, and tries which links a file system has."""


def remove_leftovers() -> None:
    """Remove them. Nothing else may be at work."""
    for folder in _OUTPUT_FOLDERS:
        remove_partials(folder)
    for file in _temporary_files():
        file.unlink(missing_ok=True)
    _remove_empty_runs()


def _temporary_files() -> Iterator[Path]:
    for folder in (*_OUTPUT_FOLDERS, CACHE, _RUN_CACHE):
        yield from (file for file in folder.rglob(".*.tmp") if _TEMPORARY.fullmatch(file.name))


def _remove_empty_runs() -> None:
    """Remove folders of the run cache that were made and never filled: DVC fails on them, for ever."""
    for folder in _RUN_CACHE.glob("*/*"):
        if not any(folder.iterdir()):
            folder.rmdir()
