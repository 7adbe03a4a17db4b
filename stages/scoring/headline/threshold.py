"""Where texts have several labels: the probability, chosen on validation, from which on a text is said to have one."""

import json
from pathlib import Path

from stages.pipeline.errors import DataError
from stages.pipeline.json_files import read_json

_FILE = "threshold.json"
_KEY = "threshold"


def write_threshold(folder: Path, threshold: float) -> None:
    """Write it beside a model."""
    (folder / _FILE).write_text(json.dumps({_KEY: threshold}) + "\n", encoding="utf-8")


def read_threshold(folder: Path) -> float:
    """Read that of a model. Raises DataError if the file is missing or damaged."""
    try:
        return float(read_json(folder / _FILE)[_KEY])
    except (KeyError, TypeError, ValueError) as error:
        raise DataError(f"{folder / _FILE}: names no threshold; run `dvc repro --force train`") from error
