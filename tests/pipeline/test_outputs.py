"""Outputs are whole or not there, readable, and their bytes follow from their content alone.

No fingerprint, time, path or token is in them.
"""

import json
import math
import os
import stat
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from datasets import ClassLabel, Dataset, DatasetDict, Features, List, Value, load_from_disk
from hypothesis import given, settings
from hypothesis import strategies as st

from stages.pipeline.arrow import load_splits, rows
from stages.pipeline.errors import DataError
from stages.pipeline.json_files import rounded, write_json
from stages.pipeline.outputs import whole_directory, whole_file
from tests.support.saved_splits import save_splits


def content(folder: Path) -> dict[str, bytes]:
    return {
        file.relative_to(folder).as_posix(): file.read_bytes() for file in sorted(folder.rglob("*")) if file.is_file()
    }


# Whole or not at all


def test_a_directory_appears_when_its_block_is_done(tmp_path: Path) -> None:
    target = tmp_path / "deep" / "out"
    with whole_directory(target) as folder:
        (folder / "file").write_text("new", encoding="utf-8")
        assert not target.exists()
    assert content(tmp_path) == {"deep/out/file": b"new"}


def test_a_directory_replaces_the_old_one_and_keeps_nothing_of_it(tmp_path: Path) -> None:
    for name in ("old", "new"):
        with whole_directory(tmp_path / "out") as folder:
            (folder / name).write_text(name, encoding="utf-8")
    assert content(tmp_path) == {"out/new": b"new"}


def test_a_failure_leaves_the_old_directory_and_no_litter(tmp_path: Path) -> None:
    with whole_directory(tmp_path / "out") as folder:
        (folder / "file").write_text("old", encoding="utf-8")
    with pytest.raises(KeyboardInterrupt), whole_directory(tmp_path / "out") as folder:
        (folder / "file").write_text("half", encoding="utf-8")
        raise KeyboardInterrupt
    assert content(tmp_path) == {"out/file": b"old"}
    assert list(tmp_path.iterdir()) == [tmp_path / "out"]


def test_a_failure_leaves_no_directory_where_there_was_none(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="no"), whole_directory(tmp_path / "out") as folder:
        (folder / "file").write_text("half", encoding="utf-8")
        raise ValueError("no")
    assert list(tmp_path.iterdir()) == []


def test_what_a_killed_run_left_beside_does_not_get_into_the_directory(tmp_path: Path) -> None:
    killed = whole_directory(tmp_path / "out")
    (killed.__enter__() / "left").write_text("half", encoding="utf-8")  # and never left: as if by kill -9
    with whole_directory(tmp_path / "out") as folder:
        (folder / "file").write_text("new", encoding="utf-8")
    assert content(tmp_path) == {"out/file": b"new"}


def test_a_file_appears_when_its_block_is_done(tmp_path: Path) -> None:
    target = tmp_path / "deep" / "out.txt"
    with whole_file(target) as partial:
        partial.write_text("new", encoding="utf-8")
        assert not target.exists()
    assert content(tmp_path) == {"deep/out.txt": b"new"}


def test_a_failure_leaves_the_old_file_and_no_litter(tmp_path: Path) -> None:
    (tmp_path / "out.txt").write_text("old", encoding="utf-8")
    with pytest.raises(KeyboardInterrupt), whole_file(tmp_path / "out.txt") as partial:
        partial.write_text("half", encoding="utf-8")
        raise KeyboardInterrupt
    assert content(tmp_path) == {"out.txt": b"old"}


@pytest.fixture(params=[0o022, 0o027, 0o077], ids=oct)
def umask(request: pytest.FixtureRequest) -> int:
    """The process's mask while the test runs."""
    before = os.umask(request.param)
    request.addfinalizer(lambda: os.umask(before))
    return int(request.param)


def test_files_are_as_readable_as_the_umask_allows_even_if_made_for_their_owner_alone(
    umask: int, tmp_path: Path
) -> None:
    with whole_directory(tmp_path / "out") as folder:
        (folder / "deep").mkdir()
        for file in (folder / "file", folder / "deep" / "file"):
            os.close(os.open(file, os.O_CREAT | os.O_WRONLY, 0o600))  # as safetensors does
    modes = {stat.S_IMODE(file.stat().st_mode) for file in tmp_path.rglob("file")}
    assert modes == {0o666 & ~umask}
    assert os.umask(umask) == umask  # left as it was


# JSON


