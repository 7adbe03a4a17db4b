"""The page of a comparison: what it shows of two and of several runs, against the comparison it is made of."""

import re
from dataclasses import replace
from html import unescape
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from stages.comparison.comparing import compare
from stages.comparison.html import as_html
from stages.comparison.loaded_runs import Run
from stages.comparison.results import Comparison
from stages.comparison.wording import method
from stages.pipeline.environment import Compute, Cpu, Environment
from stages.pipeline.stage_records import StageRun
from stages.reporting.markup import MISSING, interval_text, score_text, signed_text
from tests.support.browser import opened

LABELS = ("<b>x</b>", "y&z", "w")
SKILLS = {"base": 0.6, "<script>alert(1)</script>": 0.9, "like base": 0.62, "low": 0.3}
COMMAND = "stagewright compare base 'a b' --html comparison.html"


def runs_of(skills: dict[str, float], **more: pa.Array) -> list[Run]:
    """Runs that are right on a share of 200 texts, as files without scores."""
    generator = np.random.default_rng(0)
    gold = generator.integers(0, len(LABELS), 200)
    texts = [f"text {place} <i>" for place in range(200)]
    runs = []
    for name, skill in skills.items():
        predicted = np.where(generator.random(200) < skill, gold, (gold + 1) % len(LABELS))
        names = [np.array(LABELS)[codes].tolist() for codes in (gold, predicted)]
        columns = {
            "id": [f"id-{place}" for place in range(200)],
            "text": texts,
            "gold": names[0],
            "predicted": names[1],
        }
        runs.append(Run(name, pa.table({**columns, **more}), params={"train.epochs": len(name)}))
    return runs


def page_of(skills: dict[str, float], **more: pa.Array) -> tuple[Comparison, str]:
    runs = runs_of(skills, **more)
    comparison = compare(runs, resamples=200)
    return comparison, as_html(comparison, runs, COMMAND)


def table_below(page: str, caption: str) -> list[list[tuple[str, str]]]:
    """The rows of a table, each cell with its class and its text."""
    content = page.partition(f"<caption>{caption}</caption>")[2].partition("</table>")[0]
    cell = re.compile(r"<t[hd]([^>]*)>(.*?)</t[hd]>", re.DOTALL)
    rows = re.findall(r"<tr[^>]*>(.*?)</tr>", content, re.DOTALL)
    return [[(class_of(attributes), text_of(inside)) for attributes, inside in cell.findall(row)] for row in rows]


def class_of(attributes: str) -> str:
    found = re.search('class="([^"]*)"', attributes)
    return found[1] if found else ""


def text_of(markup: str) -> str:
    return " ".join(unescape(re.sub("<[^>]*>", " ", markup.replace("<wbr>", ""))).split())


@pytest.fixture(scope="module")
def several() -> tuple[Comparison, str]:
    return page_of(SKILLS)


def test_runs_are_rows_by_their_score_with_the_base_among_them(several: tuple[Comparison, str]) -> None:
    comparison, page = several
    _, *rows = table_below(page, "Differences in accuracy")
    scores = {run.name: run.scores[0] for run in comparison.runs}
    found = {pair.other: pair.differences[0] for pair in comparison.pairs}
    order = sorted(scores, key=lambda name: -(scores[name].value or 0))
    letters = dict(zip([name for name in order if name != "base"], "BCD", strict=True)) | {"base": "A"}
    assert len(rows) == len(order) == 4
    for name, row in zip(order, rows, strict=True):
        title, difference, p, score, _ = (text for _, text in row)
        assert title == f"{letters[name]} {name} " + ("base" if name == "base" else title.rpartition(f"{name} ")[2])
        assert score == f"{score_text(scores[name].value)} {interval_text(scores[name].interval)}"
        if name == "base":
            assert (difference, p) == ("—", "—")
            continue
        expected = found[name]
        assert title.endswith(expected.verdict)
        assert difference == f"{signed_text(expected.difference)} {interval_text(expected.interval, signed=True)}"
        assert p == ("<0.0001" if expected.p_holm and expected.p_holm < 0.0001 else f"{expected.p_holm:.4f}")


