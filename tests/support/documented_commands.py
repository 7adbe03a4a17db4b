"""Whether a command that a document shows still exists, with the options it is shown with. Nothing is run."""

import importlib.util
import re
from argparse import ArgumentParser
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import cache
from importlib import import_module
from itertools import dropwhile, pairwise

from dvc.cli import parse_args as parse_dvc
from hydra.core.override_parser.types import Override

from stages.configuration.composition import compose_params
from stages.configuration.hydra_plugins.fingerprint import unwatched
from stages.configuration.resets import parsed_overrides
from tests.support.documents import words_of
from tests.support.imports import ROOT

STAGES = {"download", "tokenize", "train", "evaluate", "export"}
COMPOSING = {"run", "compose", "look", "stage"}
"""The commands of `stagewright` whose arguments are overrides."""
_OVERRIDE = re.compile(r"[+~]*[a-z_]+(\.\w+)*=.*", re.DOTALL)
_ASSIGNMENT = re.compile(r"[A-Z_]+=.*")
_TARGET = re.compile(r"^([a-z][\w-]*):", re.MULTILINE)
_PLACEHOLDER = re.compile(r"…|\.\.\.$|^[<\[]\w+[>\]]")


class StaleError(AssertionError):
    """A document shows what is no longer so."""


def check_line(line: str) -> None:
    """Raise StaleError, or what the parser concerned raises, if a command in a line of shell can't be run as it is written."""
    for found in words_of(line):
        words = list(dropwhile(_ASSIGNMENT.fullmatch, found))
        if words and not any(map(_PLACEHOLDER.search, words)):
            check(words)


def check(words: Sequence[str]) -> None:
    """The same for the words of one command. Programs that are not ours are taken as they are, except for DVC."""
    match list(words):
        case ["stagewright", *arguments]:
            _check_ours(arguments)
        case ["python", "-m", module, *arguments]:
            _check_module(module, arguments)
        case ["make", *arguments]:
            _check_make(arguments)
        case ["dvc", *arguments]:
            parse_dvc(arguments)
            check_overrides(list(_set_params(arguments)))


def _check_ours(arguments: Sequence[str]) -> None:
    from stagewright.commands import COMMANDS

    if not arguments or arguments[0].startswith("-"):
        return
    name, *rest = arguments
    if name not in COMMANDS:
        raise StaleError(f"stagewright {name}: there is no such command")
    _check_module(COMMANDS[name].module, rest)
    if name in COMPOSING:
        check_overrides([each for each in rest if _OVERRIDE.fullmatch(each)])


def _check_module(module: str, arguments: Sequence[str]) -> None:
    top, _, name = module.partition(".")
    if importlib.util.find_spec(top) is None or importlib.util.find_spec(module) is None:
        raise StaleError(f"python -m {module}: there is no such module")
    if top == "stages" and name in STAGES:
        check_overrides([each for each in arguments if _OVERRIDE.fullmatch(each)])
    elif module in PASSING_ON:
        own, dvcs = PASSING_ON[module](list(arguments))
        parse_dvc(["repro", *dvcs])
        _check_arguments(module, own)
    else:
        _check_arguments(module, arguments)


def _after_two_dashes(arguments: list[str]) -> tuple[list[str], list[str]]:
    at = arguments.index("--") if "--" in arguments else len(arguments)
    return arguments[:at], arguments[at + 1 :]


PASSING_ON: Mapping[str, Callable[[list[str]], tuple[list[str], list[str]]]] = {
    "stages.reproduction.reproduce": lambda arguments: ([], arguments),
    "stagewright.run": _after_two_dashes,
}
"""The modules that pass arguments on to `dvc repro`, and what splits their own from those."""


def _check_arguments(module: str, arguments: Sequence[str]) -> None:
    if module == "stages.sweep" and arguments and arguments[0].startswith("-"):
        arguments = ["run", *arguments]  # as it does itself
    if (parser := _parser(module)) is not None:
        try:
            parser.parse_args(list(arguments))
        except SystemExit as error:
            if error.code:
                raise StaleError(f"python -m {module} {' '.join(arguments)}: does not parse") from error
        check_overrides(list(_set_params(arguments)))


@cache
def _parser(module: str) -> ArgumentParser | None:
    """The parser of one of our commands: what its module's function `parser` returns."""
    if not module.startswith(("stages.", "stagewright.")):
        return None
    found = importlib.util.find_spec(module)
    is_package = found is not None and found.submodule_search_locations is not None
    made = getattr(import_module(f"{module}.__main__" if is_package else module), "parser", None)
    parser = made() if made is not None else None
    assert parser is None or isinstance(parser, ArgumentParser)
    return parser


def _check_make(arguments: Sequence[str]) -> None:
    targets = set(_TARGET.findall((ROOT / "Makefile").read_text(encoding="utf-8")))
    for argument in arguments:
        variable, is_variable, value = argument.partition("=")
        if not is_variable and argument not in targets:
            raise StaleError(f"make {argument}: there is no such target")
        if variable == "OVERRIDES":
            check_overrides(value.split())


def _set_params(arguments: Sequence[str]) -> Iterator[str]:
    for option, value in pairwise(arguments):
        if option in ("-S", "--set-param"):
            yield value.removeprefix("params.yaml:")


def check_overrides(overrides: Sequence[str]) -> None:
    """Compose `conf/` with overrides; of several values of a key, with the first. Raises ConfigError."""
    if not overrides:
        return
    parsed = parsed_overrides(overrides)
    with unwatched():
        composed = compose_params([_first_value(each) for each in parsed if not _is_interval(each)])
    for each in filter(_is_interval, parsed):
        found: object = composed
        for part in each.get_key_element().split("."):
            if not isinstance(found, dict) or part not in found:
                raise StaleError(f"{each.input_line}: there is no such key")
            found = found[part]


def _is_interval(override: Override) -> bool:
    return override.is_interval_sweep()


def _first_value(override: Override) -> str:
    if not override.is_sweep_override():
        return str(override.input_line)
    return f"{override.get_key_element()}={next(override.sweep_string_iterator())}"
