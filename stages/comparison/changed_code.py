"""Code that has changed since the run in the workspace: `dvc.lock` records what each stage was run with."""

from collections.abc import Collection

from dvc.dependency import ParamsDependency
from dvc.exceptions import DvcException
from dvc.repo import Repo

_MOST_NAMES = 3
"""How many files and folders are named at most."""


def note_on_changed_code(stages: Collection[str]) -> str | None:
    """Say which files that `stages` read, and no stage wrote, are others than `dvc.lock` records; None if there are none.

    DVC compares them, so that what `.dvcignore` names does not count. Outside of a DVC repository nothing is known.
    """
    try:
        with Repo() as repo:
            found = sorted(set(_changed(repo, stages)))
    except DvcException:
        return None
    if not found:
        return None
    more = f" and {len(found) - _MOST_NAMES} more" if len(found) > _MOST_NAMES else ""
    return (
        f"{', '.join(found[:_MOST_NAMES])}{more} changed since these predictions were made, so they say nothing about "
        "this change; run `dvc repro`, and commit what it writes"
    )


def _changed(repo: Repo, stages: Collection[str]) -> list[str]:
    made = [out.fs_path for stage in repo.index.stages for out in stage.outs]
    read = {
        (dep.def_path, str(dep.hash_info)): dep
        for stage in repo.index.stages
        if stage.addressing in stages
        for dep in stage.deps
        if dep.hash_info
        and not isinstance(dep, ParamsDependency)
        and not any(_is_within(dep.fs_path, out) or _is_within(out, dep.fs_path) for out in made)
    }
    return [path for (path, _), dep in read.items() if dep.status()]


def _is_within(path: str, folder: str) -> bool:
    return path == folder or path.startswith(f"{folder}/")
