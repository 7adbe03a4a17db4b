"""From files to canonical splits, or one line that says which file and row can't be used (traps 6, 7, 8 and 16)."""

import hashlib
import json
import shutil
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from datasets import ClassLabel, Dataset, DatasetDict, Features, List, Value
from hypothesis import given, settings
from hypothesis import strategies as st
from seqeval.metrics import classification_report

from stages.configuration.schema import FilesData, FilesModel, Kind, MaxExamples, PackageModel, Split
from stages.pipeline.errors import DataError, ModelError, UserError
from stages.sources.base_model import write_base_model
from stages.sources.canonical import canonical
from stages.sources.conll import read_conll
from stages.sources.dispatch import load_splits_from_source
from stages.sources.files import find_files, read_splits
from stages.sources.selection import select_stratified
from stages.sources.statistics import describe
from stages.sources.tables import SourceTables
from tests.tiny import write_tiny_model


def told(error: pytest.ExceptionInfo[UserError]) -> str:
    """An error's text, which must be one line."""
    text = str(error.value)
    assert "\n" not in text
    return text


# CoNLL


def conll(folder: Path, content: str | bytes) -> Path:
    path = folder / "data.conll"
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return path


@pytest.mark.parametrize(
    "content",
    [
        "Paris\tB-loc\nis\tO\n\nBig\tO\n",
        "Paris B-loc\nis O\n\nBig O",
        "Paris  NNP  B-loc\n is VBZ O \n\nBig JJ O\n",
        "Paris\tB-loc\r\nis\tO\r\n\r\nBig\tO\r\n",
        "\ufeffParis\tB-loc\nis\tO\n\nBig\tO\n",
        "Paris\tB-loc\nis\tO\n\t\nBig\tO\n\t\n",
        "\n\nParis\tB-loc\nis\tO\n \t \n\n\nBig\tO\n\n\n",
        "-DOCSTART-\tO\n\nParis\tB-loc\nis\tO\n-DOCSTART- -X- -X- O\nBig\tO\n",
    ],
    ids=["tabs", "spaces", "columns", "crlf", "bom", "lone tabs", "blank lines", "docstart"],
)
def test_conll_is_read_however_it_is_laid_out(content: str, tmp_path: Path) -> None:
    table = read_conll(conll(tmp_path, content)).to_pydict()
    assert table == {"tokens": [["Paris", "is"], ["Big"]], "tags": [["B-loc", "O"], ["O"]]}


@pytest.mark.parametrize("word", ["New\u00a0York", "a b", "\u200b", "\u2028", "\u00a0", "NA", "007", '"', "#"])
def test_conll_words_are_kept_as_they_are(word: str, tmp_path: Path) -> None:
    assert read_conll(conll(tmp_path, f"{word}\tB-loc\n")).to_pydict() == {"tokens": [[word]], "tags": [["B-loc"]]}


def test_a_no_break_space_does_not_part_columns(tmp_path: Path) -> None:
    table = read_conll(conll(tmp_path, "New\u00a0York B-loc\n")).to_pydict()
    assert table == {"tokens": [["New\u00a0York"]], "tags": [["B-loc"]]}


@pytest.mark.parametrize("line", ["is", "is\t", "\tO", "is\tO\t"])
def test_a_conll_line_without_word_or_tag_is_named(line: str, tmp_path: Path) -> None:
    path = conll(tmp_path, f"Paris\tB-loc\n\n{line}\n")
    with pytest.raises(DataError) as error:
        read_conll(path)
    assert told(error).startswith(f"{path}, line 3: expected a word and its tag")


def test_a_conll_file_that_is_not_utf8_is_named_with_the_byte(tmp_path: Path) -> None:
    path = conll(tmp_path, "caf\u00e9\tO\n".encode("latin-1"))
    with pytest.raises(DataError) as error:
        read_conll(path)
    assert told(error).startswith(f"{path}: is not UTF-8 (byte 3)")


@pytest.mark.parametrize("content", ["", "\n\t\n\n", "-DOCSTART- O\n"])
def test_a_conll_file_without_sentences_is_named(content: str, tmp_path: Path) -> None:
    path = conll(tmp_path, content)
    with pytest.raises(DataError) as error:
        read_conll(path)
    assert told(error).startswith(f"{path}: holds no sentence")


