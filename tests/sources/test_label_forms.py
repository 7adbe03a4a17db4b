"""The forms that labels and tables of texts have in people's files: each comes out right, or is refused in one line."""

import json
import math
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from datasets import Dataset
from hypothesis import given, settings
from hypothesis import strategies as st

from stages.configuration.schema import FilesData, Kind, MaxExamples
from stages.pipeline.errors import DataError
from stages.sources.label_names import canonical_label
from tests.support.canonical_data import Made, made_of
from tests.support.told import told

Files = Mapping[str, str | bytes]


def read(files: Files, kind: Kind = "text", **settings: Any) -> Made:
    """Read files as a user's: the one named `train.…` is train and, unless there are others, validation and test."""
    with tempfile.TemporaryDirectory() as folder:
        for name, content in files.items():
            Path(folder, name).write_bytes(content.encode() if isinstance(content, str) else content)
        if isinstance(settings.get("label_names"), str):
            settings["label_names"] = f"{folder}/{settings['label_names']}"
        named = {
            split: next((name for name in files if name.startswith(f"{split}.")), None)
            for split in ("validation", "test")
        }
        train = next(name for name in files if name.startswith("train."))
        places = {split: f"{folder}/{name or train}" for split, name in [("train", train), *named.items()]}
        settings = {"fail_on": "never", **settings}
        try:
            return made_of(FilesData(name="data", kind=kind, source="files", **places, **settings))
        except DataError as error:
            raise DataError(str(error).replace(f"{folder}/", "")) from error


def names_of(split: Dataset) -> list[str]:
    feature = split.features["label"]
    return list(getattr(feature, "feature", feature).names)


def labelled(split: Dataset) -> dict[str, Any]:
    """Each text with the name of its label, or the names of its labels; None where they are not known."""
    names = [*names_of(split), None]
    labels = [
        [names[code] for code in row] if isinstance(row, list) else None if row is None else names[row]
        for row in split["label"][:]
    ]
    return dict(zip(split["text"][:], labels, strict=True))


# Tables


@dataclass(frozen=True)
class Form:
    """A training file in some form, and what it says."""

    name: str
    content: str | bytes
    expected: dict[str, Any]
    settings: dict[str, Any] = field(default_factory=dict)


GOOD: dict[str, Any] = {"good film": "pos", "bad, so bad": "neg"}
SEVERAL: dict[str, Any] = {"x": ["a", "b"], "y": [], "z": ["b"]}
SEPARATED: dict[str, Any] = {"target": "labels", "label_separator": ","}
FLAGS: dict[str, Any] = {"target": "labels", "label_column": ["b", "a"]}
PLACES: dict[str, Any] = {"text_column": 0, "label_column": 1}


def csv(*rows: str, newline: str = "\n") -> str:
    return newline.join([*rows, ""])


def parquet(**columns: Any) -> bytes:
    sink = pa.BufferOutputStream()
    pq.write_table(pa.table(columns), sink)
    return bytes(sink.getvalue())


