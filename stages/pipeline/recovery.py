"""Keep copies of what the last good run wrote, and restore a stage's last good outputs after it failed.

DVC removes outputs before it starts the stage. It writes `dvc.lock` in place, and may be killed or find the disk full meanwhile.
"""

import logging
import os
import shutil
import subprocess
from contextlib import suppress
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML

from stages.pipeline.orphans import DVC_STAGE
from stages.pipeline.outputs import write_text
from stages.pipeline.paths import DAG, KEPT, KEPT_LOCK, LOCK

log = logging.getLogger("stages.recovery")


def keep_lock() -> None:
    """Keep a copy of `dvc.lock`, if it is whole."""
    content = LOCK.read_bytes() if LOCK.is_file() else b""
    if content != _kept() and is_whole(content):
        write_text(KEPT_LOCK, content.decode("utf-8"))


def is_whole(content: bytes) -> bool:
    """Whether `content` is a whole `dvc.lock`. Fast if it is the kept copy."""
    if content == _kept():
        return True
    from stages.pipeline.lock_schema import parse_lock  # importing it takes longer than a run without changes

    return parse_lock(content) is not None


def _kept() -> bytes | None:
    return KEPT_LOCK.read_bytes() if KEPT_LOCK.is_file() else None


def keep_outputs() -> None:
    """After a stage has succeeded, copy the outputs that DVC does not cache, so that they can be restored later."""
    stage = os.environ.get(DVC_STAGE)
    if stage is None:
        return
    entry = YAML(typ="safe").load(DAG.read_text(encoding="utf-8"))["stages"][stage]
    for out in (*entry.get("metrics", ()), *entry.get("plots", ())):
        for path in (path for path, settings in out.items() if settings.get("cache") is False):
            _replace(KEPT / path, Path(path))


def restore_outputs() -> None:
    """After a stage has failed, restore what `dvc.lock` records of it, from DVC's cache, the kept copies or git.

    Does nothing where DVC did not start the process, or the stage has never succeeded. Never raises: the stage's own
    error is the one to show.
    """
    stage = os.environ.get(DVC_STAGE)
    if stage is None:
        return
    try:
        _restore(stage)
    except Exception as error:
        log.warning("could not restore the last outputs of %s (%s); run `dvc checkout`", stage, error)


def restore_recorded_outputs() -> None:
    """After a run has failed, restore every missing output that `dvc.lock` records, of any stage. Never raises."""
    try:
        _restore(None)
    except Exception as error:
        log.warning("could not restore all outputs (%s); run `dvc checkout`", error)


def _restore(name: str | None) -> None:
    """Restore what is missing of one stage, or of all."""
    from dvc.repo import Repo

    with Repo() as repo:
        stages = [stage for stage in repo.index.stages if name in {None, stage.addressing}]
        for out in (out for stage in stages for out in stage.outs):
            path = Path(out.fs_path)
            if out.hash_info and not path.exists():
                _restore_output(out, path)


def _restore_output(out: Any, path: Path) -> None:
    if out.use_cache:
        if not out.changed_cache():  # a fresh clone has nothing to restore before `dvc pull`
            out.checkout(force=True)
        return
    name = path.relative_to(Path.cwd())
    if (KEPT / name).exists():
        _replace(name, KEPT / name)
    if _is_recorded(out, path) or _is_restored_with_its_run(out, path):
        return
    command = ["git", "restore", "--source=HEAD", "--worktree", "--", name.as_posix()]
    subprocess.run(command, capture_output=True, check=False)
    _is_recorded(out, path)


def _is_restored_with_its_run(out: Any, path: Path) -> bool:
    """Whether DVC has a copy, as it has of what git holds where it may restore the whole run of the stage."""
    from dvc.exceptions import DvcException

    out.use_cache, out.cache.cache_types = True, ["copy"]  # git would see a link
    with suppress(DvcException):
        if not out.changed_cache():
            out.checkout(force=True)
    return _is_recorded(out, path)


def _is_recorded(out: Any, path: Path) -> bool:
    """Whether the output is the one that `dvc.lock` records; that of another run is removed."""
    if path.exists() and not out.changed_checksum():
        return True
    _remove(path)
    return False


def _replace(path: Path, source: Path) -> None:
    _remove(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    if source.is_dir():
        shutil.copytree(source, path)
    else:
        shutil.copyfile(source, path)


def _remove(path: Path) -> None:
    if path.is_dir():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)
