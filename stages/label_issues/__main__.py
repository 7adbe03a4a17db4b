"""`stagewright label-issues`: list the gold labels that are probably wrong, the most certain first.

It applies confident learning to predictions for examples that the model was not trained on: the test and validation splits, or,
with --folds, the train split, each part of which is predicted by a model that was trained on the others.

Examples:
  stagewright label-issues --out issues.jsonl --out issues.csv      test and validation, from the predictions of the last run
  stagewright label-issues --folds 5 -S experiment=wnut17           train, each fifth by a model trained on the others
"""

import argparse
from collections.abc import Sequence
from itertools import islice
from pathlib import Path

from stages.label_issues.seen_inputs import note_on_seen, note_on_seen_in_folds
from stages.label_issues.shown import COLUMNS, require_format, terminal_lines, write_table
from stages.pipeline.argument_types import at_least, count
from stages.pipeline.errors import ConfigError, DataError
from stages.pipeline.escaping import lines
from stages.pipeline.one_line import one_line_errors
from stages.pipeline.paths import PREDICTIONS
from stages.reporting.label_issues import summary_of
from stages.reporting.staleness import notes_here, stale_here
from stages.reporting.workspace import params_here, sources_here
from stages.scoring.core.predicted import rules_of
from stages.scoring.label_errors.issue_table import IssueTable, issue_table

_MOST_SHOWN = 20


def issues_here() -> tuple[IssueTable, list[str]]:
    """Rank the labels of the predictions at hand. Return them, and what a reader must know, a sentence each.

    Raises DataError if there are none, or they are stale.
    """
    if reason := stale_here(PREDICTIONS):
        raise DataError(f"{PREDICTIONS}: is stale: {reason}")
    sources = sources_here()
    if not sources:
        raise DataError(f"{PREDICTIONS}: no gold label is known; label some examples of test or validation")
    notes = [*notes_here(), *filter(None, [note_on_seen(sources)])]
    return issue_table(sources, rules_of(params_here())), notes


def issues_in_train(folds: int, overrides: Sequence[str]) -> tuple[IssueTable, list[str]]:
    """Rank the labels of train, likewise. Raises ConfigError or DataError if a fold can't be run."""
    from stages.label_issues.folds import cross_validated  # needs what predictions at hand do not

    sources, params = cross_validated(folds, overrides)
    return issue_table(sources, rules_of(params)), [*filter(None, [note_on_seen_in_folds(sources)])]


def main() -> None:
    """Run the command line."""
    arguments = parser().parse_args()
    with one_line_errors():
        for path in arguments.out:
            require_format(path)
        if arguments.set_param and not arguments.folds:
            raise ConfigError(
                "-S: sets what the folds are trained with, and there are none; give their number, as in --folds 5"
            )
        found, notes = issues_in_train(arguments.folds, arguments.set_param) if arguments.folds else issues_here()
        for line in lines(summary_of(found), COLUMNS):
            print(line)
        for note in notes:
            print(*lines(f"note: {note}", COLUMNS), sep="\n")
        print()
        for line in terminal_lines(list(islice(found.by_example(), arguments.top or _MOST_SHOWN))):
            print(line)
        for path in arguments.out:
            written = found.issues[: arguments.top]
            write_table(path, written)
            print(f"{path}: {len(written):,} labels")


def parser() -> argparse.ArgumentParser:
    """Return the parser of the command line."""
    made = argparse.ArgumentParser(
        prog="stagewright label-issues", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add = made.add_argument
    add(
        "--out",
        type=Path,
        action="append",
        default=[],
        metavar="FILE",
        help="write the ranked table to this file, as .jsonl or .csv; can be given twice",
    )
    add(
        "--top",
        type=count,
        metavar="N",
        help=f"the number of examples to show and of labels to write (default: {_MOST_SHOWN} shown, all written)",
    )
    add(
        "--folds",
        type=at_least(2),
        metavar="K",
        help="check train with K models that are trained on the other parts; each is a DVC experiment",
    )
    add(
        "-S",
        "--set-param",
        action="append",
        default=[],
        metavar="KEY=VALUE",
        help="overrides of the folds' configuration, as in `dvc exp run -S`",
    )
    return made


if __name__ == "__main__":
    main()
