"""Splits that are carved out of train: by content and seed alone, whole groups, and the label shares of the whole."""

import tempfile
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from stages.configuration.schema import DemoData, Digests, FilesData, MaxExamples, Split
from stages.pipeline.arrow import load_splits
from stages.pipeline.errors import DataError
from stages.sources.data_source import write_data
from stages.sources.selection import select
from stages.sources.staging import stage_examples
from tests.support.canonical_data import made_from, made_of, texts
from tests.support.told import told

Row = tuple[str, str]
"""A row's key, which is its text or its group, and its label."""
ROWS = st.lists(st.tuples(st.sampled_from("abcdefghijkl"), st.sampled_from("xyz")), min_size=8, max_size=60)
VALIDATION = [("validation", "x")]


def examples(rows: Sequence[Row], *, by_group: bool) -> pa.RecordBatch:
    keys, labels = ([row[place] for row in rows] for place in (0, 1))
    columns = {"text": [f"{number}" for number in range(len(rows))] if by_group else keys, "label": labels}
    return pa.record_batch({**columns, "group": keys} if by_group else columns)


def selected(
    rows: Sequence[Row], validation: Sequence[Row] | None = VALIDATION, *, by_group: bool = False, **settings: Any
) -> dict[str, list[int]]:
    """The rows of each split."""
    config = FilesData(
        name="data", kind="text", source="files", train="train", group_column="group" if by_group else None, **settings
    )
    given: Mapping[Split, Sequence[Row] | None] = {"train": rows, "validation": validation}
    with tempfile.TemporaryDirectory() as folder:
        splits = {
            name: stage_examples(name, name, [examples(split, by_group=by_group)], Path(folder))
            for name, split in given.items()
            if split is not None
        }
    return {name: selection.rows.tolist() for name, selection in select(splits, config).items()}


def parts_of(rows: Sequence[Row], parts: int, **settings: Any) -> list[dict[str, list[int]]]:
    """The splits of every fold."""
    return [selected(rows, fold=f"{part}/{parts}", **settings) for part in range(1, parts + 1)]


# Folds


@given(rows=ROWS, seed=st.integers(0, 3), by_group=st.booleans(), parts=st.integers(2, 6))
def test_the_parts_are_disjoint_cover_train_and_keep_keys_together(
    rows: list[Row], seed: int, by_group: bool, parts: int
) -> None:
    keys = {key for key, _ in rows}
    if len(keys) < parts:
        with pytest.raises(DataError, match=f"too few for the {parts} parts"):
            selected(rows, fold=f"1/{parts}", by_group=by_group, seed=seed)
        return
    found = parts_of(rows, parts, by_group=by_group, seed=seed)
    assert sorted(row for each in found for row in each["test"]) == [*range(len(rows))]
    for each in found:
        assert sorted(each["train"] + each["test"]) == [*range(len(rows))] and each["validation"] == [0]
        assert each["test"] and not {rows[row][0] for row in each["train"]} & {rows[row][0] for row in each["test"]}


@given(labels=st.lists(st.sampled_from("xxxyyz"), min_size=8, max_size=80), parts=st.integers(2, 6))
def test_every_part_has_the_size_and_the_labels_of_the_others(labels: list[str], parts: int) -> None:
    rows = [(f"{number}", label) for number, label in enumerate(labels)]
    found = [[labels[row] for row in each["test"]] for each in parts_of(rows, parts)]
    assert np.ptp([len(part) for part in found]) <= 1
    for label in set(labels):
        assert np.ptp([part.count(label) for part in found]) <= 2


@given(rows=ROWS, parts=st.integers(2, 6))
def test_a_part_lacks_or_exceeds_its_share_by_less_than_the_largest_group(rows: list[Row], parts: int) -> None:
    sizes = Counter(key for key, _ in rows)
    if len(sizes) >= parts:
        for each in parts_of(rows, parts, by_group=True):
            assert abs(len(each["test"]) - len(rows) / parts) < parts * max(sizes.values())


def test_a_fold_divides_what_train_is_limited_to_without_repeats() -> None:
    rows = [(f"{number % 30}", "xy"[number % 2]) for number in range(40)]
    limit = MaxExamples(train=20, test=3)
    found = parts_of(rows, 4, deduplicate="within", max_examples=MaxExamples(train=20))
    assert [len(each["test"]) for each in found] == [5] * 4
    together = sorted(row for each in found for row in each["test"])
    assert len(set(together)) == 20 and max(together) < 30
    assert all(sorted(each["train"] + each["test"]) == together for each in found)
    assert [len(each["test"]) for each in parts_of(rows, 4, deduplicate="within", max_examples=limit)] == [3] * 4


def test_inputs_of_validation_are_in_no_part_where_splits_may_share_none() -> None:
    rows = [(f"{number}", "x") for number in range(10)]
    found = parts_of(rows, 2, validation=[("3", "x"), ("v", "x")], deduplicate="across")
    assert sorted(found[0]["test"] + found[1]["test"]) == [0, 1, 2, 4, 5, 6, 7, 8, 9]
    assert found[0]["validation"] == [0, 1]


