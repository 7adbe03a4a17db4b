"""The curves that training has written, as DVCLive lays them out: a file a curve, of steps and values."""

import csv
import io
import math
from pathlib import Path

from stages.pipeline.errors import DataError
from stages.reporting.content import Curve

_NOT_DRAWN = {"grad_norm", "learning_rate"}


def read_curves(folder: Path) -> tuple[Curve, ...]:
    """The curves that are drawn, in the order of their names. Raises DataError if a file is damaged."""
    files = sorted(curve_folder(folder).glob("*/*.tsv"))
    curves = (parse_curve(file, file.read_bytes()) for file in files)
    return tuple(curve for curve in curves if curve.epochs and is_drawn(curve))


def curve_folder(folder: Path) -> Path:
    """Where DVCLive's folder holds curves, each in a folder named after its split."""
    return folder / "plots" / "metrics"


def parse_curve(file: Path, content: bytes) -> Curve:
    """The finite values of one file, without any if there are none. Raises DataError if it holds something else."""
    try:
        lines = csv.DictReader(io.StringIO(content.decode(), newline=""), delimiter="\t")
        points = [(float(line["step"]), float(line[file.stem])) for line in lines]
    except (KeyError, TypeError, ValueError) as error:
        raise DataError(f"{file}: is not a curve of steps and values; run `dvc repro` to make it again") from error
    points = [point for point in points if all(map(math.isfinite, point))]
    return Curve(file.parent.name, file.stem, tuple(x for x, _ in points), tuple(y for _, y in points))


def is_drawn(curve: Curve) -> bool:
    """Whether a page shows the curve: losses and scores, but not gradient norms and learning rates."""
    return curve.metric not in _NOT_DRAWN
