"""The report: what it counts, what it shows, and that nothing in the data can break out of it."""

import base64
import hashlib
import html
import json
import re
import subprocess
import sys
import unicodedata
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from datasets import ClassLabel, Dataset, DatasetDict, Features, List, Value
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import confusion_matrix

from stages.pipeline.errors import DataError
from stages.pipeline.paths import PREDICTIONS
from stages.reporting.browser_data import browser_data
from stages.reporting.charts import Line, line_chart, ticks
from stages.reporting.content import (
    Calibration,
    Confusion,
    Curve,
    Fact,
    Mistake,
    Rates,
    Report,
    RunContent,
    Score,
    TextExample,
    TextPrediction,
    Tile,
    TokensExample,
    change,
)
from stages.reporting.excerpts import MOST_CHARACTERS, MOST_WORDS
from stages.reporting.forest import Estimate, forest
from stages.reporting.markup import signed_text, tag, visible
from stages.reporting.page import render_report
from stages.reporting.run_predictions import (
    MOST_LABELS,
    OTHERS,
    RunPredictions,
    calibration_of,
    confusion_of,
)
from stages.reporting.run_predictions import calibration as calibration_of_texts
from stages.reporting.summary import summary
from stages.reporting.training_curves import read_curves
from stages.reporting.write import report_of_workspace
from stages.reporting.wrong_examples import wrong_examples, wrong_sentences, wrong_texts
from stages.scoring.core.predicted import LabelPredictions, ScoringRules
from stages.scoring.core.scores import LabelScore
from stages.scoring.evaluation.final_scores import SliceScore
from stages.scoring.evaluation.resampling import Interval
from stages.tags.schemes import Entity
from tests.support.browser import opened
from tests.support.imports import ROOT
from tests.support.saved_splits import save_splits
from tests.support.told import told

HOSTILE = "</script><script>alert(1)</script><img src=x onerror=alert(2)>\"' onclick='x' <!--&amp; \u202egnp.exe \x00\x1b[31m ]]>"
VOID = {"meta", "input", "br", "link", "wbr"}


def calibration(confidence: np.ndarray, right: np.ndarray) -> Calibration:
    """Of texts that are all of one label."""
    gold = np.ones(len(right), np.int64)
    made = calibration_of_texts(LabelPredictions(gold, right.astype(np.int64), ["a", "b"], confidence=confidence))
    assert made is not None
    return made


class Parsed(HTMLParser):
    """The elements and texts of a page; fails on tags that are not closed in their order."""

    def __init__(self, page: str) -> None:
        super().__init__(convert_charrefs=True)
        self.open: list[str] = []
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.texts: dict[str, str] = {}
        self.feed(page)
        self.close()
        assert self.open == []

    def handle_starttag(self, name: str, attributes: list[tuple[str, str | None]]) -> None:
        self.elements.append((name, dict(attributes)))
        if name not in VOID:
            self.open.append(name)

    def handle_endtag(self, name: str) -> None:
        assert self.open.pop() == name

    def handle_data(self, text: str) -> None:
        where = self.open[-1] if self.open else ""
        self.texts[where] = self.texts.get(where, "") + text

    def data(self) -> Any:
        """What the page's script reads."""
        return json.loads(self.texts["script"][: self.texts["script"].index('"use strict"')])


def text_example(place: int, text: str = "text", **changes: Any) -> TextExample:
    example = TextExample(
        id=f"test-{place}",
        change="wrong",
        rank=place / 10_000,
        text=text,
        gold="a",
        predicted=(TextPrediction("b", 0.9),),
        mistakes=(Mistake("wrong label", "a", "b"),),
    )
    return replace(example, **changes)


def run(name: str = "this run", labels: Sequence[str] = ("a", "b")) -> RunContent:
    counts = tuple(tuple(range(row, row + len(labels))) for row in range(len(labels)))
    return RunContent(
        name=name,
        facts=(Fact("seed", "42"),),
        scores=(Score("accuracy", 0.8125, Interval(0.75, 0.875)), Score("pearson", None), Score("loss", 1.5)),
        labels={label: LabelScore(0.5, 0.25, 1 / 3, 12) for label in labels},
        slices={label: {label: SliceScore({"accuracy": 0.625}, Interval(0.5, 0.75), 7)} for label in labels},
        curves=(Curve("train", "loss", (1.0, 2.0), (0.9, 0.5)), Curve("validation", "f1", (1.0, 2.0), (0.1, 0.4))),
        confusion=Confusion("examples", tuple(labels), counts),
        calibration=calibration(np.array([0.2, 0.9, 0.95]), np.array([False, True, True])),
    )


def hostile_report() -> Report:
    sentence = TokensExample(
        HOSTILE, "fixed", 0.5, (HOSTILE, "b"), (Entity(HOSTILE, 0, 1),), ((),),
        (Mistake("missed", HOSTILE, None, 0, 0, 1),),
    )  # fmt: skip
    text = text_example(
        1, HOSTILE, id=HOSTILE, gold=HOSTILE, predicted=(TextPrediction(HOSTILE, 0.5),), second_text=HOSTILE,
        mistakes=(Mistake("wrong label", HOSTILE, HOSTILE),),
    )  # fmt: skip
    return Report(
        title=HOSTILE,
        kind=HOSTILE,
        provenance=(Fact(HOSTILE, HOSTILE),),
        tiles=(Tile(HOSTILE, HOSTILE, (HOSTILE,)),),
        runs=(
            replace(
                run(HOSTILE, [HOSTILE, "b"]),
                facts=(Fact(HOSTILE, HOSTILE),),
                scores=(Score(HOSTILE, 0.5),),
                more_rates=(Rates(HOSTILE, 0.5, 0.5, 0.5),),
            ),
        ),
        examples=(sentence, text),
        notes=(HOSTILE,),
    )


# --- escaping -------------------------------------------------------------------------------------------------------


@given(st.text())
def test_what_is_escaped_reads_back_as_what_is_visible(text: str) -> None:
    parsed = Parsed(tag("b", text, title=text))
    assert parsed.elements == [("b", {"title": visible(text)})]
    assert parsed.texts.get("b", "") == visible(text)


