"""The layers of the house: a sub-package imports from the layers below its own alone, so none are in a cycle."""

import ast
import re
from pathlib import Path

from tests.support.imports import ROOT

LAYERS = (
    {"pipeline"},
    {"configuration"},
    {"columns", "tags"},
    {"scoring"},
    {"sources", "tasks"},
    {"modeling", "systems"},
    {"exporting", "reporting", "reproduction", "training"},
    {"comparison", "push"},
    {"predict", "sweep"},
    {"label_issues", "serve"},
)
"""From the bottom to the top. Above them are the stages and the commands, which import any and which nothing imports."""


def parsed() -> dict[Path, ast.Module]:
    """Every module of `stages/`, by its path below it."""
    folder = ROOT / "stages"
    return {
        file.relative_to(folder): ast.parse(file.read_text(encoding="utf-8")) for file in sorted(folder.rglob("*.py"))
    }


def imports_of(tree: ast.Module) -> set[str]:
    """The modules of ours that a module imports from, without `stages.`."""
    names = {str(node.module) for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)}
    return {name.removeprefix("stages.") for name in names if name.startswith("stages.")}


def is_run(tree: ast.Module) -> bool:
    return any(isinstance(node, ast.If) and ast.unparse(node.test) == "__name__ == '__main__'" for node in tree.body)


def layer_of(package: str) -> int:
    return next((height for height, packages in enumerate(LAYERS) if package in packages), len(LAYERS))


def imports_against_the_layers() -> dict[tuple[str, str], list[str]]:
    """The files of a sub-package that import one of its own layer, or of one above. Commands may."""
    modules = parsed()
    imported_anywhere = {name for tree in modules.values() for name in imports_of(tree)}
    found: dict[tuple[str, str], list[str]] = {}
    for file, tree in modules.items():
        is_command = is_run(tree) and ".".join(file.with_suffix("").parts) not in imported_anywhere
        package = file.parts[0]
        if len(file.parts) == 1 or is_command:
            continue
        for imported in {name.split(".")[0] for name in imports_of(tree)} - {package}:
            if layer_of(imported) >= layer_of(package):
                found.setdefault((package, imported), []).append(file.as_posix())
    return found


def test_every_sub_package_is_in_one_layer() -> None:
    packages = {file.parent.name for file in (ROOT / "stages").glob("*/__init__.py")}
    assert sorted(package for layer in LAYERS for package in layer) == sorted(packages)


def test_the_page_on_architecture_shows_the_layers() -> None:
    page = (ROOT / "docs/architecture.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\| \d+ \| (.*) \|$", page, re.MULTILINE)
    assert [set(re.findall(r"(?:^|· )`(\w+)`:", row)) for row in rows] == [*LAYERS]


def test_sub_packages_import_from_lower_layers_alone() -> None:
    assert not imports_against_the_layers()
