"""`dvc.yaml` and the code say the same."""

import ast
import dataclasses
import importlib
from pathlib import Path
from typing import Any

import pytest
from ruamel.yaml import YAML

from stages.configuration import schema
from stages.configuration.validation import key_of
from stages.pipeline import paths
from tests.support.imports import ROOT, code_dependencies, first_party_files, ignored_by_dvc
from tests.support.workspace import Workspace

DAG: dict[str, Any] = YAML(typ="safe").load((ROOT / "dvc.yaml").read_text(encoding="utf-8"))
STAGES = ["download", "tokenize", "train", "evaluate", "export"]


def _outs(stage: str) -> set[str]:
    entries = DAG["stages"][stage]
    return {*entries["outs"], *(path for entry in _in_git(stage) for path in entry)}


def _in_git(stage: str) -> list[dict[str, Any]]:
    """The entries of a stage's metrics and plots."""
    return [*DAG["stages"][stage]["metrics"], *DAG["stages"][stage].get("plots", ())]


def test_there_are_five_stages_under_their_own_names() -> None:
    assert list(DAG["stages"]) == STAGES
    assert {file.stem for file in (ROOT / "stages").glob("*.py")} == {*STAGES, "__init__"}


def test_a_clone_that_converts_line_ends_has_the_same_code(tmp_path: Path) -> None:
    origin = Workspace(tmp_path / "origin")
    clone = Workspace.clone(origin, tmp_path / "clone", "--config=core.autocrlf=true")
    for name in origin.git("ls-files").splitlines():
        assert (clone.root / name).read_bytes() == (origin.root / name).read_bytes(), name


@pytest.mark.parametrize("stage", STAGES)
def test_a_stages_code_dependencies_are_what_it_imports(stage: str) -> None:
    listed = [dep for dep in DAG["stages"][stage]["deps"] if dep.startswith("stages/")]
    imported = code_dependencies(f"stages.{stage}")
    assert listed == imported, "deps should list:\n" + "\n".join(f"      - {dep}" for dep in imported)


@pytest.mark.parametrize("stage", STAGES)
def test_a_stage_imports_nothing_that_dvc_does_not_look_at(stage: str) -> None:
    ignored = ignored_by_dvc()
    assert ignored and all((ROOT / module).is_file() for module in ignored)
    assert not ignored & first_party_files(f"stages.{stage}")


CANNOT_MATTER = {
    "tokenize": (
        "stages/scoring",
        "stages/tasks/task.py",
        "stages/tasks/text_task.py",
        "stages/tasks/tokens_task.py",
        "stages/tasks/predictions_table.py",
        "stages/modeling",
    ),
    "train": (
        "stages/scoring/evaluation",
        "stages/tasks/encoding",
        "stages/tasks/predictions_table.py",
        "stages/scoring/metric_modules.py",
    ),
    "evaluate": ("stages/tasks/encoding", "stages/training", "stages/exporting"),
    "export": ("stages/scoring/evaluation", "stages/tasks/encoding", "stages/training"),
}


@pytest.mark.parametrize(("stage", "others"), CANNOT_MATTER.items())
def test_a_stage_does_not_import_what_can_not_matter_to_it(stage: str, others: tuple[str, ...]) -> None:
    assert not [file for file in first_party_files(f"stages.{stage}") if file.startswith(others)]


@pytest.mark.parametrize("stage", STAGES)
def test_a_stages_params_are_the_fields_of_its_dataclass(stage: str) -> None:
    config = getattr(schema, f"{stage.capitalize()}Stage")
    assert DAG["stages"][stage]["params"] == [key_of(field) for field in dataclasses.fields(config)]


@pytest.mark.parametrize("stage", STAGES)
def test_commands_are_literal(stage: str) -> None:
    assert DAG["stages"][stage]["cmd"] == f"python -m stages.{stage}"  # a ${...} would reach the shell unquoted


def _named_paths(stage: str) -> set[str]:
    """The constants of `stages.pipeline.paths` that the stage's module imports, as paths."""
    tree = ast.parse((ROOT / f"stages/{stage}.py").read_text(encoding="utf-8"))
    names = {
        alias.name
        for node in ast.walk(tree)
        if isinstance(node, ast.ImportFrom) and node.module == "stages.pipeline.paths"
        for alias in node.names
    }
    return {getattr(paths, name).as_posix() for name in names - {"SCRATCH"}}


@pytest.mark.parametrize("stage", STAGES)
def test_data_dependencies_and_outputs_are_the_paths_that_the_stage_names(stage: str) -> None:
    data_deps = {dep for dep in DAG["stages"][stage]["deps"] if not dep.startswith("stages/")}
    inside_an_out = {path for path in _named_paths(stage) if any(path.startswith(f"{out}/") for out in _outs(stage))}
    named = _named_paths(stage) - inside_an_out
    covered = {path for path in named if any(path == dep or path.startswith(f"{dep}/") for dep in data_deps)}
    assert named - covered == _outs(stage)
    assert all(any(path == dep or path.startswith(f"{dep}/") for path in covered) for dep in data_deps)


def test_no_path_of_the_dag_is_spelled_outside_the_paths_module() -> None:
    owned = ("data/raw", "data/tokenized", "data/predictions", "models/base", "models/trained", "models/export")
    for file in sorted((ROOT / "stages").rglob("*.py")):
        if file.name == "paths.py":
            continue
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Constant) and isinstance(node.value, str) and "\n" not in node.value:
                assert not node.value.startswith(owned), f"{file}: {node.value}"


def test_package_inits_hold_nothing_but_a_docstring() -> None:
    """They are left out of the stages' dependencies, so nothing in them may matter.

    The outermost one sets how often Python looks for garbage, which no output can show.
    """
    for file in sorted((ROOT / "stages").rglob("*/__init__.py")):
        body = ast.parse(file.read_text(encoding="utf-8")).body
        assert len(body) == 1 and isinstance(body[0], ast.Expr), file


def test_metrics_and_plots_alone_are_in_git_and_plots_name_files_that_a_stage_writes() -> None:
    """DVC keeps no run of a stage that has another output of `cache: false`, and would run it again in each sweep."""
    for stage in STAGES:
        assert all(settings["cache"] is False for entry in _in_git(stage) for settings in entry.values())
        assert all(isinstance(out, str) for out in DAG["stages"][stage]["outs"])
    written = {out for stage in STAGES for out in _outs(stage)}
    for plot in DAG["plots"]:
        for definition in plot.values():
            assert all(any(file.startswith(out) for out in written) for file in definition["y"]), definition


def test_the_other_stages_do_not_import_what_talks_to_the_hub() -> None:
    for stage in STAGES[1:]:
        assert "stages/sources/hub.py" not in first_party_files(f"stages.{stage}")


def test_nothing_where_nothing_trains_imports_the_trainer() -> None:
    for stage in ("download", "tokenize", "evaluate", "export"):
        assert not any(file.startswith("stages/training/") for file in first_party_files(f"stages.{stage}"))


def test_evaluate_and_seqeval_are_imported_each_on_a_line_of_its_own() -> None:
    """`import datasets, evaluate` on one line breaks evaluate's own import parser."""
    for file in sorted((ROOT / "stages").rglob("*.py")):
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Import):
                assert len(node.names) == 1, file


def test_every_stage_module_is_importable() -> None:
    for stage in ("download", "tokenize"):  # the others import torch: the pipeline tests run them
        assert callable(getattr(importlib.import_module(f"stages.{stage}"), stage))


def test_the_paths_module_is_relative() -> None:
    assert all(not value.is_absolute() for value in vars(paths).values() if isinstance(value, Path))
