"""Rows of the test split that nobody has annotated are taken as such, in whatever form; those of train are refused."""

import json
import zlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import msgpack
import numpy as np
import pytest

from stages.configuration.schema import FilesData
from stages.pipeline.errors import DataError
from tests.support.canonical_data import Made, made_of
from tests.support.docbin import BY_SPACY, changed
from tests.support.tables import written
from tests.support.told import told


def lines(*found: object) -> str:
    return "".join(json.dumps(row) + "\n" for row in found)


def tokens(*words: str) -> list[dict[str, Any]]:
    """Words as Prodigy lists them, of a text that has a space between two."""
    starts = [sum(len(word) + 1 for word in words[:place]) for place in range(len(words))]
    return [{"text": word, "start": start, "end": start + len(word)} for word, start in zip(words, starts, strict=True)]


def studio(text: str, *annotations: object) -> dict[str, Any]:
    return {"data": {"text": text}, "annotations": list(annotations)}


def result(kind: str, value: Mapping[str, object]) -> dict[str, Any]:
    return {"result": [{"from_name": "it", "type": kind, "value": dict(value)}]}


def paragraph(*words: str, tag: str | None, cats: list[dict[str, Any]] | None = None) -> dict[str, Any]:
    found = [{"orth": word} if tag is None else {"orth": word, "ner": tag} for word in words]
    return {"sentences": [{"tokens": found}], **({} if cats is None else {"cats": cats})}


PER = result("labels", {"start": 0, "end": 3, "labels": ["PER"]})
POS, NEG = (result("choices", {"choices": [name]}) for name in ("pos", "neg"))
UNSAID = lines({"text": "Lo ran"}, {"text": "it's", "id": 7})
SAID = [["Lo", "ran"], ["it", "'", "s"]]
BY_WORDS = [["Lo", "ran"], ["it's"]]


def docbin(**changes: Any) -> bytes:
    """What spaCy wrote, of which every word's `ENT_IOB` is missing."""
    content = msgpack.unpackb(zlib.decompress(BY_SPACY))
    attributes = list(content["attrs"])
    words = np.frombuffer(content["tokens"], np.uint64).reshape(-1, len(attributes)).copy()
    words[:, attributes.index(77)] = 0  # ENT_IOB
    return changed(tokens=words.tobytes(), **changes)


FORMS: dict[str, tuple[dict[str, str | bytes], dict[str, str | bytes], list[list[str]]]] = {
    "doccano": (
        {"a.jsonl": lines({"text": "Ana is", "label": [[0, 3, "PER"]]}, {"text": "no", "label": []})},
        {"b.jsonl": UNSAID}, SAID,
    ),
    "doccano, null": (
        {"a.jsonl": lines({"text": "Ana is", "label": [[0, 3, "PER"]]}, {"text": "no", "label": []})},
        {"b.jsonl": lines({"text": "Lo ran", "label": None}, {"text": "it's", "label": None})}, SAID,
    ),
    "Prodigy": (
        {"a.jsonl": lines(
            {"text": "no one", "tokens": tokens("no", "one"), "answer": "accept"},
            {"text": "Ana is", "tokens": tokens("Ana", "is"), "spans": [{"start": 0, "end": 3, "label": "PER"}]},
        )},
        {"b.jsonl": lines(
            {"text": "Lo ran", "tokens": tokens("Lo", "ran")}, {"text": "it's", "tokens": tokens("it's")}
        )}, BY_WORDS,
    ),
    "spaCy 2": (
        {"a.json": json.dumps([["Ana is", {"entities": [[0, 3, "PER"]]}], ["no", {"entities": []}]])},
        {"b.json": json.dumps([{"text": "Lo ran"}, {"text": "it's"}])}, SAID,
    ),
    "Label Studio": (
        {"a.json": json.dumps([studio("Ana is", PER), studio("no", {"result": []})])},
        {"b.json": json.dumps([studio("Lo ran"), studio("it's", {"was_cancelled": True, "result": []})])}, SAID,
    ),
    "Label Studio's import": (
        {"a.json": json.dumps([studio("Ana is", PER), studio("no", {"result": []})])},
        {"b.json": json.dumps([{"data": {"text": "Lo ran"}}, {"data": {"text": "it's"}}])}, SAID,
    ),
    "brat": (
        {"a.txt": "Ana is\nno one", "a.ann": "T1\tPER 0 3\tAna\n"}, {"b.txt": "Lo ran\n\nit's\n"}, SAID,
    ),
    "folders of brat": (
        {"a/1.txt": "Ana is\nno one", "a/1.ann": "T1\tPER 0 3\tAna\n"}, {"b/1.txt": "Lo ran", "b/2.txt": "it's\n"}, SAID,
    ),
    "spaCy's JSON": (
        {"a.json": json.dumps([{"id": 0, "paragraphs": [paragraph("Ana", tag="U-PER"), paragraph("no", tag="O")]}])},
        {"b.json": json.dumps(
            [{"id": 0, "paragraphs": [paragraph("Lo", "ran", tag="-"), paragraph("it's", tag=None)]}]
        )}, BY_WORDS,
    ),
    "DocBin": (
        {"a.spacy": BY_SPACY}, {"b.spacy": docbin()},
        [["Zoë", "Brandt", "marks", "the", "case", "in", "Łódź", "."], ["Blue", "Harbour", "opened", "."],
         ["Nobody", "looked", "."], ["Kim", "or", "Lee"], ["ORG", "neg", "日本"]],
    ),
    "a word a row": (
        {"a.csv": "Sentence #,Word,POS,Tag\n1,Ana,NN,B-PER\n,is,VB,O\n2,no,DT,O\n"},
        {"b.csv": "Sentence #,Word\n1,Lo\n,ran\n2,it's\n"}, BY_WORDS,
    ),
}  # fmt: skip
"""Files of train and of test, and the words of test."""


