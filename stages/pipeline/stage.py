"""How a stage starts: its part of the parameters, and one line where the user must mend something."""

import logging
import os
import sys
from collections.abc import Callable
from typing import TypeVar

from stages.configuration.params_file import read_params
from stages.configuration.validation import select
from stages.pipeline.errors import UserError
from stages.pipeline.escaping import visible
from stages.pipeline.recovery import keep_outputs, restore_outputs

Config = TypeVar("Config")

DEBUG = "STAGEWRIGHT_DEBUG"
"""Set this environment variable to see the traceback of an error that is otherwise told in one line."""


def run_stage(stage: Callable[[Config], None], config_type: type[Config], *, offline: bool = True) -> None:
    """Run `stage` on its part of `params.yaml` and the command line's overrides; exit with 1 if it can't.

    It reads `params.yaml`, not `conf/`, because that is what DVC tracks and what `dvc exp run -S` writes.
    `offline` switches the Hub off: all network access is in `download`.
    """
    if offline:
        switch_hub_off()
    logging.basicConfig(handlers=[_log_handler()])
    logging.getLogger("stages").setLevel(logging.INFO)
    with one_line_errors():
        try:
            params = read_params()
            if params is None:
                return
            stage(select(params, config_type))
        except BaseException:
            restore_outputs()
            raise
        keep_outputs()


def tell_faults_early() -> None:
    """Exit with 1 if the configuration has a fault: before a stage's imports, which take seconds, not behind them."""
    with one_line_errors():
        try:
            params = read_params()
        except BaseException:
            restore_outputs()
            raise
    if params is None:
        sys.exit(0)


def switch_hub_off() -> None:
    """Make `huggingface_hub` refuse any request, in this process and in those it starts.

    It reads the variable when it is imported, which a stage's own imports may have done already.
    """
    os.environ["HF_HUB_OFFLINE"] = "1"
    if "huggingface_hub.constants" in sys.modules:
        sys.modules["huggingface_hub.constants"].HF_HUB_OFFLINE = True  # type: ignore[attr-defined]


class one_line_errors:  # noqa: N801 (reads as a statement: `with one_line_errors():`)
    """Turn what the user can mend into one line on standard error and exit status 1."""

    def __enter__(self) -> None:
        return None

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: object) -> None:
        if os.environ.get(DEBUG):
            return
        if isinstance(error, UserError):
            print(f"error: {visible(' '.join(str(error).split()))}", file=sys.stderr)
            sys.exit(1)


class OneLineFormatter(logging.Formatter):
    """Makes a message one line, whatever names and labels stand in it: none can move the cursor or pass for another line."""

    def formatMessage(self, record: logging.LogRecord) -> str:  # noqa: N802 (logging's name)
        """The message; a traceback comes behind it as it is."""
        return visible(super().formatMessage(record))


def _log_handler() -> logging.Handler:
    handler = logging.StreamHandler(sys.stdout)
    handler.setFormatter(OneLineFormatter("%(message)s"))
    return handler
