"""`python -m stages.configuration.reference`: write the configuration reference, `docs/configuration.md`.

The meaning of a key is its docstring in the schema, its type and choices are the schema's, and its default is what `conf/`
says. No stage reads this module, and `.dvcignore` names it: a change of it re-runs nothing.
"""

import argparse
import ast
import dataclasses
import inspect
import json
import re
import textwrap
from collections import Counter
from collections.abc import Iterator, Mapping
from functools import cache
from itertools import takewhile
from pathlib import Path
from types import ModuleType
from typing import Any

from pydantic import TypeAdapter
from ruamel.yaml import YAML

from stages.configuration import schema, source_schema
from stages.configuration.kinds import registered_kinds
from stages.configuration.schema import DataBase, DemoData, HubData, Params, TabularData
from stages.configuration.source_schema import FilesModel, ModelBase, PackageModel
from stages.configuration.validation import UNSET
from stages.pipeline.errors import ConfigError
from stages.pipeline.one_line import one_line_errors
from stages.pipeline.outputs import write_text
from stages.pipeline.paths import CONF

PAGE = Path("docs/configuration.md")

_INTRODUCTION = """\
<!-- Written by `python -m stages.configuration.reference`. Edit the docstrings in stages/configuration/ instead. -->

# Configuration reference

The configuration has seven groups and two single keys. Each group is a folder in `conf/`, and each file in it is a choice:
`task=tokens` selects `conf/task/tokens.yaml`. Single keys are set with a dot, such as `train.epochs=3`. Both are
[Hydra overrides](https://hydra.cc/docs/advanced/override_grammar/basic/), and every command that runs the pipeline accepts
them.

A value of `null` means "not set". *Required* keys have no default. All keys are validated before a stage starts, and unknown
keys are errors.
"""


@dataclasses.dataclass(frozen=True)
class Section:
    """The keys of one dataclass, and the choices in `conf/` that their defaults are read from."""

    title: str
    config: type[Any]
    choices: tuple[str, ...]


_SECTIONS: Mapping[str, tuple[Section, ...]] = {
    "task": (Section("", schema.TaskConfig, ("text", "tokens", "multilabel", "regression")),),
    "data": (
        Section("Keys of all data", DataBase, ("demo", "files")),
        Section("Generated data", DemoData, ("demo",)),
        Section("Data from files", TabularData, ("files",)),
        Section("Data on the Hub", HubData, ()),
    ),
    "model": (
        Section("Keys of all models", ModelBase, ("minilm", "files", "hub")),
        Section("A model in a package", PackageModel, ("minilm",)),
        Section("A model in a folder", FilesModel, ("files",)),
        Section("A model on the Hub", schema.HubModel, ("hub",)),
    ),
    "tokenize": (Section("", schema.TokenizeConfig, ("default",)),),
    "train": (Section("", schema.TrainConfig, ("default",)),),
    "evaluate": (Section("", schema.EvaluateConfig, ("default",)),),
    "export": (Section("", schema.ExportConfig, ("default",)),),
}


def reference() -> str:
    """Return the page."""
    parts = [_INTRODUCTION, *(part for group in _SECTIONS for part in _group(group)), *_single_keys(), *_experiments()]
    return "\n".join(parts)


def _group(group: str) -> Iterator[str]:
    yield f"## {group}\n"
    sections, described = _SECTIONS[group], _docs_of(Params)
    yield (described[group] if group in described else _class_docstring(sections[0].config)) + "\n"
    yield from _choices(group)
    for section in sections:
        if section.title:
            yield f"### {section.title}\n\n{_class_docstring(section.config)}\n"
        defaults = [_values(CONF / group / f"{choice}.yaml") for choice in section.choices]
        by_choice = dict(zip((f"{group}={choice}" for choice in section.choices), defaults, strict=True))
        level = 4 if section.title else 3
        yield from _keys(group, section.config, by_choice, level)
    if group == "task":
        yield from _metrics()


