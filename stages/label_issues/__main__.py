"""`python -m stages.label_issues`: name the gold labels that are probably wrong, the surest first.

By confident learning on what the model says of examples that it was not trained on: those of the test and validation
splits, or with --folds those of train, predicted by models that were trained on the other parts of it.
"""

import argparse
from itertools import islice
from pathlib import Path

from stages.label_issues.shown import COLUMNS, require_format, terminal_lines, write_table
from stages.pipeline.errors import DataError
from stages.pipeline.escaping import lines
from stages.pipeline.one_line import one_line_errors
from stages.pipeline.paths import PREDICTIONS
from stages.reporting.label_issues import told
from stages.reporting.staleness import stale_here
from stages.reporting.workspace import params_here, sources_here
from stages.scoring.core.predicted import rules_of
from stages.scoring.label_errors.issue_table import IssueTable, issue_table

_MOST_SHOWN = 20


def issues_here() -> IssueTable:
    """Rank the labels of the predictions at hand. Raises DataError if there are none, or they are stale."""
    if reason := stale_here(PREDICTIONS):
        raise DataError(f"{PREDICTIONS}: is stale: {reason}")
    sources = sources_here()
    if not sources:
        raise DataError(f"{PREDICTIONS}: no gold label is known; label some examples of test or validation")
    return issue_table(sources, rules_of(params_here()))


def main() -> None:
    """Run the command line."""
    arguments = _arguments()
    with one_line_errors():
        for path in arguments.out:
            require_format(path)
        found = issues_here()
        for line in lines(told(found), COLUMNS):
            print(line)
        print()
        for line in terminal_lines(list(islice(found.by_example(), arguments.top or _MOST_SHOWN))):
            print(line)
        for path in arguments.out:
            written = found.issues[: arguments.top]
            write_table(path, written)
            print(f"{path}: {len(written):,} labels")


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m stages.label_issues", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add = parser.add_argument
    add(
        "--out",
        type=Path,
        action="append",
        default=[],
        metavar="FILE",
        help="write the ranked table, by its name as .jsonl or .csv; may be given twice",
    )
    add(
        "--top",
        type=_count,
        metavar="N",
        help=f"show so many examples, and write so many labels (default: {_MOST_SHOWN} shown, all written)",
    )
    return parser.parse_args()


def _count(text: str) -> int:
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text} is no number from 1 on")
    return int(text)


if __name__ == "__main__":
    main()
