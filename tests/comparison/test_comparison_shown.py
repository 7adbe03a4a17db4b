"""What a comparison looks like, whatever is in data, labels and parameters."""

import json
import re
import unicodedata
from dataclasses import replace

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from stages.comparison.compare import as_json
from stages.comparison.comparing import compare
from stages.comparison.loaded_runs import Run
from stages.comparison.markdown import as_markdown
from stages.comparison.pull_request import comment
from stages.comparison.results import Comparison
from stages.comparison.terminal import as_text
from stages.comparison.wording import score
from stages.pipeline.escaping import code, fitted, lines, visible, width
from stages.reporting.content import Curve
from tests.support.made_experiments import texts

HOSTILE = [
    "<script>alert(1)</script>",
    "a|b\\|c",
    "``` `` `",
    "@someone #1 [x](javascript:y)",
    "\x1b[31mred\x07",
    "left\u202eright",
    "two\nlines\r\n",
    "漢字" * 60,
    " ",
    "e\u0301" * 90,
    "\ud800",
]


def words(predicted: list[str], tokens: list[str]) -> pa.Table:
    gold = ["B-" + HOSTILE[0], *["O"] * (len(tokens) - 1)] * 3
    columns = {
        "id": [f"test-{place}\x1b" for place in range(3) for _ in tokens],
        "word": pa.array([*range(len(tokens))] * 3, pa.int32()),
        "token": tokens * 3,
        "gold": gold,
        "predicted": predicted * 3,
    }
    return pa.table(columns)


@pytest.fixture
def comparison() -> Comparison:
    """Two runs on sentences of hostile tokens, with hostile types, names and parameters."""
    tokens = HOSTILE[:-1]
    runs = [
        Run(
            f"run {place} {HOSTILE[0]} {HOSTILE[1]}",
            words([tag, *["O"] * (len(tokens) - 1)], tokens),
            params={"data.name": HOSTILE[place], "seed": place, "rate": float(place)},
            metrics={f"evaluate.{HOSTILE[0]}": float(place)},
            curves={"validation/f1": Curve("validation", "f1", (1.0, 2.0), (0.1, 0.2))},
        )
        for place, tag in enumerate(["B-" + HOSTILE[0], "B-" + HOSTILE[1]])
    ]
    return compare(runs, resamples=200)


def test_the_terminal_shows_80_columns_and_no_control_characters(comparison: Comparison) -> None:
    shown = as_text(comparison)
    assert max(width(line) for line in shown.splitlines()) <= 80
    assert not {c for c in shown if unicodedata.category(c) in ("Cc", "Cf", "Cs")} - {"\n"}
    assert "0 fixed, 3 broken" in shown and "\\x1b[31m" in shown


def test_of_several_runs_the_terminal_shows_a_row_each() -> None:
    generator = np.random.default_rng(0)
    runs = [
        Run(
            f"{name}-{seed}",
            texts(generator.random(200) < right),
            params={"rate": rate, "epochs": epochs, "seed": seed},
            code="same",
        )
        for name, right, rate, epochs, seeds in (
            ("base", 0.6, 0.1, 2, (1,)), ("low", 0.3, 0.2, 3, (1, 2)), ("high", 0.9, 0.3, 3, (3, 4)), ("same", 0.6, 0.4, 3, (1,)),
        )
        for seed in seeds
    ]  # fmt: skip
    comparison = compare(runs, resamples=200)
    headline, title, table, *_ = as_text(comparison).split("\n\n")
    found = {pair.other.partition(" ")[0]: pair.differences[0] for pair in comparison.pairs}
    best = score(found["high-3"].other)
    assert " ".join(headline.split()) == (
        "accuracy: of 3 runs, 1 is better than base-1, 1 is worse, and 1 shows no evidence of a difference. "
        f"The best score is {best}, by high-3 + 1 seed."
    )
    assert title == "accuracy on the test split, compared with base-1\nin every other run: epochs: 2 → 3"
    header, *rows = table.splitlines()
    assert header.split() == ["accuracy", "change", "interval", "verdict", "run"]
    above = [row.strip() for row in rows if row.startswith("    ")]
    told = [(row.split()[-1], row.split()[0]) for row in rows if not row.startswith("    ")]
    values = {"base-1": found["high-3"].base, **{name: each.other for name, each in found.items()}}
    assert told == sorted(
        ((name, score(value)) for name, value in values.items()), key=lambda each: each[1], reverse=True
    )
    assert above == ["rate=0.3; seeds 3, 4", "rate=0.4", "rate=0.2; seeds 1, 2"]
    for row in rows:
        name = row.split()[-1]
        assert name not in found or f"  {found[name].verdict}  " in row
        assert name != "base-1" or row.split()[1:] == ["base", "base-1"]
    assert "examples:" not in as_text(comparison) and as_text(comparison, details=True).count("examples:") == 3


