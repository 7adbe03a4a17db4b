"""The project's own modules that a module imports, directly or not."""

import ast
from pathlib import Path

ROOT = Path(__file__).parents[2]


def first_party_files(module: str) -> set[str]:
    """The files, relative to the repository, that importing `module` may run; package `__init__` files excepted."""
    found: set[Path] = set()
    waiting = [_file(module)]
    while waiting:
        file = waiting.pop()
        if file is None or file in found:
            continue
        found.add(file)
        waiting += [_file(name) for name in _imported_names(file)]
    return {file.relative_to(ROOT).as_posix() for file in found}


def _imported_names(file: Path) -> set[str]:
    names = set()
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            names |= {node.module} | {f"{node.module}.{alias.name}" for alias in node.names}
    return {name for name in names if name.startswith("stages")}


def _file(module: str) -> Path | None:
    file = ROOT.joinpath(*module.split(".")).with_suffix(".py")
    return file if file.is_file() else None


def code_dependencies(module: str) -> list[str]:
    """What `module` imports as `dvc.yaml` lists it, sorted: a folder of which every module is imported stands for them.

    DVC reads its lock file at each command, and an entry there for every module takes longer than hashing them.
    """
    files = first_party_files(module)
    folders = {folder for file in files for folder in Path(file).parents if folder.parts[1:]}
    for folder in sorted(folders, key=lambda folder: len(folder.parts)):
        inside = {file for file in files if Path(file).is_relative_to(folder)}
        if inside and _modules_below(folder) <= inside:
            files = (files - inside) | {folder.as_posix()}
    return sorted(files)


def _modules_below(folder: Path) -> set[str]:
    """The modules that DVC hashes with the folder, package `__init__` files excepted."""
    modules = {file.relative_to(ROOT).as_posix() for file in (ROOT / folder).rglob("*.py")}
    return {module for module in modules if not module.endswith("__init__.py")} - ignored_by_dvc()


def ignored_by_dvc() -> set[str]:
    """The modules that `.dvcignore` names: a change of them alone re-runs no stage."""
    lines = (ROOT / ".dvcignore").read_text(encoding="utf-8").splitlines()
    return {line.removeprefix("/") for line in lines if line.endswith(".py")}
