"""Outputs that appear whole or not at all: written beside their place, then renamed into it.

A disk that can't be written is told apart from every other error.
"""

import errno
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from stages.pipeline.errors import OutputError

_PARTIAL = ".{}.partial"
_OLD = ".{}.old.partial"

_FULL = "the disk is full", "free some space and run again"
_LIMIT = "the limit on file size is reached", "raise it (`ulimit -f`) and run again"
_REFUSED = "permission is denied", "make its folder writable and run again"

_ANYWHERE = {errno.ENOSPC: _FULL, errno.EDQUOT: _FULL, errno.EFBIG: _LIMIT, errno.EROFS: _REFUSED}
"""Errors that only writing raises."""
_NEAR_THE_OUTPUT = {errno.EACCES: _REFUSED, errno.EPERM: _REFUSED}
"""Errors that reading an input can raise as well: they count for files in the output's folder alone."""

_TEXTS = {os.strerror(number): fault for number, fault in _ANYWHERE.items()} | {"at inline_container.cc": _FULL}
"""Texts in the exceptions of libraries in other languages. The last is all that torch says of a full disk."""


@contextmanager
def whole_directory(path: Path) -> Iterator[Path]:
    """Yield an empty folder beside `path`; rename it to `path` if the block succeeds, remove it if not.

    Raises OutputError if it can't be written.
    """
    partial, old = path.with_name(_PARTIAL.format(path.name)), path.with_name(_OLD.format(path.name))
    with output_errors(path), _empty(partial):
        yield partial
        _apply_umask(partial)
        shutil.rmtree(old, ignore_errors=True)
        if path.exists():
            path.rename(old)  # removing it would take time, in which neither is there
        partial.rename(path)
        shutil.rmtree(old, ignore_errors=True)


@contextmanager
def scratch_directory(path: Path) -> Iterator[Path]:
    """Yield an empty folder at `path`, without what a killed run left there; remove it at the end.

    Raises OutputError if it can't be written.
    """
    with output_errors(path), _empty(path):
        yield path


@contextmanager
def whole_file(path: Path) -> Iterator[Path]:
    """Yield the name of a file beside `path`; rename it to `path` if the block succeeds, remove it if not.

    Raises OutputError if it can't be written.
    """
    partial = path.with_name(_PARTIAL.format(path.name))
    with output_errors(path):
        partial.parent.mkdir(parents=True, exist_ok=True)
        try:
            yield partial
            partial.replace(path)
        finally:
            partial.unlink(missing_ok=True)


def write_text(path: Path, text: str) -> None:
    """Write a whole text file in UTF-8."""
    with whole_file(path) as partial:
        partial.write_text(text, encoding="utf-8")


def remove_partials(folder: Path) -> None:
    """Remove what killed runs left beside their outputs, anywhere in `folder`."""
    for partial in folder.rglob(_PARTIAL.format("*")):
        if partial.is_dir():
            shutil.rmtree(partial, ignore_errors=True)
        else:
            partial.unlink(missing_ok=True)


@contextmanager
def _empty(path: Path) -> Iterator[None]:
    shutil.rmtree(path, ignore_errors=True)
    path.mkdir(parents=True)
    try:
        yield
    finally:
        shutil.rmtree(path, ignore_errors=True)


def _apply_umask(folder: Path) -> None:
    """Give files the usual mode: safetensors creates its own with 0600, which other users of a cache can't read."""
    umask = os.umask(0)
    os.umask(umask)
    for file in folder.rglob("*"):
        if file.is_file():
            file.chmod(0o666 & ~umask)


@contextmanager
def full_disk_as_output_error() -> Iterator[None]:
    """Turn a full disk, wherever the block writes, into OutputError."""
    with output_errors(None):
        yield


@contextmanager
def output_errors(path: Path | None) -> Iterator[None]:
    """Turn errors of writing `path` or files beside it into OutputError. None: only errors that no reading can raise."""
    try:
        yield
    except OutputError:  # of an output inside this one's block
        raise
    except Exception as error:
        fault = _fault(error, None if path is None else path.parent)
        if fault is None:
            raise
        name = path or getattr(error, "filename", None) or "a file"
        raise OutputError(f"{name}: can't be written, {fault[0]}; {fault[1]}") from error


def _fault(error: BaseException | None, folder: Path | None) -> tuple[str, str] | None:
    """Return what is wrong and what to do about it, by the error or its causes; None if it is not about writing."""
    if error is None:
        return None
    if isinstance(error, OSError) and error.errno in _ANYWHERE:
        return _ANYWHERE[error.errno]
    name = getattr(error, "filename", None)
    is_near = folder is not None and isinstance(name, str) and Path(name).absolute().is_relative_to(folder.absolute())
    if is_near and isinstance(error, OSError) and error.errno in _NEAR_THE_OUTPUT:
        return _NEAR_THE_OUTPUT[error.errno]
    told = (fault for text, fault in _TEXTS.items() if text in str(error))
    return next(told, None) or _fault(error.__cause__ or error.__context__, folder)
