"""From checked rows to canonical splits, or one line that says which file and row can't be used."""

import json
import tempfile
from collections import Counter
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from datasets import ClassLabel, Dataset, DatasetDict, Features, List, Value
from hypothesis import given, settings
from hypothesis import strategies as st
from seqeval.metrics import classification_report

from stages.configuration.schema import FilesData, MaxExamples
from stages.pipeline.errors import DataError
from stages.sources.label_names import canonical_label
from tests.support.canonical_data import Made, made_from, made_of, tagged, texts
from tests.support.told import told


def splits(*tables: pa.Table | None, **settings: Any) -> DatasetDict:
    return made_from(*tables, **settings).splits  # type: ignore[arg-type]


def summary(made: Made, split: str = "train") -> Any:
    return made.report.to_json()["splits"][split]  # type: ignore[index,call-overload]


def label_names(found: DatasetDict) -> list[str]:
    names = [names_of(split) for split in found.values()]
    assert all(each[: len(names[0])] == names[0] for each in names), "those of train come first"
    return names[0]


def names_of(split: Dataset) -> list[str]:
    feature = split.features.get("label") or split.features["tags"].feature
    return list(feature.names)


# The form


def test_canonical_text_has_id_text_and_class_label() -> None:
    found = splits(texts(["no", "yes"]), texts(["no"]), texts(["yes"]))
    assert list(found) == ["train", "validation", "test"]
    features = {"id": Value("string"), "text": Value("string"), "label": ClassLabel(names=["no", "yes"])}
    assert found["train"].features == Features(features)
    assert found["train"][:] == {"id": ["train-0", "train-1"], "text": ["text 0", "text 1"], "label": [0, 1]}


def test_canonical_tokens_have_id_tokens_and_tags() -> None:
    found = splits(tagged(["O", "B-x"], [], ["O"]), tagged(["O"]), tagged(["O"]))["train"]
    tags = List(ClassLabel(names=["O", "B-x"]))
    assert found.features == Features({"id": Value("string"), "tokens": List(Value("string")), "tags": tags})
    assert found["tokens"][:] == [["word0", "word1"], [], ["word0"]]
    assert found["tags"][:] == [[0, 1], [], [0]]


def test_pairs_keep_their_second_text() -> None:
    table = pa.table({"premise": ["a", "b"], "hypothesis": ["c", "d"], "label": [0, 1]})
    found = splits(table, table)
    assert found["train"].column_names == ["id", "text", "text_pair", "label"]
    assert found["train"]["text_pair"][:] == ["c", "d"]


def test_other_columns_come_along_as_text() -> None:
    table = texts([0, 1], domain=["mail", None], stars=[5, 4])
    found = splits(table, table, table, keep_columns=["stars", "domain"])["test"]
    assert found.column_names == ["id", "text", "label", "stars", "domain"]
    assert found["stars"][:] == ["5", "4"] and found["domain"][:] == ["mail", None]


def test_a_group_can_come_along_under_its_own_name() -> None:
    table = texts([0, 1] * 30, group=[f"g{row // 6}" for row in range(60)])
    found = splits(table, None, table, keep_columns=["group"], group_column="group")
    assert not set(found["train"]["group"]) & set(found["validation"]["group"])


@pytest.mark.parametrize(
    ("column", "message"),
    [
        ([["a"], ["b"]], "row 1: domain is ['a'], not one value; leave it out of data.keep_columns"),
        (None, "has no column domain; set data.keep_columns to one of its columns: text, label"),
    ],
)
def test_a_column_that_can_not_come_along_is_told(column: list[list[str]] | None, message: str) -> None:
    table = texts([0, 1]) if column is None else texts([0, 1], domain=column)
    with pytest.raises(DataError) as error:
        splits(table, table, table, keep_columns=["domain"])
    assert message in told(error)


def test_a_split_without_the_second_text_is_refused() -> None:
    pairs = pa.table({"premise": ["a", "b"], "hypothesis": ["c", "d"], "label": [0, 1]})
    with pytest.raises(DataError) as error:
        splits(pairs, pairs, texts([0, 1]))
    assert told(error).startswith("test (test.file): lacks a second text, unlike train")


