"""`params.yaml` with the command line's overrides, through Hydra: typed and validated.

Hydra gives the command line its meaning (`train.learning_rate=1e-4`, `--help`, `--cfg job`), but does not read the
file: it would take a key `hydra`, or a header `# @package hydra`, for its own settings, in which `_target_` runs code.
"""

import os
import sys
from collections.abc import Mapping
from pathlib import Path

from hydra import main as hydra_main
from hydra.core.config_store import ConfigStore
from omegaconf import DictConfig, OmegaConf

import stages.configuration.hydra_plugins.no_environment  # noqa: F401 (imported for what it registers)
from stages.configuration.composition import composition_explained
from stages.configuration.faults import unknown_groups
from stages.configuration.schema import Params
from stages.configuration.validation import validate
from stages.pipeline.errors import ConfigError
from stages.pipeline.paths import PARAMS

_NAME = "stage"
_SETTINGS: Mapping[str, object] = {
    "defaults": ["_self_", {"override hydra/job_logging": "none"}, {"override hydra/hydra_logging": "none"}],
    "hydra": {"run": {"dir": "."}, "output_subdir": None, "job": {"name": "Stagewright", "chdir": False}},
}
"""No dated output folders, no change of directory, no logging set-up by Hydra."""


def read_params() -> Params | None:
    """The parameters; None where Hydra only had to show them (`--help`, `--cfg job`).

    Raises ConfigError naming every faulty key, its value and the choices.
    """
    os.environ["HYDRA_FULL_ERROR"] = "1"  # Hydra raises to us instead of printing pages itself
    read: list[DictConfig] = []
    with composition_explained(str(PARAMS), sys.argv[1:]):
        ConfigStore.instance().store(name=_NAME, node={**_SETTINGS, **_written()})
        hydra_main(version_base="1.3", config_path=None, config_name=_NAME)(read.append)()
        plain = [_plain(config) for config in read]
    return validate(plain[0], str(PARAMS)) if plain else None


def _written() -> dict[str, object]:
    """What stands in the file, nothing resolved."""
    if not PARAMS.is_file():
        raise ConfigError(
            f"{PARAMS}: not found in {Path.cwd().name}; run from the repository root, after "
            "`python -m stages.configuration.compose`"
        )
    found = OmegaConf.load(PARAMS)
    if not isinstance(found, DictConfig):
        raise ConfigError(f"{PARAMS}: does not hold groups of keys; run `python -m stages.configuration.compose`")
    written = _plain(found, resolve=False)
    if faults := unknown_groups(written):
        raise ConfigError(f"{PARAMS}: {'; '.join(faults)}")
    return written


def _plain(config: DictConfig, *, resolve: bool = True) -> dict[str, object]:
    found = OmegaConf.to_container(config, resolve=resolve)
    assert isinstance(found, dict)
    return {str(key): value for key, value in found.items()}