FORMS = {
    # what separates
    "bars": Form("train.csv", csv("text|label", "good film|pos", "bad, so bad|neg"), GOOD),
    "semicolons beside commas": Form("train.csv", csv("text;label", "good film;pos", "bad, so bad;neg"), GOOD),
    "semicolons without a header": Form("train.csv", csv("bad, so bad;neg", "good film;pos"), GOOD, PLACES),
    "sep=;": Form("train.csv", csv("sep=;", "text;label", "good film;pos", "bad, so bad;neg", newline="\r\n"), GOOD),
    "SEP=| quoted, after a byte order mark": Form(
        "train.csv", "\ufeff" + csv('"SEP=|"', "text|label", "good film|pos", "bad, so bad|neg"), GOOD
    ),
    "a bar in a comma's file": Form("train.csv", csv("text,label", "a|b,pos", "c,neg"), {"a|b": "pos", "c": "neg"}),
    # headers
    "an index of pandas": Form("train.csv", pd.DataFrame({"text": [*GOOD], "label": [*GOOD.values()]}).to_csv(), GOOD),
    "empty columns of Excel": Form("train.csv", csv("text;label;;", "good film;pos;;", "bad, so bad;neg;;"), GOOD),
    "capitals": Form("train.csv", csv("Text,Label", "good film,pos", '"bad, so bad",neg'), GOOD),
    "white space": Form("train.csv", "\ufeff" + csv(" Review ,SENTIMENT ", "good film,pos", '"bad, so bad",neg'), GOOD),
    "separators in names": Form(
        "train.tsv", csv("Review_Text\tGold-Label", "good film\tpos", "bad, so bad\tneg"), GOOD
    ),
    "capitals in JSON": Form(
        "train.jsonl", csv(*(json.dumps({"Tweet": text, "Class": label}) for text, label in GOOD.items())), GOOD
    ),
    "a configured name in capitals": Form(
        "train.csv", csv("Title,TEXT,Label", "x,a,0", "y,b,1"), {"x": "0", "y": "1"}, {"text_column": "title"}
    ),
    "text before title": Form("train.csv", csv("title,content,label", "t,a,0", "t,b,1"), {"a": "0", "b": "1"}),
    "label before rating": Form("train.csv", csv("text,rating,label", "a,5,x", "b,1,y"), {"a": "x", "b": "y"}),
    "sentiment before rating": Form("train.csv", csv("text,rating,sentiment", "a,5,x", "b,1,y"), {"a": "x", "b": "y"}),
    "no header": Form(
        "train.csv", csv("pos,good film", 'neg,"bad, so bad"'), GOOD, {"text_column": 1, "label_column": 0}
    ),
    "places from the end": Form(
        "train.tsv", csv("1\tpos\tgood film", "2\tneg\tbad, so bad"), GOOD, {"text_column": -1, "label_column": -2}
    ),
    # JSON
    "pairs": Form("train.json", json.dumps([[text, label] for text, label in GOOD.items()]), GOOD),
    "pairs, a line each": Form("train.jsonl", csv(*(json.dumps([text, label]) for text, label in GOOD.items())), GOOD),
    "pairs, a line each, in .json": Form(
        "train.json", csv(*(json.dumps([text, label]) for text, label in GOOD.items())), GOOD
    ),
    "pairs below a header": Form(
        "train.json", json.dumps([["Label", "Text"], *([label, text] for text, label in GOOD.items())]), GOOD
    ),
    "texts that repeat below a header": Form(
        "train.json", json.dumps([["text", "label"], ["a", "x"], ["a", "y"]]), {"a": "y"}
    ),
    "pairs in data": Form("train.json", json.dumps({"data": [*GOOD.items()]}), GOOD),
    "pairs reversed": Form(
        "train.json",
        json.dumps([["pos", "a"], ["pos", "b"], ["neg", "c"]]),
        {"a": "pos", "b": "pos", "c": "neg"},
        {"text_column": 1, "label_column": 0},
    ),
    "rows of three": Form(
        "train.json",
        json.dumps([[7, "a", True], [8, "b", False]]),
        {"a": "true", "b": "false"},
        {"text_column": 1, "label_column": -1},
    ),
    # labels as they are spelled
    "True and False": Form("train.csv", csv("text,label", "a,True", "b,False"), {"a": "true", "b": "false"}),
    "TRUE and FALSE": Form("train.csv", csv("text,label", "a,TRUE", "b,FALSE"), {"a": "true", "b": "false"}),
    "true in JSON": Form(
        "train.jsonl", csv('{"text": "a", "label": true}', '{"text": "b", "label": false}'), {"a": "true", "b": "false"}
    ),
    "TRUE beside others": Form("train.csv", csv("text,label", "a,TRUE", "b,MIXTURE"), {"a": "TRUE", "b": "MIXTURE"}),
    "stars": Form("train.csv", csv("text,stars", "a,1.0", "b,5.0"), {"a": "1", "b": "5"}),
    "stars in JSON": Form(
        "train.jsonl", csv('{"text": "a", "stars": 1.0}', '{"text": "b", "stars": 5}'), {"a": "1", "b": "5"}
    ),
    "stars in Parquet": Form("train.parquet", parquet(text=["a", "b"], stars=[1.0, 5.0]), {"a": "1", "b": "5"}),
    "versions": Form("train.csv", csv("text,label", "a,1.0", "b,1.5"), {"a": "1.0", "b": "1.5"}),
    "digits that are no numbers": Form("train.csv", csv("text,label", "a,007", "b,NA"), {"a": "007", "b": "NA"}),
    # names
    "counted from 1": Form(
        "train.csv",
        csv("text,label", "a,1", "b,2"),
        {"a": "neg", "b": "pos"},
        {"label_names": {"1": "neg", "2": "pos"}},
    ),
    "counted from 1 in JSON": Form(
        "train.jsonl",
        csv('{"text": "a", "label": 1}', '{"text": "b", "label": 2.0}'),
        {"a": "neg", "b": "pos"},
        {"label_names": {"1": "neg", "2": "pos"}},
    ),
    "three signs": Form(
        "train.jsonl",
        csv(*(json.dumps({"text": str(sign), "label": sign}) for sign in (-1, 0, 1))),
        {"-1": "neg", "0": "no", "1": "pos"},
        {"label_names": {"-1": "neg", "0": "no", "1": "pos"}},
    ),
    "classes joined": Form(
        "train.csv",
        csv("text,stars", "a,1.0", "b,2.0", "c,5.0"),
        {"a": "bad", "b": "bad", "c": "good"},
        {"label_names": {"1": "bad", "2": "bad", "5": "good"}},
    ),
    "names of booleans": Form(
        "train.csv",
        csv("text,label", "a,True", "b,FALSE"),
        {"a": "spam", "b": "ham"},
        {"label_names": {"false": "ham", "true": "spam"}},
    ),
    "booleans named as they are": Form(
        "train.jsonl",
        csv('{"text": "a", "label": true}', '{"text": "b", "label": false}'),
        {"a": "True", "b": "False"},
        {"label_names": ["False", "True"]},
    ),
    "text renamed": Form(
        "train.csv",
        csv("text,label", "a,p", "b,n"),
        {"a": "pos", "b": "neg"},
        {"label_names": {"n": "neg", "p": "pos"}},
    ),
    "indices": Form(
        "train.csv", csv("text,label", "a,0.0", "b,1.0"), {"a": "neg", "b": "pos"}, {"label_names": ["neg", "pos"]}
    ),
    # several labels
    "a column a label": Form(
        "train.csv", csv("text,a,b", "x,1,1", "y,0,0", "z,0,1"), {"x": ["b", "a"], "y": [], "z": ["b"]}, FLAGS
    ),
    "a column a label, in words": Form(
        "train.csv",
        csv("text,A,B", "x,True,true", "y,FALSE,False", "z,false,TRUE"),
        {"x": ["b", "a"], "y": [], "z": ["b"]},
        FLAGS,
    ),
    "a column a label, in floats": Form(
        "train.csv",
        csv("text,a,b", "x,1.0,1.0", "y,0.0,0.0", "z,0.0,1.0"),
        {"x": ["b", "a"], "y": [], "z": ["b"]},
        FLAGS,
    ),
    "a column a label, in JSON": Form(
        "train.jsonl",
        csv(
            '{"text": "x", "a": 1, "b": true}', '{"text": "y", "a": 0, "b": false}', '{"text": "z", "a": 0.0, "b": 1.0}'
        ),
        {"x": ["b", "a"], "y": [], "z": ["b"]},
        FLAGS,
    ),
    "a column a label, in Parquet": Form(
        "train.parquet",
        parquet(text=["x", "y", "z"], a=[True, False, False], b=pa.array([1, 0, 1], pa.int8())),
        {"x": ["b", "a"], "y": [], "z": ["b"]},
        FLAGS,
    ),
    "a column a label, by place": Form(
        "train.csv",
        csv("x,1,1", "y,0,0", "z,0,1"),
        {"x": ["bad", "ugly"], "y": [], "z": ["ugly"]},
        {"target": "labels", "text_column": 0, "label_column": [1, 2], "label_names": ["bad", "ugly"]},
    ),
    "commas in a cell": Form("train.csv", csv("text,labels", 'x,"a, b"', "y,", "z,b"), SEVERAL, SEPARATED),
    "semicolons in a cell": Form(
        "train.csv", csv("text,labels", "x,a;b;", "y, ", "z,b"), SEVERAL, {"target": "labels", "label_separator": ";"}
    ),
    "bars in a cell": Form(
        "train.tsv",
        csv("text\tlabels", "x\ta|b|a", "y\t", "z\tb"),
        SEVERAL,
        {"target": "labels", "label_separator": "|"},
    ),
    "white space in a cell": Form(
        "train.csv", csv("text,labels", "x,a  b", "y,", "z,b"), SEVERAL, {"target": "labels", "label_separator": " "}
    ),
    "commas in JSON": Form(
        "train.jsonl",
        csv('{"text": "x", "labels": "a,b"}', '{"text": "y", "labels": null}', '{"text": "z", "labels": "b"}'),
        SEVERAL,
        SEPARATED,
    ),
    "numbers in a cell": Form(
        "train.csv", csv("text,labels", 'x,"4,27"', "y,0", "z,"), {"x": ["4", "27"], "y": ["0"], "z": []}, SEPARATED
    ),
    "places in a cell": Form(
        "train.tsv",
        csv("x\t0,1\tid", "y\t\tid", "z\t1\tid"),
        SEVERAL,
        {**SEPARATED, **PLACES, "label_names": ["a", "b"]},
    ),
    "lists in a cell": Form(
        "train.csv", csv("text,labels", "x,\"['a', 'b']\"", "y,[]", 'z,"[""b""]"'), SEVERAL, {"target": "labels"}
    ),
    # labels that mean none
    "a dash": Form(
        "train.csv",
        csv("text,label", "a,pos", "b,-", "c,neg"),
        {"a": "pos", "c": "neg"},
        {"ignore_labels": ["-"], "label_names": ["neg", "pos"]},
    ),
    "minus one": Form(
        "train.jsonl",
        csv('{"text": "a", "label": 1}', '{"text": "b", "label": -1}', '{"text": "c", "label": 0}'),
        {"a": "1", "c": "0"},
        {"ignore_labels": [-1]},
    ),
    "one label of several": Form(
        "train.csv",
        csv("text,labels", 'x,"a,none"', "y,", 'z,"b,a"'),
        {"y": [], "z": ["b", "a"]},
        {**SEPARATED, "ignore_labels": ["none"]},
    ),
    "a star": Form(
        "train.csv", csv("text,stars", "a,1.0", "b,3.0", "c,5.0"), {"a": "1", "c": "5"}, {"ignore_labels": [3]}
    ),
}


