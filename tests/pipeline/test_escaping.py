"""Text from data is harmless where it is shown: Markdown, CSV, a terminal's log."""

import csv
import errno
import io
import logging
import re
import signal
import subprocess
import sys
import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st
from markdown_it import MarkdownIt

from stages.pipeline.errors import DataError
from stages.pipeline.escaping import cell, code, visible
from stages.pipeline.one_line import OneLineFormatter, one_line_errors

CELL_OF_GITHUB = re.compile(r"(?:\\[!-/:-@\[-`{-~]|[^|])*")
"""What cmark-gfm takes for one cell: a backslash and any punctuation are one character of it."""
DANGEROUS = st.text(st.sampled_from("|\\`<>&*_[]()!@#=+-'\"\t\r\n \x1b\u202e\u2028\xada1é漢")) | st.text()


@given(DANGEROUS)
def test_code_is_one_piece_of_code_in_a_paragraph(text: str) -> None:
    (_, inline, _) = MarkdownIt("commonmark").parse(f"label {code(text)} end")
    assert [child.type for child in inline.children or ()] == ["text", "code_inline", "text"]


@given(DANGEROUS, DANGEROUS)
def test_code_is_one_cell_of_a_table(first: str, second: str) -> None:
    row = f"| {code(first)} | {code(second)} |"
    assert len([match for match in CELL_OF_GITHUB.findall(row[1:-1]) if match]) == 2
    page = MarkdownIt("commonmark").enable("table").render(f"| a | b |\n|---|---|\n{row}\n")
    assert page.count("<td>") == page.count("<code>") == 2


@pytest.mark.parametrize("text", ["plain", "B-person", "a\\b", "`", "a|b", "naïve 漢字"])
def test_code_shows_what_can_be_seen_as_it_is(text: str) -> None:
    page = MarkdownIt("commonmark").enable("table").render(f"| a |\n|---|\n| {code(text)} |\n")
    assert f"<code>{text}</code>" in page


@given(DANGEROUS)
def test_a_cell_is_text_for_spreadsheets_and_for_pages(text: str) -> None:
    shown = cell(text)
    assert "<" not in shown and not re.match(r"\s*[=@]", shown)
    assert not {character for character in shown if unicodedata.category(character) in ("Cc", "Cf", "Cs", "Zl", "Zp")}
    written = io.StringIO()
    csv.writer(written).writerow([shown, "next"])
    assert list(csv.reader([written.getvalue()])) == [[shown, "next"]]


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("=cmd|' /C calc'!A0", "'=cmd|' /C calc'!A0"), ("+1+cmd", "'+1+cmd"), ("-2+3+cmd|x", "'-2+3+cmd|x"), (" @SUM", "' @SUM"),
        ("\t=1", r"\t=1"), ("-LRB-", "'-LRB-"), ("</script>", r"\x3c/script>"), ("<DVC_METRIC_DATA>", r"\x3cDVC_METRIC_DATA>"),
        ("-1", "-1"), ("-1.5 to 0.25", "-1.5 to 0.25"), ("-1e-05 to 2e+10", "-1e-05 to 2e+10"), ("B-person", "B-person"),
    ],
)  # fmt: skip
def test_a_cell_keeps_numbers_and_names_as_they_are(text: str, shown: str) -> None:
    assert cell(text) == shown


def test_a_log_line_is_one_line_and_a_traceback_behind_it_several() -> None:
    formatter = OneLineFormatter("%(message)s")
    record = logging.LogRecord("stages", logging.INFO, "", 1, "%s: read", ("a\x1b[2J\r\nerror: forged",), None)
    assert formatter.format(record) == r"a\x1b[2J\r\nerror: forged: read"
    try:
        raise ValueError("inside")
    except ValueError as error:
        record.exc_info = (ValueError, error, error.__traceback__)
    assert len(formatter.format(record).splitlines()) > 2


def test_an_error_is_one_line_that_moves_no_cursor(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit), one_line_errors():
        raise DataError("train.csv, line 2: the label is \x1b[31mred\u202e\nerror: forged")
    assert capsys.readouterr().err == "error: train.csv, line 2: the label is \\x1b[31mred\\u202e error: forged\n"


@given(st.text(st.characters(blacklist_categories=("C", "Z"))))
def test_what_can_be_seen_stays_as_it_is(text: str) -> None:
    assert visible(text) == text


def test_a_log_whose_reader_has_gone_ends_the_process_quietly() -> None:
    """As in `stagewright look … | head`."""
    program = (
        "import logging\n"
        "from stages.pipeline.one_line import one_line_errors, one_line_log\n"
        "one_line_log()\n"
        "with one_line_errors():\n"
        "    for line in range(100_000):\n"
        "        logging.getLogger('stages').info('line %d', line)\n"
    )
    with subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        assert process.stdout is not None and process.stderr is not None
        assert process.stdout.readline() == b"line 0\n"
        process.stdout.close()
        assert process.stderr.read() == b""
    assert process.returncode == 128 + signal.SIGPIPE


def test_a_file_that_may_not_be_read_is_told_in_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended, one_line_errors():
        raise PermissionError(errno.EACCES, "Permission denied", "locked/a\n.csv")
    assert ended.value.code == 1
    told = "error: locked/a .csv: permission is denied; make it, and the folders above it, accessible to you\n"
    assert capsys.readouterr().err == told


@pytest.mark.parametrize("file", [(), (3,)])
def test_a_denied_permission_of_no_named_file_is_a_bug(file: tuple[int, ...]) -> None:
    with pytest.raises(PermissionError), one_line_errors():
        raise PermissionError(errno.EPERM, "Operation not permitted", *file)
