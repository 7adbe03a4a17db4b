"""Keep a copy of `dvc.lock` while it is whole: DVC writes it in place, and may be killed or find the disk full meanwhile."""

from stages.pipeline.outputs import write_text
from stages.pipeline.paths import KEPT_LOCK, LOCK


def keep_lock() -> None:
    """Copy `dvc.lock`, if it is whole."""
    content = LOCK.read_bytes() if LOCK.is_file() else b""
    if content != _kept() and is_whole(content):
        write_text(KEPT_LOCK, content.decode("utf-8"))


def is_whole(content: bytes) -> bool:
    """Whether `content` is a whole `dvc.lock`. Fast if it is the kept copy."""
    if content == _kept():
        return True
    from stages.pipeline.lock_schema import parse_lock  # importing it takes longer than a run without changes

    return parse_lock(content) is not None


def _kept() -> bytes | None:
    return KEPT_LOCK.read_bytes() if KEPT_LOCK.is_file() else None
