"""The `stagewright` command: it does what the modules do, and every example that it shows is one that it takes."""

import argparse
import ast
import os
import re
import shlex
import signal
import subprocess
import sys
from importlib import import_module, metadata
from pathlib import Path

import pytest

from stages.configuration.params_file import load_yaml
from stagewright import new
from stagewright.commands import COMMANDS
from stagewright.completion import whole_parser
from tests.project.test_layers import is_run
from tests.support.imports import ROOT
from tests.support.small_project import SmallProject

NOT_FOR_USERS = {"stages.configuration.reference", "stages.sweep.clone_run", "stages.training.processes"}
"""What other commands start, and what writes the documentation."""


def ran(*arguments: str) -> subprocess.CompletedProcess[str]:
    """Run the command as a user of this clone does."""
    command = [sys.executable, "-m", "stagewright", *arguments]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False, timeout=120)


def parser_of(name: str) -> argparse.ArgumentParser:
    module = import_module(COMMANDS[name].module)
    made = (module if hasattr(module, "parser") else import_module(f"{module.__name__}.__main__")).parser()
    assert isinstance(made, argparse.ArgumentParser)
    return made


def examples(name: str) -> list[list[str]]:
    """The words of the examples in a command's help that call it, without what explains them."""
    shown = (parser_of(name).description or "").partition("Examples:\n")[2].split("\n\n")[0].splitlines()
    calls = [re.split(r"\s{3,}| && | > ", line.strip())[0].rpartition("| ")[2] for line in shown]
    return [shlex.split(call)[2:] for call in calls if call.startswith(f"stagewright {name}")]


def runnable() -> set[str]:
    """The modules of `stages` that `python -m` runs, but for the five stages."""
    found = set()
    for file in (ROOT / "stages").glob("*/**/*.py"):
        if is_run(ast.parse(file.read_text(encoding="utf-8"))):
            found.add(".".join(file.relative_to(ROOT).with_suffix("").parts).removesuffix(".__main__"))
    return found


def test_every_module_that_can_be_run_has_a_command() -> None:
    assert runnable() - NOT_FOR_USERS <= {command.module for command in COMMANDS.values()}


def test_the_pipeline_does_not_import_the_command() -> None:
    for file in (ROOT / "stages").rglob("*.py"):
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            names = (
                [alias.name for alias in node.names] if isinstance(node, ast.Import) else [getattr(node, "module", "")]
            )
            assert not any(str(name).partition(".")[0] == "stagewright" for name in names), file


@pytest.mark.parametrize("name", COMMANDS)
def test_the_help_of_a_command_names_it_and_shows_examples_that_it_takes(name: str) -> None:
    made = parser_of(name)
    assert made.prog == f"stagewright {name}" and made.format_help()
    shown = examples(name)
    assert shown
    if name != "reproduce":  # its arguments are DVC's
        for words in shown:
            before = words[: words.index("--")] if name == "run" and "--" in words else words
            words_taken = ["run", *before] if name == "sweep" and before[0].startswith("-") else before
            made.parse_args(words_taken)


def test_the_list_of_commands_imports_no_library() -> None:
    """What takes no import takes no time."""
    asked = "import sys; from stagewright.__main__ import usage; print(usage()); print(*sys.modules, file=sys.stderr)"
    done = subprocess.run([sys.executable, "-c", asked], cwd=ROOT, capture_output=True, text=True, check=True)
    assert all(f"  {name} " in done.stdout for name in COMMANDS)
    modules = {module.partition(".")[0] for module in done.stderr.split()}
    assert "stagewright" in modules
    assert not modules & {"stages", "torch", "numpy", "hydra", "dvc", "shtab", "asyncio"}


