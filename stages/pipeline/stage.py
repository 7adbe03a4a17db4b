"""How a stage starts: `params.yaml` through Hydra, typed and validated, and one line where the user must mend something."""

import logging
import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TypeVar

from hydra import main as hydra_main
from hydra.core.config_store import ConfigStore
from hydra.errors import HydraException
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from stages.configuration.schema import Params
from stages.configuration.validation import explain_composition_error, select, validate
from stages.pipeline.dvc_lock import keep_lock
from stages.pipeline.environment import Compute
from stages.pipeline.errors import BusyError, ConfigError
from stages.pipeline.lock import PATIENCE, hold
from stages.pipeline.one_line import one_line_errors
from stages.pipeline.paths import PARAMS, WRITING
from stages.pipeline.ranks import is_main_process
from stages.pipeline.recovery import keep_outputs, restore_outputs
from stages.pipeline.runs import run_recorded

Config = TypeVar("Config")


def run_stage(stage: Callable[[Config], Compute | None], config_type: type[Config], *, offline: bool = True) -> None:
    """Run `stage` on its part of `params.yaml` and the command line's overrides; exit with 1 if it can't.

    Hydra gives the command line its meaning (`train.learning_rate=1e-4`, `--help`, `--cfg job`). It reads
    `params.yaml`, not `conf/`, because that is what DVC tracks and what `dvc exp run -S` writes.
    `offline` switches the Hub off: all network access is in `download`. A stage that runs the model returns what it
    computed on, which is recorded with its seconds.
    """
    if offline:
        switch_hub_off()
    os.environ["HYDRA_FULL_ERROR"] = "1"  # Hydra raises to us instead of printing pages itself
    logging.basicConfig(format="%(message)s", stream=sys.stdout)
    logging.getLogger("stages").setLevel(logging.INFO)
    with one_line_errors():
        _require_params()
        _register_hydra_settings()
        try:
            for config in _composed_by_hydra():
                with _alone(stage.__name__):
                    run_recorded(stage, select(_typed(config), config_type))
        except BusyError:
            raise  # the outputs are now those of the run that holds the lock
        except BaseException:
            restore_outputs()
            raise


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


def _composed_by_hydra() -> list[DictConfig]:
    """The configuration with the command line's overrides; none where Hydra only had to show it (`--help`, `--cfg job`)."""
    composed: list[DictConfig] = []
    with _explained():
        hydra_main(version_base="1.3", config_path=str(Path.cwd()), config_name="stage")(composed.append)()
    return composed


@contextmanager
def _explained() -> Iterator[None]:
    try:
        yield
    except (HydraException, OmegaConfBaseException) as error:
        raise ConfigError(explain_composition_error(error)) from error


def switch_hub_off() -> None:
    """Make `huggingface_hub` refuse any request, in this process and in those it starts.

    It reads the variable when it is imported, which a stage's own imports may have done already.
    """
    os.environ["HF_HUB_OFFLINE"] = "1"
    if "huggingface_hub.constants" in sys.modules:
        sys.modules["huggingface_hub.constants"].HF_HUB_OFFLINE = True  # type: ignore[attr-defined]


def _typed(config: DictConfig) -> Params:
    with _explained():
        plain = OmegaConf.to_container(config, resolve=True)
    assert isinstance(plain, dict)
    return validate({str(key): value for key, value in plain.items()}, str(PARAMS))


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