# Parquet, and files in general


def parquet(folder: Path, name: str, columns: dict[str, Any], features: Features | None = None) -> str:
    path = folder / name
    table = pa.table(columns) if features is None else pa.table(columns, schema=features.arrow_schema)
    pq.write_table(table, path)
    return str(path)


def read(kind: Kind, train: str, test: str | None = None, **settings: Any) -> SourceTables:
    config = FilesData(name="data", kind=kind, source="files", train=train, test=test or train, **settings)
    return read_splits(config, find_files(config))


def test_class_label_names_in_a_parquet_file_are_taken(tmp_path: Path) -> None:
    text = Features({"text": Value("string"), "label": ClassLabel(names=["pos", "neg"])})
    tokens = Features({"tokens": List(Value("string")), "ner_tags": List(ClassLabel(names=["O", "B-x"]))})
    found = read("text", parquet(tmp_path, "text", {"text": ["a"], "label": [1]}, text))
    assert found.label_names == ("pos", "neg")
    assert found.splits["train"].to_pydict() == {"text": ["a"], "label": [1]}
    found = read("tokens", parquet(tmp_path, "tokens", {"tokens": [["a"]], "ner_tags": [[1]]}, tokens))
    assert found.label_names == ("O", "B-x")
    assert found.splits["train"].to_pydict() == {"tokens": [["a"]], "tags": [[1]]}


def test_a_parquet_file_by_the_datasets_library_is_read(tmp_path: Path) -> None:
    features = Features({"text": Value("string"), "label": ClassLabel(names=["no", "yes"])})
    Dataset.from_dict({"text": ["a", "b"], "label": ["yes", "no"]}, features=features).to_parquet(tmp_path / "data")
    found = read("text", str(tmp_path / "data"))
    assert found.label_names == ("no", "yes")
    assert found.splits["train"]["label"].to_pylist() == [1, 0]


def test_a_parquet_file_without_names_has_none(tmp_path: Path) -> None:
    assert read("text", parquet(tmp_path, "data", {"text": ["a"], "label": ["x"]})).label_names is None


@pytest.mark.parametrize(("text", "label"), [("text", "label"), ("sentence", "sentiment"), ("review", "class")])
def test_usual_column_names_are_guessed(text: str, label: str, tmp_path: Path) -> None:
    found = read("text", parquet(tmp_path, "data", {"other": [0], label: ["x"], text: ["a"]}))
    assert found.splits["train"].to_pydict() == {"text": ["a"], "label": ["x"]}


def test_configured_columns_win_over_guessed_ones(tmp_path: Path) -> None:
    path = parquet(tmp_path, "data", {"text": ["a"], "title": ["b"], "label": ["x"], "topic": ["y"]})
    found = read("text", path, text_column="title", label_column="topic")
    assert found.splits["train"].to_pydict() == {"text": ["b"], "label": ["y"]}


@pytest.mark.parametrize(
    ("settings", "expected"),
    [
        ({}, "has no column text or sentence or content or review or document or body; set data.text_column"),
        ({"text_column": "mot", "label_column": "genre"}, "has no column genre; set data.label_column"),
    ],
)
def test_columns_that_cannot_be_guessed_are_asked_for(settings: dict[str, str], expected: str, tmp_path: Path) -> None:
    path = parquet(tmp_path, "data", {"mot": ["a"], "sorte": ["x"]})
    with pytest.raises(DataError) as error:
        read("text", path, **settings)
    assert told(error) == f"{path}: {expected} to one of its columns: mot, sorte"


def test_several_files_make_one_split_in_the_order_of_their_names(tmp_path: Path) -> None:
    for name in ("b", "a", "c"):
        parquet(tmp_path, f"{name}.parquet", {"text": [name], "label": ["x"]})
    found = read("text", str(tmp_path / "*.parquet"), str(tmp_path / "a.parquet"))
    assert found.splits["train"]["text"].to_pylist() == ["a", "b", "c"]
    assert found.origins == {"train": "a.parquet, b.parquet, c.parquet", "test": "a.parquet"}


