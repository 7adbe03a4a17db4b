"""Ask git about the repository that this process runs in."""

import subprocess
from collections.abc import Sequence
from pathlib import Path

from stages.pipeline.errors import ConfigError


def git(*arguments: str) -> str:
    """Run git and return what it prints. Raises ConfigError with git's message if it fails, or if it is not installed."""
    done = _run(arguments)
    if done.returncode:
        said = done.stderr.decode("utf-8", "replace")
        raise ConfigError(f"`git {arguments[0]}` failed: {' '.join(said.split())}")
    return done.stdout.decode("utf-8", "surrogateescape")


def git_if_possible(*arguments: str) -> str | None:
    """Run git and return what it prints; None if it fails, or is not installed."""
    try:
        return git(*arguments)
    except ConfigError:
        return None


def file_at(revision: str, path: Path) -> bytes | None:
    """Return the content of a file in a revision; None if it is not there, or git is not installed."""
    try:
        shown = _run(["show", f"{revision}:./{path.as_posix()}"])
    except ConfigError:
        return None
    return shown.stdout if shown.returncode == 0 else None


def _run(arguments: Sequence[str]) -> subprocess.CompletedProcess[bytes]:
    try:
        return subprocess.run(["git", *arguments], capture_output=True, check=False)
    except OSError as error:
        raise ConfigError(f"git: can't be run ({error.strerror}); install it") from error
