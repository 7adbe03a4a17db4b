"""The command-line options that say how files of gold and predictions are read."""

import argparse
import re

from stages.systems.joining import Columns
from stages.systems.system_file import Choice

_POSITION = re.compile(r"-?[0-9]+")

FORMATS = """\
Files are read by their name and content: CoNLL, CoNLL-U (the tag is UPOS), Parquet, Arrow, CSV and TSV with a header,
JSON Lines, JSON, text with one label or the tags of one sentence per line (predictions.txt of run_ner.py).
Tables have their labels in columns `gold` or `label` and `predicted` or `prediction`, and may have `id`, by which
they are joined, `word`, `token` or `tokens`, `score` and `probabilities`; other files are joined in order.
"""


def add_reading_options(parser: argparse.ArgumentParser) -> None:
    """Add --columns, --predicted-columns and --ignore-words."""
    positions = "by name or position; CoNLL has positions, counted from 0, or from the end if negative"
    parser.add_argument(
        "--columns",
        help=f"of the gold file: WORD,TAG (CoNLL: 0,-1; CoNLL-U: FORM,UPOS), or its label alone; of one file with both: "
        f"WORD,GOLD,PREDICTED (CoNLL: 0,-2,-1); {positions}",
    )
    parser.add_argument("--predicted-columns", help="of the predictions: WORD,TAG, or the label alone, likewise")
    parser.add_argument(
        "--ignore-words",
        action="store_true",
        help="join rows and sentences of the same lengths even if their words or texts differ",
    )


def columns_of(arguments: argparse.Namespace) -> Columns:
    """Return the columns that the options choose."""
    return Columns(_choice(arguments.columns), _choice(arguments.predicted_columns))


def _choice(text: str | None) -> Choice | None:
    if text is None:
        return None
    return [int(column) if _POSITION.fullmatch(column.strip()) else column.strip() for column in text.split(",")]
