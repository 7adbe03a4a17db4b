"""Faults while training, and what comes of them: `python -m benchmarks.faults_in_training [--kills 100] [--terms 20]`.

A tiny model is trained on the demo's texts, with a checkpoint after each step. It is killed in random steps, every second
time while it writes a checkpoint; each file of its newest checkpoint is deleted, cut, zeroed and half zeroed; it gets
SIGTERM in random steps. After each fault it is run again, to its end. Prints a table; exits with 1 if a result differs
from an undisturbed one in a byte, a damaged checkpoint was not found out, too few kills fell into writing, or SIGTERM
did not end the process with 143 within 30 s.
"""

import argparse
import random
import shutil
import signal
import sys
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from stages.training.checkpoints import fault
from tests.support.damage import DAMAGES
from tests.support.trainings import Trainings, kill_at_random, terminate_at_random

LEAST_IN_WRITING = 0.2
GRACE = 30.0


@dataclass
class Tally:
    """How one kind of fault went."""

    tried: int = 0
    exact: int = 0
    note: str = ""

    @property
    def is_good(self) -> bool:
        """Whether each was exact."""
        return self.tried == self.exact


def main() -> None:
    """Run all faults and print the table."""
    options = _options()
    draw = random.Random(options.seed)
    with tempfile.TemporaryDirectory() as folder:
        trainings = Trainings(Path(folder))
        _run(trainings)
        undisturbed = trainings.result()

        def is_exact() -> bool:
            _run(trainings)
            return trainings.result() == undisturbed and not trainings.checkpoints()

        tallies = {
            "SIGKILL": _kills(trainings, is_exact, draw, options.kills),
            "a file deleted, cut, zeroed or half zeroed": _damages(trainings, is_exact, draw),
            "SIGTERM": _terms(trainings, is_exact, draw, options.terms),
        }
    print("\n| fault | tried | exact | |\n|---|---:|---:|---|")
    for name, tally in tallies.items():
        print(f"| {name} | {tally.tried} | {tally.exact} | {tally.note} |")
    sys.exit(0 if all(tally.is_good for tally in tallies.values()) else 1)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--kills", type=int, default=100)
    parser.add_argument("--terms", type=int, default=20)
    parser.add_argument("--seed", type=int, default=0)
    return parser.parse_args()


def _run(trainings: Trainings) -> None:
    process = trainings.start()
    process.join()
    assert process.exitcode == 0, process.exitcode


def _kills(trainings: Trainings, is_exact: Callable[[], bool], draw: random.Random, count: int) -> Tally:
    tally, in_writing = Tally(), 0
    for number in range(count):
        in_writing += kill_at_random(trainings, draw, in_writing=number % 2 == 0)
        tally.tried += 1
        tally.exact += is_exact()
        _show("killed", tally)
    if in_writing < LEAST_IN_WRITING * count:
        tally.exact = 0
    tally.note = f"{in_writing} of them while a checkpoint was being written"
    return tally


def _damages(trainings: Trainings, is_exact: Callable[[], bool], draw: random.Random) -> Tally:
    while len(trainings.checkpoints()) < 2:
        kill_at_random(trainings, draw, in_writing=False)
    tally, found = Tally(), 0
    older, newest = trainings.checkpoints()[-2:]
    kept = trainings.root.parent / "kept"
    shutil.copytree(newest.parent, kept)
    for name in sorted(file.name for file in newest.iterdir()):
        for damage in DAMAGES:
            shutil.copytree(kept, newest.parent, dirs_exist_ok=True)
            damage(newest / name)
            found += fault(newest) is not None and fault(older) is None
            tally.tried += 1
            tally.exact += is_exact()
            _show("damaged", tally)
    if found < tally.tried:
        tally.exact = 0
    tally.note = f"{found} of them found before loading"
    return tally


def _terms(trainings: Trainings, is_exact: Callable[[], bool], draw: random.Random, count: int) -> Tally:
    tally, longest = Tally(), 0.0
    while tally.tried < count:
        status, seconds = terminate_at_random(trainings, draw)
        if status == 0:
            continue  # it had ended
        longest = max(longest, seconds)
        tally.tried += 1
        tally.exact += is_exact() and status == 128 + signal.SIGTERM and seconds < GRACE
        _show("terminated", tally)
    tally.note = f"the slowest took {longest:.1f} s to exit with 143"
    return tally


def _show(what: str, tally: Tally) -> None:
    print(f"{what}: {tally.exact} of {tally.tried} exact", flush=True)


if __name__ == "__main__":
    main()