def test_files_of_one_split_with_different_columns_are_named(tmp_path: Path) -> None:
    parquet(tmp_path, "a", {"text": ["a"], "label": [0], "id": ["1"]})
    parquet(tmp_path, "b", {"text": ["a"], "label": [0]})
    with pytest.raises(DataError) as error:
        read("text", str(tmp_path / "?"), str(tmp_path / "a"))
    assert told(error).startswith("train: a and b have different columns")


def test_files_that_name_their_labels_differently_are_refused(tmp_path: Path) -> None:
    named = Features({"text": Value("string"), "label": ClassLabel(names=["no", "yes"])})
    first = parquet(tmp_path, "a", {"text": ["a"], "label": [0]}, named)
    second = parquet(tmp_path, "b", {"text": ["a"], "label": [0]})
    with pytest.raises(DataError) as error:
        read("text", first, second)
    assert "give the names in order as data.label_names=[...]" in told(error)
    assert read("text", first, second, label_names=["a", "b"]).label_names == ("a", "b")


def test_a_label_named_twice_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError) as error:
        read("text", parquet(tmp_path, "data", {"text": ["a"], "label": [0]}), label_names=["a", "a"])
    assert "a label occurs twice" in told(error)


def test_a_pattern_without_a_file_is_told_with_its_key(tmp_path: Path) -> None:
    with pytest.raises(DataError) as error:
        read("text", str(tmp_path / "*.parquet"))
    assert told(error) == f"data.train={tmp_path}/*.parquet: there is no such file; give a path or glob that exists"


def test_what_begins_like_parquet_and_is_none_is_named(tmp_path: Path) -> None:
    path = conll(tmp_path, "PAR1 and then nothing of the sort")
    with pytest.raises(DataError) as error:
        read("text", str(path))
    assert told(error).startswith(f"{path}: is not readable as Parquet")


def test_a_text_task_does_not_take_conll(tmp_path: Path) -> None:
    path = conll(tmp_path, "a\tO\n")
    with pytest.raises(DataError) as error:
        read("text", str(path))
    assert told(error).startswith(f"{path}: a text task reads Parquet")


# The canonical form


def texts(labels: Sequence[Any], **columns: Any) -> pa.Table:
    return pa.table({"text": [f"text {row}" for row in range(len(labels))], "label": labels, **columns})


def tagged(*tags: Sequence[Any]) -> pa.Table:
    return pa.table({"tokens": [[f"word{place}" for place in range(len(row))] for row in tags], "tags": tags})


def splits(
    train: pa.Table,
    validation: pa.Table | None = None,
    test: pa.Table | None = None,
    *,
    names: Sequence[str] | None = None,
    limits: MaxExamples | None = None,
    fraction: float = 0.25,
    seed: int = 0,
) -> DatasetDict:
    kind: Kind = "tokens" if "tokens" in train.column_names else "text"
    tables: dict[Split, pa.Table] = {"train": train, "test": train if test is None else test}
    if validation is not None:
        tables["validation"] = validation
    origins: dict[Split, str] = {split: f"{split}.file" for split in tables}
    source = SourceTables(kind, tables, origins, None if names is None else tuple(names))
    return canonical(source, fraction, limits or MaxExamples(), seed)


def label_names(found: DatasetDict) -> list[str]:
    for split in found.values():
        assert split.features == found["train"].features
    feature = found["train"].features.get("label") or found["train"].features["tags"].feature
    return list(feature.names)


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


def test_ids_of_the_source_are_kept() -> None:
    found = splits(texts(["a", "b"], id=["007", "NA"]), texts(["a"], id=["x"]), texts(["a"], id=["y"]))
    assert found["train"]["id"][:] == ["007", "NA"]
    assert found["test"]["id"][:] == ["y"]


@pytest.mark.parametrize(
    ("labels", "order"),
    [
        (["10", "9", "2", "1"], ["1", "2", "9", "10"]),
        ([10, 9, 2, 1], ["1", "2", "9", "10"]),
        (["class 10", "class 9"], ["class 9", "class 10"]),
        (["pos", "neg"], ["neg", "pos"]),
        (["1", "01", "001"], ["001", "01", "1"]),
        (["m²", "²", "m³"], ["m²", "m³", "²"]),
    ],
)
def test_labels_are_in_natural_order_whatever_the_order_of_rows(labels: list[Any], order: list[str]) -> None:
    assert label_names(splits(texts(labels), texts(labels), texts(labels))) == order
    assert label_names(splits(texts(labels[::-1]), texts(labels), texts(labels))) == order