@pytest.mark.parametrize("form", FORMS.values(), ids=list(FORMS))
def test_a_form_is_read_as_it_is_meant(form: Form) -> None:
    found = read({form.name: form.content}, **form.settings).splits
    for split in found.values():
        assert labelled(split) == form.expected


def test_the_labels_of_columns_are_in_the_order_in_which_they_are_named() -> None:
    found = read({"train.csv": csv("text,a,b,c", "x,1,0,0", "y,0,1,0")}, target="labels", label_column=["c", "a", "b"])
    assert names_of(found.splits["train"]) == ["c", "a", "b"]
    assert found.findings()["named_in_vain"] == {"train": 1}


@given(
    st.lists(
        st.lists(
            st.text(st.characters(categories=["L", "N", "P", "S"], exclude_characters=","), min_size=1).filter(
                lambda label: canonical_label(label) == label and label != "-1"
            ),
            unique=True,
            max_size=4,
        ),
        min_size=1,
        max_size=6,
    ).filter(any)
)
@settings(max_examples=40)
def test_lists_of_labels_joined_by_a_separator_come_back(rows: list[list[str]]) -> None:
    frame = pd.DataFrame({"text": [f"t{row}" for row in range(len(rows))], "labels": [",".join(row) for row in rows]})
    found = read({"train.csv": frame.to_csv(index=False)}, **SEPARATED).splits["train"]
    assert list(labelled(found).values()) == rows