def test_no_character_that_hides_or_turns_others_gets_through() -> None:
    turning = {"LRE", "RLE", "LRO", "RLO", "PDF", "LRI", "RLI", "FSI", "PDI"}
    for code in range(sys.maxunicode + 1):
        character = chr(code)
        is_control = unicodedata.category(character) in {"Cc", "Cs", "Zl", "Zp"} and character not in "\n\t"
        if (
            is_control
            or unicodedata.bidirectional(character) in turning
            or character in "\u200e\u200f\u061c\u200b\ufeff\xad"
        ):
            assert visible(character) == f"⟨U+{code:04X}⟩"
    assert visible("a\r\nb\tc\u200dd é 中") == "a\nb\tc\u200dd é 中"


def test_hostile_text_is_shown_and_makes_no_element() -> None:
    page = render_report(hostile_report())
    parsed = Parsed(page)
    names = Counter(name for name, _ in parsed.elements)
    assert names["script"] == 2 and names["img"] == 0
    assert not [key for _, attributes in parsed.elements for key in attributes if key.startswith("on")]
    assert not [attributes for _, attributes in parsed.elements if "style" in attributes]
    assert parsed.texts["title"].startswith("</script><script>alert(1)")
    assert not re.search("[\x00-\x08\x0b-\x1f\u202a-\u202e\u2066-\u2069]", page)
    assert parsed.data()["examples"][0]["id"] == visible(HOSTILE)
    page.encode()


def test_the_data_element_holds_no_character_that_could_end_it() -> None:
    assert not set("<>&") & set(browser_data(hostile_report(), 10**6).json)


@given(st.text(st.characters()))
def test_any_text_can_be_written(text: str) -> None:
    report = Report(text, (run(text),), (text_example(1, text, id=text),))
    assert Parsed(render_report(report)).data()["examples"][0]["texts"] == [visible(text)]


def test_the_policy_allows_the_pages_own_style_and_script_and_nothing_else() -> None:
    page = render_report(Report("t", (run(),), (text_example(1),)))
    policy = next(a["content"] for n, a in Parsed(page).elements if a.get("http-equiv") == "Content-Security-Policy")
    assert policy is not None
    rules = dict(rule.strip().split(" ", 1) for rule in policy.split(";"))
    for name, content in (
        ("style", re.search("<style>(.*?)</style>", page, re.S)),
        ("script", re.search("<script>(.*?)</script>", page, re.S)),
    ):
        assert content is not None
        digest = base64.b64encode(hashlib.sha256(content[1].encode()).digest()).decode()
        assert rules[f"{name}-src"] == f"'sha256-{digest}'"
    assert {rule: value for rule, value in rules.items() if rule not in ("style-src", "script-src")} == {
        "default-src": "'none'", "base-uri": "'none'", "form-action": "'none'",
    }  # fmt: skip
    assert "http://" not in page and "https://" not in page


# --- numbers --------------------------------------------------------------------------------------------------------


@given(st.lists(st.tuples(st.floats(0, 1), st.booleans()), min_size=1))
def test_calibration_counts_every_prediction_once(predictions: list[tuple[float, bool]]) -> None:
    scores, right = np.array([score for score, _ in predictions]), np.array([is_right for _, is_right in predictions])
    made = calibration(scores, right)
    for each in made.bins:
        inside = ((scores > each.low) | ((each.low == 0) & (scores == 0))) & (scores <= each.high)
        if not np.isclose(scores, each.low).any() and not np.isclose(scores, each.high).any():
            assert each.count == inside.sum()
            assert each.accuracy == pytest.approx(right[inside].mean() if inside.any() else 0)
    assert sum(each.count for each in made.bins) == len(scores)
    assert sum(each.count * each.confidence for each in made.bins) == pytest.approx(scores.sum())
    assert 0 <= made.expected_error <= 1


def test_the_calibration_error_of_a_small_case() -> None:
    made = calibration(np.array([0.99, 0.99, 0.51]), np.array([True, False, True]))
    assert made.expected_error == pytest.approx((2 * abs(0.99 - 0.5) + abs(0.51 - 1)) / 3)


@given(st.lists(st.tuples(st.sampled_from("abc"), st.sampled_from("abc")), min_size=1))
def test_the_confusion_matrix_is_scikit_learns(pairs: list[tuple[str, str]]) -> None:
    gold, predicted = ([pair[place] for pair in pairs] for place in (0, 1))
    made = confusion_of(
        RunPredictions.of(pa.table({"id": gold, "gold": gold, "predicted": predicted})), ["c", "a", "b"]
    )
    assert made is not None
    assert np.array_equal(made.counts, confusion_matrix(gold, predicted, labels=["c", "a", "b"]))


def test_confusion_counts_entity_tags_by_type() -> None:
    table = pa.table({
        "word": list(range(5)),
        "token": list("vwxyz"),
        "gold": ["B-PER", "I-PER", "O", "B-LOC", "O"],
        "predicted": ["B-PER", "B-PER", "O", "B-PER", "I-LOC"],
    })  # fmt: skip
    made = confusion_of(RunPredictions.of(table), ["O", "B-PER", "I-PER", "B-LOC", "I-LOC"])
    assert made == Confusion("words", ("O", "PER", "LOC"), ((1, 0, 1), (0, 2, 0), (0, 1, 0)))


def test_more_labels_than_can_be_read_become_one_without_losing_a_count() -> None:
    names = [f"label {place}" for place in range(MOST_LABELS + 20)]
    gold = [names[-1], names[-1], *names]
    predicted = [names[0], names[0], *names]
    made = confusion_of(RunPredictions.of(pa.table({"gold": gold, "predicted": predicted})), names)
    assert made is not None
    assert len(made.labels) == MOST_LABELS and made.labels[-1] == OTHERS
    assert made.counts[made.labels.index(names[-1])][0] == 2
    assert sum(map(sum, made.counts)) == len(gold)


spans = st.builds(
    lambda type_, start, words: Entity(type_, start, start + words),
    st.sampled_from("ABC"),
    st.integers(0, 8),
    st.integers(1, 3),
)


def apart(entities: list[Entity]) -> list[Entity]:
    kept: list[Entity] = []
    for entity in sorted(entities, key=lambda each: each.start):
        if not kept or kept[-1].end <= entity.start:
            kept.append(entity)
    return kept


layers = st.lists(spans, max_size=6).map(apart)


def tags(entities: Sequence[Entity], words: int = 12) -> list[str]:
    found = ["O"] * words
    for entity in entities:
        found[entity.start : entity.end] = [f"B-{entity.type}", *[f"I-{entity.type}"] * (entity.end - entity.start - 1)]
    return found


def entity_mistakes(gold: Sequence[Entity], predicted: Sequence[Entity]) -> tuple[Mistake, ...]:
    """The mistakes in a sentence with these entities."""
    found = wrong_sentences([tokens_run((" ".join(tags(gold)), " ".join(tags(predicted))))])
    return found[0].mistakes if found else ()


