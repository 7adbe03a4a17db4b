"""Find which settings of `params.yaml` are reset when `conf/` is composed anew, and say so before.

No stage reads this module, and `.dvcignore` names it: a change of it re-runs nothing.
"""

import argparse
import json
import shlex
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import Override
from ruamel.yaml import YAML
from ruamel.yaml.error import YAMLError

from stages.configuration.composition import chooses_a_file, compose_params, compose_unchecked
from stages.configuration.hydra_plugins.fingerprint import unwatched
from stages.configuration.validation import shortened
from stages.pipeline.errors import ConfigError
from stages.pipeline.escaping import visible
from stages.pipeline.outputs import write_text
from stages.pipeline.paths import CONF, PARAMS, PARAMS_BEFORE, PLAIN

MOST_KEYS = 5
"""How many keys a message lists."""


def differing_keys(params: dict[str, object], path: Path) -> list[str]:
    """Return the keys whose values in `path` are not those of `params`."""
    composed, written = _flat(params), _flat(read_yaml(path))
    return [key for key in {**composed, **written} if not _are_same(key, composed, written)]


def _are_same(key: str, one: Mapping[str, object], other: Mapping[str, object]) -> bool:
    """Return whether a key has the same value in both. `1`, `1.0` and `True` are not the same."""
    return repr(one.get(key)) == repr(other.get(key))


@dataclass(frozen=True)
class Reset:
    """A setting of `params.yaml` that a composition does not take over, and no override names."""

    key: str
    before: object
    after: object

    def __str__(self) -> str:
        return f"{self.key} ({_shown(self.before)} → {_shown(self.after)})"


def resets(overrides: Sequence[str], composed: dict[str, object], path: Path) -> list[Reset]:
    """Return the settings of `path` that `composed` resets. `overrides`: those that it is composed of, with one value each.

    A setting is reset if its value becomes the one that `conf/` has without any override. Not counted are:

    - a value that no override gave the last time either: `conf/` has changed;
    - a value that follows from the choice of a group, if `overrides` name another one: `data.kind` follows from `task`;
    - other keys of a group whose source is reset.
    """
    return _resets(overrides, composed, _composed_plainly(), path)


def _resets(overrides: Sequence[str], composed: dict[str, object], plain: dict[str, object], path: Path) -> list[Reset]:
    """Return the resets. `plain`: as `_composed_plainly` returns it."""
    written = read_yaml(path)
    if not isinstance(written, dict):
        return []
    before, after, last = _flat(written), _flat(composed), _last_plain()
    named = (*(_named(each) for each in parsed_overrides(overrides)), *_FINGERPRINTS)
    lost = [
        key
        for key in differing_keys(composed, path)
        if key in before  # a key that is new here had no value to keep
        and (not plain or _are_same(key, after, plain))
        and not (key in last and _are_same(key, before, last))
        and not any(key == name or key.startswith(f"{name}.") for name in named)
    ]
    if lost and (chosen := _choices(overrides)):
        last_chosen = _of_likeliest_choices(chosen, before)
        lost = [key for key in lost if not _are_same(key, before, last_chosen)]
    moved = [key.removesuffix("source") for key in lost if key in ("data.source", "model.source")]
    lost = [key for key in lost if key.endswith(".source") or not key.startswith(tuple(moved))]
    return [Reset(key, before.get(key), after.get(key)) for key in lost]


def parsed_overrides(overrides: Sequence[str]) -> list[Override]:
    """Parse overrides in Hydra's syntax. Raises HydraException."""
    parsed: list[Override] = OverridesParser.create().parse_overrides(list(overrides))
    return parsed


def _named(override: Override) -> str:
    """Return the group or key that an override is of."""
    key: str = override.get_key_element()
    return key.lstrip("+~").partition("@")[0]


def _choices(overrides: Sequence[str]) -> dict[str, str | None]:
    """Return the choices of groups among overrides, by the group; None for one that is deleted."""
    found = {_named(each): each.value() for each in parsed_overrides(overrides)}
    return {name: str(choice) if choice else None for name, choice in found.items() if _choices_of(name)}


def _choices_of(group: str) -> list[str]:
    return sorted(file.stem for file in (CONF / group).glob("*.yaml"))


