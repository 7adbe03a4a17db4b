"""One line on standard error, and exit status 1, for what the user can mend."""

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager

from stages.pipeline.errors import UserError
from stages.pipeline.escaping import visible
from stages.pipeline.write_faults import explained_anywhere

DEBUG = "STAGEWRIGHT_DEBUG"
"""Set this environment variable to see the traceback of an error that is otherwise told in one line."""


@contextmanager
def one_line_errors() -> Iterator[None]:
    """Turn what the user can mend into one line on standard error and exit status 1."""
    try:
        with explained_anywhere():
            yield
    except UserError as error:
        if os.environ.get(DEBUG):
            raise
        print(f"error: {visible(' '.join(str(error).split()))}", file=sys.stderr)
        sys.exit(1)
