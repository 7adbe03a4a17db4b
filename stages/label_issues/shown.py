"""The ranked table: as JSON Lines, as CSV, and in the 80 columns of a terminal."""

import csv
import io
import json
from collections.abc import Iterator, Sequence
from pathlib import Path

from stages.pipeline.errors import ConfigError
from stages.pipeline.escaping import cell, lines, shortened, visible
from stages.pipeline.outputs import write_text
from stages.scoring.label_errors.issue_table import RankedIssue

COLUMNS = 80
_INDENT = 6
_CONTEXT = 30
"""Columns before the words that a sentence is shown for."""
FORMATS = (".jsonl", ".csv")


def require_format(path: Path) -> None:
    """Raise ConfigError for a file that has no format, by its name."""
    if path.suffix not in FORMATS:
        raise ConfigError(f"--out {path}: is of no format that is written; end its name in {' or '.join(FORMATS)}")


def write_table(path: Path, issues: Sequence[RankedIssue]) -> None:
    """Write a row an issue. JSON holds texts as they are; in CSV they are harmless to a spreadsheet, as `cell` makes them."""
    if path.suffix == ".jsonl":
        write_text(path, "".join(json.dumps(each.to_json(), ensure_ascii=False) + "\n" for each in issues))
        return
    written = io.StringIO()
    writer = csv.writer(written, lineterminator="\n")
    writer.writerow(_HEADER)
    writer.writerows([cell(each.to_cells()[name]) for name in _HEADER] for each in issues)
    write_text(path, written.getvalue())


_HEADER = (
    "rank",
    "id",
    "split",
    "kind",
    "given",
    "suggested",
    "given_probability",
    "suggested_probability",
    "margin",
    "is_error",
    "text",
)


def terminal_lines(examples: Sequence[Sequence[RankedIssue]]) -> Iterator[str]:
    """Yield a few lines for each example: its issues, then its text, or the words around the first issue of a sentence."""
    for issues in examples:
        for place, issue in enumerate(issues):
            where = f"{issues[0].id}: " if place == 0 else ""
            mark = "" if issue.issue.is_error else ", by the model alone"
            head = f"{issue.rank:>{_INDENT - 2}}  {where}{issue.kind}, margin {issue.issue.margin:+.2f}{mark}"
            yield shortened(visible(head), COLUMNS)
            yield from _indented(f"{issue.given} → {issue.suggested}")
        yield from _indented(_excerpt(issues[0]))
        yield ""


def _excerpt(issue: RankedIssue) -> str:
    """Return a text from its start, or a sentence from a little before the words of the issue."""
    if not issue.tokens:
        return visible(" / ".join(issue.texts))
    text = visible(issue.text)
    start = len(visible(" ".join(issue.tokens[: issue.words[0]])))
    return text if start <= _CONTEXT else f"…{text[start - _CONTEXT :]}"


def _indented(text: str) -> Iterator[str]:
    """Yield at most two indented lines."""
    for line in lines(visible(text), COLUMNS - _INDENT, 2):
        yield f"{'':{_INDENT}}{line}"