@given(st.lists(st.lists(st.booleans(), min_size=3, max_size=3), min_size=1, max_size=8), st.permutations("abc"))
@settings(max_examples=40)
def test_flags_and_lists_say_the_same(rows: list[list[bool]], order: Sequence[str]) -> None:
    texts = [f"t{row}" for row in range(len(rows))]
    flags = pd.DataFrame({"text": texts, **{name: [row[place] for row in rows] for place, name in enumerate("abc")}})
    lists = [
        {"text": text, "labels": [name for name in order if row["abc".index(name)]]}
        for text, row in zip(texts, rows, strict=True)
    ]
    first = read({"train.csv": flags.to_csv(index=False)}, target="labels", label_column=list(order))
    second = read({"train.jsonl": csv(*map(json.dumps, lists))}, target="labels", label_names=list(order))
    for split, found in first.splits.items():
        assert found.features == second.splits[split].features and found[:] == second.splits[split][:]


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("names.txt", "neg\npos\n\n"),
        ("names.txt", "1: pos\n0: neg\n"),
        ("names.csv", "1,pos\n0,neg\n"),
        ("names.tsv", "0\tneg\n1\tpos\n"),
        ("names.json", '["neg", "pos"]'),
        ("names.json", '{"0": "neg", "1": "pos"}'),
    ],
)
@pytest.mark.parametrize("label", ["1", "1.0", "pos"])
def test_names_may_be_in_a_file(name: str, content: str, label: str) -> None:
    found = read({"train.csv": csv("text,label", f"a,{label}"), name: content}, label_names=name).splits["train"]
    assert labelled(found) == {"a": "pos"}
    assert sorted(names_of(found)) == ["neg", "pos"]


def test_names_with_digits_are_no_pairs() -> None:
    files = {"train.csv": csv("text,stars", "a,0"), "names.txt": "1 star\n2 stars\nLOC: city\n"}
    assert names_of(read(files, label_names="names.txt").splits["train"]) == ["1 star", "2 stars", "LOC: city"]


def test_what_is_ignored_is_counted_and_told() -> None:
    train, test = csv("text,label", "a,x", "b,-", "c,y", "d,-"), csv("text,label", "e,-", "f,x")
    found = read({"train.csv": train, "test.csv": test}, ignore_labels=["-", "none"])
    assert found.findings()["ignored"] == {"train": 2, "validation": 2, "test": 1}
    assert found.findings()["ignored_in_vain"] == {"all": 1}
    assert found.splits["test"]["id"][:] == ["test-0"]


def test_an_ignored_label_of_the_file_has_no_place_in_the_head() -> None:
    features = {"info": {"features": {"label": {"_type": "ClassLabel", "names": ["neg", "neutral", "pos"]}}}}
    schema = pa.schema([("text", pa.string()), ("label", pa.int64())], metadata={"huggingface": json.dumps(features)})
    sink = pa.BufferOutputStream()
    pq.write_table(pa.table({"text": ["a", "b", "c", "d"], "label": [2, 1, 0, -1]}, schema=schema), sink)
    found = read({"train.parquet": bytes(sink.getvalue())}, ignore_labels=["neutral", -1]).splits["train"]
    assert labelled(found) == {"a": "pos", "c": "neg"} and names_of(found) == ["neg", "pos"]


def test_numbers_that_mean_none_are_left_out() -> None:
    content = csv("text,rating", "a,4.5", "b,0", "c,NA", "d,0.5")
    found = read({"train.csv": content}, target="number", ignore_labels=[0, "NA"])
    assert found.splits["train"]["label"][:] == [4.5, 0.5] and found.findings()["ignored"]["train"] == 2


