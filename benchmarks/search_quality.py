"""Is a search with pruning as good as the whole grid? `python -m benchmarks.search_quality CURVES.json`.

Trains every configuration of a grid on few examples of the demo once, and keeps the validation score after each epoch in
CURVES.json. Then replays searches of `stages/sweep/search.py` on these curves: a trial costs the epochs until it is
pruned. Several jobs at once take turns, an epoch each. Where the file has all curves, nothing is trained.
"""

import argparse
import json
import os
import tempfile
from collections import deque
from collections.abc import Iterator, Sequence
from contextlib import chdir
from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias

from stages.configuration.compose import write_params
from stages.configuration.composition import compose_params
from stages.configuration.schema import DownloadStage, TokenizeStage, TrainStage
from stages.configuration.validation import select, validate
from stages.pipeline.paths import PARAMS
from stages.sweep.search import Search
from stages.sweep.trials import Trial, grid
from stages.training.live_progress import FILE

ROOT = Path(__file__).resolve().parent.parent

Curve: TypeAlias = Sequence[float]
"""The validation score after each epoch."""

GRID = (
    "train.learning_rate=1e-5,3e-5,1e-4,3e-4,1e-3",
    "train.batch_size=8,32",
    "train.warmup=0,0.2",
    "train.label_smoothing=0,0.1",
)
FIXED = (
    "train.epochs=4",
    "data.train=400",
    "data.validation=400",
    "threads=1",
)


@dataclass(frozen=True)
class Replay:
    """A search on the recorded curves."""

    best: float
    """The best score of a trial that was not pruned."""
    epochs: int
    """That its trials took."""
    trained: int
    """The trials that were trained: a search asks for some values again."""
    pruned: int


def main() -> None:
    """Run the command line."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.search_quality", description=__doc__)
    add = parser.add_argument
    add("curves", type=Path, help="is written, or added to")
    add("--trials", type=int, default=40, help="of each search")
    add("--searches", type=int, default=5)
    add("--jobs", type=int, default=4, help="trials at work at once")
    arguments = parser.parse_args()
    curves = recorded(arguments.curves.resolve())
    whole, best = sum(map(len, curves.values())), max(map(max, curves.values()))
    print(f"whole grid: {len(curves)} trials, {whole} epochs, best {best:.4f}")
    for number in range(arguments.searches):
        found = replayed(f"search-{number}", curves, arguments.trials, arguments.jobs)
        print(
            f"search {number}: {found.trained} trials, {found.pruned} of them pruned, {found.epochs} epochs "
            f"({100 * found.epochs / whole:.0f} %), best {found.best:.4f}, {100 * (best - found.best):.2f} points below"
        )


def recorded(file: Path) -> dict[str, Curve]:
    """Return the curve of each trial of the grid by its overrides; train those that the file lacks."""
    curves: dict[str, Curve] = json.loads(file.read_text(encoding="utf-8")) if file.exists() else {}
    trials = grid("", [*GRID, *FIXED])
    if lacking := [trial for trial in trials if _key(trial) not in curves]:
        with tempfile.TemporaryDirectory() as folder, chdir(folder):
            for part in ("stages", "conf", "dvc.yaml"):
                Path(part).symlink_to(ROOT / part)
            for trial, curve in trained(lacking):
                curves[_key(trial)] = curve
                file.write_text(json.dumps(curves, indent=1) + "\n", encoding="utf-8")
    return {_key(trial): curves[_key(trial)] for trial in trials}


def trained(trials: Sequence[Trial]) -> Iterator[tuple[Trial, Curve]]:
    """Train in the current folder, in this process; yield each trial with its curve."""
    progress = Path("progress.jsonl").resolve()
    os.environ[FILE] = str(progress)
    from stages.download import download
    from stages.tokenize import tokenize
    from stages.train import train

    for number, trial in enumerate(trials):
        composed = compose_params(list(trial.overrides))
        params = validate(composed, "benchmarks")
        if number == 0:
            write_params(composed, PARAMS)
            download(select(params, DownloadStage))
            tokenize(select(params, TokenizeStage))
        train(select(params, TrainStage))
        lines = map(json.loads, progress.read_text(encoding="utf-8").splitlines())
        curve = [line["score"] for line in lines if line["score"] is not None]
        print(f"{number + 1} of {len(trials)}: {' '.join(trial.overrides)}: {curve}", flush=True)
        yield trial, curve


def replayed(sweep: str, curves: dict[str, Curve], trials: int, jobs: int) -> Replay:
    """Search on the curves, as the driver of a sweep does: it asks for a trial when there is room, and tells each score."""
    with tempfile.TemporaryDirectory() as folder:
        search = Search(sweep, [*GRID, *FIXED], trials, prune=True, journal=Path(folder, "journal"))
        running: deque[tuple[Trial, int]] = deque()
        scores: list[float] = []
        epochs = trained_trials = pruned = 0
        while True:
            while len(running) < jobs and (trial := search.next()) is not None:
                running.append((trial, 0))
                trained_trials += 1
            if not running:
                return Replay(max(scores), epochs, trained_trials, pruned)
            trial, epoch = running.popleft()
            curve = curves[_key(trial)]
            epochs += 1
            goes_on = search.should_continue(trial, epoch + 1, curve[epoch])
            if goes_on and epoch + 1 < len(curve):
                running.append((trial, epoch + 1))
                continue
            pruned += not goes_on
            scores += [max(curve)] if goes_on else []
            search.finish(trial, max(curve) if goes_on else None)


def _key(trial: Trial) -> str:
    return " ".join(trial.overrides)


if __name__ == "__main__":
    main()