def plainly(gold: Sequence[Entity], predicted: Sequence[Entity]) -> Iterator[tuple[str, Entity | None, Entity | None]]:
    """The same one pair at a time, as the definition has it."""
    left = [*(set(gold) - set(predicted))], [*(set(predicted) - set(gold))]

    def kind(g: Entity, p: Entity) -> str:
        if g.type == p.type:
            return "wrong span"
        return "wrong type" if (g.start, g.end) == (p.start, p.end) else "wrong type and span"

    def shared(g: Entity, p: Entity) -> int:
        return min(g.end, p.end) - max(g.start, p.start)

    order = ["wrong type", "wrong span", "wrong type and span"]
    pairs = [(order.index(kind(g, p)), -shared(g, p), g.start, p.start, g, p) for g in left[0] for p in left[1]]
    for *_, g, p in sorted((pair for pair in pairs if pair[1] < 0), key=lambda pair: pair[:4]):
        if g in left[0] and p in left[1]:
            left[0].remove(g)
            left[1].remove(p)
            yield kind(g, p), g, p
    yield from (("missed", g, None) for g in left[0])
    yield from (("spurious", None, p) for p in left[1])


@given(layers, layers)
def test_mistakes_are_paired_as_the_definition_has_it(gold: list[Entity], predicted: list[Entity]) -> None:
    expected = [
        Mistake(
            kind,  # type: ignore[arg-type]
            g.type if g else None,
            p.type if p else None,
            0,
            min(each.start for each in (g, p) if each),
            max(each.end for each in (g, p) if each),
        )
        for kind, g, p in plainly(gold, predicted)
    ]
    assert entity_mistakes(gold, predicted) == tuple(
        sorted(expected, key=lambda mistake: (mistake.start, mistake.end, mistake.kind))
    )


@given(layers, layers)
def test_every_entity_without_an_equal_is_in_exactly_one_mistake(gold: list[Entity], predicted: list[Entity]) -> None:
    mistakes = entity_mistakes(gold, predicted)
    assert Counter(m.gold for m in mistakes if m.gold) == Counter(e.type for e in set(gold) - set(predicted))
    assert Counter(m.predicted for m in mistakes if m.predicted) == Counter(e.type for e in set(predicted) - set(gold))
    for mistake in mistakes:
        has = (mistake.gold is not None, mistake.predicted is not None)
        same_type = mistake.gold == mistake.predicted
        assert has == {"missed": (True, False), "spurious": (False, True)}.get(mistake.kind, (True, True))
        assert mistake.kind not in ("wrong type", "wrong type and span") or not same_type
        assert mistake.kind != "wrong span" or same_type


def test_kinds_of_mistakes() -> None:
    def kinds(gold: Entity, *predicted: Entity) -> list[str]:
        return [mistake.kind for mistake in entity_mistakes([gold], predicted)]

    truth = Entity("A", 2, 5)
    assert kinds(truth, truth) == []
    assert kinds(truth) == ["missed"]
    assert kinds(truth, Entity("B", 2, 5)) == ["wrong type"]
    assert kinds(truth, Entity("A", 3, 5)) == ["wrong span"]
    assert kinds(truth, Entity("B", 3, 6)) == ["wrong type and span"]
    assert kinds(truth, Entity("A", 5, 6)) == ["missed", "spurious"]
    assert kinds(truth, Entity("B", 2, 4), Entity("A", 4, 5)) == ["spurious", "wrong span"]


@pytest.mark.parametrize(
    ("errors", "expected"),
    [
        ([2.0], "wrong"),
        ([1.0, 0.0], "fixed"),
        ([0.0, 1.0], "broken"),
        ([1.0, 1.0], "wrong"),
        ([2.0, 1.0], "better"),
        ([1.0, 2.0], "worse"),
        ([2.0, 0.0, 3.0], "worse"),
        ([2.0, 0.0, 1.0], "fixed"),
        ([0.0, 0.0, 1.0], "broken"),
    ],
)
def test_changes(errors: list[float], expected: str) -> None:
    assert change(errors) == expected


@given(st.floats(-1e6, 1e6), st.floats(-1e6, 1e6))
def test_ticks_hold_the_values_and_are_few(first: float, second: float) -> None:
    low, high = sorted((first, second))
    found = ticks(low, high)
    slack = 1e-5 * max(abs(low), abs(high), 1e-9)
    assert found[0] <= low + slack and found[-1] >= high - slack
    assert 2 <= len(found) <= 9 and found == sorted(set(found))


def test_a_chart_of_one_point_or_of_equal_points_can_be_drawn() -> None:
    for ys in ([0.0], [0.5, 0.5], [0.0, 0.0]):
        drawn = line_chart("f1", "epoch", [Line("this run", [1.0 + x for x in range(len(ys))], ys)])
        assert "nan" not in drawn and "inf" not in drawn


@given(st.floats(0, 1), st.floats(0, 1))
def test_ticks_keep_within_what_a_score_can_be(first: float, second: float) -> None:
    found = ticks(min(first, second), max(first, second), bounds=(0.0, 1.0))
    assert found[0] >= 0 and found[-1] <= 1 and len(found) >= 2


def test_scores_of_a_single_validation_are_a_table_and_no_lone_dot() -> None:
    curves = (
        Curve("train", "loss", (0.5, 1.0), (0.9, 0.5)),
        Curve("validation", "loss", (1.0,), (0.25,)),
        Curve("validation", "f1", (1.0,), (0.995,)),
    )
    page = render_report(Report("t", (replace(run(), curves=curves),)))
    training = page[page.index('id="curves"') : page.index('id="errors"')]
    assert training.count("<figure>") == 1 and "<figcaption>Loss</figcaption>" in training
    assert "<caption>Validation scores</caption>" in training and ">0.9950<" in training


# --- forest plots ---------------------------------------------------------------------------------------------------

shares = st.floats(0, 1)


