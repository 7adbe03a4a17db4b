"""Whether other runs put an example right or spoil it."""

from collections.abc import Sequence

from stages.reporting.content import Change


def change(errors: Sequence[float]) -> Change:
    """From how wrong each run is, the base first: the number of its errors, or the absolute error of a number."""
    base, *others = errors
    if any(other > base for other in others):
        return "broken"
    return "fixed" if any(other < base for other in others) else "wrong"
