"""Putting a stage's last good outputs back after it failed: DVC removes them before it starts the stage."""

import logging
import os
import shutil
import subprocess
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML

from stages.pipeline.orphans import DVC_STAGE
from stages.pipeline.paths import DAG, KEPT

log = logging.getLogger("stages.recovery")


def keep_outputs() -> None:
    """After a stage has succeeded: copy the outputs that DVC does not cache, so that they can be put back later."""
    stage = os.environ.get(DVC_STAGE)
    if stage is None:
        return
    for path in _uncached_outputs(stage):
        _replace(KEPT / path, path)


def restore_outputs() -> None:
    """After a stage has failed: put back what `dvc.lock` records of it, from DVC's cache, what was kept, or git.

    Does nothing where DVC is not running us, or the stage has never succeeded. Never raises: the error that
    brought us here is the one to be told.
    """
    stage = os.environ.get(DVC_STAGE)
    if stage is None:
        return
    try:
        _restore(stage)
    except Exception as error:
        log.warning("could not put back the last outputs of %s (%s); run `dvc checkout`", stage, error)


def restore_recorded_outputs() -> None:
    """After a run has failed: put back whatever `dvc.lock` records and is missing, whichever stage made it. Never raises."""
    try:
        _restore(None)
    except Exception as error:
        log.warning("could not put back all outputs (%s); run `dvc checkout`", error)


def _uncached_outputs(stage: str) -> list[Path]:
    entry = YAML(typ="safe").load(DAG.read_text(encoding="utf-8"))["stages"][stage]
    outs = [out for out in (*entry["outs"], *entry["metrics"]) if isinstance(out, dict)]
    return [Path(path) for out in outs for path, settings in out.items() if settings.get("cache") is False]


def _restore(name: str | None) -> None:
    """Put back what is missing of one stage, or of all."""
    from dvc.repo import Repo

    with Repo() as repo:
        stages = [stage for stage in repo.index.stages if name in {None, stage.addressing}]
        for out in (out for stage in stages for out in stage.outs):
            path = Path(out.fs_path)
            if out.hash_info and not path.exists():
                _restore_output(out, path)


def _restore_output(out: Any, path: Path) -> None:
    if out.use_cache:
        out.checkout(force=True)
        return
    name = path.relative_to(Path.cwd())
    for take in (_take_kept, _take_committed):
        take(name)
        if path.exists() and not out.changed_checksum():
            return
        _remove(path)  # from another run than the one that dvc.lock records


def _take_kept(name: Path) -> None:
    if (KEPT / name).exists():
        _replace(name, KEPT / name)


def _take_committed(name: Path) -> None:
    command = ["git", "restore", "--source=HEAD", "--worktree", "--", name.as_posix()]
    subprocess.run(command, capture_output=True, check=False)


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