def test_tags_are_in_the_order_of_their_types_and_b_before_i() -> None:
    found = splits(tagged(["I-person", "B-person", "I-LOC", "O", "B-LOC"]), tagged(["O"]))
    assert label_names(found) == ["O", "B-LOC", "I-LOC", "B-person", "I-person"]


@given(
    st.sets(st.text(st.characters(codec="utf-8"), min_size=1, max_size=6).filter(lambda name: name != "-1"), min_size=1)
)
@settings(max_examples=50)
def test_any_labels_have_one_order(names: set[str]) -> None:
    ordered = sorted(names)
    found, reversed_rows = (splits(texts(rows), texts(rows)) for rows in (ordered, ordered[::-1]))
    assert label_names(found) == label_names(reversed_rows)
    assert set(label_names(found)) == names
    written = [label_names(found)[code] for code in found["train"]["label"][:]]
    assert written == ordered


def test_labels_that_only_occur_in_validation_or_test_are_kept() -> None:
    assert label_names(splits(texts(["b"]), texts(["c"]), texts(["a"]))) == ["a", "b", "c"]


def test_names_of_the_source_fix_the_codes_even_of_labels_that_do_not_occur() -> None:
    found = splits(texts([2, 0]), texts([0]), names=["z", "y", "x"])
    assert label_names(found) == ["z", "y", "x"]
    assert found["train"]["label"][:] == [2, 0]
    assert splits(texts(["x", "z"]), texts(["x"]), names=["z", "y", "x"])["train"]["label"][:] == [2, 0]


@pytest.mark.parametrize("names", [None, ["no", "yes"]])
@pytest.mark.parametrize("dtype", [pa.int8(), pa.int64()])
def test_minus_one_is_no_label(names: list[str] | None, dtype: pa.DataType) -> None:
    good, bad = texts(pa.array([0, 1], dtype)), texts(pa.array([0, -1], dtype))
    with pytest.raises(DataError) as error:
        splits(good, good, bad, names=names)
    expected = "0, 1" if names is None else "no, yes"
    assert told(error).startswith(f"test (test.file), row 2: label -1 is none of {expected};")


def test_minus_one_as_text_is_a_label_only_where_it_is_named() -> None:
    table = texts(["-1", "1"])
    with pytest.raises(DataError, match="row 1: label '-1' is none of 1;"):
        splits(table, table)
    assert splits(table, table, names=["-1", "1"])["train"]["label"][:] == [0, 1]


def test_a_tag_outside_the_names_is_told_with_its_row() -> None:
    with pytest.raises(DataError) as error:
        splits(tagged([0], [0, 1], [1, 0, 2]), tagged([0]), names=["O", "B-x"])
    assert told(error).startswith("train (train.file), row 3: label 2 is none of O, B-x;")


def test_integers_in_one_split_and_text_in_another_are_refused() -> None:
    with pytest.raises(DataError) as error:
        splits(texts(["neg", "pos"]), texts(["pos"]), texts([0, 1]))
    assert told(error).startswith("data: labels are integers in test but text in train, validation;")
    found = splits(texts(["neg", "pos"]), texts(["pos"]), texts([0, 1]), names=["neg", "pos"])
    assert found["test"]["label"][:] == [0, 1]


def test_labels_as_pandas_categories_are_taken() -> None:
    table = texts(pa.array(["x", "y", "x"]).dictionary_encode())
    assert splits(table, table)["train"]["label"][:] == [0, 1, 0]


