"""Outputs that appear whole or not at all: written beside their place, then renamed into it."""

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from stages.pipeline.write_faults import explained

_PARTIAL = ".{}.partial"
_OLD = ".{}.old.partial"


@contextmanager
def whole_directory(path: Path) -> Iterator[Path]:
    """Yield an empty folder beside `path`; rename it to `path` if the block succeeds, remove it if not.

    Raises OutputError if it can't be written.
    """
    partial = _beside(path, _PARTIAL)
    with explained(path), _empty(partial):
        yield partial
        _readable_by_all(partial)
        _put_in_place(partial, path)


@contextmanager
def scratch_directory(path: Path) -> Iterator[Path]:
    """Yield an empty folder at `path`, without what a killed run has left there; remove it in the end.

    Raises OutputError if it can't be written.
    """
    with explained(path), _empty(path):
        yield path


@contextmanager
def whole_file(path: Path) -> Iterator[Path]:
    """Yield the name of a file beside `path`; rename it to `path` if the block succeeds, remove it if not.

    Raises OutputError if it can't be written.
    """
    partial = _beside(path, _PARTIAL)
    with explained(path):
        partial.parent.mkdir(parents=True, exist_ok=True)
        try:
            yield partial
            partial.replace(path)
        finally:
            partial.unlink(missing_ok=True)


def remove_partials(folder: Path) -> None:
    """Remove what killed runs have left beside their outputs, anywhere in `folder`."""
    for partial in folder.rglob(_PARTIAL.format("*")):
        if partial.is_dir():
            shutil.rmtree(partial, ignore_errors=True)
        else:
            partial.unlink(missing_ok=True)


def write_text(path: Path, text: str) -> None:
    """Write a whole text file, in UTF-8."""
    with whole_file(path) as partial:
        partial.write_text(text, encoding="utf-8")


@contextmanager
def _empty(path: Path) -> Iterator[None]:
    shutil.rmtree(path, ignore_errors=True)
    path.mkdir(parents=True)
    try:
        yield
    finally:
        shutil.rmtree(path, ignore_errors=True)


def _put_in_place(partial: Path, path: Path) -> None:
    """Rename a folder to where another one may be, which goes away by a rename too: its removal takes time."""
    old = _beside(path, _OLD)
    shutil.rmtree(old, ignore_errors=True)
    if path.exists():
        path.rename(old)
    partial.rename(path)
    shutil.rmtree(old, ignore_errors=True)


def _beside(path: Path, pattern: str) -> Path:
    return path.with_name(pattern.format(path.name))


def _readable_by_all(folder: Path) -> None:
    """Safetensors creates its files with mode 0600, which shared caches and other users then can't read."""
    umask = os.umask(0)
    os.umask(umask)
    for file in folder.rglob("*"):
        if file.is_file():
            file.chmod(0o666 & ~umask)
