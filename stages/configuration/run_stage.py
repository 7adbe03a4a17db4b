"""Run a stage on its part of the parameters, and tell the user in one line what they must mend."""

import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TypeVar

from stages.configuration.params_file import read_params
from stages.configuration.schema import Params
from stages.configuration.validation import select
from stages.pipeline.environment import Compute
from stages.pipeline.lock import PATIENCE, hold
from stages.pipeline.one_line import one_line_errors, one_line_log
from stages.pipeline.paths import WRITING
from stages.pipeline.recovery import keep_lock, keep_outputs, restore_outputs
from stages.pipeline.stage_records import run_recorded
from stages.pipeline.torchrun import is_main_process

Config = TypeVar("Config")


def params_or_exit() -> Params:
    """Read `params.yaml` with the command line's overrides; exit with 1 if they have a fault, with 0 after `--help`.

    A stage calls this before its imports: those take seconds, and a fault is to be told at once. `params.yaml` is read,
    not `conf/`, because that is what DVC tracks and what `dvc exp run -S` writes.
    """
    with one_line_errors(), _last_outputs_restored_on_failure():
        params = read_params()
    if params is None:
        sys.exit(0)
    return params


def run_stage(
    stage: Callable[[Config], Compute | None], config_type: type[Config], params: Params, *, offline: bool = True
) -> None:
    """Run `stage` on its part of `params`; exit with 1 if it can't.

    `offline` switches the Hub off: all network access is in `download`. A stage that runs the model returns the device,
    precision and threads it computed with; they are recorded with its seconds.
    """
    if offline:
        switch_hub_off()
    one_line_log()
    with one_line_errors(), _only_writer(stage.__name__), _last_outputs_restored_on_failure():
        run_recorded(stage, select(params, config_type))


def pop_flag(flag: str) -> bool:
    """Remove a flag from the command line, which Hydra then parses without it. Return whether it was there."""
    was_there = flag in sys.argv[1:]
    sys.argv[1:] = [argument for argument in sys.argv[1:] if argument != flag]
    return was_there


def run_without_outputs(look: Callable[[Config], None], config_type: type[Config], params: Params) -> None:
    """Run what writes nothing here on its part of `params`, also beside a run; exit with 1 if it can't."""
    one_line_log()
    with one_line_errors():
        look(select(params, config_type))


@contextmanager
def _only_writer(name: str) -> Iterator[None]:
    """Hold the lock on writing here. Waits for the orphan of a killed run to exit."""
    if not is_main_process():
        yield
        return
    with hold(WRITING, f"stage {name}", patience=PATIENCE):
        keep_lock()
        yield
        keep_outputs()


@contextmanager
def _last_outputs_restored_on_failure() -> Iterator[None]:
    """Restore the outputs of the last successful run if the block fails."""
    try:
        yield
    except BaseException:
        if is_main_process():
            restore_outputs()
        raise


def switch_hub_off() -> None:
    """Make `huggingface_hub` refuse any request, in this process and in those it starts.

    It reads the environment variable when it is imported, and a stage's own imports may have imported it already.
    """
    os.environ["HF_HUB_OFFLINE"] = "1"
    if "huggingface_hub.constants" in sys.modules:
        sys.modules["huggingface_hub.constants"].HF_HUB_OFFLINE = True  # type: ignore[attr-defined]
