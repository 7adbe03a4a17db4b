"""Kills of whole runs at random moments, over all stages and both tasks: `python -m benchmarks.kills [--kills 200]`.

Every run is killed a few times (DVC alone, our command alone, or both their process groups) and started again each
time with the same command. Then its files are compared with those of a run that nothing happened to. Exits with 1 if
a single one went wrong: another hash, a process that lived on for over 2 s, something half-written, an error.
"""

import argparse
import itertools
import random
import sys
import tempfile
from collections import Counter
from pathlib import Path
from typing import get_args

from tests.support.kills import Kill, Victim, killed_run, new_workspace, undisturbed
from tests.support.tiny import write_tiny_model

TASKS = ("text", "tokens")


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.kills", description=__doc__)
    parser.add_argument("--kills", type=int, default=200)
    parser.add_argument("--kills-per-run", type=int, default=4)
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        kills = kill_runs(Path(name), arguments.kills, arguments.kills_per_run, random.Random(arguments.seed))
    print_table(kills)
    sys.exit(any(kill.faults for kill in kills))


def kill_runs(folder: Path, count: int, each: int, draw: random.Random) -> list[Kill]:
    """Kill `count` times, `each` of them in a run."""
    model = write_tiny_model(folder / "model")
    prepared = {task: new_workspace(folder / task, model, task) for task in TASKS}
    expected = {task: undisturbed(prepared[task].copy_to(folder / f"undisturbed-{task}")) for task in TASKS}
    victims = itertools.islice(itertools.cycle(get_args(Victim)), count)
    kills: list[Kill] = []
    for task in itertools.cycle(TASKS):
        chosen = list(itertools.islice(victims, each))
        if not chosen:
            return kills
        kills += killed_run(prepared[task], folder / "killed", task, expected[task], chosen, draw)
        faults = [fault for kill in kills[-len(chosen) :] for fault in kill.faults]
        print(f"{len(kills)} kills, {len(faults)} new faults", *faults, sep="\n  ", flush=True)
    raise AssertionError


def print_table(kills: list[Kill]) -> None:
    """How many kills each stage got, and how many left something wrong."""
    print("\n| task | stage | killed | kills | with faults |\n|---|---|---|---:|---:|")
    groups = Counter((kill.task, kill.stage, kill.victim) for kill in kills)
    for (task, stage, victim), count in sorted(groups.items()):
        faulty = sum(
            bool(kill.faults) for kill in kills if (kill.task, kill.stage, kill.victim) == (task, stage, victim)
        )
        print(f"| {task} | {stage} | {victim} | {count} | {faulty} |")
    print(f"\n{sum(not kill.faults for kill in kills)} of {len(kills)} without a fault")


if __name__ == "__main__":
    main()