def test_labels_are_a_heat_map_of_figures(several: tuple[Comparison, str]) -> None:
    comparison, page = several
    head, *rows = table_below(page, "F1 by label")
    assert [text for _, text in head] == ["label", "gold", "A score", "B", "C", "D"]
    by_score = sorted(comparison.pairs, key=lambda pair: -(pair.differences[0].other or 0))
    expected = {
        label.label: [next(each for each in pair.labels if each.label == label.label) for pair in by_score]
        for label in by_score[0].labels
    }
    assert [row[0][1] for row in rows] == list(expected)
    largest = max(abs(each.difference or 0) for of_label in expected.values() for each in of_label)
    for row in rows:
        of_label = expected[row[0][1]]
        assert [text for _, text in row[1:3]] == [f"{of_label[0].support}", score_text(of_label[0].base)]
        assert [text for _, text in row[3:]] == [signed_text(each.difference) for each in of_label]
        for (kind, _), each in zip(row[3:], of_label, strict=True):
            assert each.difference is not None
            level = round(5 * abs(each.difference) / largest)
            side = "better" if each.difference > 0 else "worse"
            assert kind == ("number" if not level else f"number {side}-{level}")


def test_two_runs_begin_with_the_verdict_and_what_the_page_is_of() -> None:
    comparison, page = page_of({"base": 0.6, "a b": 0.8})
    [first, *_] = comparison.pairs[0].differences
    head = text_of(page.partition("<header>")[2].partition("</header>")[0])
    assert head.startswith("Comparison of 2 runs on the same test split a b compared with base Data 200 test examples")
    assert f"Reproduce {COMMAND}" in head and "Accuracy is better by" in head
    assert (
        interval_text(first.interval, signed=True) in head
        and f"p = {first.p_holm:.4f}".replace("= 0.0000", "< 0.0001") in head
    )
    _, *rows = table_below(page, "Differences on the test split")
    assert [row[0][1].split()[0] for row in rows] == ["accuracy", "precision", "recall", "F1"]
    changes = [each.change for each in comparison.pairs[0].changed]
    assert f"Fixed examples {changes.count('fixed')} wrong in A, right in B" in head
    assert f"Broken examples {changes.count('broken')} right in A, wrong in B" in head
    assert text_of(page).count(method(comparison)) == 1


def test_files_without_scores_have_no_confidence(several: tuple[Comparison, str]) -> None:
    _, page = several
    assert "confidence" not in page and '"rank":null' in page and "text 0 " in page
    _, with_scores = page_of({"base": 0.6, "other": 0.8}, score=pa.array(np.linspace(0.4, 0.9, 200)))
    assert '"rank":"confidence"' in with_scores


def test_many_labels_are_folded_behind_those_with_the_largest_differences() -> None:
    generator = np.random.default_rng(1)
    gold = np.repeat(np.arange(40), 5)
    runs = [
        Run(name, pa.table({"gold": [f"l{code}" for code in gold], "id": [str(place) for place in range(200)],
                            "predicted": [f"l{code}" for code in np.where(generator.random(200) < 0.7, gold, 0)]}))
        for name in ("base", "other")
    ]  # fmt: skip
    comparison = compare(runs, resamples=200)
    page = as_html(comparison, runs)
    first, rest = (table_below(page, caption)[1:] for caption in ("F1 by label", "F1 by label: the others"))
    size = {each.label: abs(each.difference or 0.0) for each in comparison.pairs[0].labels}
    assert (len(first), len(rest)) == (20, 20) and "20 more with smaller differences" in page
    assert min(size[row[0][1]] for row in first) >= max(size[row[0][1]] for row in rest)


def test_names_and_labels_are_shown_and_nothing_more(several: tuple[Comparison, str]) -> None:
    _, page = several
    assert page.count("<script") == 2 and "alert(1)</script>" not in page and "<b>x</b>" not in page
    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in page and "&lt;b&gt;x&lt;/b&gt;" in page
    runs = runs_of(SKILLS)
    assert as_html(compare(runs, resamples=200), runs, COMMAND) == page  # equal bytes for equal inputs


