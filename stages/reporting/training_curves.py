"""The curves that training has written, as DVCLive lays them out: a file a curve, of steps and values."""

import csv
import io
import math
from pathlib import Path

from stages.pipeline.errors import DataError
from stages.reporting.content import Curve

_NOT_DRAWN = {"grad_norm", "learning_rate"}


def read_curves(folder: Path) -> tuple[Curve, ...]:
    """Read the curves that pages draw, sorted by name. Raises DataError if a file is damaged."""
    files = sorted(curve_folder(folder).glob("*/*.tsv"))
    curves = (parse_curve(file, file.read_bytes()) for file in files)
    return tuple(curve for curve in curves if curve.epochs and is_drawn(curve))


def curve_folder(folder: Path) -> Path:
    """Return the folder inside DVCLive's that holds the curves, by split."""
    return folder / "plots" / "metrics"


def parse_curve(file: Path, content: bytes) -> Curve:
    """Parse the file of one curve. Values that are not finite are left out. Raises DataError if it is not a curve."""
    try:
        lines = csv.DictReader(io.StringIO(content.decode(), newline=""), delimiter="\t")
        points = [(float(line["step"]), float(line[file.stem])) for line in lines]
    except (KeyError, TypeError, ValueError) as error:
        raise DataError(f"{file}: is not a curve of steps and values; run `dvc repro` to make it again") from error
    points = [point for point in points if all(map(math.isfinite, point))]
    return Curve(file.parent.name, file.stem, tuple(x for x, _ in points), tuple(y for _, y in points))


def is_drawn(curve: Curve) -> bool:
    """Return whether a page draws the curve: losses and scores, but not gradient norms and learning rates."""
    return curve.metric not in _NOT_DRAWN
