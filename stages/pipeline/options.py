"""Values of a command line's options, for `argparse`. No stage has any: their command line is Hydra's."""

import argparse
import math
from collections.abc import Callable


def at_least(least: int) -> Callable[[str], int]:
    """Return what reads a number from `least` on. It raises argparse.ArgumentTypeError for anything else."""

    def read(text: str) -> int:
        if not text.isdecimal() or int(text) < least:
            raise argparse.ArgumentTypeError(f"{text} is not a whole number of at least {least}")
        return int(text)

    return read


count = at_least(1)
"""Reads a number from 1 on."""


def number(text: str) -> float:
    """Return the number that a text is; NaN if it is none, which is neither within nor beyond any bound."""
    try:
        return float(text)
    except ValueError:
        return math.nan
