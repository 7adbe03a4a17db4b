"""Natural order of names: `2.txt` before `10.txt`."""

import re

_NUMBER = re.compile(r"([0-9]+)")


def natural_key(name: str) -> tuple[tuple[str | int, ...], str]:
    """Return a sort key in which runs of digits are numbers. The name itself tells `1.txt` from `01.txt`."""
    parts = _NUMBER.split(name)
    return tuple(int(part) if place % 2 else part for place, part in enumerate(parts)), name
