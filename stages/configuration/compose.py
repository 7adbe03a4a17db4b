"""`stagewright compose [OVERRIDE]…`: compose `conf/` into `params.yaml`.

`dvc repro` reads `params.yaml` and does not look at `conf/`. `dvc exp run` composes by itself.

Examples:
  stagewright compose                                 what conf/ says
  stagewright compose task=tokens train.epochs=3      another choice of a group, another value of a key
  stagewright compose --check                         is params.yaml what conf/ says?
"""

# No stage reads this module, and `.dvcignore` names it: a change of it re-runs nothing.
import argparse
from pathlib import Path

from ruamel.yaml import YAML
from ruamel.yaml.scalarstring import DoubleQuotedScalarString

from stages.configuration.composition import compose_params
from stages.configuration.resets import MOST_KEYS, differing_keys, read_yaml, tell_resets
from stages.pipeline.errors import ConfigError
from stages.pipeline.lock import hold
from stages.pipeline.one_line import one_line_errors
from stages.pipeline.outputs import whole_file
from stages.pipeline.paths import CONF, PARAMS, PARAMS_BEFORE, RUNNING, WRITING


def write_params(params: dict[str, object], path: Path) -> None:
    """Write `params` as DVC does after a composition. Leave the file alone if nothing changes.

    `1`, `1.0` and `true` are equal in Python and different in the file.
    """
    if read_yaml(path) == params and not differing_keys(params, path):
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


def require_equal(params: dict[str, object], path: Path) -> None:
    """Raise ConfigError naming the keys whose values in `path` are not what `conf/` composes to."""
    if keys := differing_keys(params, path):
        shown = ", ".join(keys[:MOST_KEYS]) + (f" and {len(keys) - MOST_KEYS} more" if len(keys) > MOST_KEYS else "")
        raise ConfigError(f"{path}: is not what {CONF}/ composes to ({shown}); run `stagewright compose`")


_TO_KEEP = f"to keep them, name them as overrides, or: cp {PARAMS_BEFORE} {PARAMS} && dvc repro"


def parser() -> argparse.ArgumentParser:
    """Return the parser of the command line."""
    made = argparse.ArgumentParser(
        prog="stagewright compose", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    made.add_argument("overrides", nargs="*", help="Hydra overrides, such as experiment=wnut17 or train.epochs=3")
    made.add_argument("--check", action="store_true", help="write nothing; exit 1 if params.yaml differs")
    return made


def main() -> None:
    """Run the command line."""
    arguments = parser().parse_args()
    with one_line_errors():
        params = compose_params(arguments.overrides)
        if arguments.check:
            require_equal(params, PARAMS)
        else:
            with hold(RUNNING, "compose"), hold(WRITING, "compose"):  # DVC records what is there when a stage ends
                tell_resets(arguments.overrides, params, _TO_KEEP)
                write_params(params, PARAMS)


if __name__ == "__main__":
    main()