def _keys(path: str, config: type[Any], defaults: Mapping[str, Mapping[str, object]], level: int) -> Iterator[str]:
    """Describe the keys that a dataclass adds to those of its base class, but `source`, which a choice sets."""
    meanings, properties, definitions = _docs_of(config), *_json_schema(config)
    for key in config.__annotations__:
        if key == "source":
            continue
        values = {choice: found[key] for choice, found in defaults.items() if key in found} or {"": UNSET}
        yield f"{'#' * level} `{path}.{key}`\n"
        if nested := properties[key].get("$ref"):
            yield f"{meanings[key]}\n"
            name = str(nested).rpartition("/")[2]
            yield from _nested_keys(f"{path}.{key}", name, definitions[name]["properties"], values)
            yield ""
        else:
            yield _wrapped(f"{_type(properties[key])}. {_default(values)}.") + "\n"
            yield f"{meanings[key]}\n"


def _nested_keys(path: str, config: str, properties: Mapping[str, Any], defaults: Mapping[str, Any]) -> Iterator[str]:
    meanings = _docs_of(getattr(schema, config))
    for key, spec in properties.items():
        default = _default({choice: value[key] for choice, value in defaults.items()})
        meaning = f" {meanings[key]}" if key in meanings else ""
        yield _wrapped(f"- `{path}.{key}`: {_type(spec)}. {default}.{meaning}", "  ")


def _choices(group: str) -> Iterator[str]:
    """List the files of a group in `conf/`, each with the first sentence of the comment at its head."""
    files = sorted((CONF / group).glob("*.yaml"))
    if len(files) == 1:
        return
    yield "| choice | what it is |\n|---|---|"
    for file in files:
        yield f"| `{group}={file.stem}` | {_head_comment(file)} |"
    yield ""


def _metrics() -> Iterator[str]:
    yield "### Metrics\n\n`task.metric` is one of these, depending on the task:\n"
    yield "| `task.kind` | `task.target` | `task.metric` |\n|---|---|---|"
    for kind, rules in registered_kinds().items():
        for target, meaning in rules.targets.items():
            yield f"| `{kind}` | `{target}` | {', '.join(f'`{metric}`' for metric in meaning.metrics)} |"
    yield ""


def _single_keys() -> Iterator[str]:
    values, specs = _values(CONF / "config.yaml"), TypeAdapter(Params).json_schema()["properties"]
    yield "## Single keys\n"
    for key in (key for key in specs if key not in _SECTIONS):
        yield f"### `{key}`\n\n{_type(specs[key])}. {_default({'': values[key]})}.\n\n{_docs_of(Params)[key]}\n"


def _experiments() -> Iterator[str]:
    yield "## experiment\n\nWhole jobs. Each selects choices of several groups and sets some of their keys.\n"
    yield from _choices("experiment")


def _type(spec: Mapping[str, Any]) -> str:
    """Say in words what a JSON schema allows."""
    *most, last = _alternatives(spec)
    text = f"{', '.join(most)} or {last}" if most else last
    return text[:1].upper() + text[1:]


def _alternatives(spec: Mapping[str, Any]) -> list[str]:
    if "anyOf" in spec:
        return [text for part in spec["anyOf"] for text in _alternatives(part)]
    if "enum" in spec or "const" in spec:
        return [f"`{value}`" for value in spec.get("enum", [spec.get("const")])]
    if spec["type"] == "array":
        return ["list of " + " or ".join(f"{item}s" for item in _alternatives(spec["items"]))]
    if spec["type"] == "string":
        return [_STRINGS.get(spec.get("pattern", ""), "string")]
    return _OTHER_TYPES.get(spec["type"], [_range(spec)])


_OTHER_TYPES = {"null": ["`null`"], "boolean": ["`true`", "`false`"], "object": ["mapping of strings to strings"]}
_STRINGS = {
    "^[0-9a-f]{64}$": "SHA-256 digest",
    "^[0-9a-f]{40}$": "commit hash",
    "^sha256-[0-9a-f]{16}$": "digest",
}
"""The patterns of strings that have a name."""


def _range(spec: Mapping[str, Any]) -> str:
    """Say in words what a JSON schema of numbers allows."""
    limits = [
        f"{words} {spec[limit]}"
        for limit, words in (
            ("minimum", "at least"),
            ("exclusiveMinimum", "greater than"),
            ("maximum", "at most"),
            ("exclusiveMaximum", "less than"),
        )
        if limit in spec
    ]
    return f"{spec['type']} ({', '.join(limits)})" if limits else str(spec["type"])


