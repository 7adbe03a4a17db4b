"""A git repository with made-up experiments: commits under DVC's refs, with predictions in DVC's cache. Nothing is trained."""

import hashlib
import json
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import yaml
from numpy.typing import NDArray

from stages.pipeline.paths import PREDICTIONS, VALIDATION_PREDICTIONS
from stages.scoring.evaluation.predictions_file import Description, described

LABELS = ("a", "b", "c")
PARAMS: Mapping[str, Any] = {
    "task.kind": "text", "task.target": "label", "task.metric": "accuracy",
    "data.name": "made", "model.name": "minilm", "model.folder": "minilm-1",
    "train.learning_rate": 1e-4, "train.epochs": 2, "evaluate.mode": "conll", "evaluate.scheme": "auto", "seed": 1,
}  # fmt: skip


DAG = f"""
stages:
  evaluate:
    cmd: evaluate
    outs: [{PREDICTIONS.as_posix()}, {VALIDATION_PREDICTIONS.as_posix()}]
"""


@dataclass(frozen=True)
class Made:
    """What an experiment is to hold, and what is to be wrong with it."""

    params: Mapping[str, Any]
    validation: pa.Table | None
    test: pa.Table | None
    scores: Mapping[str, Any] | None = None
    """Of `metrics/train.json`; the validation accuracy if None."""
    seconds: float = 10.0
    device: str = "cpu"
    is_trained_anew: bool = False
    """Train has run after evaluate."""
    evaluated_with: Mapping[str, Any] = field(default_factory=dict)
    """Parameters of which evaluate has seen other values."""
    without: Sequence[str] = ()
    """Files that git does not have."""
    uncached: bool = False
    """No predictions are in the cache."""
    uncached_test: bool = False
    """Those of test are not."""


