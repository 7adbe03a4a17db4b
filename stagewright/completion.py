"""`stagewright completion SHELL`: print a script that completes commands, options and file names.

Examples:
  stagewright completion bash > ~/.local/share/bash-completion/completions/stagewright
  stagewright completion zsh > ~/.zfunc/_stagewright        any folder in your fpath
"""

import argparse
from importlib import import_module
from pathlib import Path

import shtab

from stagewright.code_path import make_importable
from stagewright.commands import COMMANDS


def parser() -> argparse.ArgumentParser:
    """Return the parser of the command line."""
    made = argparse.ArgumentParser(
        prog="stagewright completion", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    made.add_argument("shell", choices=shtab.SUPPORTED_SHELLS, metavar="SHELL", help=", ".join(shtab.SUPPORTED_SHELLS))
    return made


def whole_parser() -> argparse.ArgumentParser:
    """Return the parsers of all commands as one. It imports every command, which takes seconds."""
    whole = argparse.ArgumentParser(prog="stagewright")
    whole.add_argument("--version", action="store_true", help="print the version")
    commands = whole.add_subparsers()
    for command in COMMANDS.values():
        made: argparse.ArgumentParser = import_module(_with_parser(command.module)).parser()
        commands.add_parser(command.name, help=command.about, parents=[made], add_help=False)
        _complete_files(made)
    return whole


def _with_parser(module: str) -> str:
    """Return the module that has the parser of a command: of a package, its `__main__`."""
    return module if hasattr(import_module(module), "parser") else f"{module}.__main__"


def _complete_files(made: argparse.ArgumentParser) -> None:
    """Have the arguments that name files completed by files."""
    for action in made._actions:
        if action.type is Path or action.metavar == "FILE":
            action.complete = shtab.FILE  # type: ignore[attr-defined]


def main() -> None:
    """Run the command line."""
    shell = parser().parse_args().shell
    make_importable()
    print(shtab.complete(whole_parser(), shell))


if __name__ == "__main__":
    main()
