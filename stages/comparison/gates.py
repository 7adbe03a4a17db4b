"""The checks that make a comparison fail: worse scores, slower stages."""

import argparse

from stages.comparison.gate import Gate, require
from stages.comparison.results import Comparison
from stages.comparison.seconds import SpeedGate


def add_gates(parser: argparse.ArgumentParser) -> None:
    """Add the options by which a check is asked for."""
    Gate.add_to(parser)
    SpeedGate.add_to(parser)


def require_all(comparison: Comparison, arguments: argparse.Namespace) -> None:
    """Raise WorseError or SlowerError for the first check that was asked for and does not hold."""
    for gate in arguments.fail_on_worse:
        require(comparison, gate)
    for speed_gate in arguments.fail_on_slower:
        speed_gate.require(comparison)