@given(st.lists(st.tuples(shares, shares, shares), min_size=1, max_size=6))
def test_a_forest_plot_draws_all_estimates_in_order_on_one_axis(triples: list[tuple[float, float, float]]) -> None:
    rows = [sorted(triple) for triple in triples]
    drawn = forest(
        "scores", [Estimate("e", value, Interval(low, high)) for low, value, high in rows], bounds=(0.0, 1.0)
    )
    elements = Parsed(drawn).elements

    def places(kind: str, *names: str) -> list[float]:
        found = [attributes for _, attributes in elements if attributes.get("class") == kind]
        return [float(str(attributes[name]).removesuffix("%")) for attributes in found for name in names]

    ends, dots = places("whisker", "x1", "x2"), places("dot", "cx")
    marks = [float(str(a["x"]).removesuffix("%")) for name, a in elements if name == "text"]
    drawn_at = sorted([*zip(ends[::2], (row[0] for row in rows), strict=True),
                       *zip(ends[1::2], (row[2] for row in rows), strict=True),
                       *zip(dots, (row[1] for row in rows), strict=True)], key=lambda pair: pair[1])  # fmt: skip
    at = [place for place, _ in drawn_at]
    assert at == sorted(at)
    assert marks[0] - 0.01 <= at[0] and at[-1] <= marks[-1] + 0.01


def test_an_estimate_without_an_interval_is_hollow_and_one_on_no_axis_is_not_drawn() -> None:
    drawn = forest("scores", [Estimate("a", 0.5), Estimate("loss", 40.0, Interval(30.0, 50.0), said="lower is better")])
    assert drawn.count("dot alone") == 1 and "whisker" not in drawn
    assert "lower is better" in drawn and "[30.0000, 50.0000]" in drawn
    assert all(float(mark) <= 1 for mark in re.findall(r"<text[^>]*>([^<]+)<", drawn))


def test_differences_are_drawn_beside_zero_with_their_signs() -> None:
    drawn = forest("differences", [Estimate("f1", 0.03, Interval(0.01, 0.05), tone="better")], reference=0.0)
    assert "+0.0300" in drawn and "[+0.0100, +0.0500]" in drawn and 'class="reference"' in drawn
    assert re.findall(r"<text[^>]*>([^<]+)<", drawn)[0] == "0"


def test_how_numbers_are_written() -> None:
    assert [signed_text(value) for value in (0.01, -0.01, -0.00001, None)] == [
        "+0.0100",
        "\u22120.0100",
        "+0.0000",
        "—",
    ]


# --- what is wrong in runs ------------------------------------------------------------------------------------------


def raw_texts(count: int, **columns: Any) -> Dataset:
    return Dataset.from_dict(
        {"id": [f"test-{k}" for k in range(count)], "text": [f"text {k}" for k in range(count)], **columns}
    )


def text_run(gold: Sequence[Any], predicted: Sequence[Any], score: Sequence[Any] | None = None) -> RunPredictions:
    run = RunPredictions.of(text_table(gold, predicted, score))
    assert run is not None
    return run


def text_table(gold: Sequence[Any], predicted: Sequence[Any], score: Sequence[Any] | None = None) -> pa.Table:
    table = pa.table({"id": [f"test-{k}" for k in range(len(gold))], "gold": gold, "predicted": predicted})
    return table if score is None else table.append_column("score", [score])


def test_wrong_texts_of_two_runs_are_fixed_broken_or_wrong_as_before() -> None:
    base = text_run(list("aaaa"), list("abbb"), [0.9, 0.8, 0.7, 0.6])
    other = text_run(list("aaaa"), list("baba"), [0.5, 0.4, 0.95, 0.2])
    found = wrong_texts([base, other], raw_texts(4))
    assert [(each.id, each.change, each.rank) for each in found] == [
        ("test-0", "broken", 0.5), ("test-1", "fixed", 0.8), ("test-2", "wrong", 0.95), ("test-3", "fixed", 0.6),
    ]  # fmt: skip
    assert found[1].text == "text 1" and found[1].predicted == (TextPrediction("b", 0.8), TextPrediction("a", 0.4))
    assert found[2].mistakes == (Mistake("wrong label", "a", "b", 0), Mistake("wrong label", "a", "b", 1))


def test_pairs_show_both_texts() -> None:
    found = wrong_texts([text_run(["a"], ["b"], [0.5])], raw_texts(1, text_pair=["other"]))
    assert [(each.text, each.second_text) for each in found] == [("text 0", "other")]


def test_several_labels_are_missed_or_spurious() -> None:
    score = [{"x": 0.1, "y": 0.8, "z": 0.9}, {"x": 0.9, "y": 0.1, "z": 0.1}]
    table = text_run([["x", "z"], ["x"]], [["y", "z"], ["x"]], score)
    (found,) = wrong_texts([table], raw_texts(2))
    assert found.mistakes == (Mistake("missed", "x"), Mistake("spurious", None, "y"))
    assert (found.gold, found.predicted[0].label, found.rank) == ("x, z", "y, z", pytest.approx(0.9))


def test_numbers_are_ranked_by_how_far_they_are_off() -> None:
    found = wrong_texts([text_run([1.0, 2.0], [1.5, 5.0])], raw_texts(2))
    assert [(each.gold, each.predicted[0].label, each.rank) for each in found] == [("1", "1.5", 0.5), ("2", "5", 3.0)]


def test_texts_without_gold_are_not_wrong() -> None:
    gold = pa.array([None, None], pa.string())
    run = RunPredictions.of(text_table(gold, ["a", "b"], [0.5, 0.5]))  # type: ignore[arg-type]
    assert wrong_examples([run], raw_texts(2)) == ()
    assert calibration_of(run) is None


def test_without_probabilities_nothing_is_ranked_and_no_confidence_is_made_up() -> None:
    text = text_run(list("aab"), list("bab"))
    labels = text_run([["x", "z"], ["x"]], [["y"], ["x"]])
    sentence = tokens_run(("B-A O", "O B-A"))
    sentence = RunPredictions(
        replace(sentence.file, table=sentence.file.table.drop_columns(["score"])), sentence.predictions
    )
    for each, raw in ((text, raw_texts(3)), (labels, raw_texts(2)), (sentence, None)):
        found = wrong_examples([each], raw)
        assert found and [example.rank for example in found] == [None] * len(found)
        assert each.rank is None
        page = render_report(Report("t", (RunContent("this run"),), found, rank=each.rank))
        assert Parsed(page).data()["head"]["rank"] is None
        assert "confidence" not in re.sub("<(script|style)>.*?</(script|style)>", "", page, flags=re.S)


def test_a_run_with_probabilities_ranks_examples_beside_one_without() -> None:
    found = wrong_texts([text_run(list("aa"), list("bb")), text_run(list("aa"), list("bb"), [0.5, 0.75])], raw_texts(2))
    assert [each.rank for each in found] == [0.5, 0.75]
    shown = json.loads(browser_data(Report("t", (run(), run()), (replace(found[0], rank=None), found[1])), 10**6).json)
    assert [each["rank"] for each in shown["examples"]] == [0.75, None]