@pytest.mark.parametrize("names", ["train", "val", "test"])
def test_an_object_with_a_list_for_each_split_is_read_by_split(names: str) -> None:
    rows = {split: [[f"{split} {row}", f"l{row % 2}"] for row in range(4)] for split in ("train", "val", "test")}
    content = json.dumps({**rows, "oos_train": [["x", "oos"]]})
    found = read({"train.json": content}).splits
    assert {split: next(iter(labelled(each))) for split, each in found.items()} == {
        "train": "train 0", "validation": "val 0", "test": "test 0",
    }  # fmt: skip
    assert names_of(found["train"]) == ["l0", "l1"]


def test_second_texts_groups_and_kept_columns_may_be_named_by_place() -> None:
    content = csv(*(f"{row % 2},first {row},second {row},g{row // 2},site {row}" for row in range(40)))
    settings = {"text_column": 1, "pair_column": 2, "label_column": 0, "group_column": 3, "keep_columns": [4, -2]}
    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder, "a.csv")
        place.write_text(content)
        found = made_of(
            FilesData(name="x", kind="text", source="files", train=str(place), test=str(place), **settings)
        ).splits  # type: ignore[arg-type]
    assert found["test"][3] == {
        "id": "test-3", "text": "first 3", "text_pair": "second 3", "label": 1, "4": "site 3", "-2": "g1",
    }  # fmt: skip
    assert not set(found["train"]["-2"]) & set(found["validation"]["-2"])


# Test rows without labels

UNLABELLED: dict[str, tuple[Kind, Files, dict[str, Any], list[Any]]] = {
    "label": (
        "text",
        {"train.csv": csv("text,label", "a,-1", "b,1"), "test.csv": csv("id,text", "7,x", "8,y")},
        {},
        [-1, -1],
    ),
    "labels": (
        "text",
        {"train.csv": csv("text,labels", "a,x", "b,"), "test.csv": csv("text", "x", "y")},
        {"target": "labels", "label_separator": "|"},
        [None, None],
    ),
    "flags": (
        "text",
        {"train.csv": csv("text,f,g", "a,1,0", "b,0,0"), "test.csv": csv("text", "x", "y")},
        {"target": "labels", "label_column": ["f", "g"]},
        [None, None],
    ),
    "flags of -1": (
        "text",
        {"train.csv": csv("text,f,g", "a,1,0", "b,0,0"), "test.csv": csv("text,f,g", "x,-1,-1", "y,-1,-1")},
        {"target": "labels", "label_column": ["f", "g"]},
        [None, None],
    ),
    "number": (
        "text",
        {"train.csv": csv("text,score", "a,1", "b,2"), "test.csv": csv("text", "x", "y")},
        {"target": "number"},
        [None, None],
    ),
    "tokens": (
        "tokens",
        {
            "train.jsonl": csv('{"tokens": ["a", "b"], "tags": ["B-x", "O"]}', '{"tokens": ["c"], "tags": ["O"]}'),
            "test.jsonl": csv('{"tokens": ["x", "y"]}', '{"tokens": ["z"]}'),
        },
        {},
        [[-1, -1], [-1]],
    ),
    "words of a table": (
        "tokens",
        {
            "train.csv": csv("sentence,word,tag", "1,a,B-x", "1,b,O", "2,c,O"),
            "test.csv": csv("sentence,word", "1,x", ",y", "2,z"),
        },
        {},
        [[-1, -1], [-1]],
    ),
    "tokens of CoNLL": (
        "tokens",
        {"train.conll": csv("a B-x", "b O", "", "c O"), "test.conll": csv("x", "y", "", "z")},
        {"convert_to": "iobes"},
        [[-1, -1], [-1]],
    ),
    "tokens converted": (
        "tokens",
        {
            "train.jsonl": csv('{"tokens": ["a", "b"], "tags": ["B-x", "O"]}', '{"tokens": ["c"], "tags": ["O"]}'),
            "test.jsonl": csv('{"tokens": ["x", "y"]}', '{"tokens": ["z"]}'),
        },
        {"convert_to": "iobes"},
        [[-1, -1], [-1]],
    ),
}


@pytest.mark.parametrize(("kind", "files", "settings", "expected"), UNLABELLED.values(), ids=list(UNLABELLED))
def test_test_rows_without_a_column_of_labels_are_unlabelled(
    kind: Kind, files: Files, settings: dict[str, Any], expected: list[Any]
) -> None:
    found = read(files, kind, **settings)
    assert found.splits["test"]["tags" if kind == "tokens" else "label"][:] == expected
    assert found.findings()["no_labels"] == {"test": 2} and "conflicting_labels" not in found.findings()
    assert found.report.to_json()["splits"]["test"]["unlabelled"] == 2  # type: ignore[index,call-overload]
    assert "test" in found.report.to_markdown()
    broken = {
        ("train." if name.startswith("test.") else "test.") + name.partition(".")[2]: content
        for name, content in files.items()
    }
    with pytest.raises(DataError) as error:
        read(broken, kind, **settings)
    assert told(error).startswith("train.")


