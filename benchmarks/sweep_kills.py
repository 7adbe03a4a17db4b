"""Kills in sweeps at random moments: `python -m benchmarks.sweep_kills [--kills 10]`.

Each sweep of three trials on a cluster of two machines is hit once: by the loss of a machine, by SIGKILL of a process of a
trial, or by SIGKILL of the driver, which is started again. Then all three experiments must be there, with the bytes that an
undisturbed run gives, and no process of a killed driver's trials may be left after 5 s. Exits with 1 if one went wrong.
"""

import argparse
import hashlib
import random
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Literal, TypeAlias, get_args

import psutil

from tests.support.imports import ROOT
from tests.support.ray_machines import Machines
from tests.support.swept_project import SweptProject

Victim: TypeAlias = Literal["machine", "process", "driver"]

_SEEDS = (1, 2, 3)
_RATE, _EPOCHS, _STEPS = 1e-3, 8, 5
_PAUSE = 0.3
"""Seconds of a step: a training takes about as long as all that comes before it, so that half of the kills hit one."""
_EARLIEST, _LATEST = 2.0, 28.0
"""Seconds after the start of a sweep at which it is hit."""
_ORPHANS = 5.0
"""Seconds after which nothing of a killed driver's trials may run."""


def main() -> None:
    """Run the command line."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.sweep_kills", description=__doc__)
    parser.add_argument("--kills", type=int, default=10, help="of each kind")
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    draw, faults = random.Random(arguments.seed), Counter[str]()
    machines = Machines(ROOT)
    with tempfile.TemporaryDirectory() as folder:
        for victim in get_args(Victim):
            for number in range(arguments.kills):
                project = SweptProject(Path(folder, f"{victim}-{number}"), pause=_PAUSE)
                found = list(hit(project, machines, victim, draw))
                faults[victim] += bool(found)
                resumed = len(project.said("resumed"))
                print(f"{victim} {number}: {'; '.join(found) or 'whole'}, {resumed} resumed", flush=True)
    machines.shutdown()
    for victim in get_args(Victim):
        print(f"{victim}: {arguments.kills - faults[victim]} of {arguments.kills} whole")
    sys.exit(bool(faults.total()))


def hit(project: SweptProject, machines: Machines, victim: Victim, draw: random.Random) -> Iterator[str]:
    """Run a sweep and hit it once; yield what is wrong afterwards."""
    seeds = ",".join(map(str, _SEEDS))
    call = ["--address", machines.address, "-S", f"seed={seeds}", "-S", f"train.learning_rate={_RATE}"]
    call += ["-S", f"train.epochs={_EPOCHS}"]
    driver = project.start(*call)
    time.sleep(draw.uniform(_EARLIEST, _LATEST))
    if victim == "machine":
        machines.kill_one()
    elif victim == "process":
        if at_work := processes(project):
            draw.choice(at_work).kill()
    else:
        driver.kill()
        driver.communicate()
        time.sleep(_ORPHANS)
        if left := processes(project):
            yield f"{len(left)} orphans"
        driver = project.start(*call)
    printed, _ = driver.communicate(timeout=600)
    if driver.returncode:
        yield f"exit status {driver.returncode}: {printed}"
    yield from differences(project)


def processes(project: SweptProject) -> list[psutil.Process]:
    """Return the processes that work in the clones of a project's trials."""
    sweeps, found = str(project.root / ".dvc/tmp/sweeps"), []
    for process in psutil.process_iter(["cwd"]):
        if (process.info["cwd"] or "").startswith(sweeps):
            found.append(process)
    return found


def differences(project: SweptProject) -> Iterator[str]:
    """Yield how the experiments differ from what undisturbed trials give."""
    experiments = project.experiments()
    if len(experiments) != len(_SEEDS):
        yield f"{len(experiments)} experiments"
    found = set()
    for name in experiments:
        out = project.root.with_name("model")
        project.ok("dvc", "get", ".", "models/trained", "--rev", name, "--out", str(out), "--force", "--quiet")
        found.add(out.read_text(encoding="utf-8"))
    if found != {undisturbed(seed) for seed in _SEEDS}:
        yield "other bytes"


def undisturbed(seed: int) -> str:
    """Return the model of the project's training: each line is the digest of the one before."""
    lines: list[str] = []
    for _ in range(_EPOCHS * _STEPS):
        lines.append(hashlib.sha256(f"{seed}-{_RATE:g} {lines[-1:]}".encode()).hexdigest())
    return "\n".join(lines)


if __name__ == "__main__":
    main()
