"""Training and prediction beside the tutorial recipe, on the same rows: `python -m benchmarks.training JOB`.

Three sides: A is the recipe as written, B the recipe with the Trainer's best flags (`benchmarks/recipe.py`), `ours` the train
stage's own trainer with A's batches. They take turns, each run in a process of its own, and all predict the test split.
Figures are medians over the repeats; the first steps of a run are not counted. Scores are our code's, for all three.

    make bench DATA=../shared/data
    python -m benchmarks.training wnut17 --epochs 2 --steps 0 --seeds 42 43 44 45 46 --sides A ours    # equal quality?
"""

import argparse
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import get_args

from benchmarks.jobs import JOBS, overrides
from benchmarks.result_files import write_results
from benchmarks.sides import Figures, Run, Side, figures_of, start
from benchmarks.table import table

ROOT = Path(__file__).resolve().parent.parent


def main() -> None:
    """Prepare the rows, run the sides in turn and print the table."""
    options = _options()
    with tempfile.TemporaryDirectory() as folder:
        prepare(Path(folder), [*overrides(options.job, options.data), *options.set])
        found = _in_turn(Path(folder), options)
    text = f"## {options.job}\n\n{table(found)}\n"
    print(text)
    if options.out:
        write_results(options.out, text, found)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.training", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add = parser.add_argument
    add("job", choices=JOBS)
    add("--data", type=Path, help="a folder with wnut17/ and imdb/; without it they come from the Hub")
    add("--sides", nargs="+", choices=get_args(Side), default=list(get_args(Side)))
    add("--steps", type=int, default=60, help="of each run; 0: as many as the epochs have")
    add("--epochs", type=float, default=1.0)
    add("--repeats", type=int, default=3)
    add("--seeds", type=int, nargs="+", default=[42], help="every repeat runs each of them")
    add("--set", nargs="+", default=[], metavar="KEY=VALUE", help="further overrides, such as threads=2")
    add("--out", type=Path, help="write OUT.md and OUT.json as well")
    return parser.parse_args()


def prepare(folder: Path, overrides: Sequence[str]) -> None:
    """Download and tokenize in the folder, which gets links to the project."""
    for part in ("stages", "conf", "benchmarks", "dvc.yaml"):
        (folder / part).symlink_to(ROOT / part)
    for command in (("stages.configuration.compose", *overrides), ("stages.download",), ("stages.tokenize",)):
        subprocess.run([sys.executable, "-m", *command], cwd=folder, check=True, stdout=subprocess.DEVNULL)


def _in_turn(folder: Path, options: argparse.Namespace) -> list[Figures]:
    found = []
    for _ in range(options.repeats):
        for seed in options.seeds:
            for side in options.sides:
                found.append(figures_of(start(Run(side, options.steps, options.epochs, seed), folder)))
                print(found[-1], file=sys.stderr, flush=True)
    return found


if __name__ == "__main__":
    main()
