"""The worker of one job: what its outcome says of a process that was killed."""

import subprocess
from pathlib import Path

import pytest

from stages.sweep.node import Job, Sharing, Worker

_GIT = ("-c", "user.name=t", "-c", "user.email=t@localhost", "-c", "init.defaultBranch=main")


def git(folder: Path, *arguments: str) -> str:
    done = subprocess.run(["git", *_GIT, *arguments], cwd=folder, capture_output=True, text=True, check=True)
    return done.stdout.strip()


@pytest.mark.parametrize(("ends", "status"), [("os.kill(os.getpid(), 9)", 137), ("raise SystemExit(3)", 3)])
def test_a_job_that_is_killed_has_the_status_of_the_signal(ends: str, status: int, tmp_path: Path) -> None:
    """A driver tries again what a signal has ended, as where memory was full, and nothing that a fault has."""
    project = tmp_path / "project"
    for name in ("stages/sweep/clone_run.py", "stages/sweep/__init__.py", "stages/__init__.py", ".dvc/config"):
        (project / name).parent.mkdir(parents=True, exist_ok=True)
        (project / name).touch()
    (project / "stages/sweep/clone_run.py").write_text(f"import os\n{ends}\n", encoding="utf-8")
    git(project, "init", "--quiet")
    git(project, "add", "--all")
    git(project, "commit", "--quiet", "--message", "a project")
    git(project, "bundle", "create", "--quiet", str(tmp_path / "bundle"), "HEAD")
    folder = tmp_path / "sweeps/one"
    folder.mkdir(parents=True)
    (tmp_path / "sweeps/token").write_text("t", encoding="utf-8")
    sharing = Sharing(str(folder), str(tmp_path / "cache"), "t")
    worker = Worker(Job("one-1", "run", (), git(project, "rev-parse", "HEAD"), sharing))
    assert worker.run((tmp_path / "bundle").read_bytes()).status == status
