"""What Hydra and OmegaConf refuse, in one line with the key that is concerned."""

import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from hydra.errors import HydraException, OverrideParseException
from omegaconf.errors import OmegaConfBaseException
from yaml import YAMLError

from stages.configuration.faults import did_you_mean, groups, keys_of, shortened
from stages.pipeline.errors import ConfigError

_DETAILS = re.compile(r" (Config search path:|full_key:|See https:).*")
_RAISED = re.compile(r"\w+ raised while resolving interpolation: ")


@contextmanager
def composition_explained(origin: str, overrides: Sequence[str]) -> Iterator[None]:
    """Raise ConfigError for what Hydra raises in this block. It has no one class for it, and the key not always in it."""
    try:
        yield
    except (HydraException, OmegaConfBaseException, YAMLError, OSError, ValueError, TypeError, RecursionError) as error:
        raise ConfigError(f"{origin}: {_explained(error, overrides)}") from error


def _explained(error: Exception, overrides: Sequence[str]) -> str:
    text = _DETAILS.sub("", _RAISED.sub("", " ".join(str(error).split())))
    unknown = re.match(r"Could not override '([\w.]+)'", text)
    if unknown:
        return _no_such_key(unknown.group(1))
    if isinstance(error, OverrideParseException):
        return (
            f"{error.override}: is no override ({text}); write key=value, and quotes around what Hydra reads otherwise"
        )
    key = getattr(error, "full_key", None)
    if key is None and not any(_is_named(override, text) for override in overrides):
        key = shortened(", ".join(overrides))
    return f"{key}: {text}" if key and key not in text else text


def _no_such_key(path: str) -> str:
    group, _, key = path.rpartition(".")
    choices = keys_of(group) if group in groups() else [*groups(), "experiment"]
    return f"{path}: there is no such key; {did_you_mean(key, choices)}"


def _is_named(override: str, text: str) -> bool:
    key = override.partition("=")[0].lstrip("+~")
    return key != "" and key in text
