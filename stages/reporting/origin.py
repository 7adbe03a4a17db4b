"""Where the run in the workspace comes from: its code, and the committed run that it follows."""

import json
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from stages.pipeline.json_files import read_json
from stages.pipeline.paths import DOWNLOAD_METRICS, EVALUATE_METRICS, PARAMS, RUNS
from stages.reporting.content import Fact
from stages.reporting.markup import joined, tag

_SHOWN = 10
"""Characters of a revision that are shown: enough to find it by."""


@dataclass(frozen=True)
class BaseRun:
    """The run that is committed in `HEAD`, scored on the same test split."""

    revision: str
    scores: Mapping[str, Any]
    """What its `evaluate.json` holds."""


def code_facts() -> list[Fact]:
    """The revision that the model was trained in, and how to make the run again; empty where they were not recorded."""
    environment = _environment_of_training()
    revision = environment.get("revision")
    if not isinstance(revision, str) or not revision:
        return []
    changed = ", with uncommitted changes" if environment.get("dirty") else ""
    said = Fact("Git revision", joined([tag("code", revision[:_SHOWN]), changed]))
    holding = None if changed else _revision_of_params(revision)
    if holding is None:
        return [said, Fact("Reproduce", joined(["commit what has changed, then ", tag("code", "dvc repro")]))]
    return [said, Fact("Reproduce", tag("code", f"git checkout {holding[:_SHOWN]} && dvc repro"))]


def _revision_of_params(trained: str) -> str | None:
    """The revision that holds the run's parameters: that of training, or else `HEAD`; None if neither does.

    Who composes other parameters, runs them and then commits both has trained in the revision before.
    """
    params = PARAMS.read_bytes() if PARAMS.is_file() else None
    head = (_git("rev-parse", "HEAD") or b"").decode().strip()
    revisions = [revision for revision in (trained, head) if revision]
    return next((each for each in revisions if _git("show", f"{each}:./{PARAMS.as_posix()}") == params), None)


def _environment_of_training() -> Mapping[str, Any]:
    """What `runs.json` records of the environment of train; empty where that is not at hand."""
    try:
        found = json.loads(RUNS.read_bytes())["train"]["environment"]
    except (OSError, ValueError, KeyError, TypeError):
        return {}
    return found if isinstance(found, Mapping) else {}


def base_run() -> BaseRun | None:
    """Return the committed run; None if it is the same one, of other data, or not at hand."""
    committed, data = _committed(EVALUATE_METRICS), _committed(DOWNLOAD_METRICS)
    if committed is None or data is None or committed == read_json(EVALUATE_METRICS):
        return None
    here = read_json(DOWNLOAD_METRICS)
    if _test_split(data) != _test_split(here) or not isinstance(committed, Mapping):
        return None
    revision = _git("rev-parse", "HEAD")
    return None if revision is None else BaseRun(revision.decode().strip()[:_SHOWN], committed)


def _test_split(download: Any) -> Any:
    """The name of the data and what is counted of the test split: not alike, no score can be compared."""
    try:
        return download["data"]["name"], download["data"]["splits"]["test"]
    except (KeyError, TypeError):
        return None


def _committed(path: Path) -> Any:
    """The content of a JSON file in `HEAD`; None if there is none."""
    shown = _git("show", f"HEAD:./{path.as_posix()}")
    try:
        return None if shown is None else json.loads(shown)
    except ValueError:
        return None


def _git(*arguments: str) -> bytes | None:
    """Return what git answers; None where it can't."""
    try:
        done = subprocess.run(["git", *arguments], capture_output=True, check=False)
    except OSError:
        return None
    return done.stdout if done.returncode == 0 else None