@given(rows=st.lists(st.sampled_from("xyz"), min_size=12, max_size=40), order=st.randoms())
def test_the_order_of_rows_does_not_matter(rows: list[str], order: Any) -> None:
    before = [(f"{number}", label) for number, label in enumerate(rows)]
    after = order.sample(before, len(before))
    for settings in ({"fold": "2/3"}, {"test_fraction": 0.2}):
        found, other = selected(before, None, **settings), selected(after, None, **settings)
        for split in ("train", "validation", "test"):
            assert {before[row] for row in found[split]} == {after[row] for row in other[split]}


# Test and validation out of one file


@given(rows=ROWS, seed=st.integers(0, 3), by_group=st.booleans())
def test_three_splits_of_one_file_share_no_key(rows: list[Row], seed: int, by_group: bool) -> None:
    keys = {key for key, _ in rows}
    try:
        found = selected(rows, None, by_group=by_group, seed=seed, test_fraction=0.2, validation_fraction=0.2)
    except DataError as error:
        assert "too few" in str(error)
        assert max(Counter(key for key, _ in rows).values()) > len(rows) / 4 or len(keys) < 3
        return
    assert sorted(row for part in found.values() for row in part) == [*range(len(rows))]
    held = [{rows[row][0] for row in part} for part in found.values()]
    assert all(held) and sum(map(len, held)) == len(keys)


def test_a_carved_test_split_has_the_label_shares_of_the_whole() -> None:
    found = made_from(texts(["a"] * 60 + ["b"] * 20), test_fraction=0.2, validation_fraction=0.25).splits
    counts = {name: Counter(split["label"][:]) for name, split in found.items()}
    assert counts == {"train": {0: 36, 1: 12}, "validation": {0: 12, 1: 4}, "test": {0: 12, 1: 4}}
    names = [name for split in found.values() for name in split["id"][:]]
    assert sorted(names) == sorted(f"train-{row}" for row in range(80))


