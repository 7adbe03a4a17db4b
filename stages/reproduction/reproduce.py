"""`stagewright reproduce [ARGUMENT]…`: run `dvc repro` safely: after any kill, and never twice at once.

It first repairs what a killed run left half-written in DVC's own files. Arguments are passed on to `dvc repro`.

Examples:
  stagewright reproduce                        what has changed, with params.yaml as it is
  stagewright reproduce --force --single-item train
  stagewright reproduce --dry                  show what would run
"""

import argparse
import os
import signal
import sys
from contextlib import suppress
from types import FrameType
from typing import NoReturn

from psutil import NoSuchProcess, Process

from stages.pipeline.errors import BusyError
from stages.pipeline.lock import PATIENCE, hold, holder
from stages.pipeline.one_line import one_line_errors, one_line_log
from stages.pipeline.orphans import carries_stage, end_with_parent
from stages.pipeline.paths import RUNNING, WRITING
from stages.pipeline.recovery import keep_lock, restore_recorded_outputs
from stages.reproduction.repair import drop_dead_path_locks, mend_cache, mend_lock, remember_cache, remove_leftovers

AGAIN = 0.5
"""Seconds between two looks for a stage to terminate, once the run is to end."""

_NOT_FOUND = 127
_DIED = 128
_DVC_FAILED = 255
"""DVC's exit status for whatever went wrong, in a stage or in itself."""


class DvcChild:
    """A DVC command in a process group of its own, so that each signal reaches it once: through this process."""

    def __init__(self, command: list[str]) -> None:
        self._signal: signal.Signals | None = None
        self._ended_stages: set[Process] = set()
        sys.stdout.flush()
        self._pid = os.fork()
        if self._pid == 0:
            _exec(command)
        with suppress(OSError):  # the child has done so itself, and may have called exec
            os.setpgid(self._pid, self._pid)

    def wait(self) -> int:
        """Pass on signals until the child has ended; return its exit status, or 128 + the signal that ended either process."""
        handlers = {
            signal.SIGINT: self._interrupt,
            signal.SIGTERM: self._terminate,
            signal.SIGHUP: self._terminate,
            signal.SIGTSTP: self._stop,
            signal.SIGALRM: self._end_stage,
        }
        for number, handler in handlers.items():
            if signal.getsignal(number) != signal.SIG_IGN:  # as nohup and shells set it for background jobs
                signal.signal(number, handler)
        _, status = os.waitpid(self._pid, 0)
        for number in handlers:
            signal.signal(number, signal.SIG_IGN)  # what remains is short, and must not stop half-done
        code = os.waitstatus_to_exitcode(status)
        if self._signal:
            return _DIED + self._signal
        return code if code >= 0 else _DIED - code

    def _interrupt(self, number: int, frame: FrameType | None) -> None:
        """Interrupt the group, as a terminal does: DVC waits for its stage to end, and then ends too."""
        self._signal = signal.Signals(number)
        os.killpg(self._pid, signal.SIGINT)

    def _terminate(self, number: int, frame: FrameType | None) -> None:
        self._signal = signal.Signals(number)
        self._end_stage(number, frame)

    def _end_stage(self, number: int, frame: FrameType | None) -> None:
        """Terminate the stage alone, which may need time for a last checkpoint. DVC would die at once, and the stage with it.

        If no stage is running, DVC is interrupted. It may be about to start the next stage, so this is called again.
        """
        stage = _stage_of(Process(self._pid))
        if stage is None:
            os.killpg(self._pid, signal.SIGINT)
        elif stage not in self._ended_stages:
            self._ended_stages.add(stage)
            with suppress(NoSuchProcess):
                stage.terminate()
        signal.setitimer(signal.ITIMER_REAL, AGAIN)

    def _stop(self, number: int, frame: FrameType | None) -> None:
        os.killpg(self._pid, signal.SIGSTOP)
        os.kill(os.getpid(), signal.SIGSTOP)
        os.killpg(self._pid, signal.SIGCONT)  # runs once this process has got SIGCONT


def _exec(command: list[str]) -> NoReturn:
    try:
        os.setpgid(0, 0)
        os.dup2(os.open(os.devnull, os.O_RDONLY), 0)  # a terminal stops a reader of another process group
        end_with_parent()
        os.execvp(command[0], command)
    finally:
        os._exit(_NOT_FOUND)


def _stage_of(process: Process) -> Process | None:
    """Return the stage that DVC runs now. DVC may have started it through a shell, whose last argument is the command."""
    with suppress(NoSuchProcess):
        for child in process.children():
            if carries_stage(child):
                is_shell = child.cmdline()[-2:-1] == ["-c"]
                return _stage_of(child) if is_shell else child
    return None


def reproduce(arguments: list[str]) -> int:
    """Run `dvc repro` with `arguments`; return 0, 1 if it fails, or 128 + the signal that ended it.

    Raises BusyError, which names the other run, if there is one here.
    """
    with hold(RUNNING, "dvc repro"):
        mend()
        status = DvcChild([sys.executable, "-m", "dvc", "repro", *arguments]).wait()
        with hold(WRITING, "dvc repro", patience=PATIENCE):  # a stage may have outlived DVC
            mend_lock()  # a full disk or a signal can leave it cut off as well
            keep_lock()
            remember_cache()
            if status:
                restore_recorded_outputs()
        return 1 if status == _DVC_FAILED else status


def mend() -> None:
    """Repair what a killed run left. Raises BusyError if another run is at work, and does not end soon."""
    drop_dead_path_locks()
    with hold(WRITING, "dvc repro", patience=PATIENCE):
        remove_leftovers()
        mend_lock()
        mend_cache()


def parser() -> argparse.ArgumentParser:
    """Return the parser of the command line, of which all but --help is passed to DVC."""
    made = argparse.ArgumentParser(
        prog="stagewright reproduce", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    made.add_argument("arguments", nargs="*", metavar="ARGUMENT", help="of `dvc repro`; its own --help lists them")
    return made


def main() -> None:
    """Run the command line."""
    if {"-h", "--help"} & set(sys.argv[1:]):
        parser().parse_args(["--help"])
    one_line_log()
    with one_line_errors():
        try:
            sys.exit(reproduce(sys.argv[1:]))
        except BusyError as error:
            stage = holder(WRITING)
            if stage is None or str(stage) in str(error):
                raise
            raise BusyError(f"{error}; it is in {stage.name} since {stage.since}") from error


if __name__ == "__main__":
    main()
