"""The curves that training has written."""

import csv
import math
from pathlib import Path

from stages.pipeline.errors import DataError
from stages.reporting.content import Curve

_LEFT_OUT = {"grad_norm", "learning_rate"}


def read_curves(folder: Path) -> tuple[Curve, ...]:
    """Losses and scores per epoch below DVCLive's folder, in the order of their names. Raises DataError on a damaged file."""
    files = sorted((folder / "plots" / "metrics").glob("*/*.tsv"))
    curves = (_read(file) for file in files if file.stem not in _LEFT_OUT)
    return tuple(curve for curve in curves if curve.epochs)


def _read(file: Path) -> Curve:
    try:
        with file.open(encoding="utf-8", newline="") as lines:
            points = [(float(row["step"]), float(row[file.stem])) for row in csv.DictReader(lines, delimiter="\t")]
    except (KeyError, TypeError, ValueError) as error:
        raise DataError(f"{file}: is no curve of steps and values; run `dvc repro` to make it again") from error
    points = [point for point in points if all(map(math.isfinite, point))]
    return Curve(file.parent.name, file.stem, tuple(x for x, _ in points), tuple(y for _, y in points))
