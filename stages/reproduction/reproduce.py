"""`python -m stages.reproduction.reproduce`: run `dvc repro`, with its arguments, after any kill and never twice at once.

It repairs what a killed run left half-written in DVC's own files, and runs `dvc repro` as a child process that ends with it.
"""

import sys

from stages.pipeline.dvc_lock import keep_lock
from stages.pipeline.errors import BusyError
from stages.pipeline.lock import PATIENCE, hold, holder
from stages.pipeline.one_line import one_line_errors, one_line_log
from stages.pipeline.paths import RUNNING, WRITING
from stages.pipeline.recovery import restore_recorded_outputs
from stages.reproduction.child import DvcChild
from stages.reproduction.path_locks import drop_dead_path_locks
from stages.reproduction.repair import mend_cache, mend_lock, remember_cache, remove_leftovers


def reproduce(arguments: list[str]) -> int:
    """Run `dvc repro` with `arguments`; return its exit status, or 128 + the signal that ended it.

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
        return status


def mend() -> None:
    """Repair what a killed run left. Raises BusyError if another run is at work, and does not end soon."""
    drop_dead_path_locks()
    with hold(WRITING, "dvc repro", patience=PATIENCE):
        remove_leftovers()
        mend_lock()
        mend_cache()


def main() -> None:
    """Run the command line."""
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
