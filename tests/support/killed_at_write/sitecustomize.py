"""Kill DVC at its n-th change of a file: Python runs this module as it starts, if its folder is on PYTHONPATH."""

import os
import signal
import sys
from itertools import count

AT = "KILL_AT_WRITE"
_CHANGES = {"os.rename", "os.remove", "os.mkdir", "os.rmdir", "os.chmod", "sqlite3.connect"}
_WRITING = os.O_WRONLY | os.O_RDWR


def _watch(at: int) -> None:
    changes = count(1)

    def kill(event: str, arguments: tuple[object, ...]) -> None:
        opens = event == "open" and isinstance(arguments[2], int) and arguments[2] & _WRITING
        is_change = (opens or event in _CHANGES) and not str(arguments[0]).startswith("/dev/")
        if is_change and next(changes) == at:
            os.kill(os.getpid(), signal.SIGKILL)

    sys.addaudithook(kill)


if AT in os.environ and "dvc" in sys.orig_argv:
    _watch(int(os.environ[AT]))
