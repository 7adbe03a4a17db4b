"""Handle SIGTERM, which comes before a machine is shut down, and SIGINT, which is Ctrl-C."""

import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import NoReturn

from stages.pipeline.torchrun import is_main_process
from stages.training.checkpoints import FOLDER, are_lost_with_the_run

GRACE = 20
"""Seconds for training to finish its step and write a checkpoint. Machines are shut down after 30."""

_SIGNALS = (signal.SIGTERM, signal.SIGINT)


class Interrupted(SystemExit):
    """Ends the process with the status that shells give for its signal: 143 or 130."""

    def __init__(self, signum: int, saved_step: int | None = None) -> None:
        """`signum`: the signal. `saved_step`: the step at which training stopped, if its checkpoint has been written."""
        super().__init__(128 + signum)
        after = "" if saved_step is None else f" after step {saved_step}"
        self.line = f"stopped by {signal.Signals(signum).name}{after}; {_what_next(saved_step)}"


def _what_next(saved_step: int | None) -> str:
    """Return what to do next, in words."""
    if are_lost_with_the_run():
        return (
            "DVC removes this run's folder with its checkpoints, and the same command starts from the beginning: let "
            f"{FOLDER} name a folder that is kept"
        )
    if saved_step is None:
        return "run the same command to start again, from the last checkpoint if there is one"
    return "run the same command to continue from there"


class Interruption:
    """Raises `Interrupted` for the first signal: at once or, inside `deferred`, once a checkpoint has been written."""

    def __init__(self) -> None:
        """Signals are handled inside `listening`."""
        self.signum = 0
        """The signal that has come; 0 if none has."""
        self._is_deferred = False

    @contextmanager
    def listening(self) -> Iterator[None]:
        """Handle signals inside the block. Print one line if a signal ended it."""
        before = {signum: signal.signal(signum, self._note) for signum in _SIGNALS}
        before[signal.SIGALRM] = signal.signal(signal.SIGALRM, self._out_of_time)
        try:
            yield
        except Interrupted as interrupted:
            if is_main_process():
                print(interrupted.line, file=sys.stderr)
            raise
        finally:
            signal.alarm(0)
            for signum, handler in before.items():
                signal.signal(signum, handler)

    @contextmanager
    def deferred(self) -> Iterator[None]:
        """Only note a signal inside the block: training calls `stop` when it is ready, or it is called after `GRACE` seconds."""
        self._is_deferred = True
        try:
            yield
        finally:
            self._is_deferred = False
        if self.signum:
            self.stop()

    def stop(self) -> NoReturn:
        """Raise `Interrupted` for the signal that has come."""
        raise Interrupted(self.signum)

    def _note(self, signum: int, frame: FrameType | None) -> None:
        if self.signum:
            return  # DVC, the terminal and torchrun may each send it
        self.signum = signum
        if not self._is_deferred:
            self.stop()
        signal.alarm(GRACE)

    def _out_of_time(self, signum: int, frame: FrameType | None) -> None:
        self.stop()