def test_predictions_of_other_texts_are_told() -> None:
    with pytest.raises(DataError) as error:
        wrong_texts([text_run(["a"], ["b"], [0.5])], raw_texts(2))
    assert "not of the same examples" in told(error)


def tokens_run(*sentences: tuple[str, str], scores: float = 0.5) -> RunPredictions:
    rows: list[dict[str, Any]] = [
        {
            "id": f"test-{k}",
            "word": word,
            "token": f"w{word}",
            "gold": gold,
            "predicted": guess,
            "score": scores + word / 100,
        }
        for k, tags in enumerate(sentences)
        for word, (gold, guess) in enumerate(zip(*(layer.split() for layer in tags), strict=True))
    ]
    run = RunPredictions.of(pa.Table.from_pylist(rows))
    assert run is not None
    return run


def test_wrong_sentences_hold_entities_of_gold_and_of_every_run() -> None:
    gold = ["B-A I-A O", "O O", "B-A"]
    base = tokens_run(*zip(gold, ["B-A O O", "O O", "B-A"], strict=True))
    other = tokens_run(*zip(gold, ["B-A I-A O", "O B-B", "B-A"], strict=True))
    first, second = wrong_sentences([base, other])
    assert (first.id, first.change, first.tokens) == ("test-0", "fixed", ("w0", "w1", "w2"))
    assert first.gold == (Entity("A", 0, 2),) and first.predicted == ((Entity("A", 0, 1),), (Entity("A", 0, 2),))
    assert first.mistakes == (Mistake("wrong span", "A", "A", 0, 0, 2),)
    assert first.rank == pytest.approx(0.51)  # the score of the one word whose tag is wrong
    assert (second.id, second.change) == ("test-1", "broken")
    assert second.mistakes == (Mistake("spurious", None, "B", 1, 1, 2),)


def test_tags_that_mark_the_same_entities_are_no_mistake() -> None:
    assert wrong_sentences([tokens_run(("B-A I-A", "I-A I-A"), ("O", "O"))]) == ()


def test_entities_are_read_as_they_are_scored() -> None:
    """`I-A I-A` is an entity for CoNLL, and none in strict IOB2."""
    table = tokens_run(("B-A I-A", "I-A I-A"), ("O B-A", "O B-A")).file.table
    strict = RunPredictions.of(table, ScoringRules(mode="strict"))
    assert strict is not None
    (found,) = wrong_sentences([strict])
    assert (found.id, found.predicted) == ("test-0", ((),))
    assert found.mistakes == (Mistake("missed", "A", None, 0, 0, 2),)


def test_a_stray_tag_is_outside_of_all_entities() -> None:
    (found,) = wrong_sentences([tokens_run(("B-A I-A O", "B-A I-A X"), ("B-A O O", "[PAD] X O"))])
    assert (found.id, found.mistakes) == ("test-1", (Mistake("missed", "A", None, 0, 0, 1),))


def test_a_sentence_without_all_of_its_gold_is_not_shown() -> None:
    table = tokens_run(("B-A I-A", "O O"), ("B-A O", "O O")).file.table
    gold = pa.array(["B-A", None, "B-A", "O"])
    run = RunPredictions.of(table.set_column(table.column_names.index("gold"), "gold", gold))
    assert run is not None and confusion_of(run) is None
    assert [each.id for each in wrong_sentences([run])] == ["test-1"]


def test_plain_tags_are_told_word_by_word() -> None:
    (found,) = wrong_sentences([tokens_run(("NOUN VERB", "NOUN NOUN"))])
    assert found.mistakes == (Mistake("wrong tag", "VERB", "NOUN", 0, 1, 2),)
    assert found.gold == (Entity("VERB", 1, 2),) and found.predicted == ((Entity("NOUN", 1, 2),),)


def test_runs_on_other_words_are_told() -> None:
    with pytest.raises(DataError) as error:
        wrong_sentences([tokens_run(("O", "O")), tokens_run(("O", "O"), ("O", "O"))])
    assert "not of the same words" in told(error)


# --- the page -------------------------------------------------------------------------------------------------------


@given(
    st.lists(st.tuples(st.integers(0, 100), st.sampled_from(["wrong", "fixed", "broken"])), max_size=30),
    st.integers(0, 6000),
)
def test_examples_fit_into_the_budget_highest_rank_first(made: list[tuple[int, Any]], budget: int) -> None:
    examples = tuple(text_example(rank, change=kind) for rank, kind in made)
    data = browser_data(Report("t", (run(),), examples), budget)
    shown = json.loads(data.json)["examples"]
    assert len(json.dumps(shown, separators=(",", ":"))) <= budget + 2
    assert len(shown) == data.shown.total() and data.in_all.total() == len(examples)
    ranks = [each["rank"] for each in shown]
    assert ranks == sorted(ranks, reverse=True)
    for kind in data.in_all:
        best = sorted((each.rank for each in examples if each.change == kind), reverse=True)
        assert [each["rank"] for each in shown if each["change"] == kind] == pytest.approx(best[: data.shown[kind]])
        if data.shown.total() < len(examples):  # no kind crowds out another
            assert all(data.shown[kind] >= min(data.in_all[kind], count - 1) for count in data.shown.values())


def test_the_page_says_how_many_errors_it_shows() -> None:
    report = Report(
        "t", (run(),), tuple(text_example(place, "x" * 500) for place in range(2000)), examples_in_all=25_000
    )
    page = render_report(report, budget=100_000)
    shown = len(Parsed(page).data()["examples"])
    assert 0 < shown < 2000
    assert f"{shown:,} of 2,000 examples with errors shown: those with the highest confidence" in page
    assert "the test split has 25,000 examples" in page


def test_long_texts_and_sentences_are_shortened_around_what_is_wrong() -> None:
    words = tuple(f"w{place}" for place in range(1000))
    long = TokensExample(
        "test-1", "wrong", 0.5, words, (Entity("A", 500, 502), Entity("A", 0, 2)), ((Entity("A", 0, 2),),),
        (Mistake("missed", "A", None, 0, 500, 502),),
    )  # fmt: skip
    data = json.loads(browser_data(Report("t", (run(),), (text_example(2, "x" * 10_000), long)), 10**6).json)
    sentence, text = sorted(data["examples"], key=lambda each: "texts" in each)
    assert len(sentence["tokens"]) == MOST_WORDS and sentence["before"] + sentence["behind"] + MOST_WORDS == 1000
    ((_, start, end),) = sentence["gold"]
    assert sentence["tokens"][start:end] == ["w500", "w501"] and sentence["predicted"] == [[]]
    assert (sentence["mistakes"][0]["start"], sentence["mistakes"][0]["end"]) == (start, end)
    assert MOST_CHARACTERS < len(text["texts"][0]) < MOST_CHARACTERS + 50 and "8,800 characters" in text["texts"][0]


