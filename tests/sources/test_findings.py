"""What is odd about data is found, counted, told, and acted on as configured."""

from typing import Any

import pyarrow as pa
import pytest

from stages.configuration.schema import FilesData
from stages.pipeline.errors import DataError
from stages.sources.data_checks import KINDS
from tests.support.canonical_data import Made, made_from, tagged, texts
from tests.support.told import told

ZERO_WIDTH = "\u200b"


def table(*rows: tuple[str, Any]) -> pa.Table:
    return pa.table({"text": [text for text, _ in rows], "label": [label for _, label in rows]})


def words(*sentences: list[tuple[str, str]]) -> pa.Table:
    tokens, tags = ([[pair[place] for pair in sentence] for sentence in sentences] for place in (0, 1))
    return pa.table({"tokens": tokens, "tags": tags})


GOOD = table(("good one", "a"), ("good two", "b"), ("good three", "a"), ("good four", "b"))
OTHER = table(("validation", "a"))
GOOD_WORDS = words([("good", "B-x"), ("words", "O")])

FOUND: dict[str, tuple[Any, dict[str, dict[str, int]]]] = {
    "duplicates": (
        (table(("x", "a"), ("x", "a"), ("x", "a"), ("y", "b")), OTHER, GOOD),
        {"duplicates": {"train": 2}},
    ),
    "shared_inputs": (
        (GOOD, OTHER, table(("good one", "a"), ("good one", "a"), ("validation", "a"))),
        {"duplicates": {"test": 1}, "shared_inputs": {"train, test": 1, "validation, test": 1}},
    ),
    "conflicting_labels": (
        (table(("x", "a"), ("x", "b"), ("y", "a")), OTHER, table(("y", "b"))),
        {"conflicting_labels": {"all": 2}, "duplicates": {"train": 1}, "shared_inputs": {"train, test": 1}},
    ),
    "single_label": ((table(("x", "a"), ("y", "a")), OTHER, OTHER), {"single_label": {"train": 1}}),
    "unseen_labels": ((GOOD, OTHER, table(("x", "c"))), {"unseen_labels": {"test": 1}}),
    "similar_labels": ((table(("x", "Spam"), ("y", "spam "), ("z", "ham")), OTHER, OTHER), {"similar_labels": {"all": 1}}),
    "empty_inputs": ((GOOD, OTHER, table(("", "a"), (f" {ZERO_WIDTH}\n", "a"))), {"empty_inputs": {"test": 2}}),
    "control_characters": ((GOOD, OTHER, table(("a\x07b", "a"), ("a\tb\n", "a"))), {"control_characters": {"test": 1}}),
    "unreadable_characters": ((GOOD, OTHER, table(("caf\ufffd", "a"))), {"unreadable_characters": {"test": 1}}),
    "odd_white_space": ((GOOD, OTHER, table((f"a{ZERO_WIDTH}b", "a"), ("a b", "b"))), {"odd_white_space": {"test": 1}}),
    "unlabelled": ((GOOD, OTHER, table(("x", "-1"), ("y", "a"))), {"unlabelled": {"test": 1}}),
    "empty sentence": ((GOOD_WORDS, GOOD_WORDS, words([], [("w", "O")])), {"empty_inputs": {"test": 1}}),
    "empty_words": ((GOOD_WORDS, GOOD_WORDS, words([(ZERO_WIDTH, "O"), ("a", "O")])), {"empty_words": {"test": 1}}),
    "a space in a word": ((GOOD_WORDS, GOOD_WORDS, words([("New York", "B-x")])), {"odd_white_space": {"test": 1}}),
    "an entity type of test alone": ((GOOD_WORDS, GOOD_WORDS, words([("w", "B-y")])), {"unseen_labels": {"test": 1}}),
    "illegal_transitions": (
        (words([("a", "B-x"), ("b", "I-x")], [("c", "O"), ("d", "I-x")]), GOOD_WORDS, words([("e", "I-x")])),
        {"illegal_transitions": {"train": 1, "test": 1}},
    ),
}  # fmt: skip


@pytest.mark.parametrize(("tables", "expected"), FOUND.values(), ids=list(FOUND))
def test_what_is_odd_is_found_and_counted(tables: tuple[pa.Table, ...], expected: dict[str, dict[str, int]]) -> None:
    settings: dict[str, Any] = {"scheme": "iob2"} if "tokens" in tables[0].column_names else {}
    found = made_from(*tables, **settings).findings()
    unexpected = {"odd_white_space", "empty_words", "empty_inputs", "shared_inputs", "unseen_labels"}
    assert expected.items() <= found.items()
    assert not set(found) - set(expected) - unexpected


def test_nothing_is_found_where_nothing_is_odd() -> None:
    assert made_from(GOOD, OTHER, table(("test", "b"))).findings() == {}


def test_equal_ids_are_found() -> None:
    rows = texts(["a", "b", "a"], id=["1", "2", "1"])
    assert made_from(rows, OTHER, table(("x", "a"))).findings()["duplicate_ids"] == {"train": 1}


