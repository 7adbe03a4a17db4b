"""Configurations that are wrong in one way each, made from the schema: for every key, values that it does not take.

A case is either overrides, as `compose` and `dvc exp run -S` take them, or the text of a `params.yaml`.
"""

import copy
import itertools
import json
import math
import random
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, fields, is_dataclass
from typing import Annotated, Any, TypeVar, get_args, get_origin, get_type_hints

import yaml
from pydantic import TypeAdapter, ValidationError

from stages.configuration.schema import Params
from tests.support.imports import ROOT

Plain = dict[str, Any]
Item = TypeVar("Item")

BASES: Mapping[str, Sequence[str]] = {
    "demo": [],
    "words": ["task=tokens"],
    "files": ["data=files", "data.train=a.csv", "data.test=b.csv", "model=files", "model.path=m"],
    "hub": ["experiment=wnut17"],
}
"""Overrides that compose, between them, every key that there is."""

ODD: Sequence[object] = (
    "banana", "None", "", "True", "1e-5x", "../../etc/passwd", "$(touch x)", "`touch x`", "a\nb", "\x1b[31m", "x" * 5000,
    "'; --", 0, -1, 7, 1.5, -0.5, 10**30, True, False, None, float("nan"), float("inf"), [], [1], [None], ["a", 1],
    {}, {"a": 1}, {"_target_": "os.system"}, [[["deep"]]],
)  # fmt: skip
"""Values of all types; what a key takes of them is left out for it."""

MISSPELT = ("{}s", "_{}", "{}_", "x{}", "_target_", "_partial_")
RESOLVED = (
    "${oc.env:HOME}",
    "${oc.env:HF_TOKEN,none}",
    "${nope}",
    "${data.nope}",
    "${bad:x}",
    "${oc.decode:${oc.env:HOME}}",
)


@dataclass(frozen=True)
class Case:
    """One invalid configuration."""

    key: str
    """What the message must name."""
    overrides: Sequence[str] = ()
    params: str | None = None
    """The text of `params.yaml`; None: the overrides are composed."""


def cases(count: int, seed: int, bases: Mapping[str, Plain]) -> list[Case]:
    """`count` different ones, of every kind of fault in turn. `bases`: what `BASES` compose to."""
    generator = random.Random(seed)
    kinds = [kind(bases, generator) for kind in _KINDS]
    found: dict[Case, None] = {}
    for turn in itertools.chain.from_iterable(itertools.zip_longest(*kinds)):
        if turn is not None:
            found.setdefault(turn)
        if len(found) == count:
            return list(found)
    raise AssertionError(f"there are only {len(found)}")


def _shuffled(items: Iterable[Item], generator: random.Random) -> list[Item]:
    found = list(items)
    generator.shuffle(found)
    return found


def _values(bases: Mapping[str, Plain], generator: random.Random) -> Iterator[Case]:
    leaves = [(name, *leaf) for name, base in bases.items() for leaf in _leaves(base)]
    for (name, path, annotation, _), value in _shuffled(itertools.product(leaves, ODD), generator):
        if not _takes(TypeAdapter(annotation), value):
            yield Case(path, (*BASES[name], f"++{path}={_override(value)}"))
            yield Case(path, params=_text(_changed(bases[name], path, value)))


def _unknown_keys(bases: Mapping[str, Plain], generator: random.Random) -> Iterator[Case]:
    leaves = [(name, leaf[0]) for name, base in bases.items() for leaf in _leaves(base) if "." in leaf[0]]
    for (name, path), form in _shuffled(itertools.product(leaves, MISSPELT), generator):
        parent, _, key = path.rpartition(".")
        unknown = f"{parent}.{form.format(key)}"
        yield Case(unknown, (*BASES[name], f"+{unknown}=1"))
        yield Case(unknown, params=_text(_changed(bases[name], unknown, 1)))


