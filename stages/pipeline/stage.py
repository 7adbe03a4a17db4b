"""How a stage starts: `params.yaml` through Hydra, typed and validated, and one line where the user must mend something."""

import logging
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

from hydra import main as hydra_main
from hydra.core.config_store import ConfigStore
from omegaconf import DictConfig, OmegaConf

import stages.configuration.hydra_plugins.no_environment  # noqa: F401 (imported for what it registers)
from stages.configuration.composition import composition_explained
from stages.configuration.schema import Params
from stages.configuration.validation import select, validate
from stages.pipeline.errors import ConfigError, UserError
from stages.pipeline.escaping import visible
from stages.pipeline.paths import PARAMS
from stages.pipeline.recovery import keep_outputs, restore_outputs

Config = TypeVar("Config")

DEBUG = "STAGEWRIGHT_DEBUG"
"""Set this environment variable to see the traceback of an error that is otherwise told in one line."""


def run_stage(stage: Callable[[Config], None], config_type: type[Config], *, offline: bool = True) -> None:
    """Run `stage` on its part of `params.yaml` and the command line's overrides; exit with 1 if it can't.

    Hydra gives the command line its meaning (`train.learning_rate=1e-4`, `--help`, `--cfg job`). It reads
    `params.yaml`, not `conf/`, because that is what DVC tracks and what `dvc exp run -S` writes.
    `offline` switches the Hub off: all network access is in `download`.
    """
    if offline:
        switch_hub_off()
    logging.basicConfig(handlers=[_log_handler()])
    logging.getLogger("stages").setLevel(logging.INFO)
    with one_line_errors():
        try:
            for params in _read_params():
                stage(select(params, config_type))
        except BaseException:
            restore_outputs()
            raise
        keep_outputs()


def tell_faults_early() -> None:
    """Exit with 1 if the configuration has a fault: before a stage's imports, which take seconds, not behind them."""
    with one_line_errors():
        try:
            read = _read_params()
        except BaseException:
            restore_outputs()
            raise
    if not read:
        sys.exit(0)


def _read_params() -> list[Params]:
    """`params.yaml` with the command line's overrides; none where Hydra only had to show it (`--help`, `--cfg job`)."""
    _require_params()
    _register_hydra_settings()
    os.environ["HYDRA_FULL_ERROR"] = "1"  # Hydra raises to us instead of printing pages itself
    read: list[DictConfig] = []
    with composition_explained(str(PARAMS), sys.argv[1:]):
        hydra_main(version_base="1.3", config_path=str(Path.cwd()), config_name="stage")(read.append)()
        plain = [_plain(config) for config in read]
    return [validate(params, str(PARAMS)) for params in plain]


def _plain(config: DictConfig) -> dict[str, object]:
    found = OmegaConf.to_container(config, resolve=True)
    assert isinstance(found, dict)
    return {str(key): value for key, value in found.items()}


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


def _require_params() -> None:
    if not PARAMS.is_file():
        raise ConfigError(
            f"{PARAMS}: not found in {Path.cwd().name}; run from the repository root, after "
            "`python -m stages.configuration.compose`"
        )


def _register_hydra_settings() -> None:
    """No dated output folders, no change of directory, no logging set-up by Hydra."""
    ConfigStore.instance().store(
        name="stage",
        node={
            "defaults": [
                PARAMS.stem,
                "_self_",
                {"override hydra/job_logging": "none"},
                {"override hydra/hydra_logging": "none"},
            ],
            "hydra": {"run": {"dir": "."}, "output_subdir": None, "job": {"chdir": False}},
        },
    )