def test_the_curve_of_a_judged_metric_is_drawn(comparison: Comparison) -> None:
    """Whatever it is: those that are always drawn don't name it."""
    curves = {"validation/mcc": Curve("validation", "mcc", (1.0, 2.0), (0.1, 0.2))}
    runs = [replace(run, curves=curves) for run in comparison.runs]
    assert "validation mcc" in comment(replace(comparison, runs=runs, judged=("mcc",)))
    assert "validation mcc" not in comment(replace(comparison, runs=runs, judged=("f1",)))


@pytest.mark.parametrize("write", [as_markdown, comment])
def test_markdown_holds_data_only_as_code(comparison: Comparison, write: object) -> None:
    assert callable(write)
    shown = write(comparison)
    plain = re.sub(r"(?<!`)(`+)(?!`)(.+?)(?<!`)\1(?!`)", "", shown)
    plain = plain.replace("<!-- stagewright -->", "")
    assert "<script" in shown
    assert set(re.findall(r"<[^>]*>", plain)) <= {
        "<details>",
        "<summary>",
        "</summary>",
        "</details>",
        "<code>",
        "</code>",
        "<sub>",
        "</sub>",
    }
    assert not set("@\x1b\u202e\r") & set(plain)


def test_markdown_tables_keep_their_columns(comparison: Comparison) -> None:
    tables = re.findall(r"(?:^\|.*\|\n)+", as_markdown(comparison), flags=re.MULTILINE)
    assert len(tables) >= 3
    for table in tables:
        assert len({len(re.findall(r"(?<!\\)\|", row)) for row in table.splitlines()}) == 1


def test_json_is_strict_and_whole(comparison: Comparison) -> None:
    content = json.loads(as_json(comparison).encode("utf-8"))
    assert [each["change"] for each in content["pairs"][0]["changed"]] == ["broken"] * 3
    assert content["pairs"][0]["changed"][0]["tokens"] == HOSTILE[:-1]


def test_a_comment_is_never_longer_than_github_takes(comparison: Comparison) -> None:
    pair = comparison.pairs[0]
    long = replace(pair, changed=[replace(each, text="x" * 900, tokens=["y" * 900] * 9) for each in pair.changed] * 30)
    metrics = {f"evaluate.per_label.{place}.f1": 0.5 for place in range(3000)}
    runs = [comparison.runs[0], replace(comparison.runs[1], metrics=metrics)]
    many = replace(comparison, runs=runs, pairs=[replace(long, labels=[*pair.labels] * 2000)])
    assert len(comment(many)) <= 60_000
    assert "### ● No evidence of a difference: f1 1.0000 → 0.0000" in comment(many)


@given(st.text())
def test_visible_text_is_one_line_of_what_can_be_seen(text: str) -> None:
    shown = visible(text)
    assert not any(unicodedata.category(character)[0] == "C" for character in shown)
    assert len((shown + ".").splitlines()) == 1


@given(st.text(), st.integers(1, 30))
def test_fitted_text_takes_exactly_its_columns(text: str, columns: int) -> None:
    assert width(fitted(text, columns)) == columns


@given(st.text(), st.integers(4, 30), st.integers(1, 4))
def test_lines_keep_their_columns_and_number(text: str, columns: int, most: int) -> None:
    broken = lines(visible(text), columns, most)
    assert len(broken) <= most
    assert all(width(line) <= columns for line in broken)


@given(st.text())
def test_code_ends_where_it_should(text: str) -> None:
    """The fence's run of backticks does not occur inside."""
    shown = code(text)
    fence = re.match("`+", shown)
    assert fence is not None
    inside = shown[len(fence[0]) : -len(fence[0])]
    assert shown.endswith(fence[0])
    assert len(fence[0]) not in {len(run) for run in re.findall("`+", inside)}


@given(st.lists(st.text("abé-/.e\u0301😀", min_size=1, max_size=12), min_size=1), st.integers(12, 40))
def test_lines_break_between_words(text: list[str], columns: int) -> None:
    """A word that fits into a line stays whole, whatever is in it; wide characters may be parted from what is beside them."""
    broken = lines(" ".join(text), columns)
    assert " ".join(broken).split() == text or "😀" in "".join(text)
    assert "".join(broken).replace(" ", "") == "".join(text)


def test_a_line_that_is_cut_ends_in_an_ellipsis() -> None:
    assert lines("one two three four", 9, 1) == ["one two …"]
    assert lines("one two three four", 8, 2) == ["one two", "three …"]
    assert lines("abcdefghijkl", 5, 2) == ["abcde", "fghi…"]