def test_the_version_is_the_distributions_with_the_revision_of_the_clone() -> None:
    head = subprocess.run(["git", "rev-parse", "HEAD"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    shown = ran("--version").stdout
    assert shown.startswith(f"stagewright {metadata.version('stagewright')} (git {head[:12]}")


def test_an_unknown_command_is_told_with_the_nearest() -> None:
    done = ran("pedict", "reviews.csv")
    assert done.returncode == 2 and not done.stdout
    assert done.stderr == "error: stagewright pedict: there is no such command; did you mean `stagewright predict`?\n"
    assert "`stagewright --help` lists" in ran("zzz").stderr


def test_a_command_ends_as_its_module_does() -> None:
    assert ran("compose", "--check").returncode == 0
    wrong = ran("compose", "--check", "train.epocs=3")
    assert wrong.returncode == 1 and "train.epocs" in wrong.stderr and "Traceback" not in wrong.stderr
    same = subprocess.run(
        [sys.executable, "-m", "stages.configuration.compose", "--check", "train.epocs=3"],
        cwd=ROOT, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert same.stderr == wrong.stderr


def test_outside_of_a_project_a_command_says_so_and_writes_nothing(tmp_path: Path) -> None:
    for command in ("run", "stage", "summary"):
        done = subprocess.run(
            [sys.executable, "-m", "stagewright", command, "train"], cwd=tmp_path, capture_output=True, text=True,
            env={**os.environ, "PYTHONPATH": str(ROOT)}, check=False,
        )  # fmt: skip
        assert done.returncode == 1 and done.stderr.startswith(f"error: {tmp_path}: is not a project")
        assert "stagewright new FOLDER" in done.stderr and done.stderr.count("\n") == 1
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("data", "name"),
    [
        ("reviews.csv", "reviews"),
        ("a/train.conll.gz", "train"),
        ("stars: 1.csv", "stars-1"),
        (".csv", "own"),
        ("..", "own"),
    ],
)
def test_data_are_called_as_their_file(data: str, name: str) -> None:
    assert new.data_name(Path(data)) == name


@pytest.mark.parametrize(
    "name",
    [
        "reviews.csv",
        "no.csv",
        "2026.csv",
        "\N{GRINNING FACE} \N{LATIN SMALL LETTER E WITH ACUTE}.csv",
        "a: \x85'\".csv",
    ],
)
def test_the_file_of_a_projects_data_is_named_as_it_is(name: str, tmp_path: Path) -> None:
    """Also with characters that JSON writes as two, which YAML does not read as one."""
    (tmp_path / "own.yaml").write_text(new.own_data(tmp_path / name), encoding="utf-8")
    written = load_yaml(tmp_path / "own.yaml")
    assert (written.train, written.name) == (str(tmp_path / name), new.data_name(tmp_path / name))


@pytest.mark.parametrize(
    ("command", "arguments"),
    [("sweep", ["run", "--gpus-per-job", "many"]), ("compare", ["HEAD", "--level", "many"])],
)
def test_what_is_no_number_is_told_in_the_users_words(
    command: str, arguments: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit):
        parser_of(command).parse_args(arguments)
    assert re.search(r"error: argument --\S+: many is n", capsys.readouterr().err)


def test_a_clone_that_is_not_installed_starts_no_project(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "argv", ["new", "mine"])
    monkeypatch.setattr(sys, "path", [])  # where distributions are looked for
    with pytest.raises(SystemExit) as ended:
        new.main()
    said = str(ended.value)
    assert said.startswith(f"error: {ROOT}: is not installed") and "pip install" in said and "\n" not in said
    assert [*tmp_path.iterdir()] == []


def test_a_stage_gets_its_overrides() -> None:
    done = ran("stage", "tokenize", "tokenize.max_lenght=3")
    assert done.returncode == 1 and "tokenize.max_lenght" in done.stderr


@pytest.mark.slow
def test_a_signal_to_run_reaches_the_stage(tmp_path: Path) -> None:
    """The steps of `run` are in its own process, so that nothing between it and the stage can swallow the signal."""
    project = SmallProject(tmp_path / "project")
    step = "import sys; from stagewright.run import status_of; sys.exit(status_of('stages.reproduction.reproduce', []))"
    process = project.start_and_wait_in_stage(sys.executable, "-c", step)
    process.terminate()
    process.communicate(timeout=60)
    assert process.returncode == 128 + signal.SIGTERM
    assert project.runs() == ["started"]


def test_run_stops_where_composition_fails() -> None:
    done = ran("run", "train.epocs=3", "--", "--dry")
    assert done.returncode == 1 and "train.epocs" in done.stderr and "Stage" not in done.stdout


@pytest.mark.parametrize(
    ("words", "completed"),
    [
        (["stagewright", "pre"], "predict"),
        (["stagewright", "predict", "--prob"], "--probabilities"),
        (["stagewright", "sweep", "sta"], "status"),
    ],
)
def test_bash_completes_commands_and_options(words: list[str], completed: str, script: Path) -> None:
    asked = f"""
        source {shlex.quote(str(script))}
        COMP_WORDS=({shlex.join(words)}) COMP_CWORD={len(words) - 1} COMP_LINE={shlex.quote(shlex.join(words))}
        _shtab_stagewright stagewright {words[-1]} {words[-2]}
        printf '%s\\n' "${{COMPREPLY[@]}}"
    """
    done = subprocess.run(["bash", "-c", asked], capture_output=True, text=True, check=True)
    assert completed in done.stdout.split()


@pytest.fixture(scope="module")
def script(tmp_path_factory: pytest.TempPathFactory) -> Path:
    import shtab

    path = tmp_path_factory.mktemp("completion") / "stagewright.bash"
    path.write_text(shtab.complete(whole_parser(), "bash"), encoding="utf-8")
    return path