UNUSABLE = {
    "no rows": (texts(pa.array([], pa.string())), "test (test.file): holds no examples"),
    "no label": (texts(["a", None]), "test (test.file), row 2: has no label"),
    "no text": (pa.table({"text": ["a", "b", None], "label": ["a"] * 3}), "test (test.file), row 3: has no text"),
    "text is a list": (pa.table({"text": [["a"]], "label": ["a"]}), "test (test.file): the text column holds list"),
    "label is a number": (texts([0.0, float("nan")]), "test (test.file): the labels hold double"),
    "label is a truth": (texts([True, False]), "test (test.file): the labels hold bool"),
    "label is a list": (texts([["a"], ["b"]]), "test (test.file): the labels hold list"),
}


@pytest.mark.parametrize(("table", "expected"), UNUSABLE.values(), ids=list(UNUSABLE))
def test_a_text_that_cannot_be_used_is_told_with_split_and_row(table: pa.Table, expected: str) -> None:
    with pytest.raises(DataError) as error:
        splits(texts(["a", "b"]), texts(["a"]), table)
    assert told(error).startswith(expected)


WORDS = pa.list_(pa.string())
UNUSABLE_TOKENS = {
    "too few tags": ([["a"], ["b", "c"]], [["O"], ["O"]], "row 2: has 2 words but 1 tags"),
    "too many tags": ([[], ["b", "c"]], [["O"], ["O", "O"]], "row 1: has 0 words but 1 tags"),
    "no tags": ([["a"], ["b"]], [["O"], None], "row 2: has no label"),
    "no words": ([None, ["b"]], [["O"], ["O"]], "row 1: has no text"),
    "a word is missing": ([["a"], [], ["b", None]], [["O"], [], ["O", "O"]], "row 3: a word is missing"),
    "a tag is missing": ([["a"], [], ["b", "c"]], [["O"], [], ["O", None]], "row 3: a tag is missing"),
}


@pytest.mark.parametrize(("tokens", "tags", "expected"), UNUSABLE_TOKENS.values(), ids=list(UNUSABLE_TOKENS))
def test_a_sentence_that_cannot_be_used_is_told_with_split_and_row(
    tokens: list[Any], tags: list[Any], expected: str
) -> None:
    table = pa.table({"tokens": pa.array(tokens, WORDS), "tags": pa.array(tags, WORDS)})
    with pytest.raises(DataError) as error:
        splits(tagged(["O"]), tagged(["O"]), table)
    assert told(error).startswith(f"test (test.file), {expected}")


@pytest.mark.parametrize(
    ("table", "expected"),
    [
        (pa.table({"tokens": ["a b"], "tags": [["O"]]}), "data.text_column holds string, not a list a row"),
        (pa.table({"tokens": [["a"]], "tags": ["O"]}), "data.label_column holds string, not a list a row"),
        (pa.table({"tokens": [[1]], "tags": [["O"]]}), "the words hold int64; they must be text"),
        (pa.table({"tokens": [["a"]], "tags": [[0.5]]}), "the labels hold double, not text or integers"),
    ],
    ids=["text", "label", "numbers", "number tags"],
)
def test_data_of_the_wrong_kind_are_refused(table: pa.Table, expected: str) -> None:
    with pytest.raises(DataError) as error:
        splits(tagged(["O"]), tagged(["O"]), table)
    assert told(error).startswith(f"test (test.file): {expected}")


# Sampling and carving

CONTENTS = st.lists(st.tuples(st.text(max_size=3), st.sampled_from("abc")), min_size=1, max_size=40)


def chosen_rows(rows: Sequence[tuple[str, str]], count: int, seed: int) -> list[tuple[str, str]]:
    chosen = select_stratified([row[0] for row in rows], [row[1] for row in rows], count, seed)
    assert chosen == sorted(set(chosen))
    return [rows[index] for index in chosen]


@given(rows=CONTENTS, seed=st.integers(0, 5), data=st.data())
def test_a_sample_has_the_size_asked_for_and_the_shares_of_the_whole(
    rows: list[tuple[str, str]], seed: int, data: st.DataObject
) -> None:
    count = data.draw(st.integers(0, len(rows)))
    chosen = chosen_rows(rows, count, seed)
    assert len(chosen) == count
    sizes, shares = Counter(stratum for _, stratum in rows), Counter(stratum for _, stratum in chosen)
    for stratum, size in sizes.items():
        assert abs(shares[stratum] - count * size / len(rows)) < 1


