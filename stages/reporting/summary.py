"""`stagewright summary`: print the scores of the last run, and where its outputs are.

Examples:
  stagewright summary
"""

import argparse
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from stages.pipeline.escaping import lines, visible
from stages.pipeline.json_files import read_json
from stages.pipeline.one_line import one_line_errors
from stages.pipeline.paths import (
    DOWNLOAD_METRICS,
    EVALUATE_METRICS,
    EXPORTED_MODEL,
    METRICS,
    PREDICTIONS,
    REPORT,
    TRAIN_METRICS,
    TRAINED_MODEL,
)
from stages.reporting.staleness import notes_here

_WIDTH = 80
"""Columns of a terminal."""
_PLACES = {
    "scores": METRICS,
    "predictions": PREDICTIONS,
    "trained model": TRAINED_MODEL,
    "exported model": EXPORTED_MODEL,
    "report": REPORT,
}


def summary() -> str:
    """Return a table of validation and test scores, then the paths of the outputs; at most 80 columns wide."""
    download, train, evaluate = (read_json(path) for path in (DOWNLOAD_METRICS, TRAIN_METRICS, EVALUATE_METRICS))
    intervals = evaluate.get("intervals", {})
    shown = [
        visible(f"{download['model']['name']} on {download['data']['name']} ({download['data']['kind']})"),
        "",
        f"{'':12}{'validation':>12}{'test':>12}{'  95 % interval' if intervals else ''}",
        *(
            f"{name:12}{_cell(value)}{_cell(evaluate.get(name))}{_bounds(intervals.get(name))}"
            for name, value in train["validation"].items()
        ),
        *_gain(evaluate),
        "",
        *(f"{what:16}{path}{_age(path)}" for what, path in _PLACES.items()),
        "",
        *(line for note in notes_here() for line in (*lines(f"note: {note}", _WIDTH), "")),
        "sweep           stagewright sweep -S KEY=VALUE,VALUE",
        "compare         stagewright compare HEAD workspace",
    ]
    return "\n".join(shown)


def _age(path: Path) -> str:
    """Return what to say of a report that was written before the scores: it is of another run, as after `dvc exp apply`."""
    if path != REPORT or not path.is_file():
        return ""
    scored = max(each.stat().st_mtime_ns for each in (DOWNLOAD_METRICS, TRAIN_METRICS, EVALUATE_METRICS))
    return "  (older than the scores: stagewright report)" if path.stat().st_mtime_ns < scored else ""


def _gain(evaluate: Mapping[str, Any]) -> Iterator[str]:
    """Yield the F1 on test with and without `task.decode=viterbi` in each mode, if that is known."""
    for mode, by_argmax in evaluate.get("argmax", {}).items():
        by_viterbi = evaluate.get(mode, evaluate)["f1"]  # the headline's mode has no entry of its own
        yield f"{mode} f1 on test: {by_viterbi:.4f} by viterbi, {by_argmax['f1']:.4f} by argmax"


def _cell(score: float | None) -> str:
    """Return a score in a column of the table; a dash where it is not defined or was not measured."""
    return f"{'-':>12}" if score is None else f"{score:12.4f}"


def _bounds(interval: Sequence[float] | None) -> str:
    """Return an interval to stand after its score; nothing if there is none."""
    return "" if interval is None else f"  [{interval[0]:.3f}, {interval[1]:.3f}]"


def parser() -> argparse.ArgumentParser:
    """Return the parser of the command line."""
    return argparse.ArgumentParser(
        prog="stagewright summary", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )


def main() -> None:
    """Run the command line."""
    parser().parse_args()
    with one_line_errors():
        print(summary())


if __name__ == "__main__":
    main()
