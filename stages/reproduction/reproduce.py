"""`python -m stages.reproduction.reproduce`: `dvc repro`, with its arguments, after any kill and never twice at once.

It puts right what a killed run left half-written in DVC's own files, and runs `dvc repro` as a child that ends with it.
"""

import logging
import sys

from stages.pipeline.dvc_lock import keep_lock
from stages.pipeline.errors import BusyError
from stages.pipeline.lock import PATIENCE, hold, holder
from stages.pipeline.one_line import one_line_errors
from stages.pipeline.paths import RUNNING, WRITING
from stages.pipeline.recovery import restore_recorded_outputs
from stages.reproduction.cache import mend_cache, remember_cache
from stages.reproduction.child import DvcChild
from stages.reproduction.leftovers import remove_leftovers
from stages.reproduction.lock_file import mend_lock
from stages.reproduction.path_locks import drop_dead_path_locks


def reproduce(arguments: list[str]) -> int:
    """Run `dvc repro` with `arguments`; returns its exit status, or 128 + the signal that ended it.

    Raises BusyError, which names who is at work here.
    """
    with hold(RUNNING, "dvc repro"):
        mend()
        status = DvcChild([sys.executable, "-m", "dvc", "repro", *arguments]).wait()
        with hold(WRITING, "dvc repro", patience=PATIENCE):  # for a stage that has outlived DVC
            mend_lock()  # which a full disk or a signal can leave cut off as well
            keep_lock()
            remember_cache()
            if status:
                restore_recorded_outputs()
        return status


def mend() -> None:
    """Put right what a killed run left. Raises BusyError if another one is at work, and does not end soon."""
    drop_dead_path_locks()
    with hold(WRITING, "dvc repro", patience=PATIENCE):
        remove_leftovers()
        mend_lock()
        mend_cache()


def main() -> None:
    """The command line."""
    logging.basicConfig(format="%(message)s", stream=sys.stdout)
    logging.getLogger("stages").setLevel(logging.INFO)
    with one_line_errors():
        try:
            sys.exit(reproduce(sys.argv[1:]))
        except BusyError as error:
            raise _with_stage(error) from error


def _with_stage(error: BusyError) -> BusyError:
    stage = holder(WRITING)
    if stage is None or str(stage) in str(error):
        return error
    return BusyError(f"{error}; it is in {stage.name} since {stage.since}")


if __name__ == "__main__":
    main()