@given(rows=CONTENTS, seed=st.integers(0, 5), data=st.data())
def test_a_sample_does_not_depend_on_the_order_of_rows(
    rows: list[tuple[str, str]], seed: int, data: st.DataObject
) -> None:
    count = data.draw(st.integers(0, len(rows)))
    shuffled = data.draw(st.permutations(rows))
    assert Counter(chosen_rows(rows, count, seed)) == Counter(chosen_rows(shuffled, count, seed))


def test_a_sample_depends_on_the_seed_and_repeats() -> None:
    rows = [(f"text {number}", "a") for number in range(100)]
    assert chosen_rows(rows, 20, 0) == chosen_rows(rows, 20, 0)
    assert chosen_rows(rows, 20, 0) != chosen_rows(rows, 20, 1)
    assert chosen_rows(rows, 20, 0) != rows[:20]


def test_a_missing_validation_split_is_carved_out_of_train_and_never_out_of_test() -> None:
    train = texts(["a"] * 60 + ["b"] * 20)
    test = pa.table({"text": ["test"] * 40, "label": ["a"] * 40})
    found = splits(train, None, test, fraction=0.25)
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
    found = splits(tagged(*[["B-x"]] * 12, *[["O"]] * 36), fraction=0.25)
    assert Counter(map(tuple, found["validation"]["tags"][:])) == {(0,): 9, (1,): 3}


def test_a_given_validation_split_is_left_as_it_is() -> None:
    found = splits(texts(["a"] * 8), texts(["a"] * 3))
    assert [len(split) for split in found.values()] == [8, 3, 8]


def test_one_example_is_too_few_to_carve() -> None:
    with pytest.raises(DataError) as error:
        splits(texts(["a"]))
    assert told(error) == "train: 1 examples are too few to carve validation out of; give data.validation"


def test_max_examples_samples_each_split_with_the_shares_of_the_whole() -> None:
    table = texts(["a"] * 30 + ["b"] * 10)
    limits = MaxExamples(train=8, validation=4, test=100)
    found = splits(table, table, table, limits=limits)
    assert [len(split) for split in found.values()] == [8, 4, 40]
    assert Counter(found["train"]["label"][:]) == {0: 6, 1: 2}
    assert Counter(found["validation"]["label"][:]) == {0: 3, 1: 1}
    assert splits(table, table, table, limits=limits)["train"]["id"][:] == found["train"]["id"][:]


def test_a_sample_keeps_labels_that_it_does_not_hold() -> None:
    table = texts(["a"] * 39 + ["b"])
    found = splits(table, table, limits=MaxExamples(train=2))
    assert label_names(found) == ["a", "b"]
    assert set(found["train"]["label"][:]) == {0}


# What the metrics file says of the data

TAGS = ["O", *(f"{prefix}-{kind}" for kind in ("x", "y") for prefix in "BIES")]


@settings(max_examples=50)
@given(st.lists(st.lists(st.sampled_from(TAGS), max_size=12), min_size=1, max_size=5))
def test_entities_are_counted_as_seqeval_counts_them(sentences: list[list[str]]) -> None:
    table = tagged(*sentences, TAGS)
    found = describe(splits(table, table, table))
    sentences = [*sentences, TAGS]
    report = classification_report(sentences, sentences, output_dict=True)
    assert found["train"]["entities"] == report["micro avg"]["support"]
    assert found["train"]["words"] == sum(map(len, sentences))


def test_plain_tags_have_no_entities() -> None:
    found = describe(splits(tagged(["NOUN", "VERB"], ["NOUN"]), tagged(["NOUN"])))["train"]
    assert found == {"examples": 2, "words": 3, "labels": {"NOUN": 2, "VERB": 1}}


def test_text_is_described_by_examples_words_and_labels() -> None:
    table = pa.table({"text": ["one two", "three"], "label": ["b", "a"]})
    assert describe(splits(table, table))["train"] == {"examples": 2, "words": 3, "labels": {"a": 1, "b": 1}}


# The real data


