"""Where the run in the workspace comes from: its code, and the committed run that it follows."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML
from ruamel.yaml.error import YAMLError

from stages.configuration.kinds import is_known, labels_words
from stages.pipeline.git import file_at, git_if_possible
from stages.pipeline.json_files import read_json
from stages.pipeline.paths import DOWNLOAD_METRICS, EVALUATE_METRICS, PARAMS, RUNS
from stages.reporting.content import Fact
from stages.reporting.markup import joined, tag
from stages.scoring.core.predicted import rules_of

_SHOWN = 10
"""The number of characters of a revision that are shown."""


@dataclass(frozen=True)
class BaseRun:
    """The run that is committed in `HEAD`, scored on the same test split."""

    revision: str
    scores: Mapping[str, Any]
    """The content of its `evaluate.json`."""


def code_facts() -> list[Fact]:
    """Return the revision in which the model was trained, and how to reproduce the run; nothing if it was not recorded."""
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
    """Return the revision that holds the run's parameters: that of training, or else `HEAD`; None if neither does.

    If new parameters are run before they are committed, only the next revision holds them.
    """
    if not PARAMS.is_file():
        return None
    params, head = PARAMS.read_bytes(), _head()
    return next((each for each in (trained, head) if each and file_at(each, PARAMS) == params), None)


def _head() -> str | None:
    """Return the revision of the last commit; None if there is none."""
    head = git_if_possible("rev-parse", "--verify", "HEAD")
    return None if head is None else head.strip()


def _environment_of_training() -> Mapping[str, Any]:
    """Return the environment that `runs.json` records of train; empty if it records none."""
    try:
        found = json.loads(RUNS.read_bytes())["train"]["environment"]
    except (OSError, ValueError, KeyError, TypeError):
        return {}
    return found if isinstance(found, Mapping) else {}


def base_run() -> BaseRun | None:
    """Return the committed run; None if there is none, or it is the run in the workspace.

    Nor is it returned if its scores are not comparable: the data are others, or entities were read otherwise.
    """
    committed, data = _committed(EVALUATE_METRICS), _committed(DOWNLOAD_METRICS)
    if committed is None or data is None or committed == read_json(EVALUATE_METRICS):
        return None
    here = read_json(DOWNLOAD_METRICS)
    if _test_split(data) != _test_split(here) or not isinstance(committed, Mapping) or not _reads_tags_alike():
        return None
    head = _head()
    return None if head is None else BaseRun(head[:_SHOWN], committed)


def _reads_tags_alike() -> bool:
    """Return whether the committed parameters read tags as those in the workspace do, as far as both are known."""
    committed = file_at("HEAD", PARAMS)
    if committed is None or not PARAMS.is_file():
        return True
    return _reading(committed) == _reading(PARAMS.read_bytes())


def _reading(params: bytes) -> tuple[str, str] | None:
    """Return `evaluate.mode` and `evaluate.scheme` of a `params.yaml`; None if it is of a task without tags."""
    try:
        found = YAML(typ="safe").load(params)
        kind = str(found.get("task", {}).get("kind"))
        if is_known(kind) and not labels_words(kind):
            return None
        rules = rules_of({f"evaluate.{name}": value for name, value in found["evaluate"].items()})
    except (ValueError, YAMLError, LookupError, TypeError, AttributeError):
        rules = rules_of({})
    return rules.mode, rules.scheme


def _test_split(download: Any) -> Any:
    """Return the name of the data and the counts of the test split. Scores are comparable only where both are equal."""
    try:
        return download["data"]["name"], download["data"]["splits"]["test"]
    except (KeyError, TypeError):
        return None


def _committed(path: Path) -> Any:
    """Return the content of a JSON file in `HEAD`; None if there is none."""
    content = file_at("HEAD", path)
    try:
        return None if content is None else json.loads(content)
    except ValueError:
        return None
