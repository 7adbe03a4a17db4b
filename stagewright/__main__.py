"""`stagewright COMMAND ARGUMENT…`: the short command for everything that `python -m stages.…` does."""

import os
import subprocess
import sys
from collections.abc import Iterator
from difflib import get_close_matches
from pathlib import Path
from typing import NoReturn

from stagewright.code_path import CODE, make_callable, make_importable, root
from stagewright.commands import COMMANDS, GROUPS

_EXAMPLES = """
Examples:
  stagewright run                                    the built-in demo, from data to scores
  stagewright run task=tokens train.epochs=3         another task, another number of epochs
  stagewright sweep -S 'train.learning_rate=1e-5,5e-5' -S 'seed=1,2,3'
  stagewright compare HEAD workspace                 is the change more than chance?
  stagewright predict reviews.csv --out labelled.csv

`stagewright COMMAND --help` describes a command and has examples. Each command is short for a Python module:
`stagewright predict` runs `python -m stages.predict`.
"""
_USAGE_ERROR = 2


def usage() -> str:
    """Return the help text."""
    return "\n".join(["usage: stagewright COMMAND [ARGUMENT]…", "       stagewright --version", *_listed(), _EXAMPLES])


def _listed() -> Iterator[str]:
    width = max(map(len, COMMANDS)) + 2
    for title, commands in GROUPS.items():
        yield f"\n{title}:"
        yield from (f"  {command.name:{width}}{command.about}" for command in commands)


def version() -> str:
    """Return the version, and in a clone the git revision of the code."""
    from importlib.metadata import PackageNotFoundError
    from importlib.metadata import version as version_of

    try:
        number = version_of("stagewright")
    except PackageNotFoundError:  # run from a folder that nothing has installed
        number = "(not installed)"
    revision = _revision()
    return f"stagewright {number}" + (f" (git {revision})" if revision else "")


def _revision() -> str | None:
    """Ask git for the revision of the clone that the code lies in; None if it lies in none."""
    if not (root() / ".git").exists():
        return None
    describe = ["git", "-C", str(root()), "describe", "--always", "--dirty", "--abbrev=12"]
    try:
        done = subprocess.run(describe, capture_output=True, text=True, check=False)
    except OSError:
        return None
    return done.stdout.strip() or None


def unknown(name: str) -> str:
    """Return the error for a command that does not exist."""
    near = get_close_matches(name, COMMANDS, n=1)
    advice = f"did you mean `stagewright {near[0]}`?" if near else "`stagewright --help` lists the commands"
    return f"error: stagewright {name}: there is no such command; {advice}"


def run_command(name: str, arguments: list[str]) -> NoReturn:
    """Become `python -m` with the command's module: signals, exit status and terminal are its own."""
    command = COMMANDS[name]
    if command.in_project and not Path("dvc.yaml").is_file() and not {"-h", "--help"} & set(arguments):
        sys.exit(
            f"error: {Path.cwd()}: is not a project (no dvc.yaml); cd into one, or start one with `stagewright new FOLDER`"
        )
    make_importable()
    make_callable()
    if command.reads_code and CODE.is_dir():
        from stagewright.project_code import is_project, write_digests  # it reads YAML, which takes time to import

        if is_project():
            write_digests()
    sys.stdout.flush()
    os.execv(sys.executable, [sys.executable, "-m", command.module, *arguments])


def main() -> None:
    """Run the command line."""
    name, *arguments = sys.argv[1:] or ["--help"]
    if name in ("-h", "--help", "help"):
        if arguments and arguments[0] in COMMANDS:
            run_command(arguments[0], ["--help"])
        print(usage(), end="")
    elif name in ("-V", "--version"):
        print(version())
    elif name in COMMANDS:
        run_command(name, arguments)
    else:
        print(unknown(name), file=sys.stderr)
        sys.exit(_USAGE_ERROR)


if __name__ == "__main__":
    main()