def made(folder: Path, train: dict[str, Any], test: dict[str, Any], kind: str = "tokens", **settings: Any) -> Made:
    for name, content in {**train, **test}.items():
        written(folder, name, content)
    place, other = (str(folder / next(iter(files)).partition("/")[0]) for files in (train, test))
    options = {"validation_fraction": 0.4, "fail_on": "never", **settings}
    return made_of(FilesData(name="a", kind=kind, source="files", train=place, test=other, **options))


@pytest.mark.parametrize("form", FORMS)
def test_words_without_spans_are_taken_without_tags(form: str, tmp_path: Path) -> None:
    train, test, expected = FORMS[form]
    found = made(tmp_path, train, test)
    assert found.splits["test"]["tokens"][:] == expected
    assert found.splits["test"]["tags"][:] == [[-1] * len(words) for words in expected]
    assert found.findings()["no_labels"] == {"test": len(expected)}


@pytest.mark.parametrize("form", FORMS)
def test_train_without_spans_is_refused(form: str, tmp_path: Path) -> None:
    train, test, _ = FORMS[form]
    with pytest.raises(DataError) as error:
        made(tmp_path, test, train, fail_on="error")
    assert f"{tmp_path}/b" in told(error) or "the same label" in told(
        error
    )  # Prodigy leaves out spans where there are none


TEXTS: dict[str, tuple[dict[str, str | bytes], dict[str, str | bytes]]] = {
    "Label Studio": (
        {"a.json": json.dumps([studio("fine", POS), studio("bad", NEG)])},
        {"b.json": json.dumps([studio("so"), studio("la")])},
    ),
    "Label Studio's import": (
        {"a.json": json.dumps([studio("fine", POS), studio("bad", NEG)])},
        {"b.json": json.dumps([{"data": {"text": "so"}}, {"data": {"text": "la"}}])},
    ),
    "spaCy's JSON": (
        {"a.json": json.dumps([{"paragraphs": [
            paragraph("fine", tag=None, cats=[{"label": "pos", "value": 1}]),
            paragraph("bad", tag=None, cats=[{"label": "neg", "value": 1}]),
        ]}])},
        {"b.json": json.dumps([{"paragraphs": [paragraph("so", tag=None), paragraph("la", tag=None)]}])},
    ),
    "DocBin": (
        {"a.spacy": changed(cats=[{"pos": 1}, {"neg": 1}] * 2 + [{"pos": 1}])}, {"b.spacy": changed(cats=[{}] * 5)},
    ),
}  # fmt: skip


@pytest.mark.parametrize("form", TEXTS)
def test_texts_that_nobody_has_annotated_are_taken_without_labels(form: str, tmp_path: Path) -> None:
    found = made(tmp_path, *TEXTS[form], kind="text")
    texts = found.splits["test"]["text"][:]
    assert texts == ["so", "la"] or (texts[2:4] == ["Nobody looked.", "Kim or Lee"] and form == "DocBin")
    assert found.splits["test"]["label"][:] == [-1] * len(texts)


@pytest.mark.parametrize("form", TEXTS)
def test_train_of_texts_without_labels_is_refused(form: str, tmp_path: Path) -> None:
    train, test = TEXTS[form]
    with pytest.raises(DataError) as error:
        made(tmp_path, test, train, kind="text")
    assert f"{tmp_path}/b." in told(error)


def test_a_task_among_others_may_lack_annotations_in_test(tmp_path: Path) -> None:
    train = {"a.json": json.dumps([studio("Ana is", PER), studio("no", {"result": []})])}
    words = made(tmp_path, train, {"b.json": json.dumps([studio("Ana ran"), studio("Ana", PER)])})
    assert words.splits["test"]["tags"][:] == [[-1, -1], [1]]
    train = {"a.json": json.dumps([studio("fine", POS), studio("bad", NEG)])}
    texts = made(tmp_path, train, {"b.json": json.dumps([studio("so"), studio("la", POS)])}, kind="text")
    assert texts.splits["test"]["label"][:] == [-1, 1] and texts.findings()["unlabelled"] == {"test": 1}


def test_no_other_column_of_a_table_of_words_is_taken_for_its_tags(tmp_path: Path) -> None:
    train = {"a.csv": "Sentence #,Word,POS,Tag\n1,Ana,NN,B-PER\n,is,VB,O\n2,no,DT,O\n"}
    test = {"b.csv": "Sentence #,Word,POS\n1,Lo,NN\n,ran,VB\n2,it's,DT\n"}
    with pytest.raises(DataError) as error:
        made(tmp_path, train, test)
    assert "b.csv: column 'POS' would be used as 'Tag' is in train" in told(error)
    assert "set data.label_column" in told(error)
    found = made(tmp_path, train, test, label_column="Tag")
    assert found.splits["test"]["tokens"][:] == BY_WORDS and found.findings()["no_labels"] == {"test": 2}
