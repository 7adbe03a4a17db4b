"""`stagewright pull-request BASE`: print the comment on a pull request, as Markdown.

It compares the revision BASE with the workspace. Predictions come from DVC's cache or remote. If the base has none, or they are
stale, it shows the differences of the committed metrics, which are no evidence. Stale predictions in the workspace are an error.

Examples:
  stagewright pull-request origin/main
  stagewright pull-request origin/main --html comparison.html --fail-on-worse headline --fail-on-slower train:1.5
"""

import argparse
import shlex
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from stages.comparison import wording
from stages.comparison.comparing import compare
from stages.comparison.gates import add_gates, gated_metrics, require_all
from stages.comparison.html import as_html
from stages.comparison.loaded_runs import WORKSPACE, Run, load_run
from stages.comparison.markdown import details, folded, footer, table, tables, verdicts
from stages.comparison.post_comment import MARK
from stages.comparison.results import Comparison
from stages.pipeline.errors import DataError
from stages.pipeline.escaping import code
from stages.pipeline.one_line import one_line_errors
from stages.pipeline.outputs import write_text
from stages.reporting.content import Curve

_HEAD = "this change"
_DRAWN = ("train/loss", "validation/loss", "validation/accuracy", "validation/f1", "validation/pearson")
"""The curves that are drawn of each run, beside those of the metrics that are judged."""
_BASE_COLOUR, _HEAD_COLOUR = "#8c8c8c", "#7b61ff"
_LONGEST = 60_000
"""Characters; GitHub refuses comments of more than 65,536."""


def comment(comparison: Comparison) -> str:
    """Return the comment: verdict, scores, changes and curves. Examples are left out if it would be too long."""
    [pair] = comparison.pairs
    rest = [*_metrics(comparison), *_curves(comparison)]
    written = (_comment(comparison, [*details(comparison, pair, examples=examples), *rest]) for examples in (10, 3, 0))
    return next((text for text in written if len(text) <= _LONGEST), _comment(comparison, []))


def _comment(comparison: Comparison, detailed: Sequence[str]) -> str:
    parts = [
        MARK,
        f"### {wording.title(comparison.pairs[0])}",
        verdicts(comparison),
        *tables(comparison),
        *detailed,
        *footer(comparison),
    ]
    return "\n\n".join(parts) + "\n"


def _head() -> Run:
    """Return the workspace as a run. If it has no predictions, those of the commit that is checked out are used."""
    run = load_run(WORKSPACE)
    if run.predictions is None:
        try:
            committed = load_run("HEAD")
        except DataError:
            committed = run
        run = replace(
            run,
            predictions=committed.predictions,
            missing=committed.missing,
            stale=run.stale or committed.stale,
        )
    return replace(run, name=_HEAD)


def _metrics(comparison: Comparison) -> Iterator[str]:
    """Yield a table of all committed metrics that differ."""
    (base, head), name = (run.metrics for run in comparison.runs), comparison.runs[0].name
    keys = [key for key in {**base, **head} if base.get(key) != head.get(key)]
    rows = [[code(key), _number(base.get(key)), _number(head.get(key)), _change(base, head, key)] for key in keys]
    if rows:
        yield folded(f"Other metrics that differ: {len(rows)}", table(["metric", code(name), _HEAD, "change"], rows))


def _number(value: float | None) -> str:
    return "-" if value is None else f"{value:.6g}"


def _change(base: Mapping[str, float], head: Mapping[str, float], key: str) -> str:
    return f"{head[key] - base[key]:+.6g}" if key in base and key in head else "-"


def _curves(comparison: Comparison) -> Iterator[str]:
    base, head = comparison.runs
    names = dict.fromkeys([*_DRAWN, *(f"validation/{metric}" for metric in comparison.judged)])
    charts = [chart for name in names for chart in _charts(name, base.curves.get(name), head.curves.get(name))]
    if charts:
        legend = f"Grey: {code(base.name)}. Violet: {_HEAD}."
        yield folded(f"Training curves: {len(charts)}", "\n\n".join([legend, *charts]))


def _charts(name: str, base: Curve | None, head: Curve | None) -> Iterator[str]:
    """Yield one chart of both runs, or one of each where their points are not at the same epochs."""
    both = ((base, _BASE_COLOUR), (head, _HEAD_COLOUR))
    lines = [(curve, colour) for curve, colour in both if curve and len(curve.epochs) > 1]  # one point makes no line
    shared = list(zip(*(curve.epochs for curve, _ in lines), strict=False))
    if all(len(set(epochs)) == 1 for epochs in shared):
        yield from [_chart(name, lines)] if lines else []
    else:
        yield from (_chart(name, [line]) for line in lines)


def _chart(name: str, lines: Sequence[tuple[Curve, str]]) -> str:
    """Return curves with their colours as a Mermaid chart, which GitHub draws without a hosted image.

    All curves begin at the same epochs: the chart has one axis, and places the points of each curve on it in turn.
    """
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


def _command(arguments: argparse.Namespace) -> str:
    """Return a shell command that makes the page again."""
    words = ["stagewright", "pull-request", arguments.base, "--html", "comparison.html"]
    return shlex.join([*words, *(word for gate in arguments.fail_on_worse for word in ("--fail-on-worse", str(gate)))])


def parser() -> argparse.ArgumentParser:
    """Return the parser of the command line."""
    made = argparse.ArgumentParser(
        prog="stagewright pull-request", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    made.add_argument("base", help="the revision to compare with, such as origin/main")
    made.add_argument("--html", type=Path, metavar="FILE", help="also write the page of the comparison")
    add_gates(made)
    return made


def main() -> None:
    """Run the command line. The comment is written before a gate fails."""
    arguments = parser().parse_args()
    with one_line_errors():
        runs = [load_run(arguments.base), _head()]
        comparison = compare(runs, by_seed=False, lenient=True, judged=gated_metrics(arguments))
        sys.stdout.write(comment(comparison))
        sys.stdout.flush()
        if arguments.html is not None:
            write_text(arguments.html, as_html(comparison, runs, _command(arguments)))
        if runs[1].stale:
            raise DataError(f"predictions of {_HEAD} are stale: {runs[1].stale}")
        require_all(comparison, arguments)


if __name__ == "__main__":
    main()
