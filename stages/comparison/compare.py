"""`stagewright compare BASE OTHER…`: test which runs are better than the base, and whether that may be chance.

A run is `workspace`, a git revision, a DVC experiment (name or hash), or a file that holds both gold labels and
predictions. With --gold FILE, a run is a file of predictions alone. Any format that `stagewright score` reads works.

Examples:
  stagewright compare workspace my-experiment                        or a revision, or a file of predictions
  stagewright compare HEAD --experiments --html comparison.html      all experiments on this commit
  stagewright compare origin/main workspace --fail-on-worse f1:0.01
  stagewright compare --gold gold.conll a.conll b.conll              two systems, from their files
"""

import argparse
import json
import shlex
import sys
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import get_args

from stages.comparison import wording
from stages.comparison.comparing import LEVEL, compare
from stages.comparison.gates import add_gates, gated_metrics, require_all
from stages.comparison.loaded_runs import Run, experiments, load_runs, load_systems
from stages.comparison.markdown import as_markdown
from stages.comparison.results import Comparison
from stages.comparison.terminal import as_text
from stages.configuration.schema import EntityScheme, ScoringMode
from stages.pipeline.argument_types import at_least, number
from stages.pipeline.errors import ConfigError, DataError
from stages.pipeline.one_line import one_line_errors
from stages.pipeline.outputs import write_text
from stages.scoring.evaluation.resampling import RESAMPLES
from stages.systems.reading_options import add_reading_options, columns_of

_STDOUT = "-"
_EXPERIMENTS = (
    "also compare every experiment that `dvc exp run` made on the current commit; one that can't be compared with the base "
    "(another task or test split, stale or missing predictions) is left out, and a note says why"
)


def as_json(comparison: Comparison) -> str:
    """Return strict JSON with the fields of `Comparison`, and how its numbers were made in words. Undefined values are null."""
    method = wording.method(comparison) if comparison.examples else None
    content = {**asdict(comparison), "interval_level": comparison.interval_level, "method": method}
    return json.dumps(content, indent=2, ensure_ascii=False, allow_nan=False) + "\n"


def main() -> None:
    """Run the command line. Exit with 1 if runs can't be compared, or a gate fails."""
    arguments = parser().parse_args()
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

            write_text(Path(arguments.html), as_html(comparison, runs, _command(arguments)))
        require_all(comparison, arguments)


def _runs(arguments: argparse.Namespace, names: Sequence[str], found: Sequence[str]) -> list[Run]:
    if arguments.gold is None:
        if arguments.columns or arguments.predicted_columns or arguments.ignore_words:
            raise ConfigError(
                "--columns, --predicted-columns and --ignore-words say how files are joined; give --gold FILE as well"
            )
        return load_runs(names, found)
    runs = load_systems(arguments.gold, names, columns_of(arguments), ignore_words=arguments.ignore_words)
    for run in runs:
        if run.note:
            print(run.note, file=sys.stderr)
    return runs


def _names(arguments: argparse.Namespace) -> tuple[list[str], list[str]]:
    """Return the names of the runs to compare, the base first, and those among them that `--experiments` found."""
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


def _command(arguments: argparse.Namespace) -> str:
    """Return a shell command that makes the page again. The files that this one wrote are left out: the page is the same."""
    valued = {
        "--gold": arguments.gold,
        "--columns": arguments.columns,
        "--predicted-columns": arguments.predicted_columns,
        "--mode": arguments.mode,
        "--scheme": arguments.scheme,
        "--metric": arguments.metric,
        "--level": None if arguments.level == LEVEL else arguments.level,
        "--resamples": None if arguments.resamples == RESAMPLES else arguments.resamples,
    }
    flags = {
        "--ignore-words": arguments.ignore_words,
        "--experiments": arguments.experiments,
        "--each-seed": not arguments.by_seed,
    }
    words = ["stagewright", "compare", arguments.base, *arguments.others]
    words += [word for option, value in valued.items() if value is not None for word in (option, str(value))]
    words += [option for option, is_on in flags.items() if is_on]
    words += [word for gate in arguments.fail_on_worse for word in ("--fail-on-worse", str(gate))]
    return shlex.join([*words, "--html", "comparison.html"])


def parser() -> argparse.ArgumentParser:
    """Return the parser of the command line."""
    made = argparse.ArgumentParser(
        prog="stagewright compare",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add = made.add_argument
    add("base", help="the run that the others are compared with")
    add("others", nargs="*", metavar="other", help="another run")
    add(
        "--gold",
        type=Path,
        metavar="FILE",
        help="the file with the gold labels, where the runs are files of predictions alone",
    )
    add_reading_options(made)
    add("--experiments", action="store_true", help=_EXPERIMENTS)
    add(
        "--details",
        action="store_true",
        help="show all metrics, parameters, labels and examples, even for several runs",
    )
    add("--markdown", metavar="FILE", help="write Markdown; - for standard output")
    add("--json", metavar="FILE", help="write JSON; - for standard output")
    add(
        "--html",
        metavar="FILE",
        help="write a page that opens in a browser without a server, with the examples that changed",
    )
    modes, schemes = get_args(ScoringMode), ["auto", *get_args(EntityScheme), "plain"]
    add("--mode", choices=modes, help="how tags are read as entities (default: evaluate.mode of the base)")
    add("--scheme", choices=schemes, help="the tag scheme for strict scores (default: evaluate.scheme of the base)")
    add("--metric", help="the metric that comes first and gets a verdict (default: task.metric of the base)")
    add(
        "--level",
        type=_share,
        default=LEVEL,
        help=f"the significance level, for all verdicts together (default: {LEVEL})",
    )
    add(
        "--resamples",
        type=at_least(100),
        default=RESAMPLES,
        help=f"the number of bootstrap resamples and of random exchanges (default: {RESAMPLES})",
    )
    add(
        "--each-seed",
        dest="by_seed",
        action="store_false",
        help="compare runs that differ only in the seed one by one",
    )
    add_gates(made)
    return made


def _share(text: str) -> float:
    value = number(text)
    if not 0 < value < 1:
        raise argparse.ArgumentTypeError(f"{text} is not between 0 and 1")
    return value


if __name__ == "__main__":
    main()