def test_json_is_rounded_however_deep_and_ends_with_a_newline(tmp_path: Path) -> None:
    write_json(tmp_path / "m.json", {"b": 1 / 3, "a": [{"x": 0.1 + 0.2, "n": 3, "t": True}, None], "name": "Zoë"})
    text = (tmp_path / "m.json").read_text(encoding="utf-8")
    assert json.loads(text) == {"b": 0.333333, "a": [{"x": 0.3, "n": 3, "t": True}, None], "name": "Zoë"}
    assert text.endswith("}\n")
    assert "Zoë" in text
    assert text.index('"b"') < text.index('"a"')  # as written, not sorted


@given(st.floats(allow_nan=False, allow_infinity=False))
def test_rounding_twice_is_rounding_once(value: float) -> None:
    once = rounded({"x": [value]})
    assert rounded(once) == once


def test_labels_in_json_are_visible(tmp_path: Path) -> None:
    write_json(tmp_path / "m.json", {"labels": {"a\x1b[2J": 1}, "list": ["\u202eb\n"], "name": "na\u00efve \x9b"})
    assert json.loads((tmp_path / "m.json").read_text(encoding="utf-8")) == {
        "labels": {r"a\x1b[2J": 1}, "list": [r"\u202eb\n"], "name": r"naïve \x9b",
    }  # fmt: skip


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
def test_json_without_a_number_is_refused_and_the_old_file_stays(value: float, tmp_path: Path) -> None:
    write_json(tmp_path / "m.json", {"loss": 1.0})
    with pytest.raises(ValueError, match="not JSON compliant"):
        write_json(tmp_path / "m.json", {"scores": [{"loss": value}]})
    assert content(tmp_path) == {"m.json": b'{\n  "loss": 1.0\n}\n'}


def test_numpy_numbers_that_are_no_python_numbers_are_refused(tmp_path: Path) -> None:
    with pytest.raises(TypeError):
        write_json(tmp_path / "m.json", {"support": np.int64(3)})  # type: ignore[dict-item]
    assert list(tmp_path.iterdir()) == []


# Data sets on disk

COUNT = 2500
FEATURES = Features({
    "id": Value("string"), "tokens": List(Value("string")), "tags": List(ClassLabel(names=["O", "B-x"])),
})  # fmt: skip
COLUMNS = {
    "id": [str(row) for row in range(COUNT)],
    "tokens": [["a", "b" * (row % 7)][: row % 3] for row in range(COUNT)],
    "tags": [[0, 1][: row % 3] for row in range(COUNT)],
}


def table() -> pa.Table:
    return pa.table(COLUMNS, schema=FEATURES.arrow_schema)


def from_parquet(folder: Path) -> Dataset:
    file = folder / "a file of its own.parquet"
    Dataset(table()).to_parquet(file)
    return Dataset.from_parquet(str(file), cache_dir=str(folder / "cache"))


def selected(folder: Path) -> Dataset:
    longer = pa.concat_tables([table().slice(0, 9), table()])
    return Dataset(longer).select(range(9, 9 + COUNT))


MAKERS: dict[str, Callable[[Path], Dataset]] = {
    "by features": lambda folder: Dataset.from_dict(COLUMNS, features=FEATURES),
    "in two chunks": lambda folder: Dataset(pa.concat_tables([table().slice(0, 7), table().slice(7)])),
    "a slice of more": lambda folder: Dataset(pa.concat_tables([table(), table()]).combine_chunks().slice(0, COUNT)),
    "selected": selected,
    "backwards": lambda folder: Dataset(table().take(list(range(COUNT))[::-1])).select(range(COUNT - 1, -1, -1)),
    "mapped": lambda folder: Dataset(table()).map(
        lambda row: {"id": row["id"]}, cache_file_name=str(folder / "map.arrow")
    ),
    "from Parquet": from_parquet,
    "formatted": lambda folder: Dataset(table()).with_format("numpy"),
}


@pytest.mark.parametrize("make", MAKERS.values(), ids=list(MAKERS))
def test_equal_rows_give_equal_bytes_however_they_were_made(make: Callable[[Path], Dataset], tmp_path: Path) -> None:
    save_splits(DatasetDict({"train": Dataset(table())}), tmp_path / "one")
    save_splits(DatasetDict({"train": make(tmp_path)}), tmp_path / "two")
    assert content(tmp_path / "one") == content(tmp_path / "two")


