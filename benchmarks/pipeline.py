"""The whole WNUT 17 pipeline beside a script of the tutorial's recipe that does the same, wall-clock seconds.

    python -m benchmarks.pipeline ../shared/data/wnut17 [--repeats 3]

MiniLM, 2 epochs, from a warm cache: data and base model are there, for both. Ours is `dvc repro` from tokenize to export
with all its scores and intervals, plots, checks and hashes; the script is `benchmarks/tutorial_script.py`. They take turns.
"""

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from benchmarks.environment import recipe_environment
from tests.support.workspace import Workspace

ROOT = Path(__file__).resolve().parent.parent
_LEARNING_RATE = "1e-4"


def main() -> None:
    """Prepare both, run them in turn and print the table."""
    options = _options()
    seconds: dict[str, list[float]] = {"script": [], "pipeline": []}
    scores: dict[str, float] = {}
    with tempfile.TemporaryDirectory() as folder:
        warm = _warm(Path(folder) / "warm", options.data.resolve())
        for repeat in range(options.repeats):
            workspace = warm.copy_to(Path(folder) / f"repeat-{repeat}")
            seconds["script"].append(_script(workspace.root, scores))
            seconds["pipeline"].append(_pipeline(workspace, scores))
            print({side: round(values[-1], 1) for side, values in seconds.items()}, scores, flush=True)
    script, pipeline = (statistics.median(values) for values in seconds.values())
    print("\n| | seconds | test F1 |\n|---|---:|---:|")
    print(f"| script of the tutorial | {script:.1f} | {scores['script']:.4f} |")
    print(f"| pipeline | {pipeline:.1f} | {scores['pipeline']:.4f} |")
    print(f"\n{script / pipeline:.2f} times (medians of {options.repeats} interleaved runs)")


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.pipeline", description=(__doc__ or "").splitlines()[0])
    parser.add_argument("data", type=Path, help="the folder with wnut17train.conll and its two companions")
    parser.add_argument("--repeats", type=int, default=3)
    return parser.parse_args()


def _warm(root: Path, data: Path) -> Workspace:
    workspace = Workspace(root)
    workspace.python(
        "stages.configuration.compose", "experiment=wnut17", "data=files", "model=minilm",
        f"data.train={data / 'wnut17train.conll'}", f"data.validation={data / 'emerging.dev.conll'}",
        f"data.test={data / 'emerging.test.annotated'}", f"train.learning_rate={_LEARNING_RATE}",
        "export.quantize=none",  # the script does not quantize
    )  # fmt: skip
    workspace.ok("dvc", "repro", "--quiet", "download")
    return workspace


def _script(root: Path, scores: dict[str, float]) -> float:
    command = [sys.executable, str(ROOT / "benchmarks/tutorial_script.py"), _LEARNING_RATE]
    started = time.perf_counter()
    done = subprocess.run(command, cwd=root, env=recipe_environment(), check=True, stdout=subprocess.PIPE, text=True)
    scores["script"] = json.loads(done.stdout.splitlines()[-1])["f1"]
    return time.perf_counter() - started


def _pipeline(workspace: Workspace, scores: dict[str, float]) -> float:
    started = time.perf_counter()
    workspace.ok("dvc", "repro")
    seconds = time.perf_counter() - started
    scores["pipeline"] = workspace.metrics("evaluate")["f1"]
    return seconds


if __name__ == "__main__":
    main()