def test_a_repeat_of_a_training_text_without_a_label_is_no_conflict() -> None:
    found = read({"train.csv": csv("text,label", "a,x", "b,y"), "test.csv": csv("text", "a")}).findings()
    assert found["shared_inputs"]["train, test"] == 1 and "conflicting_labels" not in found


@pytest.mark.parametrize(
    ("name", "content", "changes"),
    [
        ("train.jsonl", csv('{"text": "x", "labels": [1, 2]}', '{"text": "y", "labels": [3, 3]}'), {}),
        ("train.csv", csv("text,labels", "x,1;2", "y,3;3"), {"label_separator": ";"}),
    ],
)
def test_a_label_that_a_text_has_twice_counts_once(name: str, content: str, changes: dict[str, Any]) -> None:
    names = {"1": "bad", "2": "bad", "3": "good"}
    found = read({name: content}, target="labels", label_names=names, **changes)
    assert found.splits["train"]["label"][:] == [[0], [1]]
    assert found.report.to_json()["splits"]["train"]["labels"] == {"bad": 1, "good": 1}  # type: ignore[index,call-overload]


def test_sets_of_labels_are_equal_in_any_order() -> None:
    rows = [f'{{"text": "t{row}", "labels": {json.dumps(["a", "b"][:: 1 if row % 2 else -1])}}}' for row in range(20)]
    one, other = ('{"text": "x", "labels": ["a", "b"]}', '{"text": "x", "labels": ["b", "a"]}')
    found = read({"train.jsonl": csv(*rows, one, other)}, target="labels")
    assert "conflicting_labels" not in found.findings()
    shuffled = csv(*(row.replace('["b", "a"]', '["a", "b"]') for row in rows))
    first, second = (
        read({"train.jsonl": text}, target="labels", max_examples=MaxExamples(train=7)).splits["train"]["text"][:]
        for text in (csv(*rows), shuffled)
    )
    assert first == second


def test_a_header_that_is_a_label_is_told() -> None:
    found = read(
        {"train.csv": csv("spam,buy now", "ham,hello", "spam,win")}, text_column="buy now", label_column="spam"
    )
    assert found.findings()["label_as_header"] == {"train": 1, "validation": 1, "test": 1}
    assert "label_as_header" not in read({"train.csv": csv("text,label", "a,x", "b,y")}).findings()


# What can't be used