def test_a_report_of_next_to_nothing_is_a_page() -> None:
    page = render_report(Report("t", (RunContent("this run"),)))
    assert "The test split is not scored." in page and "No example to show." in page
    Parsed(page)


def colours(scheme: str) -> dict[str, str]:
    css = (ROOT / "stages/reporting/report.css").read_text(encoding="utf-8")
    light, dark = re.findall(r":root \{(.*?)\}", css, re.S)
    return dict(re.findall(r"--([\w-]+): (#\w{6});", light if scheme == "light" else dark))


def luminance(colour: Sequence[float]) -> float:
    linear = [value / 12.92 if value <= 0.04045 else ((value + 0.055) / 1.055) ** 2.4 for value in colour]
    return float(np.dot(linear, [0.2126, 0.7152, 0.0722]))


def contrast(first: Sequence[float], second: Sequence[float]) -> float:
    low, high = sorted((luminance(first), luminance(second)))
    return (high + 0.05) / (low + 0.05)


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_contrast_is_that_of_wcag_aa(scheme: str) -> None:
    rgb = {name: [int(code[k : k + 2], 16) / 255 for k in (1, 3, 5)] for name, code in colours(scheme).items()}
    for surface in ("surface", "raised"):
        for text in ("text", "muted", "accent", "good", "bad"):
            assert contrast(rgb[text], rgb[surface]) >= 4.5, (text, surface)
        for name, colour in rgb.items():
            if name.startswith("line-") or name == "control":
                assert contrast(colour, rgb[surface]) >= 3, (name, surface)
        for name, colour in rgb.items():
            assert not name.startswith("kind-") or contrast(rgb["text"], colour) >= 7, name
    for level in range(1, 11):
        shade = np.average([rgb["heat"], rgb["surface"]], axis=0, weights=[level, 10 - level])
        assert contrast(rgb["text"], shade.tolist()) >= 4.5, level


# --- from the workspace ---------------------------------------------------------------------------------------------


PER_LABEL = {"a": {"precision": 0.5, "recall": 0.5, "f1": 0.5, "support": 2}}


def write_workspace(root: Path, raw: Dataset, predictions: pa.Table) -> None:
    save_splits(DatasetDict({"test": raw}), root / "data/raw")
    (root / "data/predictions").mkdir(parents=True)
    pq.write_table(predictions, root / "data/predictions/test.parquet")
    curve = root / "metrics/plots/curves/plots/metrics/validation/f1.tsv"
    curve.parent.mkdir(parents=True)
    curve.write_text("step\tf1\n1.0\t0.25\n2.0\tnan\n")
    scores = {"examples": 3, "units": 3, "coverage": 1.0, "accuracy": 0.75, "f1": None, "macro": {"f1": 0.5}}
    metrics = {**scores, "per_label": PER_LABEL, "intervals": {"accuracy": [0.5, 0.9], "f1": None}}
    metrics["slices"] = {"domain": {"mail": {"accuracy": 0.5, "interval": [0.0, 1.0], "support": 2}}}
    (root / "metrics/evaluate.json").write_text(json.dumps(metrics))
    (root / "metrics/download.json").write_text(json.dumps({"data": {"name": "letters"}, "model": {"name": "tiny"}}))
    (root / "params.yaml").write_text("seed: 7\ntrain:\n  epochs: 2\nmodel:\n  secret: hunter2\n")