@pytest.mark.parametrize(
    "others", [["cafe\u0301"], ["caf\u00e9\u200b"], ["caf\u00e9\u00a0"], ["Caf\u00e9", "CAFE\u0301", "\ufeffcaf\u00e9"]]
)
def test_one_label_in_several_spellings_is_found_and_shown(others: list[str]) -> None:
    labels = ["caf\u00e9", *others, "m\u00b2", "m2"]
    train = table(*((f"text {row}", label) for row, label in enumerate(labels)))
    (found,) = [each for each in made_from(train, OTHER, OTHER).report.findings if each.code == "similar_labels"]
    assert found.counts == {"all": len(others)}
    assert found.first == " and ".join(map(ascii, sorted(labels[:-2])))


@pytest.mark.parametrize(
    ("fail_on", "stops"), [("error", {"error"}), ("warning", {"error", "warning"}), ("never", set())]
)
def test_findings_stop_the_run_as_configured(fail_on: str, stops: set[str]) -> None:
    examples = {
        "error": (table(("x", "a"), ("y", "a")), OTHER, OTHER),
        "warning": (GOOD, OTHER, table(("x", "c"))),
        "note": (GOOD, OTHER, table(("x\u00a0y", "a"))),
    }
    for severity, tables in examples.items():
        if severity in stops:
            with pytest.raises(DataError) as error:
                made_from(*tables, fail_on=fail_on)
            assert "data.fail_on=" in told(error)
        else:
            assert made_from(*tables, fail_on=fail_on).findings()


def test_a_finding_that_stops_names_its_place() -> None:
    with pytest.raises(DataError) as error:
        made_from(GOOD, OTHER, table(("x", "a"), ("", "a")), fail_on="warning")
    assert "1 in test (first: test.file, row 2)" in told(error)


def deduplicated(how: str) -> dict[str, list[str]]:
    tables = (
        table(("x", "a"), ("y", "b"), ("x", "b"), ("in test", "a"), ("in validation", "b")),
        table(("in validation", "a"), ("v", "b"), ("v", "b"), ("in test", "a")),
        table(("in test", "a"), ("t", "b"), ("t", "b")),
    )
    return {name: split["text"][:] for name, split in made_from(*tables, deduplicate=how).splits.items()}


def test_repeats_stay_if_nothing_else_is_asked_for() -> None:
    assert list(map(len, deduplicated("none").values())) == [5, 4, 3]


def test_of_repeats_within_a_split_the_first_stays() -> None:
    assert deduplicated("within") == {
        "train": ["x", "y", "in test", "in validation"],
        "validation": ["in validation", "v", "in test"],
        "test": ["in test", "t"],
    }


def test_across_splits_test_keeps_its_examples_and_train_loses_them() -> None:
    assert deduplicated("across") == {
        "train": ["x", "y"],
        "validation": ["in validation", "v"],
        "test": ["in test", "t"],
    }


def test_a_split_of_which_nothing_is_left_is_told() -> None:
    with pytest.raises(DataError, match=r"train: no example is left after deduplication; set data\.deduplicate=none"):
        made_from(GOOD, OTHER, GOOD, deduplicate="across")


# The page


def page(made: Made) -> str:
    return made.report.to_markdown()


def test_the_page_holds_splits_findings_and_labels() -> None:
    shown = page(made_from(GOOD, OTHER, table(("x", "c"))))
    assert "| train | 4 | 8 | 2 | 2 | 2 |" in shown
    assert f"| warning | {KINDS['unseen_labels'].meaning} | 1 in test |" in shown
    assert "| `a` | 2 (50.0%) | 1 (100.0%) | 0 (0.0%) |" in shown


def test_the_page_shows_two_examples_of_each_split_as_they_were_read() -> None:
    head = page(made_from(GOOD, None, table(("x", "-1"), ("y", "a")))).partition("## ")[0]
    assert head.splitlines()[4:] == [
        "| train | `3 examples, 6 words` |",
        "| validation | `1 example, 2 words; carved out of train (data.validation_fraction=0.25, data.seed=0)` |",
        "| test | `2 examples, 2 words` |",
        "| labels | `2: a, b` |",
        "| train | `good one → a` |", "| train | `good three → a` |", "| validation | `good two → b` |",
        "| test | `x → -1` |", "| test | `y → a` |", "",
    ]  # fmt: skip
    words = page(made_from(GOOD_WORDS, GOOD_WORDS, GOOD_WORDS))
    assert "| train | `good words → B-x O` |" in words and "| tags, iob2 | `2: O, B-x` |" in words


def test_labels_can_not_break_out_of_the_page() -> None:
    hostile = "|<img src=x>`*_[a](b)\\|"
    shown = page(made_from(table(("x", hostile), ("y", "b")), OTHER, OTHER, fail_on="never"))
    (line,) = [line for line in shown.splitlines() if "img" in line and line.startswith("| `")]
    assert r"| train | ``x → \|<img src=x>`*_[a](b)\x5c\|`` |" in shown
    assert line.startswith(r"| ``\|<img src=x>`*_[a](b)\x5c\|`` | ")


def test_no_path_of_this_machine_gets_into_metrics_or_page() -> None:
    made = made_from(GOOD, OTHER, table(("", "a")))
    assert "test.file" not in page(made) + str(made.report.to_json())


def test_entities_are_counted_on_the_page() -> None:
    assert "| train | 1 | 2 | 1 | 2 | 2 | 2 |" in page(made_from(GOOD_WORDS, GOOD_WORDS, tagged(["O"])))


def test_files_data_stop_on_errors_alone_by_default() -> None:
    assert FilesData(name="x", kind="text", source="files", train="a", test="b").fail_on == "error"
