"""Read `params.yaml` with the command line's overrides, through Hydra: typed and validated.

Hydra gives the command line its meaning (`train.learning_rate=1e-4`, `--help`, `--cfg job`), but does not read the
file: it would take a key `hydra`, or a header `# @package hydra`, for its own settings, in which `_target_` runs code.
"""

import os
import re
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from hydra import main as hydra_main
from hydra.core.config_store import ConfigStore
from omegaconf import DictConfig, OmegaConf
from ruamel.yaml import YAML

from stages.configuration.composition import chooses_a_file, compose_params, composition_errors
from stages.configuration.hydra_plugins.fingerprint import unwatched
from stages.configuration.schema import Params
from stages.configuration.validation import unknown_groups, validate
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

    Where the command line chooses a group (`data=files`), they are composed from `conf/`, as `compose` does, and
    `params.yaml` is not read. Raises ConfigError naming every faulty key, its value and the choices.
    """
    os.environ["HYDRA_FULL_ERROR"] = "1"  # Hydra raises its errors instead of printing them itself
    read: list[DictConfig] = []
    arguments = sys.argv[1:]
    with composition_errors(str(PARAMS), arguments):
        if _chooses_a_group(arguments):
            with unwatched():
                config = _literal(compose_params([each for each in arguments if _OVERRIDE.match(each)]))
            arguments = [each for each in arguments if not _OVERRIDE.match(each)]
        else:
            config = _written()
            for group in ("data", "model"):
                if any(each.lstrip("+~").startswith(f"{group}.") for each in arguments):
                    config = _without_fingerprint(config, group)
        ConfigStore.instance().store(name=_NAME, node={**_SETTINGS, **config})
        sys.argv[1:] = arguments
        hydra_main(version_base="1.3", config_path=None, config_name=_NAME)(read.append)()
        plain = [_plain(found) for found in read]
    return validate(plain[0], str(PARAMS)) if plain else None


_OVERRIDE = re.compile(r"~|[^-][^=]*=")
_CHOICE = re.compile(r"\+*([\w/]+)(@[^=]*)?=")


def _chooses_a_group(arguments: Sequence[str]) -> bool:
    return any(chooses_a_file(match.group(1)) for match in map(_CHOICE.match, arguments) if match)


def _without_fingerprint(config: dict[str, object], group: str) -> dict[str, object]:
    """Return the parameters without the fingerprint of the files that a group names, as others may be named instead."""
    named = config.get(group)
    return (
        {**config, group: {**named, "fingerprint": None}}
        if isinstance(named, dict) and "fingerprint" in named
        else config
    )


def _written() -> dict[str, object]:
    """Return the content of the file, as `load_yaml` does."""
    if not PARAMS.is_file():
        raise ConfigError(
            f"{PARAMS}: not found in {Path.cwd().name}; run from the root of a clone or project, after `stagewright compose`"
        )
    found = load_yaml(PARAMS)
    if not isinstance(found, DictConfig):
        raise ConfigError(f"{PARAMS}: does not hold groups of keys; run `stagewright compose`")
    written = _plain(found, resolve=False)
    if faults := unknown_groups(written):
        raise ConfigError(f"{PARAMS}: {'; '.join(faults)}")
    return written


def load_yaml(path: Path) -> object:
    """Return the content of a file as OmegaConf has it, by YAML 1.2, as DVC and `compose` write it.

    OmegaConf itself reads YAML 1.1, in which `no` and `12:30` are no strings. Composition has resolved what was to be
    resolved, so `${...}` is a text here. Raises what `composition_errors` tells.
    """
    content = YAML(typ="safe").load(path.read_text(encoding="utf-8"))
    return OmegaConf.create(_literal(content)) if isinstance(content, dict) else content


def _literal(content: dict[str, object]) -> dict[str, object]:
    """Escape `${` in strings, so that resolving gives them back."""
    return {key: _escaped(value) for key, value in content.items()}


def _escaped(value: object) -> object:
    if isinstance(value, dict):
        return _literal(value)
    if isinstance(value, list):
        return [_escaped(item) for item in value]
    return _INTERPOLATION.sub(r"\1\1\\${", value) if isinstance(value, str) else value


_INTERPOLATION = re.compile(r"(\\*)\$\{")


def _plain(config: DictConfig, *, resolve: bool = True) -> dict[str, object]:
    found = OmegaConf.to_container(config, resolve=resolve)
    assert isinstance(found, dict)
    return {str(key): value for key, value in found.items()}
