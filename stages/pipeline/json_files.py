"""JSON files that stages write for later ones: strict, rounded, whole."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, TypeAlias

from stages.pipeline.errors import DataError
from stages.pipeline.escaping import visible
from stages.pipeline.outputs import write_text

Json: TypeAlias = "bool | int | float | str | list[Json] | Mapping[str, Json] | None"

DECIMALS = 6
"""Decimals kept of every float in a metrics file, so that a repeat gives the same bytes."""


def read_json(path: Path) -> dict[str, Any]:
    """Read an object that an earlier stage has written. Raises DataError if the file is missing or damaged."""
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise DataError(f"{path}: is missing or incomplete; run `stagewright run` first") from error
    if not isinstance(content, dict):
        raise DataError(f"{path}: does not hold a JSON object; run `stagewright run` first")
    return content


def write_json(path: Path, content: Json) -> None:
    """Write strict, `rounded` and `printable` JSON (no NaN), with a final newline. Raises ValueError on NaN or infinity."""
    text = json.dumps(printable(rounded(content)), indent=2, ensure_ascii=False, allow_nan=False)
    write_text(path, text + "\n")


def rounded(content: Json) -> Json:
    """Return `content` with every float, at any depth, rounded to `DECIMALS`."""
    if isinstance(content, float):
        return round(content, DECIMALS)
    if isinstance(content, Mapping):
        return {key: rounded(value) for key, value in content.items()}
    if isinstance(content, list):
        return [rounded(item) for item in content]
    return content


def printable(content: Json) -> Json:
    """Return `content` with every string in it made `visible`, keys too: labels are keys, and `dvc metrics` prints them raw."""
    if isinstance(content, str):
        return visible(content)
    if isinstance(content, Mapping):
        return {visible(key): printable(value) for key, value in content.items()}
    if isinstance(content, list):
        return [printable(item) for item in content]
    return content
