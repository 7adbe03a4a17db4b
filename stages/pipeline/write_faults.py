"""Telling a disk that can't be written from every other fault."""

import errno
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from stages.pipeline.errors import OutputError

_FULL = "the disk is full", "free some space and run again"
_LIMIT = "the limit on the size of a file is reached", "raise it (`ulimit -f`) and run again"
_REFUSED = "it is not ours to write to", "make its folder writable and run again"

_ANYWHERE = {errno.ENOSPC: _FULL, errno.EDQUOT: _FULL, errno.EFBIG: _LIMIT, errno.EROFS: _REFUSED}
_NEAR_THE_OUTPUT = {errno.EACCES: _REFUSED, errno.EPERM: _REFUSED}
"""What reading an input can raise as well."""

_TEXTS = {os.strerror(number): fault for number, fault in _ANYWHERE.items()} | {"at inline_container.cc": _FULL}
"""What libraries in other languages say in exceptions of their own; the last is all that torch says of it."""


@contextmanager
def explained(path: Path) -> Iterator[None]:
    """Turn what keeps the block from writing `path`, or beside it, into OutputError."""
    try:
        yield
    except OutputError:  # of an output inside this one's block
        raise
    except Exception as error:
        if (fault := _fault(error, path.parent)) is not None:
            raise _output_error(str(path), fault) from error
        raise


@contextmanager
def explained_anywhere() -> Iterator[None]:
    """Turn a disk that is full, wherever the block writes, into OutputError."""
    try:
        yield
    except OutputError:
        raise
    except Exception as error:
        if (fault := _fault(error, None)) is not None:
            raise _output_error(getattr(error, "filename", None) or "a file", fault) from error
        raise


def _output_error(name: str, fault: tuple[str, str]) -> OutputError:
    reason, remedy = fault
    return OutputError(f"{name}: can't be written, {reason}; {remedy}")


def _fault(error: BaseException | None, folder: Path | None) -> tuple[str, str] | None:
    """What is wrong and what to do about it, looking through the chain of causes; None for any other error."""
    if error is None:
        return None
    if isinstance(error, OSError) and error.errno in _ANYWHERE:
        return _ANYWHERE[error.errno]
    if isinstance(error, OSError) and error.errno in _NEAR_THE_OUTPUT and _is_inside(error.filename, folder):
        return _NEAR_THE_OUTPUT[error.errno]
    told = (fault for text, fault in _TEXTS.items() if text in str(error))
    return next(told, None) or _fault(error.__cause__ or error.__context__, folder)


def _is_inside(name: object, folder: Path | None) -> bool:
    return isinstance(name, str) and folder is not None and Path(name).absolute().is_relative_to(folder.absolute())
