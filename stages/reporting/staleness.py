"""Stale outputs: made by a stage from other inputs or parameters than those of its own run.

`dvc exp run train` leaves `evaluate` as it was, and a parameter may be committed without a run. `dvc.lock` tells either.
It also tells which files are of no run that it records: a stage that was run by hand leaves such, and so does a
`git checkout` without `dvc checkout`.
"""

import hashlib
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML
from ruamel.yaml.error import YAMLError

from stages.pipeline.lock_schema import LockFile, parse_lock
from stages.pipeline.paths import DOWNLOAD_METRICS, EVALUATE_METRICS, LOCK, PARAMS, PREDICTIONS, TRAIN_METRICS

_MOST_NAMES = 3
"""How many parameters are named at most."""
_SHOWN = (DOWNLOAD_METRICS, TRAIN_METRICS, EVALUATE_METRICS, PREDICTIONS)
"""The files that a run is shown by. Each tells which data, model or scores it is of."""


def stale(lock: LockFile, params: Mapping[str, Any], output: Path) -> str | None:
    """Say why `output` is stale, and which stage to run; None if it is not.

    `params`: what `params.yaml` of the same run holds; empty where that is not known. `output` is stale if the stage that
    wrote it, or one that this stage depends on, was run with other parameters, or read something else than is recorded of
    the stage that writes it.
    """
    stage = _writer(lock, output)
    if stage is None:
        return None
    reasons = [reason for name in _upstream(lock, stage) for reason in _reasons(lock, params, name)]
    return f"{'; '.join(reasons)}; run `dvc repro {stage}`" if reasons else None


def stale_here(output: Path) -> str | None:
    """Say why `output`, as it lies in the workspace, is stale; None if it is not, or `dvc.lock` records another file."""
    lock = _lock_here()
    if lock is None or (output.is_file() and not records(lock, output, output.read_bytes())):
        return None
    return stale(lock, _params_here(), output)


def _lock_here() -> LockFile | None:
    """Return what `dvc.lock` holds; None if it is missing or incomplete."""
    return parse_lock(LOCK.read_bytes()) if LOCK.is_file() else None


def _params_here() -> Mapping[str, Any]:
    """Return what `params.yaml` holds; nothing if it can't be read, which is for those to tell that need the parameters."""
    try:
        params = YAML(typ="safe").load(PARAMS)
    except (OSError, ValueError, YAMLError):  # a ValueError: 2024-13-01 has the form of a date
        return {}
    return params if isinstance(params, Mapping) else {}


def notes_here() -> Iterator[str]:
    """Tell that the scores and predictions in the workspace are stale, or not of one run; nothing if they are."""
    if found := stale_here(PREDICTIONS):
        yield f"these scores and predictions are stale: {found}"
    lock = _lock_here()
    if lock is not None and (found := unrecorded(lock, lambda path: path.read_bytes() if path.is_file() else None)):
        yield found


def unrecorded(lock: LockFile, read: Callable[[Path], bytes | None]) -> str | None:
    """Say which of the files that a run is shown by are not those that `lock` records; None if all are.

    `read`: returns a file's content, or None if it is not there; what is missing or not recorded can't be another one.
    """
    known = {Path(out.path) for stage in lock.stages.values() for out in stage.outs if out.md5 and out.hash == "md5"}
    contents = {path: read(path) for path in _SHOWN if path in known}
    others = [
        str(path) for path, content in contents.items() if content is not None and not records(lock, path, content)
    ]
    if not others:
        return None
    are = "is not the one" if len(others) == 1 else "are not those"
    return (
        f"{', '.join(others)} {are} that {LOCK} records, so scores, predictions and {PARAMS} may be of different runs; "
        "after `git checkout` run `dvc checkout`, after a stage without DVC `dvc repro`"
    )


def records(lock: LockFile, output: Path, content: bytes) -> bool:
    """Return whether `content` is what `lock` records of the file `output`. It is not if a stage was run without DVC."""
    digest = hashlib.md5(content, usedforsecurity=False).hexdigest()
    return any(Path(out.path) == output and out.md5 == digest for stage in lock.stages.values() for out in stage.outs)


def _writer(lock: LockFile, path: Path) -> str | None:
    """Return the stage that writes `path`, or a folder around it."""
    written = ((name, Path(out.path)) for name, stage in lock.stages.items() for out in stage.outs)
    return next((name for name, out in written if path.is_relative_to(out)), None)


def stages_of(lock: LockFile, output: Path) -> list[str]:
    """Return the stage that writes `output` behind those that it depends on; an empty list if there is none."""
    stage = _writer(lock, output)
    return [] if stage is None else _upstream(lock, stage)


def _upstream(lock: LockFile, stage: str) -> list[str]:
    """Return the stages that `stage` depends on, then itself, each after those that it depends on."""
    found: dict[str, None] = {}

    def visit(name: str) -> None:
        for dep in lock.stages[name].deps:
            writer = _writer(lock, Path(dep.path))
            if writer is not None and writer not in found:
                visit(writer)
        found[name] = None

    visit(stage)
    return list(found)


def _reasons(lock: LockFile, params: Mapping[str, Any], name: str) -> Iterator[str]:
    stage = lock.stages[name]
    written = {out.path: (writer, out) for writer, other in lock.stages.items() for out in other.outs}
    for dep in stage.deps:
        writer, out = written.get(dep.path, (None, dep))
        if dep.md5 and out.md5 and dep.hash == out.hash and dep.md5 != out.md5:
            yield f"{name} read another {dep.path} than {writer} wrote"
    recorded = stage.params.get(PARAMS.as_posix(), {}) if params else {}
    others = [key for path, value in recorded.items() for key in _other_keys(path, value, _at(params, path))]
    if others:
        more = f" and {len(others) - _MOST_NAMES} more" if len(others) > _MOST_NAMES else ""
        yield f"{name} was run with another {', '.join(others[:_MOST_NAMES])}{more} than {PARAMS} says"


def _at(params: Mapping[str, Any], path: str) -> Any:
    """Return the value under a dotted key; None if there is none."""
    found: Any = params
    for key in path.split("."):
        found = found.get(key) if isinstance(found, Mapping) else None
    return found


def _other_keys(path: str, recorded: Any, found: Any) -> Iterator[str]:
    """Yield the dotted keys at or below `path` where two values differ."""
    if isinstance(recorded, Mapping) and isinstance(found, Mapping):
        for key in dict.fromkeys([*recorded, *found]):
            yield from _other_keys(f"{path}.{key}", recorded.get(key), found.get(key))
    elif recorded != found:
        yield path
