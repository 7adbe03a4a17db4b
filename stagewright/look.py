"""`stagewright look [OVERRIDE]…`: show how the data are read, without writing anything.

It shows the files and columns that were read, the labels, where each split comes from, two examples of each split, and what
looks wrong. You can use it while the pipeline is running.

Examples:
  stagewright look                                                     the data of params.yaml
  stagewright look task=tokens data=files data.train=train.conll       files of your own
  stagewright look data=files data.train=reviews.csv data.label_column=stars
"""

import argparse
import os
import sys

from stagewright.code_path import make_importable


def parser() -> argparse.ArgumentParser:
    """Return the parser of the command line."""
    made = argparse.ArgumentParser(
        prog="stagewright look", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    made.add_argument("overrides", nargs="*", metavar="OVERRIDE", help="such as data=files or data.train=reviews.csv")
    return made


def main() -> None:
    """Run the command line: become the download stage."""
    overrides = parser().parse_args().overrides
    make_importable()
    os.execv(sys.executable, [sys.executable, "-m", "stages.download", "--look", *overrides])


if __name__ == "__main__":
    main()
