"""`python -m stages.configuration.compose [group=choice] [key=value]`: compose `conf/` into `params.yaml`.

`dvc repro` reads `params.yaml` and does not look at `conf/`. `dvc exp run` composes by itself.

No stage reads this module, and `.dvcignore` names it: a change of it re-runs nothing.
"""

import argparse
from pathlib import Path

from hydra import compose, initialize_config_dir
from omegaconf import OmegaConf
from ruamel.yaml import YAML
from ruamel.yaml.error import YAMLError
from ruamel.yaml.scalarstring import DoubleQuotedScalarString

import stages.configuration.hydra_plugins.no_environment  # noqa: F401 (imported for what it registers)
from stages.configuration.params_file import composition_errors
from stages.configuration.validation import validate
from stages.pipeline.errors import ConfigError
from stages.pipeline.lock import hold
from stages.pipeline.one_line import one_line_errors
from stages.pipeline.outputs import whole_file
from stages.pipeline.paths import CONF, PARAMS, RUNNING, WRITING

_MOST_KEYS = 5
"""How many keys a message lists."""


def compose_params(overrides: list[str]) -> dict[str, object]:
    """Compose, resolve and validate `conf/config.yaml`. Raises ConfigError for what Hydra or the schema refuses."""
    with composition_errors(str(CONF), overrides), initialize_config_dir(str(CONF.absolute()), version_base="1.3"):
        composed = OmegaConf.to_container(compose("config", overrides), resolve=True)
    assert isinstance(composed, dict)
    plain = {str(key): value for key, value in composed.items()}
    validate(plain, str(CONF))
    return plain


def write_params(params: dict[str, object], path: Path) -> None:
    """Write `params` as DVC does after a composition. Leave the file alone if nothing changes."""
    if _read(path) == params:
        return
    yaml = YAML()
    yaml.default_flow_style = False
    with whole_file(path) as partial, partial.open("w", encoding="utf-8") as file:
        yaml.dump(_with_escapes(params), file)


def _with_escapes(content: object) -> object:
    """Quote strings with line breaks that are not ASCII, which readers of YAML take for spaces where they are not escaped."""
    if isinstance(content, dict):
        return {key: _with_escapes(value) for key, value in content.items()}
    if isinstance(content, list):
        return [_with_escapes(value) for value in content]
    return DoubleQuotedScalarString(content) if isinstance(content, str) and _BREAKS & set(content) else content


_BREAKS = frozenset("\x85\u2028\u2029")


def differing_keys(params: dict[str, object], path: Path) -> list[str]:
    """Return the keys whose values in `path` are not those of `params`."""
    composed, written = _flat(params), _flat(_read(path))
    return [key for key in {**composed, **written} if repr(composed.get(key)) != repr(written.get(key))]


def require_equal(params: dict[str, object], path: Path) -> None:
    """Raise ConfigError naming the keys whose values in `path` are not what `conf/` composes to."""
    if keys := differing_keys(params, path):
        shown = ", ".join(keys[:_MOST_KEYS]) + (f" and {len(keys) - _MOST_KEYS} more" if len(keys) > _MOST_KEYS else "")
        raise ConfigError(
            f"{path}: is not what {CONF}/ composes to ({shown}); run `python -m stages.configuration.compose`"
        )


def _read(path: Path) -> object:
    """Return the content of a YAML file; None if there is no file, or it is not YAML."""
    try:
        return YAML(typ="safe").load(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, YAMLError):
        return None


def _flat(content: object, prefix: str = "") -> dict[str, object]:
    if not isinstance(content, dict):
        return {prefix: content}
    below = [_flat(value, f"{prefix}.{key}" if prefix else str(key)) for key, value in content.items()]
    return {key: value for part in below for key, value in part.items()}


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(prog="python -m stages.configuration.compose", description=__doc__)
    parser.add_argument("overrides", nargs="*", help="Hydra overrides, such as experiment=wnut17 or train.epochs=3")
    parser.add_argument("--check", action="store_true", help="write nothing; exit 1 if params.yaml differs")
    arguments = parser.parse_args()
    with one_line_errors():
        params = compose_params(arguments.overrides)
        if arguments.check:
            require_equal(params, PARAMS)
        else:
            with hold(RUNNING, "compose"), hold(WRITING, "compose"):  # DVC records what is there when a stage ends
                write_params(params, PARAMS)


if __name__ == "__main__":
    main()
