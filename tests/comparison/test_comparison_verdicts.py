"""What is told of differences: verdicts that agree with intervals, metrics that are judged, and what changed in examples."""

import json
from dataclasses import replace
from html import unescape

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stages.comparison.compare import as_json
from stages.comparison.comparing import compare
from stages.comparison.gates import Gate, WorseError
from stages.comparison.html import as_html
from stages.comparison.loaded_runs import Run
from stages.comparison.markdown import as_markdown
from stages.comparison.results import Comparison, Difference, Pair
from stages.comparison.significance import holm, with_verdicts
from stages.comparison.terminal import as_text
from stages.comparison.wording import method, shown_p, verdict
from stages.scoring.evaluation.resampling import Interval

METRICS = ("f1", "precision", "mse")
small = st.floats(-1, 1).map(lambda value: round(value, 3))
intervals = st.none() | st.tuples(small, small).map(sorted).map(lambda ends: Interval(*ends))
differences = st.builds(
    Difference,
    metric=st.just(""),
    higher_is_better=st.booleans(),
    base=st.just(0.5),
    other=st.just(0.5),
    difference=st.none() | small,
    interval=intervals,
    test=st.just("randomization"),
    p=st.floats(0, 1),
    p_holm=st.none(),
    verdict=st.just("no evidence"),
)


def holds_zero(interval: Interval | None) -> bool:
    return interval is None or interval.low <= 0 <= interval.high


def require_agreement(difference: Difference) -> None:
    """A verdict is told if and only if the interval lies beyond 0, on the side that the verdict says."""
    if difference.verdict in ("better", "worse"):
        assert difference.interval is not None and difference.p_holm is not None
        is_more = (difference.verdict == "better") == difference.higher_is_better
        assert difference.interval.low > 0 if is_more else difference.interval.high < 0
    elif difference.verdict == "no evidence":
        assert holds_zero(difference.interval)


@given(st.lists(st.tuples(differences, differences, differences), min_size=1, max_size=5), st.floats(0.001, 0.5))
def test_verdicts_and_intervals_never_disagree(runs: list[tuple[Difference, ...]], level: float) -> None:
    pairs = [
        Pair("base", f"run {place}", [replace(each, metric=name) for each, name in zip(run, METRICS, strict=True)])
        for place, run in enumerate(runs)
    ]
    judged, comparisons = METRICS[::2], 2 * len(runs)
    found = with_verdicts(pairs, judged, level, comparisons)
    corrected = holm(
        [each.p for pair in pairs for each in pair.differences if each.metric in judged and each.p is not None]
    )
    assert [each.p_holm for pair in found for each in pair.differences if each.metric in judged] == corrected
    for before, after in zip(pairs, found, strict=True):
        for old, new in zip(before.differences, after.differences, strict=True):
            require_agreement(new)
            assert (new.verdict == "exploratory") == (new.metric not in judged) == (new.p_holm is None)
            if new.p_holm is not None and new.p_holm >= level:
                assert new.verdict == "no evidence"
            if new.verdict == "exploratory" and new.p is not None and new.p >= level / comparisons:
                assert holds_zero(new.interval)
            if old.interval is not None and new.interval is not None:  # it never covers less
                assert new.interval.low <= old.interval.low and new.interval.high >= old.interval.high


def test_what_was_not_tested_stays_without_evidence() -> None:
    difference = Difference("f1", True, 0.5, 0.6, 0.1, None, None, None, None, "no evidence")
    (pair,) = with_verdicts([Pair("a", "b", [difference])], ["f1"], 0.05, 1)
    assert pair.differences == [difference]


def texts(name: str, right: list[bool], **params: str) -> Run:
    gold = [("a", "b")[place % 2] for place in range(len(right))]
    predicted = [label if is_right else "c" for label, is_right in zip(gold, right, strict=True)]
    ids = [f"test-{place}" for place in range(len(gold))]
    return Run(name, pa.table({"id": ids, "gold": gold, "predicted": predicted}), params=dict(params))


