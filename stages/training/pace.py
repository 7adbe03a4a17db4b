"""How often a checkpoint is worth its price."""

import os
import time

from stages.pipeline.errors import ConfigError

SECONDS = "STAGEWRIGHT_CHECKPOINT_SECONDS"
"""The environment variable that sets the seconds between two checkpoints, 0 for one after each step. No parameter: it
is a matter of the machine, changes no result, and must not make DVC train again."""

_SHORTEST = 60.0
_PRICE = 0.02
_EXPECTED_SPEED = 200e6
"""Bytes a second that go to the disk and through the digest, until the first one has been timed."""


class Pace:
    """Due a minute after the last one, or so much later that writing them takes no more than 2 % of the time."""

    def __init__(self, size: int) -> None:
        """`size`: a checkpoint's bytes, about. Raises ConfigError if `SECONDS` is no number."""
        self._chosen = _chosen_seconds()
        self.took(size / _EXPECTED_SPEED)

    @property
    def is_due(self) -> bool:
        """Whether it is time for one."""
        return time.monotonic() - self._last >= self._pause

    def took(self, seconds: float) -> None:
        """Begin a pause after one that was written, or tried, in so many seconds."""
        self._last = time.monotonic()
        self._pause = max(_SHORTEST, seconds / _PRICE) if self._chosen is None else self._chosen


def _chosen_seconds() -> float | None:
    chosen = os.environ.get(SECONDS)
    try:
        return None if chosen is None else float(chosen)
    except ValueError as error:
        raise ConfigError(f"{SECONDS}={chosen!r} is no number of seconds") from error
