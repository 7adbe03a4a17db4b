"""The export that may be pushed: the one that `dvc.lock` records, at a commit that git holds whole."""

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from stages.pipeline.errors import PushError
from stages.pipeline.git import git_if_possible
from stages.pipeline.lock_schema import parse_lock
from stages.pipeline.paths import EXPORTED_MODEL, LOCK
from stages.reporting.staleness import stale_here

_BLOCK = 1 << 20
_MOST_NAMES = 3
"""How many files a message lists at most."""


@dataclass(frozen=True)
class ExportedFile:
    """A file of the export, with its digests as DVC and the Hub state them."""

    name: str
    """Its path below the folder, with `/` between the parts."""
    size: int
    md5: str
    sha256: str
    git_sha1: str
    """The name of its content in a git repository."""


@dataclass(frozen=True)
class Export:
    """An export that is what a commit says."""

    folder: Path
    commit: str
    """The git commit, 40 digits."""
    files: Sequence[ExportedFile]


def recorded_export() -> Export:
    """Read `models/export`.

    Raises PushError if it is not what `dvc.lock` records, is stale, or something is not committed.
    """
    commit = _commit_of_clean_tree()
    if not EXPORTED_MODEL.is_dir():
        raise PushError(f"{EXPORTED_MODEL}: is not there; make it with `stagewright run`, or get it with `dvc pull`")
    files = files_of(EXPORTED_MODEL)
    if dvc_hash(files) != _recorded_hash():
        raise PushError(
            f"{EXPORTED_MODEL}: is not what {LOCK} records; run `stagewright run`, or `dvc checkout {EXPORTED_MODEL}`"
        )
    if found := stale_here(EXPORTED_MODEL):
        raise PushError(f"{EXPORTED_MODEL}: is stale: {found}, and commit what it writes")
    return Export(EXPORTED_MODEL, commit, files)


def files_of(folder: Path) -> list[ExportedFile]:
    """Return the files anywhere below a folder, sorted by name. Each is read once."""
    return [_read(path, path.relative_to(folder).as_posix()) for path in sorted(folder.rglob("*")) if path.is_file()]


def dvc_hash(files: Sequence[ExportedFile]) -> str:
    """Return the hash that DVC gives to a folder with these files."""
    entries = [{"md5": file.md5, "relpath": file.name} for file in sorted(files, key=lambda file: file.name)]
    return hashlib.md5(json.dumps(entries, sort_keys=True).encode(), usedforsecurity=False).hexdigest() + ".dir"


def require_tag(tag: str) -> None:
    """Raise PushError if git would not take `tag` for a tag's name."""
    if git_if_possible("check-ref-format", f"refs/tags/{tag}") is None or tag.startswith("-"):
        raise PushError(f"--tag {tag!r}: is not a valid git tag; give one such as v1.0")


def _read(path: Path, name: str) -> ExportedFile:
    size = path.stat().st_size
    md5, sha256, git_sha1 = (hashlib.new(name, usedforsecurity=False) for name in ("md5", "sha256", "sha1"))
    git_sha1.update(b"blob %d\0" % size)
    with path.open("rb") as file:
        while block := file.read(_BLOCK):
            for digest in (md5, sha256, git_sha1):
                digest.update(block)
    return ExportedFile(name, size, md5.hexdigest(), sha256.hexdigest(), git_sha1.hexdigest())


def _recorded_hash() -> str:
    """Return the hash of the export in `dvc.lock`."""
    lock = parse_lock(LOCK.read_bytes()) if LOCK.is_file() else None
    if lock is None:
        raise PushError(
            f"{LOCK}: is missing or incomplete; run `stagewright run` in the project's folder, and commit it"
        )
    for out in (out for stage in lock.stages.values() for out in stage.outs):
        if out.path == EXPORTED_MODEL.as_posix() and out.md5:
            return out.md5
    raise PushError(f"{LOCK}: records no {EXPORTED_MODEL}; run `stagewright run`, and commit it")


def _commit_of_clean_tree() -> str:
    commit = git_if_possible("rev-parse", "--verify", "HEAD")
    status = git_if_possible("--no-optional-locks", "status", "--porcelain", "--untracked-files=normal")
    if commit is None or status is None:
        raise PushError("a push records its git commit, and there is none here; run it in a clone of the project")
    if status:
        names = [line[3:] for line in status.splitlines()]
        more = f" and {len(names) - _MOST_NAMES} more" if len(names) > _MOST_NAMES else ""
        raise PushError(
            f"{', '.join(names[:_MOST_NAMES])}{more}: not committed, so that no commit would say what was pushed; commit or "
            "`git stash --include-untracked`, then push again"
        )
    return commit.strip()