def test_other_rows_give_another_fingerprint(tmp_path: Path) -> None:
    fingerprints = set()
    for name in ("a", "b"):
        save_splits(DatasetDict({"train": Dataset.from_dict({"id": [name]})}), tmp_path / name)
        fingerprints.add(json.loads((tmp_path / name / "train/state.json").read_bytes())["_fingerprint"])
    assert len(fingerprints) == 2


def test_saved_splits_are_read_by_the_datasets_library_and_by_us(tmp_path: Path) -> None:
    splits = DatasetDict({"train": Dataset(table()), "test": Dataset(table()).select([5, 3])})
    save_splits(splits, tmp_path / "data")
    for read in (load_from_disk(tmp_path / "data"), load_splits(tmp_path / "data")):
        assert list(read) == ["train", "test"]
        assert read["train"].features == FEATURES
        assert read["train"].to_dict() == COLUMNS
        assert read["test"]["id"][:] == ["5", "3"]
    assert rows(splits["train"]) == COUNT


def test_saving_again_replaces_splits_that_are_gone(tmp_path: Path) -> None:
    whole = DatasetDict({"train": Dataset(table()), "extra": Dataset(table())})
    save_splits(whole, tmp_path / "data")
    save_splits(DatasetDict({"train": Dataset(table()).select([0])}), tmp_path / "data")
    assert {name: rows(split) for name, split in load_splits(tmp_path / "data").items()} == {"train": 1}


def test_missing_data_are_told_in_one_line(tmp_path: Path) -> None:
    with pytest.raises(DataError) as error:
        load_splits(tmp_path / "data")
    assert "\n" not in str(error.value)
    assert str(error.value).startswith(f"{tmp_path}/data/dataset_dict.json: is missing")
    assert str(error.value).endswith("run `stagewright run` first")


SMALL = DatasetDict({"train": Dataset(table()).select(range(30)), "test": Dataset(table()).select([1])})


@pytest.mark.parametrize("lost", ["dataset_dict.json", "train", "train/state.json", "train/data-00000-of-00001.arrow"])
def test_data_of_which_a_part_is_missing_are_told(lost: str, tmp_path: Path) -> None:
    save_splits(SMALL, tmp_path / "data")
    (tmp_path / "data" / lost).rename(tmp_path / "elsewhere")
    with pytest.raises(DataError):
        load_splits(tmp_path / "data")


ARROW = "train/data-00000-of-00001.arrow"
IN_BATCHES = DatasetDict({"train": Dataset(table())})  # three batches of rows


def ends_of_batches(file: Path) -> list[int]:
    """Where a file can be cut so that Arrow reads what is left without an error."""
    ends = []
    with pa.OSFile(str(file)) as source, pa.ipc.open_stream(source) as stream:
        ends.append(source.tell())
        for _ in stream:
            ends.append(source.tell())
    return ends


def test_data_cut_off_between_two_batches_of_rows_are_told(tmp_path: Path) -> None:
    save_splits(IN_BATCHES, tmp_path / "data")
    file = tmp_path / "data" / ARROW
    whole, ends = file.read_bytes(), ends_of_batches(file)
    assert len(ends) == 4
    for end in ends:
        file.write_bytes(whole[:end])
        assert load_from_disk(tmp_path / "data")["train"].num_rows <= COUNT  # no error of its own
        with pytest.raises(DataError, match=r"data/train: has changed since it was written; run `dvc repro`"):
            load_splits(tmp_path / "data")


def test_data_zeroed_in_part_are_told(tmp_path: Path) -> None:
    save_splits(IN_BATCHES, tmp_path / "data")
    whole = (tmp_path / "data" / ARROW).read_bytes()
    place = whole.index(b"b" * 6)
    (tmp_path / "data" / ARROW).write_bytes(whole[:place] + bytes(6) + whole[place + 6 :])
    with pytest.raises(DataError):
        load_splits(tmp_path / "data")


@settings(max_examples=40)
@given(st.data())
def test_data_cut_off_anywhere_are_told(tmp_path_factory: pytest.TempPathFactory, data: st.DataObject) -> None:
    folder = tmp_path_factory.mktemp("cut") / "data"
    save_splits(SMALL, folder)
    name = data.draw(st.sampled_from(sorted(content(folder))))
    whole = content(folder)[name]
    size = data.draw(st.integers(0, len(whole) - 2))  # JSON is whole without its last newline
    (folder / name).write_bytes(whole[:size])
    with pytest.raises(DataError) as error:
        load_splits(folder)
    assert "\n" not in str(error.value)
