"""How a stage starts: its part of the parameters, and one line where the user must mend something."""

import logging
import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TypeVar

from stages.configuration.params_file import read_params
from stages.configuration.validation import select
from stages.pipeline.dvc_lock import keep_lock
from stages.pipeline.environment import Compute
from stages.pipeline.escaping import visible
from stages.pipeline.lock import PATIENCE, hold
from stages.pipeline.one_line import one_line_errors
from stages.pipeline.paths import WRITING
from stages.pipeline.ranks import is_main_process
from stages.pipeline.recovery import keep_outputs, restore_outputs
from stages.pipeline.runs import run_recorded

Config = TypeVar("Config")


def run_stage(stage: Callable[[Config], Compute | None], config_type: type[Config], *, offline: bool = True) -> None:
    """Run `stage` on its part of `params.yaml` and the command line's overrides; exit with 1 if it can't.

    It reads `params.yaml`, not `conf/`, because that is what DVC tracks and what `dvc exp run -S` writes.
    `offline` switches the Hub off: all network access is in `download`. A stage that runs the model returns what it
    computed on, which is recorded with its seconds.
    """
    if offline:
        switch_hub_off()
    logging.basicConfig(handlers=[_log_handler()])
    logging.getLogger("stages").setLevel(logging.INFO)
    with one_line_errors():
        with _put_back_on_failure():
            params = read_params()
            config = None if params is None else select(params, config_type)
        if config is not None:
            with _alone(stage.__name__), _put_back_on_failure():
                run_recorded(stage, config)


def tell_faults_early() -> None:
    """Exit with 1 if the configuration has a fault: before a stage's imports, which take seconds, not behind them."""
    with one_line_errors(), _put_back_on_failure():
        params = read_params()
    if params is None:
        sys.exit(0)


@contextmanager
def _alone(name: str) -> Iterator[None]:
    """Let no other stage write here meanwhile, and wait for the orphan of a killed run to end."""
    if not is_main_process():
        yield
        return
    with hold(WRITING, f"stage {name}", patience=PATIENCE):
        keep_lock()
        yield
        keep_outputs()


@contextmanager
def _put_back_on_failure() -> Iterator[None]:
    """Restore the last outputs if the block fails."""
    try:
        yield
    except BaseException:
        if is_main_process():
            restore_outputs()
        raise


def switch_hub_off() -> None:
    """Make `huggingface_hub` refuse any request, in this process and in those it starts.

    It reads the variable when it is imported, which a stage's own imports may have done already.
    """
    os.environ["HF_HUB_OFFLINE"] = "1"
    if "huggingface_hub.constants" in sys.modules:
        sys.modules["huggingface_hub.constants"].HF_HUB_OFFLINE = True  # type: ignore[attr-defined]


class OneLineFormatter(logging.Formatter):
    """Makes a message one line, whatever names and labels stand in it: none can move the cursor or pass for another line."""

    def formatMessage(self, record: logging.LogRecord) -> str:  # noqa: N802 (logging's name)
        """The message; a traceback comes behind it as it is."""
        return visible(super().formatMessage(record))


def _log_handler() -> logging.Handler:
    handler = logging.StreamHandler(sys.stdout)
    handler.setFormatter(OneLineFormatter("%(message)s"))
    return handler