def of_accuracy(*accuracies: float, texts_each: int = 200, seed: int = 0) -> list[Run]:
    generator = np.random.default_rng(seed)
    return [
        texts(f"run {place}", (generator.random(texts_each) < accuracy).tolist())
        for place, accuracy in enumerate(accuracies)
    ]


@settings(max_examples=25, deadline=None)
@given(st.lists(st.sampled_from([0.6, 0.7, 0.75, 0.8]), min_size=1, max_size=4), st.integers(0, 1000))
def test_verdicts_of_runs_agree_with_their_intervals(accuracies: list[float], seed: int) -> None:
    runs = of_accuracy(0.7, *accuracies, texts_each=120, seed=seed)
    found = compare(runs, resamples=200, judged=["recall"])
    assert found.comparisons == 2 * len(accuracies) and found.judged == ["accuracy", "recall"]
    for pair in found.pairs:
        for each in pair.differences:
            require_agreement(each)


def test_intervals_hold_together_for_all_runs() -> None:
    """Of three runs, each interval holds as much as it does alone at a third of the level."""
    runs = of_accuracy(0.6, 0.9, 0.9, 0.9)
    together, alone = compare(runs, resamples=2000), compare(runs[:2], resamples=2000, level=0.05 / 3)
    assert together.comparisons == 3 and together.interval_level == alone.interval_level
    assert together.pairs[0].differences[0].interval == alone.pairs[0].differences[0].interval
    assert "98.33 % intervals" in method(together) and "corrected for 3 comparisons" in method(together)
    for shown in (
        as_text(together),
        as_markdown(together),
        json.loads(as_json(together))["method"],
        as_html(together, runs),
    ):
        assert " ".join(unescape(shown).split()).count(method(together)) == 1


@settings(max_examples=10, deadline=None)
@given(st.lists(st.sampled_from([0.6, 0.7, 0.75, 0.8]), min_size=1, max_size=3), st.integers(0, 1000))
def test_an_interval_holds_zero_where_the_p_value_beside_it_is_no_evidence(accuracies: list[float], seed: int) -> None:
    """Of exploratory metrics too: both are corrected for all comparisons."""
    found = compare(of_accuracy(0.7, *accuracies, texts_each=120, seed=seed), resamples=200)
    for pair in found.pairs:
        for each in pair.differences:
            p = shown_p(each, found)
            assert p is not None and each.interval is not None and each.p is not None and each.p <= p <= 1
            assert p < found.level or each.interval.low <= 0 <= each.interval.high


def test_the_headline_alone_is_judged() -> None:
    found = compare(of_accuracy(0.6, 0.9), resamples=500)
    first, *others = found.pairs[0].differences
    assert (first.metric, first.verdict) == ("accuracy", "better")
    assert {each.verdict for each in others} == {"exploratory"}
    assert all(each.p is not None and each.p_holm is None and each.interval is not None for each in others)
    for shown in (as_text(found), as_markdown(found), as_html(found, of_accuracy(0.6, 0.9))):
        assert shown.count("exploratory") >= len(others)
    rows = [line for line in as_text(found).splitlines() if line.startswith("recall ")]
    assert rows and rows[0].endswith("  exploratory")


def test_a_gate_judges_its_metric_and_all_verdicts_are_corrected_for_it() -> None:
    runs = of_accuracy(0.9, 0.6, 0.9)
    judged = compare(runs, resamples=500, judged=["recall"])
    found = {(pair.other, each.metric): each for pair in judged.pairs for each in pair.differences}
    assert found["run 1", "recall"].verdict == "worse" and found["run 1", "f1"].verdict == "exploratory"
    p = {key: each for key, each in found.items() if key[1] in ("accuracy", "recall")}
    assert [each.p_holm for each in p.values()] == holm([each.p or 0.0 for each in p.values()])
    assert "recall is worse by" in as_text(judged, details=True) and "**recall is worse by" in as_markdown(judged)
    with pytest.raises(WorseError, match="run 1: recall is worse by"):
        Gate("recall").require(judged)
    Gate("recall", 0.9).require(judged)
    with pytest.raises(AssertionError):  # a gate on what is not judged would pass whatever happens
        Gate("f1").require(judged)


