"""A small git and DVC repository whose two stages write a model and predictions, in place of the pipeline."""

import json
import os
import subprocess
import sys
from pathlib import Path

TRAIN = """
from pathlib import Path
Path("models").mkdir(exist_ok=True)
Path("models/trained").write_bytes(Path("params.yaml").read_bytes())
"""

EVALUATE = """
import json, random
from pathlib import Path
import pyarrow as pa
import pyarrow.parquet as pq
from ruamel.yaml import YAML

params = YAML(typ="safe").load(Path("models/trained").read_text())
is_numbers = YAML(typ="safe").load(Path("params.yaml").read_text())["evaluate"]["numbers"]
generator = random.Random(str((params["seed"], params["train"])))
examples = [("abc"[place % 3], generator.random() < params["train"]["right"]) for place in range(300)]
gold = [label for label, _ in examples]
predicted = [label if right else "abc"["abc".index(label) - 1] for label, right in examples]
if is_numbers:
    gold, predicted = [1.0] * 300, [0.5] * 300
columns = {"id": [f"test-{place}" for place in range(300)], "gold": gold, "predicted": predicted, "score": [0.5] * 300}
Path("data/predictions").mkdir(parents=True, exist_ok=True)
Path("metrics/plots/curves/plots/metrics/validation").mkdir(parents=True, exist_ok=True)
pq.write_table(pa.table(columns), "data/predictions/test.parquet")
right = sum(a == b for a, b in zip(gold, predicted)) / 300
Path("metrics/evaluate.json").write_text(json.dumps({"accuracy": round(right, 6)}))
seconds = 4.5 if params["train"]["right"] > 0.8 else 1.5 if params["train"]["right"] > 0.6 else 15.0
threads = 2 if params["train"]["right"] < 0.6 else 4
environment = {
    "revision": None, "dirty": None, "python": "3.11.7", "system": "Linux x86_64", "packages": {"torch": "2.13.0"},
    "cpu": {"name": "", "architecture": "zen4"}, "compute": {"device": "cpu", "precision": "fp32", "threads": threads},
}
Path("metrics/runs.json").write_text(json.dumps({"evaluate": {"seconds": seconds, "environment": environment}}))
Path("metrics/plots/curves/plots/metrics/validation/f1.tsv").write_text(f"step\\tf1\\n1.0\\t0.4\\n2.0\\t{right}\\n")
"""

DAG = """
stages:
  train:
    cmd: python train.py
    deps: [train.py]
    params: [seed, train]
    outs: [models/trained]
  evaluate:
    cmd: python write.py
    deps: [write.py, models/trained]
    params: [evaluate]
    outs: [data/predictions/test.parquet]
    metrics:
    - metrics/evaluate.json: {cache: false}
    plots:
    - metrics/plots/curves: {cache: false}
"""

CONFIG = "[core]\n    analytics = false\n    autostage = false\n    check_update = false\n"


class Runs:
    """The repository. Its committed run is right on 7 of 10 texts."""

    def __init__(self, root: Path) -> None:
        self.root = root
        root.mkdir()
        self.ok("git", "init", "--quiet", "--initial-branch=main")
        self.ok("git", "config", "user.name", "tester")
        self.ok("git", "config", "user.email", "tester@example.com")
        self.ok("dvc", "init", "--quiet")
        files = {
            "train.py": TRAIN,
            "write.py": EVALUATE,
            "dvc.yaml": DAG,
            ".dvc/config": CONFIG,
            ".gitignore": "/data\n/models\n",
            "params.yaml": "seed: 1\ntrain:\n  right: 0.7\nevaluate:\n  numbers: false\n",
        }
        for name, content in files.items():
            (root / name).write_text(content, encoding="utf-8")
        self.ok("dvc", "repro", "--quiet")
        self.ok("git", "add", "--all")
        self.ok("git", "commit", "--quiet", "--message", "run")

    def ok(self, *command: str) -> str:
        """Run a command that must succeed."""
        done = subprocess.run(
            command,
            cwd=self.root,
            env=_environment(),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, f"{command}\n{done.stdout}\n{done.stderr}"
        return done.stdout

    def experiment(self, name: str, target: str = "evaluate", **params: float) -> None:
        """A `dvc exp run` up to the stage `target`, with the workspace as it was afterwards."""
        keys = {"right": "train.right", "seed": "seed", "numbers": "evaluate.numbers"}
        overrides = [part for key, value in params.items() for part in ("-S", f"{keys[key]}={value}")]
        self.ok("dvc", "exp", "run", "--quiet", "--name", name, *overrides, target)
        self.restore()

    def restore(self) -> None:
        """The workspace as it was committed."""
        self.ok("git", "checkout", "--quiet", ".")
        self.ok("dvc", "checkout", "--quiet", "--force")

    def state(self) -> dict[str, bytes]:
        """Every file outside of git's and DVC's own folders."""
        files = [file for file in self.root.rglob("*") if file.is_file()]
        return {
            str(file): file.read_bytes()
            for file in files
            if not {".git", ".dvc"} & set(file.relative_to(self.root).parts)
        }

    def metrics(self) -> dict[str, float]:
        """The workspace's metrics."""
        content: dict[str, float] = json.loads((self.root / "metrics/evaluate.json").read_text())
        return content


def _environment() -> dict[str, str]:
    return {**os.environ, "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"}
