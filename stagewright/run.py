"""`stagewright run [OVERRIDE]… [-- ARGUMENT…]`: compose, run what has changed, write the report, print the scores.

OVERRIDE is Hydra's `group=choice` or `key=value`. Arguments after -- are `dvc repro`'s.

Examples:
  stagewright run                                       what conf/ says
  stagewright run task=tokens train.epochs=3            another task, another number of epochs
  stagewright run data=files data.train=reviews.csv     a file of your own; test and validation are split off
  stagewright run experiment=wnut17 -- --force train    a whole job; train again even if nothing has changed

It composes conf/ again. To run an edited params.yaml as it is, use `stagewright reproduce`. After a kill, run the same command
again to continue.
"""

import argparse
import runpy
import sys

from stagewright.code_path import make_importable


def parser() -> argparse.ArgumentParser:
    """Return the parser of the command line."""
    made = argparse.ArgumentParser(
        prog="stagewright run", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    made.add_argument("overrides", nargs="*", metavar="OVERRIDE", help="such as task=tokens or train.epochs=3")
    return made


def run(overrides: list[str], for_dvc: list[str]) -> int:
    """Do what the commands compose, reproduce, report and summary do, one after another. Return the first status that is not 0.

    All happens in this process, so that a signal reaches the one that passes it on to DVC and its stage.
    """
    steps = {
        "stages.configuration.compose": overrides,
        "stages.reproduction.reproduce": for_dvc,
        "stages.reporting.write": [],
        "stages.reporting.summary": [],
    }
    return next((status for module, arguments in steps.items() if (status := status_of(module, arguments))), 0)


def status_of(module: str, arguments: list[str]) -> int:
    """Run a module as `python -m` does; return its exit status."""
    sys.argv[1:] = arguments
    try:
        runpy.run_module(module, run_name="__main__", alter_sys=True)
    except SystemExit as end:
        return end.code if isinstance(end.code, int) else int(end.code is not None)
    return 0


def main() -> None:
    """Run the command line."""
    given = sys.argv[1:]
    at = given.index("--") if "--" in given else len(given)
    overrides = parser().parse_args(given[:at]).overrides
    make_importable()
    sys.exit(run(overrides, given[at + 1 :]))


if __name__ == "__main__":
    main()
