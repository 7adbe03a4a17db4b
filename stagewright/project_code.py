"""The installed code as a project's DVC pipeline sees it: a file of digests for each stage, which the stage depends on.

In a clone, stages depend on the modules in `stages/`. A project has none of them, so `code/train.sha256` and the like list
their digests. An upgrade that changes a stage's code changes its file, and DVC runs that stage again and no other.
"""

import hashlib
from collections.abc import Iterator, Mapping
from functools import cache
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML

from stagewright.code_path import CODE, in_clone, root

_PREFIX = "stages/"


@cache
def shipped_pipeline() -> Mapping[str, Any]:
    """Return the pipeline that comes with the code, whose stages depend on modules."""
    pipeline: Mapping[str, Any] = YAML(typ="safe").load((root() / "dvc.yaml").read_text(encoding="utf-8"))
    return pipeline


def digests_file(stage: str) -> Path:
    """Return the file that a stage of a project depends on in place of its modules."""
    return CODE / f"{stage}.sha256"


def digests(stage: str) -> str:
    """Return the digests of the modules that a stage depends on, as `sha256sum` writes them."""
    return "".join(f"{_digest(file)}  {file.relative_to(root()).as_posix()}\n" for file in _modules(stage))


def _modules(stage: str) -> Iterator[Path]:
    for dep in shipped_pipeline()["stages"][stage]["deps"]:
        if dep.startswith(_PREFIX):
            path = root() / dep
            yield from [path] if path.is_file() else sorted(path.rglob("*.py"))


def _digest(file: Path) -> str:
    return hashlib.sha256(file.read_bytes()).hexdigest()


def is_project() -> bool:
    """Return whether the current folder is a project that `stagewright new` made."""
    return CODE.is_dir() and not in_clone() and digests_file("train").is_file()


def write_digests() -> None:
    """Write the files of all stages whose code has changed."""
    CODE.mkdir(exist_ok=True)
    for stage in shipped_pipeline()["stages"]:
        file, content = digests_file(stage), digests(stage)
        if not file.is_file() or file.read_text(encoding="utf-8") != content:
            file.write_text(content, encoding="utf-8")


def is_recorded(stage: str) -> bool:
    """Return whether the stage's file has the digests of the installed code."""
    file = digests_file(stage)
    return file.is_file() and file.read_text(encoding="utf-8") == digests(stage)