# What changed in examples


def words(name: str, *sentences: str) -> Run:
    """Sentences of predicted tags; gold is two entities, but the last sentence has none."""
    rows = [
        (f"test-{place}", word, gold, tag)
        for place, tags in enumerate(sentences)
        for word, (gold, tag) in enumerate(
            zip(("O O O" if place == len(sentences) - 1 else "B-A O B-B").split(), tags.split(), strict=True)
        )
    ]
    columns = zip(("id", "word", "gold", "predicted"), zip(*rows, strict=True), strict=True)
    tokens = ("token", [f"w{word}" for _, word, _, _ in rows])
    return Run(name, pa.table(dict([*((key, list(values)) for key, values in columns), tokens])))


@pytest.fixture
def changes() -> tuple[Comparison, list[Run]]:
    base = words("base", "O O B-B", "B-A O B-B", "B-B O B-A", "O O B-B", "O O O", "O O O")
    other = words("other", "B-A O B-B", "B-A O O", "O O B-A", "B-B O O", "O O O", "O O B-A")
    return compare([base, other], resamples=200), [base, other]


def test_fixed_is_right_now_and_broken_is_wrong_now(changes: tuple[Comparison, list[Run]]) -> None:
    comparison, runs = changes
    changed = {each.id: (each.change, each.base_errors, each.other_errors) for each in comparison.pairs[0].changed}
    assert changed == {
        "test-0": ("fixed", 1, 0),
        "test-1": ("broken", 0, 1),
        "test-2": ("better", 4, 3),
        "test-3": ("worse", 1, 3),
        "test-5": ("broken", 0, 1),
    }
    told = "1 fixed, 2 broken, 1 better, 1 worse"
    assert f"examples: {told}" in as_text(comparison) and f"Examples: {told}" in as_markdown(comparison)
    page = as_html(comparison, runs)
    assert "broken: 2 of 2, worse: 1 of 1, fixed: 1 of 1, better: 1 of 1, wrong as before: 1 of 1" in page
    content = json.loads(page.partition('id="data">')[2].partition("</script>")[0])
    shown = {each["id"]: each["change"] for each in content["examples"]}
    assert shown == {**{id_: change for id_, (change, _, _) in changed.items()}, "test-4": "wrong"}


def test_an_example_is_shown_as_all_seeds_have_it_and_says_in_how_many() -> None:
    """The first seeds alone may predict the same where the groups differ."""

    def seed(name: str, number: int, rate: float, *labels: str) -> Run:
        ids = [f"test-{place}" for place in range(3)]
        table = pa.table({"id": ids, "gold": ["a", "a", "b"], "predicted": list(labels)})
        return Run(name, table, params={"seed": number, "rate": rate}, code="same")

    base = [seed("base", 1, 0.1, "a", "a", "b"), seed("b2", 2, 0.1, "b", "a", "b"), seed("b3", 3, 0.1, "a", "c", "a")]
    other = [seed("other", 1, 0.2, "a", "b", "b"), seed("o2", 2, 0.2, "a", "c", "b"), seed("o3", 3, 0.2, "a", "b", "b")]
    runs = [*base, *other]
    comparison = compare(runs, resamples=200)
    changed = {each.id: each for each in comparison.pairs[0].changed}
    assert {id_: (each.change, len(each.base), len(each.other)) for id_, each in changed.items()} == {
        "test-0": ("fixed", 2, 1),
        "test-1": ("worse", 2, 2),
        "test-2": ("fixed", 2, 1),
    }
    shown = as_text(comparison)
    for said in (
        "  fixed test-0\n    gold  a\n    base  a (2 of 3 seeds)\n          b (1 of 3 seeds)\n    other a\n",
        "    base  a (2 of 3 seeds)\n          c (1 of 3 seeds)\n    other b (2 of 3 seeds)\n          c (1 of 3 seeds)\n",
    ):
        assert said in shown
    assert "  - base `a (2 of 3 seeds)`\n  - base `b (1 of 3 seeds)`\n  - other `a`" in as_markdown(comparison)
    assert "those of one seed alone: base for base + 2 seeds, other for other + 2 seeds" in as_html(comparison, runs)
    json.loads(as_json(comparison))


