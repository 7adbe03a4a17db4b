"""`python -m stages.configuration.compose [group=choice] [key=value]`: compose `conf/` into `params.yaml`.

`dvc repro` reads `params.yaml` and does not look at `conf/`. `dvc exp run` composes by itself.

No stage reads this module, and `.dvcignore` names it: a change of it re-runs nothing.
"""

import argparse
import json
import shlex
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import Override
from ruamel.yaml import YAML
from ruamel.yaml.error import YAMLError
from ruamel.yaml.scalarstring import DoubleQuotedScalarString

from stages.configuration.composition import compose_params
from stages.configuration.hydra_plugins.fingerprint import unwatched
from stages.configuration.validation import groups, shortened
from stages.pipeline.errors import ConfigError
from stages.pipeline.escaping import visible
from stages.pipeline.lock import hold
from stages.pipeline.one_line import one_line_errors
from stages.pipeline.outputs import whole_file, write_text
from stages.pipeline.paths import CONF, PARAMS, PARAMS_BEFORE, PLAIN, RUNNING, WRITING

_MOST_KEYS = 5
"""How many keys a message lists."""


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


@dataclass(frozen=True)
class Reset:
    """A setting of `params.yaml` that a composition does not take over, and no override names."""

    key: str
    before: object
    after: object

    def __str__(self) -> str:
        return f"{self.key} ({_shown(self.before)} → {_shown(self.after)})"


def resets(overrides: Sequence[str], composed: dict[str, object], path: Path) -> list[Reset]:
    """Return what `path` says and `composed`, which `overrides` compose to, does not. `overrides` have one value each.

    What is composed as without any override is reset; anything else is what they ask for. What had no override the last
    time either has changed in `conf/`. Of a group from another source, the source stands for all.
    """
    return _resets(overrides, composed, _composed_plainly(), path)


def _resets(overrides: Sequence[str], composed: dict[str, object], plain: dict[str, object], path: Path) -> list[Reset]:
    """`plain`: as `_composed_plainly` returns it."""
    written = _read(path)
    if not isinstance(written, dict):
        return []
    before, after, last = _flat(written), _flat(composed), _last_plain()
    named = [each.get_key_element().lstrip("+~").partition("@")[0] for each in parsed_overrides(overrides)]
    lost = [
        key
        for key in differing_keys(composed, path)
        if key in before  # a key that is new here had no value to keep
        and (not plain or repr(after.get(key)) == repr(plain.get(key)))
        and not (key in last and repr(before.get(key)) == repr(last[key]))
        and not any(key == name or key.startswith(f"{name}.") for name in (*named, _FINGERPRINT))
    ]
    moved = [key.removesuffix("source") for key in lost if key in ("data.source", "model.source")]
    lost = [key for key in lost if key.endswith(".source") or not key.startswith(tuple(moved))]
    return [Reset(key, before.get(key), after.get(key)) for key in lost]


def parsed_overrides(overrides: Sequence[str]) -> list[Override]:
    """Parse overrides in Hydra's syntax. Raises HydraException."""
    parsed: list[Override] = OverridesParser.create().parse_overrides(list(overrides))
    return parsed


def _composed_plainly() -> dict[str, object]:
    """Return what `conf/` composes to without overrides, by dotted keys; nothing if it needs some."""
    try:
        with unwatched():
            return _flat(compose_params([]))
    except ConfigError:
        return {}


def _last_plain() -> dict[str, object]:
    """Return the same of the last time."""
    try:
        return dict(json.loads(PLAIN.read_bytes()))
    except (OSError, ValueError, TypeError):
        return {}


def _shown(value: object) -> str:
    return "null" if value is None else shortened(str(value))


_FINGERPRINT = "data.fingerprint"


def tell_resets(overrides: Sequence[str], composed: dict[str, object], advice: str) -> None:
    """Say on standard error what a composition is about to reset, and keep a copy of the file as it is."""
    is_dvc_here, plain = PLAIN.parent.parent.is_dir(), _composed_plainly()
    found = _resets(overrides, composed, plain, PARAMS)
    if is_dvc_here and plain != _last_plain():
        write_text(PLAIN, json.dumps(plain) + "\n")
    if not found:
        return
    if is_dvc_here:
        write_text(PARAMS_BEFORE, PARAMS.read_text(encoding="utf-8"))
    more = f" and {len(found) - _MOST_KEYS} more" if len(found) > _MOST_KEYS else ""
    line = f"{PARAMS}: composing {CONF}/ resets {', '.join(map(str, found[:_MOST_KEYS]))}{more}; {advice}"
    print(visible(line), file=sys.stderr, flush=True)


def tell_resets_by_dvc(arguments: Sequence[str]) -> None:
    """Do so where DVC composes: for the arguments of `dvc exp run`. Of several values of a key, the first stands for all."""
    parser = argparse.ArgumentParser(add_help=False, allow_abbrev=False)
    parser.add_argument("-S", "--set-param", action="append", default=[])
    given = [each.removeprefix(f"{PARAMS}:") for each in parser.parse_known_args(list(arguments))[0].set_param]
    chosen = [next(iter(_values(each))) for each in parsed_overrides(given)]
    tell_resets(chosen, compose_params(chosen), _to_keep_by_dvc(arguments, chosen))


def _to_keep_by_dvc(arguments: Sequence[str], chosen: Sequence[str]) -> str:
    if any(
        each.get_key_element() in {*groups(), "experiment"} - {"seed", "threads"} for each in parsed_overrides(chosen)
    ):
        return f"to keep them, name them by -S too; the file as it was is {PARAMS_BEFORE}"
    command = shlex.join(["dvc", "exp", "run", "--no-hydra", *arguments[arguments.index("run") + 1 :]])
    return f"to keep them: cp {PARAMS_BEFORE} {PARAMS} && {command}"


def _values(override: Override) -> Iterator[str]:
    if override.is_sweep_override():
        yield from (f"{override.get_key_element()}={value}" for value in override.sweep_string_iterator())
    else:
        yield str(override.input_line)


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


_TO_KEEP = f"to keep them, name them as overrides, or: cp {PARAMS_BEFORE} {PARAMS} && dvc repro"


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
                tell_resets(arguments.overrides, params, _TO_KEEP)
                write_params(params, PARAMS)


if __name__ == "__main__":
    main()