def test_groups_fill_a_split_where_no_share_of_a_label_has_room_for_one() -> None:
    rows = [(f"author {author}", "uvwxyz"[author // 2]) for author in range(12) for _ in range(10)]
    assert [len(each["test"]) for each in parts_of(rows, 5, by_group=True)] == [20, 20, 20, 30, 30]


def test_inputs_that_groups_of_two_splits_share_are_a_finding() -> None:
    rows = texts(["a", "b"] * 20, author=[str(row // 4) for row in range(40)]).set_column(
        0, "text", [["same", "s"] * 20]
    )
    found = made_from(rows, group_column="author", test_fraction=0.2).findings()
    assert found["shared_inputs"] == {"train, validation": 2, "train, test": 2, "validation, test": 2}
    assert "shared_inputs" not in made_from(texts(["a", "b"] * 20), test_fraction=0.2).findings()


# Documents, files and rare types


def conll(folder: Path, name: str, sentences: int, *, is_document: bool = True, start: int = 0) -> None:
    lines = [f"word{start + number} B-x\n\n" for number in range(sentences)]
    folder.mkdir(exist_ok=True)
    (folder / name).write_text(("-DOCSTART- -X-\n\n" if is_document else "") + "".join(lines))


def files_of(folder: Path, **settings: Any) -> dict[str, set[int]]:
    """The numbers of the files, of four sentences each, that each split has."""
    config = FilesData(name="x", kind="tokens", source="files", train=f"{folder}/*.conll", fail_on="never", **settings)
    splits = made_of(config).splits
    assert sum(map(len, splits.values())) == 4 * len(list(folder.iterdir()))
    return {name: {row // 4 for row in rows_of(split["id"][:])} for name, split in splits.items()}


def rows_of(ids: Sequence[str]) -> list[int]:
    return [int(name.removeprefix("train-")) for name in ids]


@pytest.mark.parametrize("settings", [{}, {"group_column": "file"}])
def test_documents_of_all_files_count_and_stay_whole_wherever_they_lie(
    tmp_path: Path, settings: dict[str, Any]
) -> None:
    for number in range(24):
        is_document = not settings and number != 3  # a file without the mark is a document too
        for folder in ("here", "there"):
            conll(tmp_path / folder, f"{number:02}.conll", 4, is_document=is_document, start=4 * number)
    found = files_of(tmp_path / "here", **settings)
    assert [len(files) for files in found.values()] == [20, 2, 2]
    assert files_of(tmp_path / "there", **settings) == found, "the name of a file decides nothing"


def test_many_files_are_told_in_one_line(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO", "stages.sources")
    for number in range(24):
        conll(tmp_path / "files", f"{number:02}.conll", 4, start=4 * number)
    files_of(tmp_path / "files", group_column="file")
    messages = [record.getMessage() for record in caplog.records]
    assert messages[:2] == [
        "train: from 00.conll, 01.conll, 02.conll and 21 more (conll)",
        "columns: words from column 0 (first: word0), tags from the last column (first: B-x), groups from the files",
    ]
    assert not any("conll" in message for message in messages[2:])


def test_few_documents_are_no_groups_unless_it_is_said(tmp_path: Path) -> None:
    for number in range(8):
        conll(tmp_path / "files", f"{number}.conll", 4, start=4 * number)
    assert sum(map(len, files_of(tmp_path / "files").values())) > 8
    assert sum(map(len, files_of(tmp_path / "files", group_column="document").values())) == 8


@pytest.mark.parametrize(("outside", "rare"), [("O", "B-rare"), ("o", "rare_B"), ("NOUN", "INTJ")])
def test_a_sample_keeps_the_share_of_a_rare_type(outside: str, rare: str) -> None:
    usual = rare.replace("rare", "usual") if "rare" in rare else "VERB"
    rows = [[outside, usual]] * 40 + [[outside, outside]] * 40 + [[usual, rare]] * 10 + [[rare, outside]] * 10
    table = pa.table({"tokens": [["word", str(row)] for row in range(100)], "tags": rows})
    for seed in range(3):
        found = made_from(table, seed=seed, max_examples=MaxExamples(train=10), test_fraction=0.2).splits
        assert [sum(row >= 80 for row in rows_of(split["id"][:])) for split in found.values()] == [2, 4, 4]


# As it is configured


def file_of(folder: Path, rows: int) -> str:
    path = folder / "all.csv"
    path.write_text("text,label\n" + "".join(f"text {row},{'ab'[row % 2]}\n" for row in range(rows)))
    return str(path)


def test_one_file_is_enough_and_its_digest_is_checked(tmp_path: Path) -> None:
    file = file_of(tmp_path, 40)
    config = FilesData(name="x", kind="text", source="files", train=file)
    made = made_of(config)
    assert [len(split) for split in made.splits.values()] == [32, 4, 4]
    assert list(made.report.sha256) == ["train"]
    with pytest.raises(DataError, match="has SHA-256"):
        made_of(FilesData(name="x", kind="text", source="files", train=file, sha256=Digests(train="0" * 64)))


@pytest.mark.parametrize("form", ["csv", "jsonl"])
def test_every_row_of_train_has_a_group_and_other_files_need_none(form: str, tmp_path: Path) -> None:
    frame = pd.DataFrame({"text": [f"text {row}" for row in range(40)], "label": ["a", "b"] * 20})
    test, train = tmp_path / f"test.{form}", tmp_path / f"train.{form}"
    frame["author"] = [f"author {row // 4}" for row in range(40)]

    def made(gap: bool) -> dict[str, int]:
        frame.loc[7, "author"] = None if gap else "author 1"
        for path, written in ((train, frame), (test, frame.drop(columns="author"))):
            if form == "csv":
                written.to_csv(path, index=False)
            else:
                written.to_json(path, orient="records", lines=True)
        config = FilesData(
            name="x",
            kind="text",
            source="files",
            train=str(train),
            test=str(test),
            group_column="author",
            fail_on="never",
        )
        return {name: len(split) for name, split in made_of(config).splits.items()}

    assert made(gap=False) == {"train": 36, "validation": 4, "test": 40}
    with pytest.raises(DataError) as error:
        made(gap=True)
    assert f"train.{form}, line {9 if form == 'csv' else 8}: " in told(error) and "group" in told(error)


def test_the_test_files_are_not_read_in_a_fold(tmp_path: Path) -> None:
    file = file_of(tmp_path, 40)
    config = FilesData(name="x", kind="text", source="files", train=file, test="not there", fold="2/5")
    found = made_of(config).splits
    assert [len(split) for split in found.values()] == [29, 3, 8]
    assert {name.partition("-")[0] for split in found.values() for name in split["id"][:]} == {"train"}


def test_the_demo_can_be_divided_too(tmp_path: Path) -> None:
    sizes = {"train": 50, "validation": 10, "test": 20}
    ids = []
    for fold in ("1/2", "2/2"):
        config = DemoData(name="demo", kind="tokens", source="demo", fold=fold, **sizes)
        write_data(config, tmp_path / fold[0], tmp_path / f"scratch {fold[0]}")
        found = load_splits(tmp_path / fold[0])
        assert [len(split) for split in found.values()] == [25, 10, 25]
        ids += found["test"]["id"][:]
    assert sorted(ids) == sorted(f"train-{row}" for row in range(50))


def test_more_parts_than_examples_are_told() -> None:
    with pytest.raises(DataError) as error:
        selected([("a", "x"), ("a", "x"), ("b", "y")], fold="2/3")
    assert told(error) == (
        "train: has 2 different examples, too few for the 3 parts of data.fold=2/3; ask for fewer parts"
    )
