"""Types of arguments for `argparse`. Only commands use it: the command line of a stage is Hydra's."""

import argparse
import math
from collections.abc import Callable


def at_least(least: int) -> Callable[[str], int]:
    """Return a type for integers of at least `least`. It raises argparse.ArgumentTypeError for anything else."""

    def read(text: str) -> int:
        if not text.isdecimal() or int(text) < least:
            raise argparse.ArgumentTypeError(f"{text} is not a whole number of at least {least}")
        return int(text)

    return read


count = at_least(1)
"""The type of positive integers."""


def number(text: str) -> float:
    """Return the number that a text is; NaN if it is none, which is neither within nor beyond any bound."""
    try:
        return float(text)
    except ValueError:
        return math.nan