def _of_likeliest_choices(chosen: Mapping[str, str | None], written: Mapping[str, object]) -> dict[str, object]:
    """Return what the groups of `chosen` compose to, each with the choice that comes closest to `written`."""
    likeliest = dict(chosen)
    best = _composed_of(likeliest)
    for group in chosen:
        for choice in (None, *_choices_of(group)):
            candidate = {**likeliest, group: choice}
            found = _composed_of(candidate)
            if found and _distance(found, written) < _distance(best, written):
                likeliest, best = candidate, found
    return best


def _composed_of(chosen: Mapping[str, str | None]) -> dict[str, object]:
    """Return what choices compose to, by dotted keys; nothing if they don't go together."""
    try:
        with unwatched():
            return _flat(compose_unchecked([f"{group}={choice}" for group, choice in chosen.items() if choice]))
    except ConfigError:
        return {}


def _distance(one: Mapping[str, object], other: Mapping[str, object]) -> int:
    return sum(not _are_same(key, one, other) for key in {**one, **other})


def _composed_plainly() -> dict[str, object]:
    """Return what `conf/` composes to without overrides, by dotted keys; nothing if it needs some."""
    try:
        with unwatched():
            return _flat(compose_params([]))
    except ConfigError:
        return {}


def _last_plain() -> dict[str, object]:
    """Return what `_composed_plainly` returned at the last composition; nothing if that is not recorded."""
    try:
        return dict(json.loads(PLAIN.read_bytes()))
    except (OSError, ValueError, TypeError):
        return {}


def _shown(value: object) -> str:
    return "null" if value is None else shortened(str(value))


_FINGERPRINTS = ("data.fingerprint", "model.fingerprint")


def tell_resets(overrides: Sequence[str], composed: dict[str, object], advice: str) -> None:
    """Say on standard error what a composition is about to reset, and keep a copy of `params.yaml` as it is."""
    is_dvc_here, plain = PLAIN.parent.parent.is_dir(), _composed_plainly()
    found = _resets(overrides, composed, plain, PARAMS)
    if is_dvc_here and plain != _last_plain():
        write_text(PLAIN, json.dumps(plain) + "\n")
    if not found:
        return
    if is_dvc_here:
        write_text(PARAMS_BEFORE, PARAMS.read_text(encoding="utf-8"))
    more = f" and {len(found) - MOST_KEYS} more" if len(found) > MOST_KEYS else ""
    line = f"{PARAMS}: composing {CONF}/ resets {', '.join(map(str, found[:MOST_KEYS]))}{more}; {advice}"
    print(visible(line), file=sys.stderr, flush=True)


def tell_resets_by_dvc(arguments: Sequence[str]) -> None:
    """Say what `dvc exp run` with these arguments is about to reset. Of several values of a key, the first is taken."""
    parser = argparse.ArgumentParser(add_help=False, allow_abbrev=False)
    parser.add_argument("-S", "--set-param", action="append", default=[])
    given = [each.removeprefix(f"{PARAMS}:") for each in parser.parse_known_args(list(arguments))[0].set_param]
    chosen = [next(iter(_values(each))) for each in parsed_overrides(given)]
    tell_resets(chosen, compose_params(chosen), _to_keep_by_dvc(arguments, chosen))


def _to_keep_by_dvc(arguments: Sequence[str], chosen: Sequence[str]) -> str:
    """Return how to keep the settings: as overrides, or by a run that does not compose, which takes no choice of a group."""
    if any(chooses_a_file(_named(each)) for each in parsed_overrides(chosen)):
        return f"to keep them, name them by -S too; the file as it was is {PARAMS_BEFORE}"
    command = shlex.join(["dvc", "exp", "run", "--no-hydra", *arguments[arguments.index("run") + 1 :]])
    return f"to keep them: cp {PARAMS_BEFORE} {PARAMS} && {command}"


def _values(override: Override) -> Iterator[str]:
    """Yield an override with each of its values, if it sweeps over several."""
    if override.is_sweep_override():
        yield from (f"{override.get_key_element()}={value}" for value in override.sweep_string_iterator())
    else:
        yield str(override.input_line)


def read_yaml(path: Path) -> object:
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