def test_wnut17_is_what_its_authors_published(wnut17_splits: DatasetDict) -> None:
    found = wnut17_splits
    facts = {
        name: tuple(split[key] for key in ("examples", "words", "entities")) for name, split in describe(found).items()
    }
    assert facts == {"train": (3394, 62730, 1975), "validation": (1009, 15733, 836), "test": (1287, 23394, 1079)}
    kinds = ("corporation", "creative-work", "group", "location", "person", "product")
    assert label_names(found) == ["O", *(f"{prefix}-{kind}" for kind in kinds for prefix in "BI")]


def test_imdb_is_balanced_and_its_validation_split_too(imdb: Path) -> None:
    config = FilesData(
        name="imdb",
        kind="text",
        source="files",
        train=str(imdb / "train.parquet"),
        test=str(imdb / "test.parquet"),
        label_names=["neg", "pos"],
    )
    found = load_splits_from_source(config)
    counts = {name: Counter(split["label"][:]) for name, split in found.items()}
    assert counts == {"train": {0: 11250, 1: 11250}, "validation": {0: 1250, 1: 1250}, "test": {0: 12500, 1: 12500}}
    assert label_names(found) == ["neg", "pos"]
    reviews = found["train"]["text"][:] + found["validation"]["text"][:]
    assert len(reviews) - len(set(reviews)) == 96
    assert len(set(reviews) & set(found["test"]["text"][:])) == 123
    assert set(found["test"]["label"][:12500]) == {0}  # the order of the file is kept


# The base model


@pytest.fixture
def model(tiny_model: Path, tmp_path: Path) -> Path:
    """A model folder of the test's own, to spoil."""
    return Path(shutil.copytree(tiny_model, tmp_path / "model"))


def write(model: Path, target: Path, **settings: Any) -> str:
    config = FilesModel(name="tiny", source="files", path=str(model), **settings)
    return write_base_model(config, target / "weights", target / "tokenizer")


