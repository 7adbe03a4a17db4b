"""The same bytes, on real data: WNUT 17 and MiniLM in two clones of this commit, then with other numbers of threads.

    python -m benchmarks.same_bytes FOLDER [--threads 1,2,8] [--sentences 500]

FOLDER holds WNUT 17 as its authors publish it (`wnut17train.conll`, …). The clones differ in path, time zone, locale, hash
seed and umask. What is committed is compared, not what lies in the working tree. The table tells for each output whether
it has the same hash as in the first clone, and how far the scores on test are from that clone's.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from ruamel.yaml import YAML

ROOT = Path(__file__).resolve().parent.parent
SCORES = ("accuracy", "precision", "recall", "f1", "loss")
FILES = {"train": "wnut17train.conll", "validation": "emerging.dev.conll", "test": "emerging.test.annotated"}
PLACES = (
    ("a clone", "022", {"TZ": "Asia/Kolkata", "LC_ALL": "C.UTF-8", "PYTHONHASHSEED": "1", "OMP_NUM_THREADS": "1"}),
    (
        "another/one",
        "077",
        {"TZ": "America/St_Johns", "LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0", "PYTHONHASHSEED": "2"},
    ),
)


@dataclass(frozen=True)
class Outcome:
    """What a run of the pipeline gave."""

    title: str
    hashes: Mapping[str, str]
    """Of each output, by its path."""
    scores: Mapping[str, float]
    """On test."""


def main() -> None:
    """Run the pipeline again and again, and print the table."""
    options = _options()
    settings = _settings(options.folder.resolve(), options.sentences)
    outcomes = []
    with tempfile.TemporaryDirectory() as name:
        clones = [_clone(Path(name) / place) for place, _, _ in PLACES]
        for clone, (place, umask, environment) in zip(clones, PLACES, strict=True):
            outcomes.append(_run(clone, place, settings, umask, environment))
        for threads in options.threads:
            changed = [*settings, f"threads={threads}"]
            outcomes.append(_run(clones[0], f"threads={threads}", changed, PLACES[0][1], PLACES[0][2]))
    print(_table(outcomes))


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("folder", type=Path, help="where the files of WNUT 17 are")
    parser.add_argument("--threads", type=_numbers, default=[1, 2, 8], help="other numbers of threads (default: 1,2,8)")
    parser.add_argument("--sentences", type=int, help="how many to train on (default: all)")
    return parser.parse_args()


def _numbers(text: str) -> list[int]:
    return [int(part) for part in text.split(",") if part]


def _settings(folder: Path, sentences: int | None) -> list[str]:
    files = [f"data.{split}='{folder / file}'" for split, file in FILES.items()]
    fewer = [f"data.max_examples.train={sentences}"] if sentences else []
    return ["experiment=wnut17", "data=files", "model=minilm", "train.learning_rate=1e-4", *files, *fewer]


def _clone(root: Path) -> Path:
    subprocess.run(["git", "clone", "--quiet", str(ROOT), str(root)], check=True)
    return root


def _run(root: Path, title: str, settings: Sequence[str], umask: str, environment: Mapping[str, str]) -> Outcome:
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    for command in (
        [sys.executable, "-m", "stages.configuration.compose", *settings],
        ["sh", "-c", f"umask {umask} && exec dvc repro"],
    ):
        subprocess.run(
            command, cwd=root, check=True, stdout=sys.stderr, env={**os.environ, "PATH": path, **environment}
        )
    lock = YAML(typ="safe").load((root / "dvc.lock").read_text(encoding="utf-8"))
    hashes = {out["path"]: out["md5"] for stage in lock["stages"].values() for out in stage["outs"]}
    metrics = json.loads((root / "metrics/evaluate.json").read_text(encoding="utf-8"))
    return Outcome(title, hashes, {name: metrics[name] for name in SCORES})


def _table(outcomes: Sequence[Outcome]) -> str:
    base, *others = outcomes
    rows = [["output", *(other.title for other in others)], ["---"] * len(outcomes)]
    for out, digest in base.hashes.items():
        rows.append([f"`{out}`", *("same" if other.hashes[out] == digest else "other" for other in others)])
    for name, value in base.scores.items():
        rows.append([f"{name} {value:.6f}", *(f"{other.scores[name] - value:+.6f}" for other in others)])
    return "\n".join(f"| {' | '.join(row)} |" for row in rows)


if __name__ == "__main__":
    main()