def _missing(bases: Mapping[str, Plain], generator: random.Random) -> Iterator[Case]:
    leaves = [(name, *leaf) for name, base in bases.items() for leaf in _leaves(base)]
    for name, path, _, has_default in _shuffled(leaves, generator):
        yield Case(path, (*BASES[name], f"{path}=???"))
        if not has_default:
            yield Case(path, (*BASES[name], f"~{path}"))
            yield Case(path, params=_text(_changed(bases[name], path, _ABSENT)))


def _resolved(bases: Mapping[str, Plain], generator: random.Random) -> Iterator[Case]:
    leaves = [(name, path, annotation) for name, base in bases.items() for path, annotation, _ in _leaves(base)]
    for (name, path, annotation), text in _shuffled(itertools.product(leaves, RESOLVED), generator):
        yield Case(path, (*BASES[name], f"{path}={text}"))
        if not _takes(TypeAdapter(annotation), text):  # in the file it is a text like any other
            yield Case(path, params=_text(_changed(bases[name], path, text)))


def _choices(_: Mapping[str, Plain], __: random.Random) -> Iterator[Case]:
    groups = [folder.name for folder in (ROOT / "conf").iterdir() if folder.is_dir()]
    for group, choice in itertools.product(sorted(groups), ["nope", "../conf", "5", "", "[a,b]"]):
        yield Case(group, (f"{group}={choice}",))
    for unread in (
        "train.epochs=[1",
        "train.epochs",
        "=3",
        "train.epochs=1,2",
        "train.epochs={",
        "data.name=${",
        "seed=glob(*)",
    ):
        yield Case(unread.partition("=")[0] or unread, (unread,))


def _broken_files(bases: Mapping[str, Plain], _: random.Random) -> Iterator[Case]:
    """`params.yaml` that is no YAML, or no mapping of groups."""
    whole = _text(bases["demo"])
    for place in range(3, len(whole) - 20, 29):
        yield Case("params.yaml", params=f"{whole[:place]}\n\t]{whole[place:]}")
    for text in (
        "",
        "[]",
        "5",
        "- a\n- b",
        "!!python/object/apply:os.system ['touch x']",
        "a: &a [*a]",
        "\x00",
        "task",
    ):
        yield Case("params.yaml", params=text)
    for key in ("hydra", "defaults", "_target_", "tasks", "1"):
        yield Case(key, params=f"{whole}\n{key}: {{callbacks: {{mine: {{_target_: os.system, command: touch x}}}}}}\n")
    yield Case(
        "_target_", params=f"# @package hydra.callbacks\n{whole}".replace("task:\n", "task:\n  _target_: os.system\n")
    )
    for group in _groups():
        yield Case(group, params=_text({key: value for key, value in bases["demo"].items() if key != group}))
        yield Case(group, params=f"{whole}\n{group}: 1\n")


def _contradictions(_: Mapping[str, Plain], __: random.Random) -> Iterator[Case]:
    """Values that are valid in themselves and do not fit together."""
    found: list[tuple[str, list[str]]] = [
        ("task.target", ["task=tokens", "task.target=labels"]),
        ("tokenize.overflow", ["task=tokens", "tokenize.overflow=truncate"]),
        ("evaluate.mode", ["evaluate.mode=strict", "evaluate.scheme=plain"]),
        ("task.decode", ["task.decode=viterbi"]),
        ("task.decode", ["task=tokens", "task.decode=viterbi", "evaluate.scheme=plain"]),
        ("data", ["data=imdb", "task=tokens"]),
        ("data", ["data=wnut17", "task=text"]),
        ("task.metric", ["task.metric=pearson"]),
        ("data.target", ["task=regression"]),
        ("evaluate.slices", [*BASES["files"], "task=regression", "evaluate.slices=[label]"]),
        ("data.label_column", [*BASES["files"], "data.label_column=[a,b]"]),
        ("data.label_column", [*BASES["files"], "task=multilabel", "data.label_column=[a,a]"]),
        ("data.label_names", [*BASES["files"], "task=multilabel", "data.label_column=[a,b]", "data.label_names=[a]"]),
        ("data.label_separator", [*BASES["files"], "data.label_separator='|'"]),
        (
            "data.label_separator",
            [*BASES["files"], "task=multilabel", "data.label_column=[a]", "data.label_separator='|'"],
        ),
        ("data.ignore_labels", [*BASES["files"], "task=multilabel", "data.label_column=[a]", "data.ignore_labels=[b]"]),
        ("data.ignore_labels", [*BASES["files"], "task=tokens", "data.ignore_labels=['-']"]),
        ("train.class_weights", [*BASES["files"], "task=regression", "train.class_weights=balanced"]),
    ]
    for epochs, patience in itertools.product((0.25, 0.5, 1), (1, 2, 9)):
        found.append(("train.early_stopping", [f"train.epochs={epochs}", f"train.early_stopping={patience}"]))
    for length, more in itertools.product((8, 64, 128), (1, 5, 99)):
        stride = length // 2 + more
        found.append(("tokenize.stride", [f"tokenize.max_length={length}", f"tokenize.stride={stride}"]))
    for size, processes, parts in itertools.product((5, 7, 15), (2, 4), (1, 3)):
        parted = [f"train.processes={processes}", f"train.gradient_accumulation={parts}"]
        found.append(("train.batch_size", [f"train.batch_size={size}", *parted]))
    yield from (Case(key, tuple(overrides)) for key, overrides in found)