def test_several_labels_and_numbers_have_features_of_their_own() -> None:
    several = splits(texts([["b", "a"], [], ["a"]]), texts([["b"]]), target="labels")["train"]
    assert several.features["label"] == List(ClassLabel(names=["a", "b"]))
    assert several["label"][:] == [[1, 0], [], [0]]
    numbers = splits(texts([1, 2.5]), texts(["3e-1"]), target="number")
    assert numbers["train"].features["label"] == Value("float64")
    assert (numbers["train"]["label"][:], numbers["validation"]["label"][:]) == ([1.0, 2.5], [0.3])


def test_ids_of_the_source_are_kept() -> None:
    found = splits(texts(["a", "b"], id=["007", "NA"]), texts(["a"], id=["x"]), texts(["a"], id=["y"]))
    assert found["train"]["id"][:] == ["007", "NA"]
    assert found["test"]["id"][:] == ["y"]


@pytest.mark.parametrize("rows_at_once", [1, 3, 1000])
def test_rows_may_come_in_batches_of_any_size(rows_at_once: int) -> None:
    table = texts(["a", "b", "c", "a", "b"] * 5, group=[str(row // 3) for row in range(25)])
    found = splits(table, rows_at_once=rows_at_once, group_column="group", max_examples=MaxExamples(test=7))
    whole = splits(table, group_column="group", max_examples=MaxExamples(test=7))
    assert {name: split[:] for name, split in found.items()} == {name: split[:] for name, split in whole.items()}


# Labels


@pytest.mark.parametrize(
    ("labels", "order"),
    [
        (["10", "9", "2", "1"], ["1", "2", "9", "10"]),
        ([10, 9, 2, 1], ["1", "2", "9", "10"]),
        (["class 10", "class 9"], ["class 9", "class 10"]),
        (["pos", "neg"], ["neg", "pos"]),
        (["1", "01", "001"], ["001", "01", "1"]),
        (["m²", "²", "m³"], ["m²", "m³", "²"]),
        ([True, False], ["false", "true"]),
    ],
)
def test_labels_are_in_natural_order_whatever_the_order_of_rows(labels: list[Any], order: list[str]) -> None:
    assert label_names(splits(texts(labels), texts(labels), texts(labels))) == order
    assert label_names(splits(texts(labels[::-1]), texts(labels), texts(labels))) == order


def test_tags_are_in_the_order_of_their_types_and_b_before_i() -> None:
    found = splits(tagged(["I-person", "B-person", "I-LOC", "O", "B-LOC"]), tagged(["O"]))
    assert label_names(found) == ["O", "B-LOC", "I-LOC", "B-person", "I-person"]


any_label = st.text(st.characters(codec="utf-8"), min_size=1, max_size=6).filter(str.strip)


@given(st.sets(any_label.filter(lambda label: canonical_label(label) == label), min_size=1))
@settings(max_examples=50)
def test_any_labels_have_one_order(names: set[str]) -> None:
    ordered = sorted(names)
    found, reversed_rows = (splits(texts(rows), texts(rows)) for rows in (ordered, ordered[::-1]))
    assert label_names(found) == label_names(reversed_rows)
    assert set(label_names(found)) == names
    written = [label_names(found)[code] for code in found["train"]["label"][:]]
    assert written == ordered


def test_labels_that_only_validation_or_test_have_come_behind_those_of_train() -> None:
    found = splits(texts(["b", "d"]), texts(["c", "b"]), texts(["a", "d"]))
    assert {name: names_of(split) for name, split in found.items()} == {
        "train": ["b", "d"], "validation": ["b", "d", "c"], "test": ["b", "d", "a"],
    }  # fmt: skip
    assert found["test"]["label"][:] == [2, 1]


@given(
    st.lists(
        st.lists(st.sampled_from(["O", "B-x", "I-x", "LOC", "B-y", "o", "NOUN", "E-x"]), min_size=1, max_size=4),
        min_size=1,
    )
)
def test_no_row_of_test_changes_what_train_reads(rows: list[list[str]]) -> None:
    train, validation = tagged(["O", "I-x", "B-x"], ["O", "O"], ["I-x"]), tagged(["B-x", "O"])
    for settings_ in ({}, {"convert_to": "iobes"}):
        usual = splits(train, validation, train, **settings_)
        found = splits(train, validation, tagged(*rows), **settings_)
        for split in ("train", "validation"):
            assert found[split].features == usual[split].features and found[split][:] == usual[split][:]


@pytest.mark.parametrize("target", ["label", "labels"])
def test_no_label_of_test_is_one_of_train(target: str) -> None:
    rows = [["a", "b"], ["b"], ["c", "a"]]
    train, test = (rows[:2], rows[2:]) if target == "labels" else ([row[0] for row in rows[:2]], ["c"])
    found = splits(texts(train), texts(train), texts(test), target=target)
    names = [
        split.features["label"].feature if target == "labels" else split.features["label"] for split in found.values()
    ]
    assert [each.names for each in names] == [["a", "b"], ["a", "b"], ["a", "b", "c"]]


def test_names_of_the_source_fix_the_codes_even_of_labels_that_do_not_occur() -> None:
    found = splits(texts([2, 0]), texts([0]), names=["z", "y", "x"])
    assert label_names(found) == ["z", "y", "x"]
    assert found["train"]["label"][:] == [2, 0]
    assert splits(texts(["x", "z"]), texts(["x"]), names=["z", "y", "x"])["train"]["label"][:] == [2, 0]


def test_digits_in_a_file_without_types_index_the_names() -> None:
    assert splits(texts(["1", "0"]), texts(["0"]), names=["no", "yes"])["train"]["label"][:] == [1, 0]
    assert splits(texts(["1", "0"]), texts(["0"]), names=["1", "0"])["train"]["label"][:] == [0, 1]


@pytest.mark.parametrize("names", [None, ["no", "yes"]])
@pytest.mark.parametrize("kind", [pa.int8(), pa.int64(), pa.string()])
def test_minus_one_is_no_label_and_may_stand_in_test_alone(names: list[str] | None, kind: pa.DataType) -> None:
    good, bad = (texts(pa.array(codes, pa.int64()).cast(kind)) for codes in ([0, 1], [0, -1]))
    made = made_from(good, good, bad, names=names)
    assert made.splits["test"]["label"][:] == [0, -1]
    assert label_names(made.splits) == (names or ["0", "1"])
    assert made.findings()["unlabelled"] == {"test": 1}
    with pytest.raises(DataError) as error:
        splits(good, bad, good, names=names)
    assert told(error).startswith("validation.file, row 2: the label is -1, which means none")


@pytest.mark.parametrize("kind", [pa.int64(), pa.string()])
def test_integers_are_names_where_names_are_integers(kind: pa.DataType) -> None:
    table = texts(pa.array([1, 2, 4, 3]).cast(kind))
    found = made_from(table, table, names=["1", "2", "3", "4", "5"], label_names=["1", "2", "3", "4", "5"])
    assert label_names(found.splits) == ["1", "2", "3", "4", "5"]
    assert found.splits["train"]["label"][:] == [0, 1, 3, 2]
    assert found.findings()["integer_names"] == {"all": 5} and found.findings()["named_in_vain"] == {"train": 1}
    with pytest.raises(DataError) as error:
        splits(table, texts(pa.array([1, 0]).cast(kind)), names=["1", "2", "3", "4", "5"])
    assert told(error).startswith("validation.file, row 2: the label '0' is not one of 1, 2, 3, 4, 5")


def test_integers_are_places_where_the_format_says_so() -> None:
    names = {"info": {"features": {"label": {"_type": "ClassLabel", "names": ["1", "2", "3"]}}}}
    schema = pa.schema([("text", pa.string()), ("label", pa.int64())], metadata={"huggingface": json.dumps(names)})
    with tempfile.TemporaryDirectory() as folder:
        place = f"{folder}/a.parquet"
        pq.write_table(pa.table({"text": ["a", "b", "c"], "label": [2, 1, 0]}, schema=schema), place)
        found = made_of(
            FilesData(name="x", kind="text", source="files", train=place, validation=place, test=place)
        ).splits
    assert label_names(found) == ["1", "2", "3"] and found["train"]["label"][:] == [2, 1, 0]


@pytest.mark.parametrize("kind", [pa.int64(), pa.string()])
def test_minus_one_is_no_fourth_class_beside_three_names(kind: pa.DataType) -> None:
    table = texts(pa.array([0, -1, 1]).cast(kind))
    with pytest.raises(DataError) as error:
        splits(table, table, names=["neg", "neutral", "pos"])
    assert told(error).startswith("train.file, row 2: the label is -1, which means none")
    assert splits(table, table, names=["-1", "0", "1"])["train"]["label"][:] == [1, 0, 2]


def test_minus_one_is_a_label_where_train_has_it_or_it_is_named() -> None:
    table = texts([-1, 0, 1])
    assert label_names(splits(table, table)) == ["-1", "0", "1"]
    assert splits(texts(["-1", "1"]), texts(["1"]), names=["-1", "1"])["train"]["label"][:] == [0, 1]


def test_integers_in_one_split_and_text_in_another_are_refused() -> None:
    with pytest.raises(DataError) as error:
        splits(texts(["neg", "pos"]), texts(["pos"]), texts([0, 1]))
    assert told(error).startswith("data: labels are integers in test but text in train, validation;")
    found = splits(texts(["neg", "pos"]), texts(["pos"]), texts([0, 1]), names=["neg", "pos"])
    assert found["test"]["label"][:] == [0, 1]


def test_labels_as_pandas_categories_are_taken() -> None:
    table = texts(pa.array(["x", "y", "x"]).dictionary_encode())
    assert splits(table, table)["train"]["label"][:] == [0, 1, 0]


# What can't be used

UNUSABLE = {
    "no rows": (texts(pa.array([], pa.string())), "test (test.file): holds no examples"),
    "no label": (texts(["a", None]), "test.file, row 2: has no label"),
    "an empty label": (texts(["a", " "]), "test.file, row 2: the label is empty"),
    "no text": (pa.table({"text": ["a", "b", None], "label": ["a"] * 3}), "test.file, row 3: has no text"),
    "text is a list": (pa.table({"text": [["a"]], "label": ["a"]}), "test.file, row 1: the text is list"),
    "label is a fraction": (texts([0.0, 0.5]), "test.file, row 2: the label is 0.5, neither text nor an integer"),
    "label is no number": (texts([0.0, float("nan")]), "test.file, row 2: has no label"),
    "label is a list": (texts([["a"], ["b"]]), "test.file, row 1: the label is list"),
}


@pytest.mark.parametrize(("table", "expected"), UNUSABLE.values(), ids=list(UNUSABLE))
def test_a_text_that_cannot_be_used_is_told_with_file_and_row(table: pa.Table, expected: str) -> None:
    with pytest.raises(DataError) as error:
        splits(texts(["a", "b"]), texts(["a"]), table)
    assert told(error).startswith(expected)


WORDS = pa.list_(pa.string())
UNUSABLE_TOKENS = {
    "too few tags": ([["a"], ["b", "c"]], [["O"], ["O"]], "row 2: has 2 words but 1 tags"),
    "too many tags": ([[], ["b", "c"]], [["O"], ["O", "O"]], "row 1: has 0 words but 1 tags"),
    "no tags": ([["a"], ["b"]], [["O"], None], "row 2: has no list of tags"),
    "no words": ([None, ["b"]], [["O"], ["O"]], "row 1: has no list of words"),
    "a word is missing": ([["a"], [], ["b", None]], [["O"], [], ["O", "O"]], "row 3: has no word"),
    "a tag is missing": ([["a"], [], ["b", "c"]], [["O"], [], ["O", None]], "row 3: has no tag"),
}


@pytest.mark.parametrize(("tokens", "tags", "expected"), UNUSABLE_TOKENS.values(), ids=list(UNUSABLE_TOKENS))
def test_a_sentence_that_cannot_be_used_is_told_with_file_and_row(
    tokens: list[Any], tags: list[Any], expected: str
) -> None:
    table = pa.table({"tokens": pa.array(tokens, WORDS), "tags": pa.array(tags, WORDS)})
    with pytest.raises(DataError) as error:
        splits(tagged(["O"]), tagged(["O"]), table)
    assert told(error).startswith(f"test.file, {expected}")


@pytest.mark.parametrize(
    ("table", "expected"),
    [
        (pa.table({"tokens": ["a b"], "tags": [["O"]]}), "has 2 words but 1 tags"),
        (pa.table({"tokens": [["a"]], "tags": ["O"]}), "holds 'O', not a list of tags"),
        (pa.table({"tokens": [[1]], "tags": [["O"]]}), "the word is int64, not text"),
        (pa.table({"tokens": [["a"]], "tags": [[0.5]]}), "the tag is 0.5, neither text nor an integer"),
    ],
    ids=["text", "label", "numbers", "number tags"],
)
def test_data_of_the_wrong_kind_are_refused(table: pa.Table, expected: str) -> None:
    with pytest.raises(DataError) as error:
        splits(tagged(["O"]), tagged(["O"]), table)
    assert told(error).startswith(f"test.file, row 1: {expected}")


def test_a_tag_outside_the_names_is_told_with_its_row() -> None:
    with pytest.raises(DataError) as error:
        splits(tagged([0], [0, 1], [1, 0, 2]), tagged([0]), names=["O", "B-x"])
    assert told(error).startswith("train.file, row 3: the tag 2 is not one of the 2 that are named: O, B-x")


# Columns


@pytest.mark.parametrize(("text", "label"), [("text", "label"), ("sentence", "sentiment"), ("review", "class")])
def test_usual_column_names_are_guessed(text: str, label: str) -> None:
    table = pa.table({"other": [0], label: ["x"], text: ["a"]})
    assert splits(table, table)["train"][0] == {"id": "train-0", "text": "a", "label": 0}


def test_configured_columns_win_over_guessed_ones() -> None:
    table = pa.table({"text": ["a"], "title": ["b"], "label": ["x"], "topic": ["y"]})
    found = splits(table, table, text_column="title", label_column="topic")
    assert found["train"]["text"][:] == ["b"]
    assert label_names(found) == ["y"]


@pytest.mark.parametrize(
    ("configured", "expected"),
    [
        ({}, "has no column text or sentence or content or review or document or body or comment or message; set data.text_"),
        ({"text_column": "mot", "label_column": "genre"}, "has no column genre; set data.label_column to one of its"),
        ({"text_column": "mot", "label_column": "sorte", "group_column": "auteur"}, "has no column auteur; set data.group"),
        ({"text_column": "mot", "label_column": 2}, "data.label_column=2, but there are 2 columns"),
    ],
)  # fmt: skip
def test_columns_that_cannot_be_guessed_are_asked_for(configured: dict[str, Any], expected: str) -> None:
    table = pa.table({"mot": ["a"], "sorte": ["x"]})
    with pytest.raises(DataError) as error:
        splits(table, table, **configured)
    assert told(error).startswith(f"train.file: {expected}")


# Schemes


def test_tags_are_converted_to_the_scheme_asked_for_with_every_label_of_it() -> None:
    found = splits(tagged(["I-x", "I-x", "B-x", "O", "I-y"]), tagged(["O"]), convert_to="iobes")
    assert label_names(found) == ["O", "B-x", "I-x", "E-x", "S-x", "B-y", "I-y", "E-y", "S-y"]
    names = label_names(found)
    assert [names[code] for code in found["train"]["tags"][0]] == ["B-x", "E-x", "S-x", "O", "S-y"]


def test_plain_tags_can_not_be_converted() -> None:
    with pytest.raises(DataError, match=r"data\.convert_to=iob2: the tags \(NOUN, VERB, …\) mark no entities"):
        splits(tagged(["NOUN", "VERB"]), tagged(["NOUN"]), convert_to="iob2")


# Sampling and carving


def test_a_missing_validation_split_is_carved_out_of_train_and_never_out_of_test() -> None:
    train = texts(["a"] * 60 + ["b"] * 20)
    test = pa.table({"text": ["test"] * 40, "label": ["a"] * 40})
    found = splits(train, None, test)
    assert Counter(found["validation"]["label"][:]) == {0: 15, 1: 5}
    assert Counter(found["train"]["label"][:]) == {0: 45, 1: 15}
    ids = found["train"]["id"][:] + found["validation"]["id"][:]
    assert sorted(ids) == sorted(f"train-{row}" for row in range(80))
    assert found["test"]["text"][:] == ["test"] * 40
    again, other = splits(train, None, test), splits(train, None, test, seed=1)
    assert again["validation"]["id"][:] == found["validation"]["id"][:] != other["validation"]["id"][:]


def test_carving_chooses_the_same_texts_whatever_the_order_of_rows() -> None:
    train = texts(["a", "b"] * 20)
    backwards = train.take(list(range(39, -1, -1)))
    found, other = splits(train), splits(backwards)
    assert set(found["validation"]["text"][:]) == set(other["validation"]["text"][:])


def test_carving_keeps_the_share_of_sentences_with_a_tag() -> None:
    rows = [["B-x"]] * 12 + [["O"]] * 36
    table = pa.table({"tokens": [[f"word{row}"] for row in range(len(rows))], "tags": rows})
    found = splits(table)
    assert Counter(map(tuple, found["validation"]["tags"][:])) == {(0,): 9, (1,): 3}


@given(
    rows=st.lists(st.tuples(st.sampled_from("abcdefghij"), st.sampled_from("xy")), min_size=2, max_size=40),
    seed=st.integers(0, 3),
    by_group=st.booleans(),
)
def test_no_group_and_no_text_straddles_train_and_validation(
    rows: list[tuple[str, str]], seed: int, by_group: bool
) -> None:
    keys, labels = ([row[place] for row in rows] for place in (0, 1))
    table = pa.table({"text": [f"{number}" for number in range(len(rows))] if by_group else keys, "label": labels})
    if by_group:
        table = table.append_column("author", pa.array(keys))
    if len(set(keys)) < 2:
        with pytest.raises(DataError, match="too few"):
            splits(table, group_column="author" if by_group else None, seed=seed)
        return
    found = splits(table, group_column="author" if by_group else None, seed=seed)
    key_of = {f"train-{row}": key for row, key in enumerate(keys)}
    train, validation = ({key_of[name] for name in found[split]["id"][:]} for split in ("train", "validation"))
    assert train and validation and not train & validation
    assert len(found["train"]) + len(found["validation"]) == len(rows)


@pytest.mark.parametrize(("documents", "stay_whole"), [(40, True), (2, False)])
def test_documents_of_a_file_stay_whole_where_there_are_enough_of_them(documents: int, stay_whole: bool) -> None:
    names = [str(row * documents // 80) for row in range(80)]
    table = pa.table({"tokens": [[f"word{row}"] for row in range(80)], "tags": [["O"]] * 80, "document": names})
    found = splits(table)
    parts = [{names[int(name[6:])] for name in found[split]["id"][:]} for split in ("train", "validation")]
    assert parts[0].isdisjoint(parts[1]) is stay_whole
    assert len(found["validation"]) == 20


def test_a_given_validation_split_is_left_as_it_is() -> None:
    found = splits(texts(["a"] * 8), texts(["a"] * 3))
    assert [len(split) for split in found.values()] == [8, 3, 8]


def test_one_example_is_too_few_to_carve() -> None:
    with pytest.raises(DataError) as error:
        splits(texts(["a"]))
    assert told(error) == "train: too few examples to carve validation out of; give data.validation"


def test_max_examples_samples_each_split_with_the_shares_of_the_whole() -> None:
    table = texts(["a"] * 30 + ["b"] * 10)
    limits = MaxExamples(train=8, validation=4, test=100)
    found = splits(table, table, table, max_examples=limits)
    assert [len(split) for split in found.values()] == [8, 4, 40]
    assert Counter(found["train"]["label"][:]) == {0: 6, 1: 2}
    assert Counter(found["validation"]["label"][:]) == {0: 3, 1: 1}
    assert splits(table, table, table, max_examples=limits)["train"]["id"][:] == found["train"]["id"][:]


def test_a_sample_keeps_labels_that_it_does_not_hold() -> None:
    table = texts(["a"] * 39 + ["b"])
    found = splits(table, table, max_examples=MaxExamples(train=2))
    assert label_names(found) == ["a", "b"]
    assert set(found["train"]["label"][:]) == {0}


# What the metrics file says of the data

TAGS = ["O", *(f"{prefix}-{kind}" for kind in ("x", "y") for prefix in "BIES")]


@settings(max_examples=50)
@given(st.lists(st.lists(st.sampled_from(TAGS), max_size=12), min_size=1, max_size=5))
def test_entities_are_counted_as_seqeval_counts_them(sentences: list[list[str]]) -> None:
    sentences = [*sentences, TAGS]
    table = tagged(*sentences)
    found = summary(made_from(table, table, table))
    report = classification_report(sentences, sentences, output_dict=True)
    assert found["entities"] == report["micro avg"]["support"]
    assert found["words"] == sum(map(len, sentences))


def test_plain_tags_have_no_entities() -> None:
    found = summary(made_from(tagged(["NOUN", "VERB"], ["NOUN"]), tagged(["NOUN"])))
    lengths = {"median": 1, "p95": 2, "max": 2}
    assert found == {"examples": 2, "words": 3, "words_per_example": lengths, "labels": {"NOUN": 2, "VERB": 1}}


def test_text_is_described_by_examples_words_and_labels() -> None:
    table = pa.table({"text": [" one  two\n", "three", " "], "label": ["b", "a", "a"]})
    found = summary(made_from(table, table))
    lengths = {"median": 1, "p95": 2, "max": 2}
    assert found == {"examples": 3, "words": 3, "words_per_example": lengths, "labels": {"a": 2, "b": 1}}


def test_numbers_are_described_by_their_spread() -> None:
    table = texts([1.0, 3.0])
    found = summary(made_from(table, table, target="number"))
    assert found["numbers"] == {"mean": 2.0, "deviation": 1.0, "min": 1.0, "max": 3.0}


# The real data


def test_wnut17_is_what_its_authors_published(wnut17_made: Made) -> None:
    facts = {
        split: tuple(summary(wnut17_made, split)[key] for key in ("examples", "words", "entities"))
        for split in ("train", "validation", "test")
    }
    assert facts == {"train": (3394, 62730, 1975), "validation": (1009, 15733, 836), "test": (1287, 23394, 1079)}
    kinds = ("corporation", "creative-work", "group", "location", "person", "product")
    names = ["O", *(f"{prefix}-{kind}" for kind in kinds for prefix in "BI")]
    assert label_names(wnut17_made.splits) == names
    found = wnut17_made.findings()
    assert found["duplicates"] == {"train": 103, "validation": 3, "test": 7}
    assert "shared_inputs" not in found


def test_imdb_is_balanced_and_its_validation_split_too(imdb: Path) -> None:
    config = FilesData(
        name="imdb",
        kind="text",
        source="files",
        train=str(imdb / "train.parquet"),
        test=str(imdb / "test.parquet"),
        label_names=["neg", "pos"],
    )
    made = made_of(config)
    assert made.findings()["duplicates"] == {"train": 96, "test": 199}
    assert made.findings()["shared_inputs"] == {"train, test": 123}
    found = made.splits
    counts = {name: Counter(split["label"][:]) for name, split in found.items()}
    assert counts == {"train": {0: 11250, 1: 11250}, "validation": {0: 1250, 1: 1250}, "test": {0: 12500, 1: 12500}}
    assert label_names(found) == ["neg", "pos"]
    assert not set(found["train"]["text"][:]) & set(found["validation"]["text"][:])
    assert set(found["test"]["label"][:12500]) == {0}  # the order of the file is kept
