"""What git says of the repository that this process runs in."""

import subprocess
from pathlib import Path

from stages.pipeline.errors import ConfigError


def git(*arguments: str) -> str:
    """Run git and return what it prints. Raises ConfigError with what it says if it fails."""
    done = subprocess.run(["git", *arguments], capture_output=True, text=True, check=False)
    if done.returncode:
        raise ConfigError(f"`git {arguments[0]}` failed: {' '.join(done.stderr.split())}")
    return done.stdout


def git_if_possible(*arguments: str) -> str | None:
    """Do so, but return None where git fails, or is not installed."""
    try:
        return git(*arguments)
    except (ConfigError, OSError):
        return None


def file_at(revision: str, path: Path) -> bytes | None:
    """Return a file of a revision; None if it has none."""
    shown = subprocess.run(["git", "show", f"{revision}:./{path.as_posix()}"], capture_output=True, check=False)
    return shown.stdout if shown.returncode == 0 else None