@pytest.mark.slow
def test_the_page_runs_in_a_browser_and_a_figure_leads_to_its_examples(tmp_path: Path) -> None:
    comparison, content = page_of({"base": 0.6, "<script>alert(1)</script>": 0.8})
    page = tmp_path / "page.html"
    page.write_text(content, encoding="utf-8")
    fixed = sum(each.change == "fixed" for each in comparison.pairs[0].changed)
    assert '<a href="#errors&amp;change=fixed">' in content
    document, logged = opened(page, "#errors&change=fixed")
    assert logged == "" and f"{fixed} found, 1 to 20 below" in document
    assert 'class="example fixed"' in document and 'class="example broken"' not in document


def test_what_each_of_several_runs_was_made_on_is_shown() -> None:
    """`like base` has the base's torch, `low` another one in two stages, and the third run in one of them."""

    def made_on(torch: str) -> StageRun:
        compute = Compute("cpu", "fp32", 4)
        return StageRun(1.0, Environment("a", False, "3.11.7", "Linux", Cpu("", "zen4"), compute, {"torch": torch}))

    runs = runs_of(SKILLS)
    base, third, like_base, low = (
        replace(run, stage_runs={"train": made_on(in_train), "evaluate": made_on(in_evaluate)})
        for run, in_train, in_evaluate in zip(
            runs, ("2.12", "2.13", "2.12", "2.13"), ("2.12", "2.12", "2.12", "2.13"), strict=True
        )
    )
    third = replace(third, params={})
    shown = [base, third, like_base, low]
    page = as_html(compare(shown, resamples=200), shown)
    assert [[text for _, text in row] for row in table_below(page, "Environment that differs")] == [
        ["environment", "A", "B", "C", "D"],
        ["packages.torch (train)", "2.12", "2.13", "2.12", "2.13"],
        ["packages.torch (evaluate)", "2.12", "2.12", "2.12", "2.13"],
    ]
    assert [[text for _, text in row] for row in table_below(page, "Parameters that differ")] == [
        ["parameter", "A", "B", "C", "D"],
        ["train.epochs", "4", MISSING, "9", "3"],
    ]
    low = replace(low, stage_runs={**low.stage_runs, "evaluate": made_on("2.14")})
    pair = [base, low]
    page = as_html(compare(pair, resamples=200), pair)
    assert [[text for _, text in row] for row in table_below(page, "Environment that differs")][1:] == [
        ["packages.torch (train)", "2.12", "2.13"],
        ["packages.torch (evaluate)", "2.12", "2.14"],
    ]


def test_confusion_matrices_of_several_runs_are_folded_but_the_best(several: tuple[Comparison, str]) -> None:
    _, page = several
    part = page.partition('<section id="confusion"')[2].partition("</section>")[0]
    folds = re.findall(r"<details( open=\"\")?><summary>(.*?)</summary>.*?<caption>(.*?)</caption>", part, re.DOTALL)
    by_score = sorted((name for name in SKILLS if name != "base"), key=lambda name: -SKILLS[name])
    assert [text_of(name) for _, name, _ in folds] == ["base", *by_score]
    assert [text_of(name) for is_open, name, _ in folds if is_open] == by_score[:1]
    assert all(text_of(caption) == f"Confusion: {text_of(name)}: 200 examples" for _, name, caption in folds)


def test_confusion_matrices_of_two_runs_are_not_folded() -> None:
    _, page = page_of({"base": 0.6, "b": 0.9})
    part = page.partition('<section id="confusion"')[2].partition("</section>")[0]
    assert part.count("<caption>") == 2 and "<details" not in part


def test_the_first_matrix_is_open_if_the_best_run_has_none() -> None:
    runs = runs_of(SKILLS)
    comparison = compare(runs, resamples=200)
    without = [replace(run, predictions=None) if SKILLS[run.name] == 0.9 else run for run in runs]
    part = as_html(comparison, without, COMMAND).partition('<section id="confusion"')[2]
    assert re.findall(r"<details open=\"\"><summary>(.*?)</summary>", part) == ["base"]
