"""Compose `conf/` with overrides, and tell in one line what Hydra or the schema refuses."""

import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from hydra import compose, initialize_config_dir
from hydra.errors import HydraException, MissingConfigException, OverrideParseException
from omegaconf import OmegaConf
from omegaconf.errors import (
    GrammarParseError,
    InterpolationKeyError,
    OmegaConfBaseException,
    UnsupportedInterpolationType,
)
from ruamel.yaml.error import YAMLError, YAMLStreamError
from yaml import YAMLError as HydraYAMLError

import stages.configuration.hydra_plugins.fingerprint
import stages.configuration.hydra_plugins.no_environment  # noqa: F401 (imported for what they register)
from stages.configuration.validation import did_you_mean, groups, keys_of, shortened, validate
from stages.pipeline.errors import ConfigError
from stages.pipeline.paths import CONF


def compose_params(overrides: list[str]) -> dict[str, object]:
    """Compose, resolve and validate `conf/config.yaml`. Raises ConfigError for what Hydra or the schema refuses."""
    composed = compose_unchecked(overrides)
    validate(composed, str(CONF))
    return composed


def compose_unchecked(overrides: list[str]) -> dict[str, object]:
    """Compose and resolve `conf/config.yaml` without validating it. Raises ConfigError for what Hydra refuses."""
    with composition_errors(str(CONF), overrides), initialize_config_dir(str(CONF.absolute()), version_base="1.3"):
        composed = OmegaConf.to_container(compose("config", overrides), resolve=True)
    assert isinstance(composed, dict)
    return {str(key): value for key, value in composed.items()}


def chooses_a_file(name: str) -> bool:
    """Whether an override of this name chooses a file of `conf/`, as `data=files` does and `seed=1` does not."""
    return name in {*groups(), "experiment"} - _SINGLE_KEYS


_SINGLE_KEYS = {"seed", "threads"}
"""What stands in `params.yaml` beside the groups, and has no folder in `conf/`."""

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
    if isinstance(error, MissingConfigException) and error.missing_cfg_file and error.options:
        group, _, choice = error.missing_cfg_file.rpartition("/")
        return f"{group}={choice}: there is no such choice; {did_you_mean(choice, error.options)}"
    if isinstance(error, OverrideParseException):
        return f"{error.override}: is not a valid override ({text}); write key=value, and quote what Hydra would parse"
    if isinstance(error, InterpolationKeyError | UnsupportedInterpolationType | GrammarParseError):
        text += r"; write \${ for a text that has ${"
    key = getattr(error, "full_key", None)
    overridden = [override.partition("=")[0].lstrip("+~") for override in overrides]
    if key is None and not any(name and name in text for name in overridden):
        key = shortened(", ".join(overrides))
    return f"{key}: {text}" if key and key not in text else text