@pytest.fixture
def workspace(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    monkeypatch.chdir(tmp_path)
    features = Features({"id": Value("string"), "text": Value("string"), "label": ClassLabel(names=["a", "b"])})
    columns = {"id": ["test-0", "test-1", "test-2"], "text": ["one", "two", "three"], "label": [0, 1, 0]}
    predictions = text_table(["a", "b", "a"], ["a", "b", "b"], [0.5, 0.6, 0.9])
    write_workspace(tmp_path, Dataset.from_dict(columns, features=features), predictions)
    yield tmp_path


def test_the_workspaces_run_is_read(workspace: Path) -> None:
    report = report_of_workspace()
    (only,) = report.runs
    assert report.title == "tiny on letters"
    assert only.scores == (Score("accuracy", 0.75, Interval(0.5, 0.9)), Score("f1", None))
    assert only.labels == {"a": LabelScore(0.5, 0.5, 0.5, 2)}
    assert only.slices == {"domain": {"mail": SliceScore({"accuracy": 0.5}, Interval(0.0, 1.0), 2)}}
    assert only.confusion == Confusion("examples", ("a", "b"), ((1, 1), (0, 1)))
    assert only.curves == (Curve("validation", "f1", (1.0,), (0.25,)),)
    assert [(each.id, each.text) for each in report.examples if isinstance(each, TextExample)] == [("test-2", "three")]
    assert only.calibration is not None and sum(each.count for each in only.calibration.bins) == 3


def test_the_page_begins_with_the_tasks_own_metric(workspace: Path) -> None:
    """With its interval, validation beside test, and how many examples there are."""
    (workspace / "metrics/train.json").write_text(json.dumps({"validation": {"accuracy": 0.8125}}))
    tiles = report_of_workspace().tiles
    assert [(tile.name, tile.figure) for tile in tiles] == [
        ("Accuracy on test", "0.7500"), ("Accuracy on validation", "0.8125"), ("Test examples", "3"),
    ]  # fmt: skip
    assert list(tiles[0].said) == ["95 % interval 0.5000 to 0.9000"] and tiles[0].tone == "headline"
    assert "test less validation: \u22120.0625" in tiles[1].said
    assert tiles[2].said == ("1 with errors (33.3%); all predicted",)
    page = render_report(report_of_workspace())
    assert page.index("Accuracy on test") < page.index('id="scores"')
    (workspace / "params.yaml").write_text("task:\n  metric: f1\n")
    tiles = report_of_workspace().tiles
    assert (tiles[0].name, tiles[0].figure) == ("F1 on test", "—")


def git(*arguments: str) -> str:
    identity = ("-c", "user.name=tester", "-c", "user.email=tester@example.com")
    return subprocess.run(["git", *identity, *arguments], check=True, capture_output=True, text=True).stdout.strip()


def test_the_page_says_in_which_revision_the_model_was_trained_and_how_to_repeat_it(workspace: Path) -> None:
    def recorded(revision: str | None, *, dirty: bool | None = False) -> dict[str, str]:
        runs = {"train": {"seconds": 1.0, "environment": {"revision": revision, "dirty": dirty}}}
        (workspace / "metrics/runs.json").write_text(json.dumps(runs))
        facts = report_of_workspace().provenance
        return {fact.name: html.unescape(re.sub("<[^>]*>", "", fact.value)) for fact in facts}

    assert recorded(None, dirty=None) == {"Data": "letters", "Model": "tiny"}
    git("init", "--quiet")
    git("add", "params.yaml")
    git("commit", "--quiet", "--message", "run")
    first = git("rev-parse", "HEAD")
    assert recorded(first) == {
        "Data": "letters",
        "Model": "tiny",
        "Git revision": first[:10],
        "Reproduce": f"git checkout {first[:10]} && dvc repro",
    }
    assert recorded(first, dirty=True)["Git revision"] == f"{first[:10]}, with uncommitted changes"
    (workspace / "params.yaml").write_text("seed: 8\n")  # trained so, before it was committed
    assert recorded(first)["Reproduce"] == "commit what has changed, then dvc repro"
    git("commit", "--quiet", "--all", "--message", "run")
    assert recorded(first)["Reproduce"] == f"git checkout {git('rev-parse', 'HEAD')[:10]} && dvc repro"
    assert recorded("0" * 40)["Git revision"] == "0" * 10  # of another clone


def test_a_run_is_compared_with_the_committed_one_on_the_same_test_split(workspace: Path) -> None:
    def changes() -> list[str]:
        return [tile.figure for tile in report_of_workspace().tiles if tile.name.startswith("Change")]

    download = {"data": {"name": "letters", "splits": {"test": {"examples": 3}}}, "model": {"name": "tiny"}}
    (workspace / "metrics/download.json").write_text(json.dumps(download))
    assert changes() == []  # no repository
    git("init", "--quiet")
    assert changes() == []  # no commit
    git("add", "metrics")
    git("commit", "--quiet", "--message", "run")
    assert changes() == []  # the same run
    file = workspace / "metrics/evaluate.json"
    metrics = json.loads(file.read_text())
    file.write_text(json.dumps({**metrics, "accuracy": 0.8125}))
    assert changes() == ["+0.0625"]
    file.write_text(json.dumps({**metrics, "accuracy": 0.6875}))
    assert changes() == ["\u22120.0625"]
    params = (workspace / "params.yaml").read_text()
    git("add", "params.yaml")
    git("commit", "--quiet", "--message", "params")
    assert changes() == ["\u22120.0625"]
    (workspace / "params.yaml").write_text(f"{params}evaluate:\n  mode: strict\n")
    assert changes() == []  # scores of another reading of the tags
    (workspace / "params.yaml").write_text(f"{params}evaluate:\n  mode: conll\n  scheme: auto\n")
    assert changes() == ["\u22120.0625"]
    (workspace / "metrics/download.json").write_text(json.dumps({**download, "data": {"name": "other"}}))
    assert changes() == []  # other data


def test_the_threshold_of_several_labels_is_a_setting_and_no_score(workspace: Path) -> None:
    file = workspace / "metrics/evaluate.json"
    file.write_text(json.dumps({**json.loads(file.read_text()), "threshold": 0.125}))
    [run] = report_of_workspace().runs
    assert "threshold" not in [score.name for score in run.scores]
    assert Fact("threshold", "0.125") in run.facts


def test_all_that_is_known_of_entities_is_on_the_page(workspace: Path) -> None:
    file = workspace / "metrics/evaluate.json"
    rates = {"precision": 0.5, "recall": 0.25, "f1": 0.3125}
    errors = {"exact": 1801, "type": 136, "span": 170, "type_and_span": 75, "missed": 11, "spurious": 248}
    found = {"strict": rates, "seen": {**rates, "support": 702}, "unseen": {**rates, "support": 1491}, "errors": errors}
    file.write_text(json.dumps({**json.loads(file.read_text()), **found}))
    page = render_report(report_of_workspace())
    for shown in ("tags read strictly", "702 entities, precision 0.5000, recall 0.2500", "entities not seen in training",
                  ">0.3125<", "wrong type and span", ">1,801", "82.1%", "2,193 gold entities, 2,430 predicted"):  # fmt: skip
        assert shown in page, shown
    assert page.index("By domain") < page.index(">mail<")


def test_gold_labels_that_are_probably_wrong_are_on_the_page(workspace: Path) -> None:
    assert report_of_workspace().label_issues is None, "the probability of every label is not known"
    file = workspace / "data/predictions/test.parquet"
    probabilities = [{"a": 0.75, "b": 0.25}, {"a": 0.25, "b": 0.75}, {"a": 0.125, "b": 0.875}]
    table = pq.read_table(file).append_column("probabilities", pa.array(probabilities))
    pq.write_table(table, file)
    found = report_of_workspace().label_issues
    assert found is not None and found.splits == ("test",)
    assert [(each.id, each.given, each.suggested, each.text) for each in found.issues] == [
        ("test-2", "a", "b", "three")
    ]
    page = render_report(report_of_workspace())
    assert "<b>a</b> (0.125) is given, <b>b</b> (0.875) is suggested" in page and 'href="#label-issues"' in page


def test_the_page_follows_from_content_alone_and_keeps_what_is_not_asked_for_to_itself(workspace: Path) -> None:
    page = render_report(report_of_workspace())
    assert page == render_report(report_of_workspace())
    assert str(workspace) not in page and "hunter2" not in page


def test_sentences_of_the_workspace(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    names = ["O", "B-A", "I-A"]
    features = Features({
        "id": Value("string"), "tokens": List(Value("string")), "tags": List(ClassLabel(names=names)),
    })  # fmt: skip
    raw = Dataset.from_dict({"id": ["test-0"], "tokens": [["w0", "w1"]], "tags": [[1, 2]]}, features=features)
    write_workspace(tmp_path, raw, tokens_run(("B-A I-A", "B-A O")).file.table)
    report = report_of_workspace()
    assert report.runs[0].confusion == Confusion("words", ("O", "A"), ((0, 0), (1, 1)))
    assert report.runs[0].calibration is None
    assert [each.mistakes[0].kind for each in report.examples] == ["wrong span"]


def test_stale_scores_are_told_on_the_page_and_in_the_summary(workspace: Path) -> None:
    """As `dvc exp run train` leaves them."""
    outs = {"models/trained": "1" * 32, "data/predictions/test.parquet": "2" * 32}
    of = {path: {"path": path, "hash": "md5", "md5": md5, "size": 1} for path, md5 in outs.items()}
    read = {**of["models/trained"], "md5": "3" * 32}
    predictions = of["data/predictions/test.parquet"]
    file = workspace / predictions["path"]
    predictions["md5"] = hashlib.md5(file.read_bytes(), usedforsecurity=False).hexdigest()
    stages = {
        "train": {"cmd": "none", "outs": [of["models/trained"]]},
        "evaluate": {"cmd": "none", "deps": [read], "outs": [predictions]},
    }
    (workspace / "dvc.lock").write_text(json.dumps({"schema": "2.0", "stages": stages}) + "\n")
    (workspace / "metrics/train.json").write_text(json.dumps({"validation": {"accuracy": 0.5}}))
    note = "these scores and predictions are stale: evaluate read another models/trained than train wrote; "
    assert f"{note}run `dvc repro evaluate`" in " ".join(html.unescape(render_report(report_of_workspace())).split())
    download = {"data": {"name": "letters", "kind": "text"}, "model": {"name": "tiny"}}
    (workspace / "metrics/download.json").write_text(json.dumps(download))
    assert f"note: {note}run `dvc repro evaluate`" in " ".join(summary().split())
    file.unlink()  # the scores are those of a run whose predictions are elsewhere
    assert note in " ".join(summary().split())
    file.write_bytes(b"made without DVC")
    assert note not in " ".join(summary().split())
    assert f"note: {PREDICTIONS} is not the one that dvc.lock records, so scores," in " ".join(summary().split())


@pytest.mark.parametrize("name", ["metrics/download.json", "metrics/train.json", "metrics/evaluate.json"])
def test_a_file_of_a_run_that_the_lock_does_not_record_is_told(workspace: Path, name: str) -> None:
    """As `python -m stages.train train.epochs=9` leaves it, or a `git checkout` without `dvc checkout`."""
    download = {"data": {"name": "letters", "kind": "text"}, "model": {"name": "tiny"}}
    (workspace / "metrics/download.json").write_text(json.dumps(download))
    (workspace / "metrics/train.json").write_text(json.dumps({"validation": {"accuracy": 0.5}}))
    shown = [f"metrics/{stage}.json" for stage in ("download", "train", "evaluate")]
    outs = [
        {"path": path, "hash": "md5", "size": 1, "md5": hashlib.md5((workspace / path).read_bytes()).hexdigest()}
        for path in (*shown, str(PREDICTIONS))
    ]
    lock = {"schema": "2.0", "stages": {"all": {"cmd": "none", "outs": outs}}}
    (workspace / "dvc.lock").write_text(json.dumps(lock) + "\n")
    assert not report_of_workspace().notes and "note:" not in summary()
    content = json.loads((workspace / name).read_bytes())
    (workspace / name).write_text(json.dumps({**content, "by hand": 1}))
    told_of = f"{name} is not the one that dvc.lock records, so scores, predictions and params.yaml may be of different"
    assert [note[: len(told_of)] for note in report_of_workspace().notes] == [told_of]
    assert f"note: {told_of}" in " ".join(summary().split())
    (workspace / PREDICTIONS).unlink()
    assert f"note: {told_of}" in " ".join(summary().split())  # what is not there is not another one


def test_files_of_another_kind_are_told(workspace: Path) -> None:
    file = workspace / "data/predictions/test.parquet"
    pq.write_table(pq.read_table(file).drop_columns(["gold"]), file)
    with pytest.raises(DataError) as error:
        report_of_workspace()
    assert "has no column gold" in told(error)


def test_labels_that_the_split_does_not_know_are_counted() -> None:
    made = confusion_of(RunPredictions.of(pa.table({"gold": ["a", "a"], "predicted": ["a", "new"]})), ["a"])
    assert made == Confusion("examples", ("a", "new"), ((1, 1), (0, 0)))


@pytest.mark.parametrize("missing", ["data/predictions/test.parquet", "metrics/evaluate.json", "params.yaml"])
def test_what_is_missing_is_told_in_one_line(workspace: Path, missing: str) -> None:
    (workspace / missing).unlink()
    with pytest.raises(DataError) as error:
        report_of_workspace()
    assert missing in told(error)


def test_a_damaged_curve_is_told(tmp_path: Path) -> None:
    file = tmp_path / "plots/metrics/train/loss.tsv"
    file.parent.mkdir(parents=True)
    file.write_text("step\tother\n1\t2\n")
    with pytest.raises(DataError) as error:
        read_curves(tmp_path)
    assert "loss.tsv" in told(error)


# --- in a browser ---------------------------------------------------------------------------------------------------


@pytest.mark.slow
def test_a_browser_opens_the_page_without_complaint_and_filters(tmp_path: Path) -> None:
    examples = [text_example(place, f"number {place}") for place in range(30)]
    examples.append(text_example(99, "needle", gold="c & d", mistakes=(Mistake("wrong label", "c & d", "b"),)))
    page = tmp_path / "report.html"
    page.write_text(render_report(Report("t", (run(),), tuple(examples))), encoding="utf-8")
    plain, logged = opened(page)
    assert logged == ""
    assert "31 found, 1 to 20 below" in plain and "1 of 2" in plain
    filtered, _ = opened(page, "#errors&gold=c+%26+d")
    assert "1 found, 1 to 1 below" in filtered and '<p class="text" dir="auto">needle</p>' in filtered
    linked, _ = opened(page, "#errors&id=test-7")
    assert "1 found, 1 to 1 below" in linked and ">number 7</p>" in linked and 'href="#errors&amp;id=test-7"' in linked
    second, _ = opened(page, "#errors&search=NUMBER&page=2")
    assert "30 found, 21 to 30 below" in second


@pytest.mark.slow
def test_a_browser_runs_nothing_that_data_bring(tmp_path: Path) -> None:
    page = tmp_path / "report.html"
    page.write_text(render_report(hostile_report()), encoding="utf-8")
    shown, logged = opened(page)
    assert logged == ""
    assert "2 found" in shown and "<img" not in shown
    assert shown.count("<script") == 2
