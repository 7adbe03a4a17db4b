"""Where the files of a run are: the workspace, or a revision of it, whose outputs DVC reads out of its cache."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Protocol

from dvc.api import DVCFileSystem
from dvc.config import Config
from dvc.exceptions import DvcException

from stages.pipeline.errors import DataError


class Place(Protocol):
    """The files of one run, by their paths in the repository."""

    def read(self, path: Path) -> bytes | None:
        """A file's content; None if there is none. Raises DataError if there is one that can't be had."""

    def files(self, folder: Path) -> Sequence[Path]:
        """The files below a folder, sorted; empty if there is none."""


class Workspace:
    """The files as they lie here."""

    def read(self, path: Path) -> bytes | None:
        """A file's content; None if there is none."""
        return path.read_bytes() if path.is_file() else None

    def files(self, folder: Path) -> Sequence[Path]:
        """The files below a folder, sorted; empty if there is none."""
        return sorted(file for file in folder.rglob("*") if file.is_file())


class Revision:
    """The files of a git revision or a DVC experiment. Nothing is checked out."""

    def __init__(self, name: str) -> None:
        """`name`: what git or DVC resolve. Raises DataError if neither knows it."""
        self._name = name
        if not name:
            raise DataError("a run has no name: name a git revision, DVC experiment or predictions file")
        try:
            self._files = DVCFileSystem(rev=name, config=_remotes())
            assert self._files.repo  # opened when first used, and not by `exists`, which takes any error for a no
        except DvcException as error:
            raise DataError(
                f"{name}: is no git revision, DVC experiment or predictions file; choose from `git log` or `dvc exp list`"
            ) from error

    def read(self, path: Path) -> bytes | None:
        """A file's content; None if the revision does not have it. Raises DataError if DVC can't get at it."""
        try:
            if not self._files.exists(path.as_posix()):
                return None
            content: bytes = self._files.read_bytes(path.as_posix())
        except (OSError, DvcException) as error:
            raise DataError(
                f"{self._name}: {path} is neither in DVC's cache nor to be had from a remote; get it with `dvc pull`, "
                "or make it again with `dvc exp run` there"
            ) from error
        return content

    def files(self, folder: Path) -> Sequence[Path]:
        """The files below a folder, sorted; empty if there is none."""
        try:
            return sorted(Path(file) for file in self._files.find(folder.as_posix()))
        except (OSError, DvcException):
            return []


def _remotes() -> dict[str, Any]:
    """The remotes as configured here and now: a revision may be older than its remote, or its `config.local` is ours."""
    config = Config.from_cwd()
    return {section: dict(config[section]) for section in ("core", "remote", "cache") if section in config}
