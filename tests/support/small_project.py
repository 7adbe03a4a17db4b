"""A DVC project of one stage that takes no time to start, for tests of what happens around a stage."""

import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

from tests.support.imports import ROOT
from tests.support.workspace import Workspace

REPRODUCE = (sys.executable, "-m", "stages.reproduction.reproduce")

_DAG = """
stages:
  train:
    cmd: python stage.py
    deps: [stage.py, wanted.txt]
    outs: [models/trained]
    metrics: [{metrics/train.json: {cache: false}}]
"""

_STAGE = f"""
import sys, time
sys.path.insert(0, {str(ROOT)!r})
import stages
from pathlib import Path
from stages.pipeline.lock import PATIENCE, hold
from stages.pipeline.outputs import whole_directory, write_text
from stages.pipeline.paths import WRITING

with hold(WRITING, "stage train", patience=PATIENCE):
    Path("runs.log").open("a").write("started\\n")
    wanted = Path("wanted.txt").read_text()
    while Path("wait").exists():
        time.sleep(0.05)
    with whole_directory(Path("models/trained")) as folder:
        (folder / "model").write_text(wanted * 1000)
        (folder / "tokenizer").write_text("letters")
    write_text(Path("metrics/train.json"), "{{}}")
    Path("runs.log").open("a").write("ended\\n")
"""


class SmallProject(Workspace):
    """One stage, which says in `runs.log` that it starts and ends, and goes on only while there is no file `wait`."""

    def __init__(self, root: Path) -> None:
        self.root = root
        root.mkdir(parents=True)
        self.git("init", "--quiet", "--initial-branch=main")
        self.ok("dvc", "init", "--quiet")
        (root / "dvc.yaml").write_text(_DAG, encoding="utf-8")
        (root / "stage.py").write_text(_STAGE, encoding="utf-8")
        (root / ".gitignore").write_text("/models/\n/runs.log\n/wait\n", encoding="utf-8")
        self.want("one")
        self.commit("start")

    @property
    def environment(self) -> dict[str, str]:
        """With this repository's modules, which are not in the project."""
        return {**super().environment, "PYTHONPATH": str(ROOT), "DVC_NO_ANALYTICS": "1"}

    def want(self, text: str) -> None:
        """Change what the stage depends on."""
        (self.root / "wanted.txt").write_text(text, encoding="utf-8")

    def runs(self) -> list[str]:
        """What the stage has said."""
        log = self.root / "runs.log"
        return log.read_text(encoding="utf-8").split() if log.exists() else []

    def start(self, *command: str, **environment: str) -> subprocess.Popen[str]:
        """Start a command in a process group of its own."""
        return subprocess.Popen(
            command, cwd=self.root, env={**self.environment, **environment}, stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, start_new_session=True,
        )  # fmt: skip

    def start_and_wait_in_stage(self, *command: str, **environment: str) -> subprocess.Popen[str]:
        """Start a command and return once its stage is at work, where it stays."""
        (self.root / "wait").touch()
        started = self.runs().count("started")
        process = self.start(*command, **environment)
        wait_until(lambda: self.runs().count("started") > started)
        return process

    def model(self) -> str:
        """What the stage has made."""
        return (self.root / "models/trained/model").read_text(encoding="utf-8")


SOON = 8.0
"""Seconds by which what is promised within two on an idle machine has come to hold beside other tests."""


def wait_until(holds: Callable[[], bool], seconds: float = 60) -> None:
    """Wait for something that must come to hold."""
    until = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < until, "it did not come to hold"
        time.sleep(0.02)
