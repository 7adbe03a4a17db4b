"""One line for each error and each log message, whatever text stands in it."""

import logging
import os
import select
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TextIO

from stages.pipeline.errors import UserError
from stages.pipeline.escaping import visible
from stages.pipeline.outputs import full_disk_as_output_error

DEBUG = "STAGEWRIGHT_DEBUG"
"""Set this environment variable to see the traceback of an error that is otherwise told in one line."""

_STATUS_OF_SIGPIPE = 128 + signal.SIGPIPE


@contextmanager
def one_line_errors() -> Iterator[None]:
    """Turn an error that the user can mend into one line on standard error and exit status 1.

    Where the reader of standard output has gone, as after `| head`, exit silently with the status that SIGPIPE gives.
    """
    try:
        with full_disk_as_output_error():
            yield
            sys.stdout.flush()
    except BrokenPipeError:
        poll = select.poll()
        poll.register(sys.stdout.fileno(), 0)
        if not any(event & select.POLLERR for _, event in poll.poll(0)):
            raise  # the pipe that broke is not standard output
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # or Python complains about it at exit
        sys.exit(_STATUS_OF_SIGPIPE)
    except (UserError, PermissionError) as error:
        if os.environ.get(DEBUG) or (
            isinstance(error, PermissionError) and not isinstance(error.filename, str | bytes)
        ):
            raise
        print(f"error: {visible(' '.join(_told(error).split()))}", file=sys.stderr)
        sys.exit(1)


def _told(error: UserError | PermissionError) -> str:
    if isinstance(error, UserError):
        return str(error)
    return f"{os.fsdecode(error.filename)}: permission is denied; make it, and the folders above it, accessible to you"


def one_line_log() -> None:
    """Log to standard output, one line per message; of our own modules also messages of level INFO."""
    handler = _StandardOutput(sys.stdout)
    handler.setFormatter(OneLineFormatter("%(message)s"))
    logging.basicConfig(handlers=[handler])
    logging.getLogger("stages").setLevel(logging.INFO)


class _StandardOutput(logging.StreamHandler[TextIO]):
    """Ends the process where the reader of standard output has gone. logging would print a traceback for each message."""

    def handleError(self, record: logging.LogRecord) -> None:  # noqa: N802 (logging's name)
        error = sys.exception()
        if isinstance(error, BrokenPipeError):
            raise error
        super().handleError(record)


class OneLineFormatter(logging.Formatter):
    """Make a message one line: no name or label in it can move the cursor or pass for another line."""

    def formatMessage(self, record: logging.LogRecord) -> str:  # noqa: N802 (logging's name)
        """Return the message. A traceback follows it unchanged."""
        return visible(super().formatMessage(record))