def files(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def test_weights_are_copied_with_their_digest(model: Path, tmp_path: Path) -> None:
    digest = write(model, tmp_path / "base")
    copied = files(tmp_path / "base/weights")
    assert copied == {name: (model / name).read_bytes() for name in ("config.json", "model.safetensors")}
    assert digest == hashlib.sha256(copied["model.safetensors"]).hexdigest()
    write(model, tmp_path / "again", sha256=digest)


def test_weights_with_another_digest_are_refused(model: Path, tmp_path: Path) -> None:
    with pytest.raises(ModelError) as error:
        write(model, tmp_path / "base", sha256="0" * 64)
    digest = hashlib.sha256((model / "model.safetensors").read_bytes()).hexdigest()
    assert f"has SHA-256 {digest}, but model.sha256={'0' * 64};" in told(error)
    assert not (tmp_path / "base").exists()


@pytest.mark.parametrize("name", ["model.safetensors", "config.json"])
def test_a_model_without_safetensors_or_config_is_refused(name: str, model: Path, tmp_path: Path) -> None:
    (model / name).rename(model / "pytorch_model.bin")
    with pytest.raises(ModelError) as error:
        write(model, tmp_path / "base")
    assert told(error).startswith(f"model=tiny: has no {name}; Stagewright loads safetensors only")


def test_a_model_folder_that_is_missing_is_told_with_its_key(tmp_path: Path) -> None:
    with pytest.raises(ModelError) as error:
        write(tmp_path / "nowhere", tmp_path / "base")
    assert told(error).startswith(f"model.path={tmp_path}/nowhere: there is no such folder")


@pytest.mark.parametrize("package", ["no_such_package", "no_such_package.inside", "os.path"])
def test_a_package_that_is_not_installed_is_told_with_its_key(package: str, tmp_path: Path) -> None:
    config = PackageModel(name="tiny", source="package", package=package)
    with pytest.raises(ModelError) as error:
        write_base_model(config, tmp_path / "weights", tmp_path / "tokenizer")
    assert told(error).startswith(f"model.package={package}: is not installed; run `make install`")


def test_a_package_is_found_without_running_it(model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    package = tmp_path / "site" / "carries_a_model"
    shutil.copytree(model, package / "model")
    (package / "__init__.py").write_text("raise SystemExit('was run')", encoding="utf-8")
    monkeypatch.syspath_prepend(tmp_path / "site")
    config = PackageModel(name="tiny", source="package", package="carries_a_model", folder="model")
    digest = write_base_model(config, tmp_path / "weights", tmp_path / "tokenizer")
    assert digest == hashlib.sha256((model / "model.safetensors").read_bytes()).hexdigest()


def test_a_folder_without_a_tokenizer_is_refused(model: Path, tmp_path: Path) -> None:
    (model / "tokenizer.json").unlink()
    (model / "tokenizer_config.json").unlink()
    with pytest.raises(ModelError) as error:
        write(model, tmp_path / "base")
    assert told(error).startswith("model=tiny: has no tokenizer;")


def test_a_broken_tokenizer_is_told(model: Path, tmp_path: Path) -> None:
    (model / "tokenizer.json").write_text("{}", encoding="utf-8")
    with pytest.raises(ModelError, match=r"^model=tiny: its tokenizer can't be loaded"):
        write(model, tmp_path / "base")


def test_truncation_and_padding_are_taken_out_of_the_tokenizer(model: Path, tmp_path: Path) -> None:
    cuts_and_pads(model)
    write(model, tmp_path / "base")
    written = json.loads((tmp_path / "base/tokenizer/tokenizer.json").read_text(encoding="utf-8"))
    assert (written["truncation"], written["padding"]) == (None, None)
    settings = json.loads((tmp_path / "base/tokenizer/tokenizer_config.json").read_text(encoding="utf-8"))
    assert settings["model_max_length"] == 128
    assert settings["pad_token"] == "[PAD]"


def test_two_models_with_the_same_vocabulary_get_the_same_tokenizer_bytes(tmp_path: Path) -> None:
    first, second = write_tiny_model(tmp_path / "one"), write_tiny_model(tmp_path / "two", family="distilbert", seed=1)
    with_settings(first, tokenizer_class="BertTokenizer", name_or_path="someone/one", model_max_length=512)
    with_settings(second, tokenizer_class="DistilBertTokenizer", do_lower_case=True, never_split=None)
    cuts_and_pads(second)
    write(first, tmp_path / "first")
    write(second, tmp_path / "second")
    assert files(tmp_path / "first/tokenizer") == files(tmp_path / "second/tokenizer")
    assert files(tmp_path / "first/weights") != files(tmp_path / "second/weights")


def test_another_vocabulary_gives_other_tokenizer_bytes(model: Path, tmp_path: Path) -> None:
    other = write_tiny_model(tmp_path / "other", words=["entirely", "different"])
    write(model, tmp_path / "first")
    write(other, tmp_path / "second")
    assert files(tmp_path / "first/tokenizer") != files(tmp_path / "second/tokenizer")


def test_a_tokenizer_that_states_no_limit_gets_the_models_positions(tmp_path: Path) -> None:
    model = write_tiny_model(tmp_path / "roberta", family="roberta")
    with_settings(model, model_max_length=int(1e30))
    config = json.loads((model / "config.json").read_text(encoding="utf-8"))
    config |= {"max_position_embeddings": 114, "pad_token_id": 1}  # as RoBERTa's 514: the first two stand for padding
    (model / "config.json").write_text(json.dumps(config), encoding="utf-8")
    write(model, tmp_path / "base")
    settings = json.loads((tmp_path / "base/tokenizer/tokenizer_config.json").read_text(encoding="utf-8"))
    assert settings["model_max_length"] == 112


def with_settings(model: Path, **changes: Any) -> None:
    path = model / "tokenizer_config.json"
    path.write_text(json.dumps(json.loads(path.read_text(encoding="utf-8")) | changes), encoding="utf-8")


def cuts_and_pads(model: Path) -> None:
    path = model / "tokenizer.json"
    content = json.loads(path.read_text(encoding="utf-8"))
    content["truncation"] = {"direction": "Right", "max_length": 5, "strategy": "LongestFirst", "stride": 0}
    content["padding"] = {
        "strategy": {"Fixed": 5}, "direction": "Right", "pad_to_multiple_of": None,
        "pad_id": 0, "pad_type_id": 0, "pad_token": "[PAD]",
    }  # fmt: skip
    path.write_text(json.dumps(content), encoding="utf-8")
