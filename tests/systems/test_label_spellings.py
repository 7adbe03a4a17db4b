"""Labels that two files spell in different ways are the same, and what is no label is told with its row."""

import json
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from stages.pipeline.errors import DataError
from tests.support.joined_files import labels, pair, write, write_rows
from tests.support.told import told


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


# Labels that two files spell in different ways


def class_labels(column: str, codes: list[int]) -> pa.Table:
    features = {"info": {"features": {column: {"_type": "ClassLabel", "names": ["neg", "pos"]}}}}
    schema = pa.schema([(column, pa.int64())], metadata={"huggingface": json.dumps(features)})
    return pa.table({column: codes}, schema=schema)


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("p.txt", "1\n1\n0\n"),
        ("p.csv", "prediction\n1\n1\n0\n"),
        ("p.jsonl", '{"predicted": "1"}\n{"predicted": "1"}\n{"predicted": "0"}\n'),
    ],
)
def test_integers_in_text_go_by_the_names_of_the_other_file(name: str, content: str) -> None:
    pq.write_table(class_labels("label", [0, 1, 1]), "g.parquet")
    write(name, content)
    assert labels(pair("g.parquet", name)) == (["neg", "pos", "pos"], ["pos", "pos", "neg"])
    write(name, content.replace("0", "2"))
    with pytest.raises(DataError) as error:
        pair("g.parquet", name)
    assert f"{name}: predicted has the label 2, and names for 0 to 1" in told(error)


def test_gold_of_integers_goes_by_the_names_of_the_predictions() -> None:
    pq.write_table(class_labels("predicted", [0, 1, 1]), "p.parquet")
    write("g.csv", "gold\n1\n1\n0\n")
    assert labels(pair("g.csv", "p.parquet")) == (["pos", "pos", "neg"], ["neg", "pos", "pos"])
    both = class_labels("label", [0, 1]).append_column("predicted", pa.array([1, 1]))
    pq.write_table(both, "both.parquet")
    assert labels(pair("both.parquet")) == (["neg", "pos"], ["pos", "pos"])


def test_truth_values_are_one_label_in_every_spelling() -> None:
    write("g.jsonl", '{"gold": true}\n{"gold": false}\n')
    expected = (["True", "False"], ["True", "True"])
    for name, content in (("p.csv", "predicted\nTrue\ntrue\n"), ("p.jsonl", '{"predicted": true}\n' * 2)):
        write(name, content)
        assert labels(pair("g.jsonl", name)) == expected
    write("other.csv", "predicted\nyes\nTrue\n")
    assert labels(pair("g.jsonl", "other.csv"))[1] == ["yes", "True"]


def test_a_column_mostly_of_numbers_has_no_labels() -> None:
    write("g.csv", "gold,predicted\n1.5,1.5\nNA,2.5\n3.5,2\n")
    with pytest.raises(DataError) as error:
        pair("g.csv")
    assert "g.csv, line 3: gold is 'NA', not a number; write a number" in told(error)


# Lists that are no sets


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ({"gold": [1, 0, 0], "predicted": [0, 1, 0]}, "g.jsonl, line 1: gold lists '0' twice; a set of labels"),
        ({"gold": ["DET", "N", "N"], "predicted": ["N", "DET", "N"]}, "g.jsonl, line 1: gold lists 'N' twice"),
        ({"gold": [True, False], "predicted": [False, True]}, "g.jsonl: gold has 0 or 1 for each label; list"),
        ({"gold": ["a"], "predicted": ["b", "b"]}, "g.jsonl, line 1: predicted lists 'b' twice"),
        ({"gold": [1, 0], "predicted": [0, 1]}, "g.jsonl: gold has 0 or 1 for each label; list the names"),
        ({"gold": [["B-x"]], "predicted": [["B-x"]]}, "g.jsonl: gold has lists of lists; give each row one list"),
    ],
)
def test_lists_that_are_no_sets_are_told(row: dict[str, Any], message: str) -> None:
    write_rows(Path("g.jsonl"), [row])
    with pytest.raises(DataError) as error:
        pair("g.jsonl")
    assert message in told(error)


def test_one_object_of_columns_is_told() -> None:
    for content in ('{"gold": ["a", "b"], "predicted": ["b", "a"]}', '{"gold": {"0": "a"}, "predicted": {"0": "b"}}'):
        write("g.json", content)
        with pytest.raises(DataError) as error:
            pair("g.json")
        assert "g.json: is one object of columns; write a list of objects, one per row, or name it" in told(error)
    write("wrapped.json", '{"data": [{"gold": "a", "predicted": "b"}]}')
    assert labels(pair("wrapped.json")) == (["a"], ["b"])


# Files without examples, and values of no use


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("g.csv", "gold,predicted\n", "g.csv: holds no examples; give at least one"),
        ("g.json", "{}", "g.json: its first row has no columns; give gold and predicted"),
        (
            "g.jsonl",
            '{"gold": 18446744073709551616, "predicted": 1}',
            "g.jsonl, line 1: gold is an integer of more than",
        ),
        ("g.jsonl", '{"gold": [9223372036854775808], "predicted": [1]}', "g.jsonl: gold has integers of more than 63"),
        ("g.jsonl", '{"gold": "a", "predicted": "a", "score": {"a": 0.9}}', "g.jsonl: score is an object; write the"),
        ("g.csv", "gold,predicted,loss\na,a,0.5\na,b,-1\n", "g.csv, line 3: loss is below 0; write the loss"),
        ("g.csv", "gold,predicted\n1.5,2\n2.5,-1e200\n", "g.csv, line 3: predicted is -1e+200, and squares of numbers"),
        (
            "g.jsonl",
            '{"gold":"a","predicted":"a","id":1}\n{"gold":"a","predicted":"a","id":"b"}',
            "line 2: id is text, and a",
        ),
    ],
)
def test_files_of_which_nothing_can_be_scored_are_told(name: str, content: str, message: str) -> None:
    write(name, content)
    with pytest.raises(DataError) as error:
        pair(name)
    assert message in told(error)
