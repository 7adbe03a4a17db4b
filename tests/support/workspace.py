"""The project in a folder of its own, where a test runs it as a user does."""

import copy
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Self

from ruamel.yaml import YAML

from tests.support.imports import ROOT

FIXED = (
    "dvc.yaml",
    "params.yaml",
    ".dvcignore",
    ".gitattributes",
    ".gitignore",
    ".dvc/config",
    ".dvc/.gitignore",
    ".dvc/plots",
    "conf",
    "stages",
)


class Workspace:
    """A git repository with the project's own code and configuration, and nothing that was computed."""

    def __init__(self, root: Path, files_of: Sequence[str] = FIXED) -> None:
        self.root = root
        root.mkdir(parents=True)
        files = subprocess.run(
            ["git", "ls-files", "--cached", "--others", "--exclude-standard", "-z", *files_of],
            cwd=ROOT, capture_output=True, text=True, check=True,
        ).stdout  # fmt: skip
        for name in filter(None, files.split("\0")):
            if (ROOT / name).is_file():
                (root / name).parent.mkdir(parents=True, exist_ok=True)
                (root / name).write_bytes((ROOT / name).read_bytes())
        self.git("init", "--quiet", "--initial-branch=main")
        self.commit("start")

    @classmethod
    def clone(cls, origin: "Workspace", root: Path, *options: str) -> "Workspace":
        """A clone of a workspace's last commit. `options`: of `git clone`."""
        origin.git("clone", "--quiet", *options, str(origin.root), str(root))
        clone = cls.__new__(cls)
        clone.root = root
        return clone

    def copy_to(self, root: Path) -> Self:
        """A workspace with all that is in this one."""
        shutil.copytree(self.root, root)
        copied = copy.copy(self)
        copied.root = root
        return copied

    @property
    def environment(self) -> dict[str, str]:
        """This Python's environment first on the PATH, as an activated environment has it."""
        return {**os.environ, "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"}

    def run(self, *command: str, **environment: str) -> subprocess.CompletedProcess[str]:
        """Run a command to its end."""
        return subprocess.run(
            command, cwd=self.root, env={**self.environment, **environment},
            stdin=subprocess.DEVNULL, capture_output=True, text=True, errors="replace", check=False,
        )  # fmt: skip

    def ok(self, *command: str, **environment: str) -> str:
        """Run a command that must succeed; returns what it printed."""
        done = self.run(*command, **environment)
        assert done.returncode == 0, f"{command}\n{done.stdout}\n{done.stderr}"
        return done.stdout + done.stderr

    def git(self, *arguments: str) -> str:
        """Run git as a user with a name."""
        return self.ok("git", "-c", "user.name=tester", "-c", "user.email=tester@example.com", *arguments)

    def commit(self, message: str) -> None:
        """Commit all that is not ignored."""
        self.git("add", "--all")
        self.git("commit", "--quiet", "--message", message)

    def python(self, module: str, *arguments: str, **environment: str) -> str:
        """Run a module that must succeed."""
        return self.ok(sys.executable, "-m", module, *arguments, **environment)

    def metrics(self, stage: str) -> Any:
        """A stage's metrics file."""
        return json.loads((self.root / f"metrics/{stage}.json").read_text(encoding="utf-8"))

    def hashes(self) -> dict[str, str]:
        """The hash of every output in `dvc.lock`."""
        lock = YAML(typ="safe").load((self.root / "dvc.lock").read_text(encoding="utf-8"))
        return {out["path"]: out["md5"] for stage in lock["stages"].values() for out in stage["outs"]}

    def state(self) -> dict[str, bytes]:
        """`dvc.lock` and every output, byte by byte."""
        outputs = ("data", "metrics", "models/base", "models/trained", "models/export")
        files = [file for output in outputs for file in sorted((self.root / output).rglob("*"))]
        return {str(file): file.read_bytes() for file in [self.root / "dvc.lock", *files] if file.is_file()}