BROKEN: dict[str, tuple[Files, dict[str, Any], list[str]]] = {
    "a flag of 2": (
        {"train.csv": csv("text,a,b", "x,1,0", "y,2,0")},
        FLAGS,
        ["train.csv, line 3: the column a is '2', not 0 or 1"],
    ),
    "a share for a flag": (
        {"train.csv": csv("text,a,b", "x,1,0", "y,0.5,0")},
        FLAGS,
        ["train.csv, line 3: the column a is '0.5'"],
    ),
    "a flag of null": (
        {"train.jsonl": csv('{"text": "x", "a": 1, "b": 1}', '{"text": "x", "a": 1}')},
        FLAGS,
        ["train.jsonl, line 2: the column b has nothing"],
    ),
    "a flag that is empty": (
        {"train.csv": csv("text,a,b", "x,1,0", "y,,0")},
        FLAGS,
        ["train.csv, line 3: the column a has nothing, not 0 or 1"],
    ),
    "a flag in part": (
        {"train.csv": csv("text,a,b", "x,1,0"), "test.csv": csv("text,a,b", "x,-1,0")},
        FLAGS,
        ["test.csv, line 2: a is -1"],
    ),
    "a training row of -1": (
        {"train.csv": csv("text,a,b", "x,1,0", "y,-1,-1")},
        FLAGS,
        ["train.csv, line 3: the label is -1, which means none"],
    ),
    "a column of flags missing": (
        {"train.csv": csv("text,a", "x,1")},
        FLAGS,
        ["train.csv: has no column b; set data.label_column"],
    ),
    "a column of flags missing in test": (
        {"train.csv": csv("text,a,b", "x,1,0"), "test.csv": csv("text,a", "x,1")},
        FLAGS,
        ["test.csv: has no column b"],
    ),
    "a column of flags twice": (
        {"train.csv": csv("text,a,b", "x,1,0")},
        {"target": "labels", "label_column": ["a", "A"]},
        ["names a column twice"],
    ),
    "a text for a list": (
        {"train.csv": csv("text,labels", 'x,"a,b"')},
        {"target": "labels"},
        ["train.csv, line 2: holds 'a,b'", "data.label_separator"],
    ),
    "a list for a text": (
        {"train.jsonl": csv('{"text": "x", "labels": ["a"]}')},
        SEPARATED,
        ["train.jsonl, line 1: holds ['a']", "data.label_separator=null"],
    ),
    "an unknown label in a cell": (
        {"train.csv": csv("text,labels", "x,a", 'y,"a,c"')},
        {**SEPARATED, "label_names": ["a", "b"]},
        ["train.csv, line 3: the label 'c' is not one of a, b"],
    ),
    "a label that no value stands for": (
        {"train.csv": csv("text,label", "a,1", "b,3")},
        {"label_names": {"1": "x", "2": "y"}},
        ["train.csv, line 3: the label '3' is not one of 1, 2"],
    ),
    "counted from 1 without saying so": (
        {"train.jsonl": csv('{"text": "a", "label": 1}', '{"text": "b", "label": 2}')},
        {"label_names": ["x", "y"]},
        ["train.jsonl, line 2: the label 2 is not one of the 2", "count from 0", "{1: NAME"],
    ),
    "booleans for names": (
        {"train.jsonl": csv('{"text": "a", "label": true}')},
        {"label_names": ["no", "yes"]},
        ["train.jsonl, line 1: the label 'true' is not one of no, yes"],
    ),
    "integers beside names": (
        {"train.csv": csv("text,label", "a,x", "b,1")},
        {"label_names": ["x", "y"]},
        ["train.csv, line 3: the label 1 is mixed with names"],
    ),
    "a fraction": (
        {"train.jsonl": csv('{"text": "a", "stars": 4.0}', '{"text": "b", "stars": 4.5}')},
        {},
        ["train.jsonl, line 2: the label is 4.5"],
    ),
    "no file of names": (
        {"train.csv": csv("text,label", "a,x")},
        {"label_names": "names.txt"},
        ["names.txt: there is no such file"],
    ),
    "an empty file of names": (
        {"train.csv": csv("text,label", "a,x"), "names.txt": "\n"},
        {"label_names": "names.txt"},
        ["names.txt: is empty"],
    ),
    "a gap in a file of names": (
        {"train.csv": csv("text,label", "a,x"), "names.txt": "x\n\ny\n"},
        {"label_names": "names.txt"},
        ["names.txt, line 2: is empty"],
    ),
    "a name without its integer": (
        {"train.csv": csv("text,label", "a,0"), "names.txt": "0: x\ny\n"},
        {"label_names": "names.txt"},
        ["names.txt, line 2: 'y' has no integer"],
    ),
    "an integer with two names": (
        {"train.csv": csv("text,label", "a,0"), "names.txt": "0: x\n0: y\n"},
        {"label_names": "names.txt"},
        ["names.txt, line 2: 0 has a name already"],
    ),
    "a name twice": (
        {"train.csv": csv("text,label", "a,0"), "names.txt": "x\nx\n"},
        {"label_names": "names.txt"},
        ["a label occurs twice"],
    ),
    "names that are no JSON": (
        {"train.csv": csv("text,label", "a,0"), "names.json": "[x]"},
        {"label_names": "names.json"},
        ["names.json: is not JSON"],
    ),
    "names that are numbers": (
        {"train.csv": csv("text,label", "a,0"), "names.json": '{"x": 0}'},
        {"label_names": "names.json"},
        ["names.json: expected an array of names"],
    ),
    "two texts": (
        {"train.csv": csv("review,comment,label", "a,b,x")},
        {},
        ["train.csv: columns review, comment are equally likely; set data.text_column"],
    ),
    "two labels": (
        {"train.csv": csv("text,category,class", "a,b,x")},
        {},
        ["train.csv: columns category, class are equally likely; set data.label_column"],
    ),
    "two spellings": (
        {"train.csv": csv("Text,TEXT,label", "a,b,x")},
        {},
        ["train.csv: columns Text, TEXT are equally likely"],
    ),
    "no header": (
        {"train.csv": csv("1,I liked it very much and will come again", "0,Never again.")},
        {},
        [
            "train.csv: has no column text",
            "line 1 seems to be an example and no header",
            "data.text_column=1 data.label_column=0",
        ],
    ),
    "no header, a label that recurs": (
        {"train.tsv": csv("spam\tbuy now", "ham\thello", "spam\twin")},
        {},
        ["seems to be an example and no header", "data.text_column=1 data.label_column=0"],
    ),
    "no header, equal cells": (
        {"train.csv": csv("good,good", "bad,good")},
        {},
        ["train.csv, line 1: column 'good' occurs twice", "seems to be an example"],
    ),
    "a header of other names": (
        {"train.csv": csv("mot,genre", "a,x", "b,y")},
        {},
        ["train.csv: has no column text", "set data.text_column to one of its columns: mot, genre"],
    ),
    "names and places": (
        {"train.csv": csv("a,b,x")},
        {**PLACES, "group_column": "who"},
        ["train.csv: columns are given by name (who) and by position (0)"],
    ),
    "integers as the names of labels": (
        {"train.csv": csv("text,label", "a,0", "b,1")},
        {"label_names": {"neg": "0", "pos": "1"}},
        ["data.label_names=", "maps names to integers; write what each stands for, such as {0: neg}"],
    ),
    "a label of test in another of train's columns": (
        {"train.csv": csv("text,label,score", "a,1,0", "b,0,1"), "test.csv": csv("text,score", "c,0")},
        {},
        ["test.csv: column 'score' would be used as 'label' is in train", "set data.label_column"],
    ),
    "a text of test in another of train's columns": (
        {"train.csv": csv("title,text,label", "t,a,1", "u,b,0"), "test.csv": csv("title,label", "c,0")},
        {},
        ["test.csv: column 'title' would be used as 'text' is in train", "set data.text_column"],
    ),
    "a place from the end, without labels": (
        {"train.csv": csv("a,5,x", "b,6,y"), "test.csv": csv("c,7")},
        {"text_column": 0, "label_column": -1},
        ["test.csv: column '1' would be used as '2' is in train"],
    ),
    "a text that would be its label": (
        {"train.csv": csv("a,x", "b,y"), "test.csv": csv("c", "d")},
        {"text_column": 0, "label_column": -1},
        ["test.csv: column 0 can't be both text and label"],
    ),
    "a place too far": (
        {"train.csv": csv("a,x")},
        {"text_column": 0, "label_column": 1, "pair_column": 2},
        ["train.csv: data.pair_column=2, but there are 2 columns"],
    ),
    "a nameless column that is filled": (
        {"train.csv": csv("text,label,", "a,x,", "b,y,more")},
        {},
        ["train.csv, line 3: column 3 holds 'more' and has no name"],
    ),
    "sep= alone": ({"train.csv": "sep=;\n"}, {}, ["train.csv: is empty"]),
    "too few fields behind sep=": (
        {"train.csv": csv("sep=;", "text;label", "a;x", "b")},
        {},
        ["train.csv, line 4: has 1 fields"],
    ),
    "too few fields between bars": (
        {"train.csv": csv("text|label", "a|x", "b")},
        {},
        ["train.csv, line 3: has 1 fields"],
    ),
    "pairs reversed": (
        {"train.json": json.dumps([["pos", "a"], ["pos", "b"], ["neg", "c"]])},
        {},
        ["train.json: its rows seem to be [label, text]", "data.text_column=1"],
    ),
    "a pair of three": (
        {"train.json": json.dumps([["a", "x"], ["b", "y", "z"]])},
        {},
        ["train.json, row 2: has 3 values where those before it have 2"],
    ),
    "an object beside pairs": (
        {"train.jsonl": csv('["a", "x"]', '{"text": "b", "label": "y"}')},
        {},
        ["train.jsonl, line 2: is an object, not an array"],
    ),
    "a pair without a label": (
        {"train.json": json.dumps([["a", "x"], ["b", None]])},
        {},
        ["train.json, row 2: has no label"],
    ),
    "splits of other names": (
        {"train.json": json.dumps({"test": [["a", "x"]], "dev": [["b", "y"]]})},
        {},
        ["train.json: holds lists test, dev, and one of train, training was expected"],
    ),
    "no label in validation": (
        {"train.csv": csv("text,label", "a,x", "b,y"), "validation.csv": csv("text", "a")},
        {},
        ["validation.csv: has no column label"],
    ),
    "an empty label in test": (
        {"train.csv": csv("text,label", "a,x", "b,y"), "test.csv": csv("text,label", "a,")},
        {},
        ["test.csv, line 2: the label is empty"],
    ),
    "an infinite number": (
        {"train.parquet": parquet(text=["a", "b"], label=[1.0, math.inf])},
        {"target": "labels", "label_separator": ","},
        ["train.parquet, row 2: holds inf, not labels with ',' between"],
    ),
    "ids that are lists": (
        {"train.parquet": parquet(id=[["a"], ["b"]], text=["a", "b"], label=["x", "y"])},
        {},
        ["train.parquet, row 1: the id is list<", "neither text nor an integer; choose another column"],
    ),
    "ids that are bytes": (
        {"train.parquet": parquet(id=[b"\xff", b"\xfe"], text=["a", "b"], label=["x", "y"])},
        {},
        ["train.parquet, row 1: the id is binary, neither text nor an integer"],
    ),
    "bytes to keep": (
        {
            "train.parquet": parquet(
                text=["a", "b"], label=["x", "y"], more=pa.array([b"a", b"\xff"], pa.large_binary())
            )
        },
        {"keep_columns": ["more"]},
        ["train.parquet, row 1: more is b'a', not one value; leave it out of data.keep_columns"],
    ),
    "everything ignored": (
        {"train.csv": csv("text,label", "a,-", "b,-")},
        {"ignore_labels": ["-"]},
        ["train (train.csv): holds no examples"],
    ),
}


@pytest.mark.parametrize(("files", "settings", "expected"), BROKEN.values(), ids=list(BROKEN))
def test_what_can_not_be_used_is_told_in_one_line(files: Files, settings: dict[str, Any], expected: list[str]) -> None:
    with pytest.raises(DataError) as error:
        read(files, **settings)
    assert [words for words in expected if words not in told(error)] == [], told(error)