class MadeExperiments:
    """The repository, with one commit."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.made: dict[str, Made] = {}
        root.mkdir(parents=True)
        for folder in (".dvc/cache/files/md5", ".dvc/tmp"):
            (root / folder).mkdir(parents=True)
        (root / ".dvc/config").write_text("[core]\n    analytics = false\n")
        (root / "dvc.yaml").write_text(DAG)
        (root / ".gitignore").write_text("/.dvc/cache\n/.dvc/tmp\n/data\n")
        self.git("init", "--quiet", "--initial-branch=main")
        self.git("config", "user.name", "tester")
        self.git("config", "user.email", "tester@example.com")
        self.git("add", "--all")
        self.git("commit", "--quiet", "--message", "base")
        self.base = self.git("rev-parse", "HEAD").strip()

    def git(self, *arguments: str, given: bytes = b"") -> str:
        """Run a git command that must succeed."""
        return subprocess.run(
            ["git", *arguments], cwd=self.root, input=given, capture_output=True, check=True
        ).stdout.decode()

    def add(self, made: Mapping[str, Made]) -> None:
        """Commit experiments, all in one process of git."""
        self.made |= made
        stream = []
        for name, each in made.items():
            stream.append(
                f"commit refs/exps/{self.base[:2]}/{self.base[2:]}/{name}\n"
                "committer tester <tester@example.com> 0 +0000\ndata 3\nrun\n"
                f"from {self.base}\n".encode()
            )
            for path, content in self._files(each).items():
                if path not in each.without:
                    stream.append(f"M 100644 inline {path}\ndata {len(content)}\n".encode() + content + b"\n")
        self.git("fast-import", "--quiet", "--force", given=b"".join(stream))

    def _files(self, made: Made) -> dict[str, bytes]:
        params = {**PARAMS, **made.params}
        scores = made.scores
        if scores is None:
            assert made.validation is not None, "it has no accuracy without scores"
            scores = {"accuracy": accuracy(made.validation)}
        train = json.dumps({"validation": scores}).encode()
        return {
            "params.yaml": yaml.safe_dump(nested(params)).encode(),
            "metrics/train.json": train,
            "metrics/runs.json": json.dumps({"train": _stage_run(made)}).encode(),
            "dvc.lock": self._lock(made, params, train),
        }

    def _lock(self, made: Made, params: Mapping[str, Any], train: bytes) -> bytes:
        raw = _out(
            "data/raw", digest({key: value for key, value in params.items() if key.startswith("data.")}) + ".dir"
        )
        trained = _out("models/trained", digest({**params, "made.is_trained_anew": False}) + ".dir")
        anew = _out("models/trained", digest({**params, "made.is_trained_anew": made.is_trained_anew}) + ".dir")
        code = _out("stages/tags", digest("code") + ".dir")
        predictions = [
            _out(
                path.as_posix(),
                self._cached(table, uncached=made.uncached or (path == PREDICTIONS and made.uncached_test)),
            )
            for path, table in ((PREDICTIONS, made.test), (VALIDATION_PREDICTIONS, made.validation))
            if table is not None
        ]
        seen = {**params, **made.evaluated_with}
        stages = {
            "download": {"cmd": "download", "outs": [raw]},
            "train": {
                "cmd": "train", "deps": [raw, code], "outs": [anew, _out("metrics/train.json", md5(train))],
                "params": {"params.yaml": {"seed": params["seed"], "train": nested(params)["train"]}},
            },
            "evaluate": {
                "cmd": "evaluate", "deps": [raw, trained, code], "outs": predictions,
                "params": {"params.yaml": {"evaluate.mode": seen["evaluate.mode"], "task": nested(seen)["task"]}},
            },
        }  # fmt: skip
        return yaml.safe_dump({"schema": "2.0", "stages": stages}).encode()

    def _cached(self, table: pa.Table, *, uncached: bool) -> str:
        sink = pa.BufferOutputStream()
        pq.write_table(table, sink)
        content = sink.getvalue().to_pybytes()
        name = md5(content)
        if not uncached:
            file = self.root / ".dvc/cache/files/md5" / name[:2] / name[2:]
            file.parent.mkdir(exist_ok=True)
            file.write_bytes(content)
        return name


def nested(flat: Mapping[str, Any]) -> dict[str, Any]:
    """Groups of keys from dotted ones."""
    found: dict[str, Any] = {}
    for key, value in flat.items():
        *groups, last = key.split(".")
        group = found
        for name in groups:
            group = group.setdefault(name, {})
        group[last] = value
    return found


def texts(right: NDArray[np.bool_], split: str = "validation", seed: int = 0) -> pa.Table:
    """Predictions that are right where it is said; gold depends on `split`, and what is wrong on `seed`."""
    gold = np.random.default_rng(len(split)).integers(0, len(LABELS), len(right))
    wrong = (gold + np.random.default_rng(seed).integers(1, len(LABELS), len(right))) % len(LABELS)
    columns = {
        "id": [f"{split}-{place}" for place in range(len(right))],
        "gold": np.array(LABELS)[gold],
        "predicted": np.array(LABELS)[np.where(right, gold, wrong)],
        "score": np.full(len(right), 0.5),
    }
    return described(pa.table(columns), Description("text", "label", LABELS))


def accuracy(table: pa.Table) -> float:
    """Of a table of predictions, computed apart."""
    frame = table.to_pandas()
    return float((frame.gold == frame.predicted).mean())


def rights(generator: np.random.Generator, difficulty: NDArray[np.float64], skill: float) -> NDArray[np.bool_]:
    """Which examples a model of some skill has right: models err on the same hard examples, and each on some others."""
    return difficulty + generator.normal(0, 0.35, len(difficulty)) < skill


def digest(content: Any) -> str:
    return md5(json.dumps(content, sort_keys=True, default=str).encode())


def md5(content: bytes) -> str:
    return hashlib.md5(content, usedforsecurity=False).hexdigest()


def _out(path: str, hash_: str) -> dict[str, Any]:
    nfiles = {"nfiles": 1} if hash_.endswith(".dir") else {}
    return {"path": path, "hash": "md5", "md5": hash_, "size": 1, **nfiles}


def _stage_run(made: Made) -> dict[str, Any]:
    compute = {"device": made.device, "precision": "fp32", "threads": 2}
    environment = {
        "revision": None, "dirty": None, "python": "3.11.7", "system": "Linux x86_64", "packages": {},
        "cpu": {"name": "", "architecture": "zen4"}, "compute": compute,
    }  # fmt: skip
    return {"seconds": made.seconds, "environment": environment}
