"""`python -m stages.comparison.compare BASE OTHER…`: what one run has better than another, and whether that is chance.

A run is `workspace`, a git revision, a DVC experiment (name or hash) or a file with both gold and predictions; with
--gold it is a file of predictions. Files are of any format that `stages.scoring.score` reads.
"""

import argparse
import json
import sys
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import get_args

from stages.comparison.comparing import LEVEL, compare
from stages.comparison.gates import add_gates, gated_metrics, require_all
from stages.comparison.loaded_runs import Run, experiments, load_runs, load_systems
from stages.comparison.markdown import as_markdown
from stages.comparison.results import Comparison
from stages.comparison.terminal import as_text
from stages.configuration.schema import EntityScheme, ScoringMode
from stages.pipeline.errors import ConfigError, DataError
from stages.pipeline.one_line import one_line_errors
from stages.pipeline.options import at_least
from stages.pipeline.outputs import write_text
from stages.scoring.evaluation.resampling import RESAMPLES
from stages.systems.options import add_reading_options, columns_of

_STDOUT = "-"
_EXPERIMENTS = (
    "all that `dvc exp run` left behind on the current commit, too; one that can't be compared with the base (another "
    "task or test split, predictions that are stale or not at hand) is left out, and a note says why"
)


def as_json(comparison: Comparison) -> str:
    """Strict JSON with the fields of `Comparison`; what is not defined is null."""
    return json.dumps(asdict(comparison), indent=2, ensure_ascii=False, allow_nan=False) + "\n"


def main() -> None:
    """The command line. Exits with 1 if runs can't be compared, or a gate forbids one."""
    arguments = _parser().parse_args()
    with one_line_errors():
        names, found = _names(arguments)
        runs = _runs(arguments, names, found)
        comparison = compare(
            runs,
            optional=found,
            level=arguments.level,
            resamples=arguments.resamples,
            metric=arguments.metric,
            by_seed=arguments.by_seed,
            judged=gated_metrics(arguments),
            mode=arguments.mode,
            scheme=arguments.scheme,
        )
        _write(comparison, arguments)
        if not comparison.pairs:
            raise DataError(f"none of these runs can be compared with {runs[0].name}; the notes say why")
        if arguments.html is not None:
            from stages.comparison.html import as_html  # needs what the other formats do not

            write_text(Path(arguments.html), as_html(comparison, runs))
        require_all(comparison, arguments)


def _runs(arguments: argparse.Namespace, names: Sequence[str], found: Sequence[str]) -> list[Run]:
    if arguments.gold is None:
        if arguments.columns or arguments.predicted_columns or arguments.ignore_words:
            raise ConfigError(
                "--columns, --predicted-columns and --ignore-words say how files are joined; give --gold FILE"
            )
        return load_runs(names, found)
    runs = load_systems(arguments.gold, names, columns_of(arguments), ignore_words=arguments.ignore_words)
    for run in runs:
        if run.note:
            print(run.note, file=sys.stderr)
    return runs


def _names(arguments: argparse.Namespace) -> tuple[list[str], list[str]]:
    """The runs to compare, the base first; and those of them that nobody named, but `--experiments` found."""
    if arguments.markdown == arguments.json == _STDOUT:
        raise ConfigError("--markdown - and --json - both write to standard output; give one of them a file")
    if arguments.gold is not None and arguments.experiments:
        raise ConfigError("--experiments have gold of their own; leave out --gold, or --experiments")
    names = [arguments.base, *arguments.others]
    found = [name for name in experiments() if name not in names] if arguments.experiments else []
    if len(names) + len(found) < 2:
        raise ConfigError(
            f"nothing to compare {arguments.base} with; name another run, or make experiments with `dvc exp run`"
        )
    repeated = next((name for place, name in enumerate(names) if name in names[:place]), None)
    if repeated:
        raise ConfigError(f"{repeated}: named twice; name each run once")
    return [*names, *found], found


def _write(comparison: Comparison, arguments: argparse.Namespace) -> None:
    wanted = [(arguments.markdown, as_markdown), (arguments.json, as_json)]
    for place, written in wanted:
        if place == _STDOUT:
            sys.stdout.write(written(comparison))
        elif place is not None:
            write_text(Path(place), written(comparison))
    if _STDOUT not in (arguments.markdown, arguments.json):
        sys.stdout.write(as_text(comparison, details=arguments.details))


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m stages.comparison.compare",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add = parser.add_argument
    add("base", help="the run that the others are compared with")
    add("others", nargs="*", metavar="other", help="another run")
    add("--gold", type=Path, metavar="FILE", help="compare files of predictions on this file's gold")
    add_reading_options(parser)
    add("--experiments", action="store_true", help=_EXPERIMENTS)
    add(
        "--details",
        action="store_true",
        help="also where there are several runs: all metrics, parameters, labels, examples",
    )
    add("--markdown", metavar="FILE", help="write Markdown; - for standard output")
    add("--json", metavar="FILE", help="write JSON; - for standard output")
    add("--html", metavar="FILE", help="write one page that opens from disk, with the examples that changed")
    modes, schemes = get_args(ScoringMode), ["auto", *get_args(EntityScheme), "plain"]
    add("--mode", choices=modes, help="how entities are read off tags; default: the base's evaluate.mode")
    add("--scheme", choices=schemes, help="the scheme of strict scores; default: the base's evaluate.scheme")
    add("--metric", help="the metric that is judged and comes first; default: the base's task.metric")
    add("--level", type=_share, default=LEVEL, help=f"of significance, for all verdicts together (default: {LEVEL})")
    add(
        "--resamples",
        type=at_least(100),
        default=RESAMPLES,
        help=f"resamples and random exchanges (default: {RESAMPLES})",
    )
    add("--each-seed", dest="by_seed", action="store_false", help="don't take runs that differ only in seed together")
    add_gates(parser)
    return parser


def _share(text: str) -> float:
    value = float(text)
    if not 0 < value < 1:
        raise argparse.ArgumentTypeError(f"{text} is not between 0 and 1")
    return value


if __name__ == "__main__":
    main()