_KINDS: Sequence[Callable[[Mapping[str, Plain], random.Random], Iterator[Case]]] = (
    _values, _unknown_keys, _missing, _resolved, _choices, _broken_files, _contradictions,
)  # fmt: skip
_ABSENT = object()


def _takes(adapter: TypeAdapter[Any], value: object) -> bool:
    try:
        adapter.validate_json(json.dumps(value), strict=True)
    except ValidationError:
        return False
    return not isinstance(value, float) or math.isfinite(value)


def _leaves(base: Plain) -> Iterator[tuple[str, Any, bool]]:
    """Every key of a configuration, its type, and whether it may be left out."""
    for group, annotation in get_type_hints(Params, include_extras=True).items():
        yield from _below(group, annotation, base[group], has_default=False)


def _below(path: str, annotation: Any, value: Any, *, has_default: bool) -> Iterator[tuple[str, Any, bool]]:
    chosen = _dataclass_of(annotation, value)
    if chosen is None:
        yield path, annotation, has_default
        return
    hints = get_type_hints(chosen, include_extras=True)
    for each in fields(chosen):
        if each.name in value and each.name != "source":
            optional = "MISSING" not in repr(each.default) or "MISSING" not in repr(each.default_factory)
            yield from _below(f"{path}.{each.name}", hints[each.name], value[each.name], has_default=optional)


def _dataclass_of(annotation: Any, value: Any) -> Any:
    """The dataclass behind a type: of several, the one whose `source` is the value's."""
    if is_dataclass(annotation):
        return annotation
    options = get_args(get_args(annotation)[0]) if get_origin(annotation) is Annotated else ()
    found = [each for each in options if is_dataclass(each)]
    return next((each for each in found if value["source"] in get_args(get_type_hints(each)["source"])), None)


def _groups() -> list[str]:
    return list(get_type_hints(Params))


def _changed(base: Plain, path: str, value: object) -> Plain:
    changed = copy.deepcopy(base)
    *parents, last = path.split(".")
    inner = changed
    for parent in parents:
        inner = inner[parent]
    if value is _ABSENT:
        del inner[last]
    else:
        inner[last] = value
    return changed


def _text(params: Plain) -> str:
    return yaml.safe_dump(params, sort_keys=False, allow_unicode=True)


def _override(value: object) -> str:
    """A value in the grammar of Hydra's overrides."""
    match value:
        case None:
            return "null"
        case bool():
            return str(value).lower()
        case str():
            return "'" + value.replace("\\", "\\\\").replace("'", "\\'") + "'"
        case list():
            return f"[{','.join(map(_override, value))}]"
        case dict():
            return "{" + ",".join(f"{key}:{_override(item)}" for key, item in value.items()) + "}"
        case _:
            return str(value)
