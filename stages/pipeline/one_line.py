"""One line on standard error, and exit status 1, for what the user can mend."""

import os
import select
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager

from stages.pipeline.errors import UserError
from stages.pipeline.escaping import visible
from stages.pipeline.write_faults import explained_anywhere

DEBUG = "STAGEWRIGHT_DEBUG"
"""Set this environment variable to see the traceback of an error that is otherwise told in one line."""

_STATUS_OF_SIGPIPE = 128 + signal.SIGPIPE


@contextmanager
def one_line_errors() -> Iterator[None]:
    """Turn what the user can mend into one line on standard error and exit status 1.

    Where nobody reads on, as behind `| head`, it ends without a word and with the status that SIGPIPE gives.
    """
    try:
        with explained_anywhere():
            yield
            sys.stdout.flush()
    except BrokenPipeError:
        if not _nobody_reads():
            raise
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # or Python complains of it as it ends
        sys.exit(_STATUS_OF_SIGPIPE)
    except UserError as error:
        if os.environ.get(DEBUG):
            raise
        print(f"error: {visible(' '.join(str(error).split()))}", file=sys.stderr)
        sys.exit(1)


def _nobody_reads() -> bool:
    """Whether standard output is a pipe whose reader has gone; a broken pipe may be another one."""
    poll = select.poll()
    poll.register(sys.stdout.fileno(), 0)
    return any(event & select.POLLERR for _, event in poll.poll(0))
