"""`stagewright stage NAME [OVERRIDE]…`: run a single stage on the outputs of the stages before it.

DVC runs stages in this way. Use the command to try something out: the run is not recorded in dvc.lock.

Examples:
  stagewright stage train                               on params.yaml
  stagewright stage train train.learning_rate=1e-4      with another value
  stagewright stage evaluate --help                     all keys
"""

import argparse
import os
import sys

from stagewright.code_path import make_importable
from stagewright.project_code import digests_file, is_project, is_recorded

STAGES = ("download", "tokenize", "train", "evaluate", "export")


def parser() -> argparse.ArgumentParser:
    """Return the parser of the command line."""
    made = argparse.ArgumentParser(
        prog="stagewright stage", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    made.add_argument("stage", choices=STAGES, metavar="NAME", help=", ".join(STAGES))
    made.add_argument("overrides", nargs=argparse.REMAINDER, metavar="OVERRIDE", help="such as train.epochs=3")
    return made


def main() -> None:
    """Run the command line: become the stage."""
    arguments = parser().parse_args()
    make_importable()
    if is_project() and not is_recorded(arguments.stage):
        file = digests_file(arguments.stage)
        sys.exit(
            f"error: {file}: the installed code has changed; run `stagewright run`, or `stagewright compose` and commit"
        )
    os.execv(sys.executable, [sys.executable, "-m", f"stages.{arguments.stage}", *arguments.overrides])


if __name__ == "__main__":
    main()
