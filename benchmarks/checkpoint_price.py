"""What checkpoints cost a training: `python -m benchmarks.checkpoint_price FOLDER [--repeats 3] [--seconds 60]`.

FOLDER holds WNUT 17 as its authors publish it. MiniLM is trained on it for two epochs, with checkpoints and without, in
turn, each training a command of its own. Counted is what the stage says that training took, and beside it the whole
command. Exits with 1 if the median costs more than 3 %, or checkpoints change a byte of the result.
"""

import argparse
import os
import re
import statistics
import subprocess
import sys
import tempfile
import time
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from stages.training.checkpoints import SECONDS
from tests.support.trainings import result
from tests.support.workspace import Workspace

MOST = 1.03
NEVER = "1e9"


@dataclass(frozen=True)
class Run:
    """One training."""

    training: float
    """Seconds from the first step to the last."""
    command: float
    """Seconds of the whole command."""
    checkpoints: int


def main() -> None:
    """Prepare the data, train in turn and print the table."""
    options = _options()
    with tempfile.TemporaryDirectory() as folder:
        workspace = _prepared(Path(folder) / "clone", options.data, options.steps)
        runs: dict[str, list[Run]] = {"without": [], "with": []}
        outputs = set()
        for _ in range(options.repeats):
            for side, pause in (("without", NEVER), ("with", options.seconds)):
                runs[side].append(_train(workspace, pause))
                outputs.add(tuple(sorted(result(workspace.root).items())))
                print(side, runs[side][-1], flush=True)
    sys.exit(_report(runs, is_same=len(outputs) == 1))


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("data", type=Path, help="the folder with wnut17train.conll and its two companions")
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--seconds", help="a fixed pause between checkpoints; as the stage chooses, if not given")
    parser.add_argument("--steps", type=int, help="fewer steps, for a quick look")
    return parser.parse_args()


def _prepared(root: Path, data: Path, steps: int | None) -> Workspace:
    workspace = Workspace(root)
    workspace.python(
        "stages.configuration.compose", "task=tokens", "data=files", "model=minilm",
        f"data.train={(data / 'wnut17train.conll').resolve()}",
        f"data.validation={(data / 'emerging.dev.conll').resolve()}",
        f"data.test={(data / 'emerging.test.annotated').resolve()}",
        f"train.max_steps={steps or 'null'}",
    )  # fmt: skip
    workspace.python("stages.download")
    workspace.python("stages.tokenize")
    return workspace


def _train(workspace: Workspace, pause: str | None) -> Run:
    environment = {name: value for name, value in os.environ.items() if name != SECONDS}
    environment |= {} if pause is None else {SECONDS: pause}
    started = time.perf_counter()
    process = subprocess.Popen(
        [sys.executable, "-m", "stages.train"], cwd=workspace.root, env=environment, stdout=subprocess.PIPE, text=True
    )
    seen: set[str] = set()
    while process.poll() is None:
        with suppress(FileNotFoundError):  # pathlib's own, where a folder goes while it looks
            seen |= {folder.name for folder in (workspace.root / ".checkpoints").glob("*/step-*")}
        time.sleep(0.5)
    assert process.returncode == 0 and process.stdout is not None
    found = re.search(r"trained to step \d+ in ([\d.]+) s", process.stdout.read())
    assert found is not None
    return Run(float(found[1]), time.perf_counter() - started, len(seen))


def _report(runs: dict[str, list[Run]], *, is_same: bool) -> int:
    print("\n| checkpoints | training, s | command, s | written |\n|---|---:|---:|---:|")
    training = {side: statistics.median(run.training for run in of_side) for side, of_side in runs.items()}
    for side, of_side in runs.items():
        command = statistics.median(run.command for run in of_side)
        written = max(run.checkpoints for run in of_side)
        print(f"| {side} | {training[side]:.1f} | {command:.1f} | {written} |")
    ratio = training["with"] / training["without"]
    print(f"\nratio {ratio:.3f} (at most {MOST}); same bytes: {'yes' if is_same else 'NO'}")
    return 0 if ratio <= MOST and is_same else 1


if __name__ == "__main__":
    main()
