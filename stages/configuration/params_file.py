"""Read `params.yaml` with the command line's overrides, through Hydra: typed and validated.

Hydra gives the command line its meaning (`train.learning_rate=1e-4`, `--help`, `--cfg job`), but does not read the
file: it would take a key `hydra`, or a header `# @package hydra`, for its own settings, in which `_target_` runs code.
"""

import os
import re
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

from hydra import main as hydra_main
from hydra.core.config_store import ConfigStore
from hydra.errors import HydraException, OverrideParseException
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException
from ruamel.yaml import YAML
from ruamel.yaml.error import YAMLError, YAMLStreamError
from yaml import YAMLError as HydraYAMLError

import stages.configuration.hydra_plugins.no_environment  # noqa: F401 (imported for what it registers)
from stages.configuration.schema import Params
from stages.configuration.validation import did_you_mean, groups, keys_of, shortened, unknown_groups, validate
from stages.pipeline.errors import ConfigError
from stages.pipeline.paths import PARAMS

_NAME = "stage"
_SETTINGS: Mapping[str, object] = {
    "defaults": ["_self_", {"override hydra/job_logging": "none"}, {"override hydra/hydra_logging": "none"}],
    "hydra": {"run": {"dir": "."}, "output_subdir": None, "job": {"name": "Stagewright", "chdir": False}},
}
"""Hydra makes no dated output folders, changes no directory, and sets up no logging."""


def read_params() -> Params | None:
    """Return the parameters; None where Hydra has shown them instead (`--help`, `--cfg job`).

    Raises ConfigError naming every faulty key, its value and the choices.
    """
    os.environ["HYDRA_FULL_ERROR"] = "1"  # Hydra raises its errors instead of printing them itself
    read: list[DictConfig] = []
    with composition_errors(str(PARAMS), sys.argv[1:]):
        ConfigStore.instance().store(name=_NAME, node={**_SETTINGS, **_written()})
        hydra_main(version_base="1.3", config_path=None, config_name=_NAME)(read.append)()
        plain = [_plain(config) for config in read]
    return validate(plain[0], str(PARAMS)) if plain else None


def _written() -> dict[str, object]:
    """Return the content of the file, with interpolations unresolved."""
    if not PARAMS.is_file():
        raise ConfigError(
            f"{PARAMS}: not found in {Path.cwd().name}; run from the repository root, after "
            "`python -m stages.configuration.compose`"
        )
    found = load_yaml(PARAMS)
    if not isinstance(found, DictConfig):
        raise ConfigError(f"{PARAMS}: does not hold groups of keys; run `python -m stages.configuration.compose`")
    written = _plain(found, resolve=False)
    if faults := unknown_groups(written):
        raise ConfigError(f"{PARAMS}: {'; '.join(faults)}")
    return written


def load_yaml(path: Path) -> object:
    """Return the content of a file as OmegaConf has it, by YAML 1.2, as DVC and `compose` write it.

    OmegaConf itself reads YAML 1.1, in which `no` and `12:30` are no strings. Raises what `composition_errors` tells.
    """
    content = YAML(typ="safe").load(path.read_text(encoding="utf-8"))
    return OmegaConf.create(content) if isinstance(content, dict) else content


def _plain(config: DictConfig, *, resolve: bool = True) -> dict[str, object]:
    found = OmegaConf.to_container(config, resolve=resolve)
    assert isinstance(found, dict)
    return {str(key): value for key, value in found.items()}


YAML_ERRORS = (YAMLError, YAMLStreamError, HydraYAMLError)
_DETAILS = re.compile(r" (Config search path:|full_key:|See https:).*")
_RAISED = re.compile(r"\w+ raised while resolving interpolation: ")


@contextmanager
def composition_errors(origin: str, overrides: Sequence[str]) -> Iterator[None]:
    """Turn what Hydra raises in the block into ConfigError. It has no common class for that, and does not always name the key."""
    try:
        yield
    except (
        HydraException,
        OmegaConfBaseException,
        *YAML_ERRORS,
        OSError,
        ValueError,
        TypeError,
        RecursionError,
    ) as error:
        raise ConfigError(f"{origin}: {_explained(error, overrides)}") from error


def _explained(error: Exception, overrides: Sequence[str]) -> str:
    text = _DETAILS.sub("", _RAISED.sub("", " ".join(str(error).split())))
    unknown = re.match(r"Could not override '([\w.]+)'", text)
    if unknown:
        path = unknown.group(1)
        group, key = path.partition(".")[0], path.rpartition(".")[2]
        choices = keys_of(group) if group in groups() else [*groups(), "experiment"]
        return f"{path}: there is no such key; {did_you_mean(key, choices)}"
    if isinstance(error, OverrideParseException):
        return (
            f"{error.override}: is no override ({text}); write key=value, and quotes around what Hydra reads otherwise"
        )
    key = getattr(error, "full_key", None)
    overridden = [override.partition("=")[0].lstrip("+~") for override in overrides]
    if key is None and not any(name and name in text for name in overridden):
        key = shortened(", ".join(overrides))
    return f"{key}: {text}" if key and key not in text else text
