"""`python -m stages.comparison.pull_request BASE`: the comment on a pull request, as Markdown.

It reads what is committed: the metrics and curves of the revision BASE against those of the workspace.
"""

import argparse
import csv
import io
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from stages.pipeline.errors import UserError
from stages.pipeline.paths import CURVES
from stages.pipeline.stage import one_line_errors

MARK = "<!-- stagewright -->"
"""By this the workflow finds its comment again, to update it in place."""

_CURVES = ("train/loss", "validation/loss", "validation/accuracy", "validation/f1")
_BASE_COLOUR, _HEAD_COLOUR = "#8c8c8c", "#7b61ff"


@dataclass(frozen=True)
class Curve:
    """Values of one score at the ends of epochs."""

    epochs: Sequence[float]
    values: Sequence[float]


def comment(base: str) -> str:
    """The whole comment. Raises UserError if `base` is no revision or the metrics can't be compared."""
    charts = [chart for name in _CURVES if (chart := _chart(name, base))]
    legend = f"Grey: `{base}`. Violet: this change." if charts else "No curves to draw."
    return "\n\n".join([MARK, "### Scores", _metrics_diff(base), "### Curves", legend, *charts]) + "\n"


def _metrics_diff(base: str) -> str:
    table = _run("dvc", "metrics", "diff", "--md", base).strip()
    return table or f"The metrics are those of `{base}`."


def _chart(name: str, base: str) -> str | None:
    """A Mermaid chart, which GitHub draws without a hosted image; None where there is nothing to draw."""
    path = CURVES / "plots" / "metrics" / f"{name}.tsv"
    head = _parse(path.read_text(encoding="utf-8")) if path.is_file() else None
    before = _curve_at(base, path)
    lines = [(curve, colour) for curve, colour in ((before, _BASE_COLOUR), (head, _HEAD_COLOUR)) if curve]
    if not lines:
        return None
    palette = ", ".join(colour for _, colour in lines)
    epochs = max((curve.epochs for curve, _ in lines), key=len)
    return "\n".join([
        "```mermaid",
        f'%%{{init: {{"themeVariables": {{"xyChart": {{"plotColorPalette": "{palette}"}}}}}}}}%%',
        "xychart-beta",
        f'    title "{name.replace("/", " ")}"',
        f'    x-axis "epoch" [{", ".join(f"{epoch:g}" for epoch in epochs)}]',
        *(f"    line [{', '.join(f'{value:.4f}' for value in curve.values)}]" for curve, _ in lines),
        "```",
    ])  # fmt: skip


def _curve_at(revision: str, path: Path) -> Curve | None:
    shown = subprocess.run(
        ["git", "show", f"{revision}:{path.as_posix()}"], capture_output=True, text=True, check=False
    )  # fmt: skip
    return _parse(shown.stdout) if shown.returncode == 0 else None


def _parse(text: str) -> Curve | None:
    _, *rows = csv.reader(io.StringIO(text), delimiter="\t")
    if len(rows) < 2:
        return None  # a single point makes no line
    return Curve([float(epoch) for epoch, _ in rows], [float(value) for _, value in rows])


def _run(*command: str) -> str:
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        lines = done.stderr.strip().splitlines() or ["it said nothing"]
        raise UserError(f"{' '.join(command)} failed: {lines[-1]}; give a revision whose metrics are committed")
    return done.stdout


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(prog="python -m stages.comparison.pull_request", description=__doc__)
    parser.add_argument("base", help="the revision to compare with, such as origin/main")
    arguments = parser.parse_args()
    with one_line_errors():
        sys.stdout.write(comment(arguments.base))


if __name__ == "__main__":
    main()