def _default(values: Mapping[str, object]) -> str:
    """Say what a key's default is: one value, or one for each choice."""
    shown = {choice: _shown(value) for choice, value in values.items()}
    (usual, count), *_ = Counter(shown.values()).most_common(1)
    if usual == _REQUIRED:
        return "Required"
    others = [
        f"{value} with `{choice}`" for choice, value in shown.items() if value != usual or count == 1 < len(shown)
    ]
    return "Default: " + "; ".join(others if len(others) == len(shown) > 1 else [usual, *others])


_REQUIRED = "required"


def _shown(value: object) -> str:
    if value == UNSET:
        return _REQUIRED
    if value == "${fingerprint:}":
        return "computed from the files"
    if isinstance(value, str):
        other = re.fullmatch(r"\$\{([\w.]+)\}", value)
        return f"the value of `{other.group(1)}`" if other else f"`{value}`"
    return f"`{json.dumps(value)}`"


@cache
def _values(file: Path) -> Mapping[str, Any]:
    """Return the keys of a file in `conf/`. Raises ConfigError if it is not there."""
    if not file.is_file():
        raise ConfigError(f"{file}: not found; run from the repository root")
    return dict(YAML(typ="safe").load(file.read_text(encoding="utf-8")))


def _head_comment(file: Path) -> str:
    """Return the first sentence of the comment at a file's head."""
    lines = takewhile(lambda line: line.startswith("#"), file.read_text(encoding="utf-8").splitlines())
    text = " ".join(line.removeprefix("#").strip() for line in lines if "@package" not in line)
    return re.split(r"(?<=\.)\s(?=[A-Z])", text)[0].rstrip(".")


def _json_schema(config: type[Any]) -> tuple[Mapping[str, Any], Mapping[str, Any]]:
    found = TypeAdapter(config).json_schema()
    return found["properties"], found.get("$defs", {})


def _class_docstring(config: type[Any]) -> str:
    return _filled(inspect.getdoc(config) or "")


def _docs_of(config: type[Any]) -> Mapping[str, str]:
    """Return the docstrings below the fields of a dataclass."""
    return _field_docs(schema if config.__module__ == schema.__name__ else source_schema)[config.__name__]


@cache
def _field_docs(module: ModuleType) -> Mapping[str, Mapping[str, str]]:
    """Return the docstrings below the fields of each dataclass of a module, by its name."""
    classes = (node for node in ast.parse(inspect.getsource(module)).body if isinstance(node, ast.ClassDef))
    return {found.name: dict(_pairs(found)) for found in classes}


def _pairs(found: ast.ClassDef) -> Iterator[tuple[str, str]]:
    """Yield each field with the docstring below it."""
    for field, below in zip(found.body, found.body[1:], strict=False):
        if isinstance(field, ast.AnnAssign) and isinstance(field.target, ast.Name) and isinstance(below, ast.Expr):
            assert isinstance(below.value, ast.Constant)
            yield field.target.id, _filled(str(below.value.value))


def _filled(text: str) -> str:
    """Fill each paragraph to the line length."""
    return "\n\n".join(_wrapped(paragraph) for paragraph in inspect.cleandoc(text).split("\n\n"))


def _wrapped(text: str, indent: str = "") -> str:
    return "\n".join(
        textwrap.wrap(
            " ".join(text.split()), 120, subsequent_indent=indent, break_long_words=False, break_on_hyphens=False
        )
    )


def require_written(page: Path) -> None:
    """Raise ConfigError if the page is not what the schema and `conf/` say."""
    if not page.is_file() or page.read_text(encoding="utf-8") != reference():
        raise ConfigError(f"{page}: is out of date; run `python -m stages.configuration.reference`")


def main() -> None:
    """Run the command line."""
    parser = argparse.ArgumentParser(
        prog="python -m stages.configuration.reference", description="Write the configuration reference for the docs."
    )
    parser.add_argument("--check", action="store_true", help=f"write nothing; exit with 1 if {PAGE} is out of date")
    arguments = parser.parse_args()
    with one_line_errors():
        if arguments.check:
            require_written(PAGE)
        else:
            write_text(PAGE, reference())


if __name__ == "__main__":
    main()