def test_a_number_is_nearer_or_farther_and_never_right() -> None:
    gold = [1.0, 2.0, 3.0, 4.0]
    tables = [
        pa.table({"id": list("wxyz"), "gold": gold, "predicted": predicted})
        for predicted in ([1.0, 2.5, 3.5, 4.5], [1.5, 2.0, 3.75, 4.5])
    ]
    comparison = compare([Run(name, table) for name, table in zip("ab", tables, strict=True)], resamples=200)
    assert [(each.id, each.change) for each in comparison.pairs[0].changed] == [
        ("w", "worse"), ("x", "better"), ("y", "worse"),
    ]  # fmt: skip
    assert "examples: 1 better, 2 worse" in as_text(comparison)
    assert json.loads(as_json(comparison))["pairs"][0]["changed"][1]["change"] == "better"


def test_the_page_reads_entities_as_the_comparison_does() -> None:
    gold = "O O O"
    base, other = words("base", "I-A O B-B", gold), words("other", "B-A O B-B", gold)
    strict = compare([base, other], resamples=200, mode="strict")
    assert [each.change for each in strict.pairs[0].changed] == ["fixed"]
    assert "fixed: 1 of 1" in as_html(strict, [base, other])
    conll = compare([base, other], resamples=200)
    assert conll.pairs[0].changed == []
    assert "No example to show." in as_html(conll, [base, other])


# Words


@pytest.mark.parametrize(
    ("difference", "interval", "told", "expected"),
    [
        (-0.5625, Interval(-0.7124, -0.4115), "better", "mse is better: 0.5625 lower [-0.7124, -0.4115], p = 0.0010"),
        (0.5625, Interval(0.4115, 0.7124), "worse", "mse is worse: 0.5625 higher [+0.4115, +0.7124], p = 0.0010"),
        (-0.01, Interval(-0.02, 0.0), "no evidence", "no evidence that mse differs (-0.0100 [-0.0200, +0.0000], p = 0.0010)"),
        (-12345.678, Interval(-23456.78, -1234.5), "better", "mse is better: 12345.7 lower [-23456.8, -1234.5], p = 0.0010"),
    ],
)  # fmt: skip
def test_what_is_better_where_less_is_better(difference: float, interval: Interval, told: str, expected: str) -> None:
    found = Difference("mse", False, 1.0, 1.0, difference, interval, "randomization", 0.001, 0.001, "no evidence")
    assert verdict(replace(found, verdict=told)) == expected  # type: ignore[arg-type]


def test_metrics_of_tags_that_were_read_in_two_ways_are_told_apart_without_predictions() -> None:
    def of(name: str, mode: str) -> Run:
        params = {"evaluate.mode": mode, "evaluate.scheme": "auto"}
        return Run(name, None, "predictions are not at hand", metrics={"evaluate.f1": 0.5}, params=params)

    for mode, told in (("strict", True), ("conll", False)):
        comparison = compare([of("base", "conll"), of("now", mode)], lenient=True)
        shown = " ".join(as_text(comparison).split())
        assert ("scores of entities can't be compared" in shown) == told == bool(comparison.notes)
