"""New data are labelled as the test split is, in every form, and a killed run run the same command to continue."""

import csv
import io
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from datasets import load_from_disk

from stages.configuration.schema import FilesData
from stages.modeling.prediction import predict
from stages.pipeline.errors import BusyError, DataError
from stages.predict import job
from stages.predict.inputs import InputOptions, read_inputs
from stages.predict.job import Job, parts_of
from stages.predict.output_rows import OutputOptions
from stages.predict.predictor import PredictionOptions, Predictor
from stages.reporting.summary import summary
from tests.support.canonical_data import made_of
from tests.support.exported_runs import TASKS, rows_of
from tests.support.imports import ROOT

_SPLITS = ("train", "validation", "test")
pytestmark = [pytest.mark.usefixtures("one_thread")]


@pytest.fixture(scope="module")
def runs(exported_runs: Mapping[str, Path]) -> Mapping[str, Path]:
    return exported_runs


def run(root: Path, *arguments: str, code: int = 0, stdin: str = "") -> str:
    """The command as a user gives it. Returns what it printed."""
    done = subprocess.run(
        [sys.executable, "-m", "stages.predict", *arguments],
        cwd=root,
        input=stdin,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == code, done.stderr
    return done.stdout + done.stderr


def called(root: Path, *arguments: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The same in this process, which has imported everything."""
    from stages.predict.__main__ import main

    monkeypatch.chdir(root)
    monkeypatch.setattr(sys, "argv", ["predict", *arguments])
    main()


def lines_of(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


# The same predictions


@pytest.mark.parametrize("task", TASKS)
def test_the_test_splits_inputs_get_the_predictions_that_evaluate_made(task: str, runs: Mapping[str, Path]) -> None:
    root = runs[task]
    raw, expected = load_from_disk(str(root / "data/raw/test")), pq.read_table(root / "data/predictions/test.parquet")
    predictor = Predictor(root / "models/export", PredictionOptions(runtime="torch", precision="fp32"))
    if task == "tokens":
        found = predictor.label_words(raw["tokens"][:])
    else:
        found = predictor.label_texts(raw["text"][:], raw["text_pair"][:] if task == "pairs" else None)
    assert found.num_rows == expected.num_rows
    rows = load_from_disk(str(root / "data/tokenized/test"))
    assert len(rows) > len(raw), "some examples take several windows"
    for column in found.column_names:
        assert found[column].combine_chunks().equals(expected[column].combine_chunks()), column
    assert (
        {"predicted"} <= set(found.column_names) == set(expected.column_names) & {"predicted", "score", "probabilities"}
    )


def test_tags_are_decoded_as_evaluated_or_as_asked_for(
    runs: Mapping[str, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    root = runs["tokens"]
    expected, words = pq.read_table(root / "data/predictions/test.parquet"), load_from_disk(str(root / "data/raw/test"))
    for decode, column in (("viterbi", "predicted"), ("argmax", "argmax")):
        options = PredictionOptions("torch", precision="fp32", decode=decode)
        found = Predictor(root / "models/export", options).label_words(words["tokens"][:])
        assert found["predicted"].combine_chunks().equals(expected[column].combine_chunks())
    assert expected["predicted"] != expected["argmax"], "some of the most probable tags are not well-formed"
    measured = json.loads((root / "metrics/evaluate.json").read_text())
    assert {"conll", "strict"} == measured["argmax"].keys() and "strict" in measured
    monkeypatch.chdir(root)
    for mode, by_argmax in measured["argmax"].items():
        by_viterbi = measured["f1"] if mode == "conll" else measured[mode]["f1"]
        assert f"{mode} f1 on test: {by_viterbi:.4f} by viterbi, {by_argmax['f1']:.4f} by argmax" in summary()
    assert "Viterbi" in (root / "models/export/README.md").read_text()


def test_an_older_export_decodes_by_argmax_alone(
    runs: Mapping[str, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    older = tmp_path / "older"
    shutil.copytree(runs["tokens"] / "models/export", older)
    (older / "tag_scheme.json").unlink()
    settings = json.loads((older / "prediction_settings.json").read_text())
    del settings["task"]["decode"]
    (older / "prediction_settings.json").write_text(json.dumps(settings))
    (tmp_path / "in.txt").write_text("the order was never great in paris\n", encoding="utf-8")
    given = [str(tmp_path / "in.txt"), "--model", str(older), "--out"]
    called(tmp_path, *given, str(tmp_path / "older.jsonl"), monkeypatch=monkeypatch)
    newer = ["--model", str(runs["tokens"] / "models/export"), "--decode", "argmax"]
    called(tmp_path, *given[:1], *newer, "--out", str(tmp_path / "newer.jsonl"), monkeypatch=monkeypatch)
    assert lines_of(tmp_path / "older.jsonl") == lines_of(tmp_path / "newer.jsonl")
    with pytest.raises(SystemExit):
        called(tmp_path, *given, str(tmp_path / "x.jsonl"), "--decode", "viterbi", monkeypatch=monkeypatch)
    (line,) = [line for line in capsys.readouterr().err.splitlines() if line.startswith("error: ")]
    assert "tag_scheme.json: is missing" in line and "decode by argmax" in line
    assert not (tmp_path / "x.jsonl").exists()


def test_chunks_of_any_size_give_the_same_rows(
    runs: Mapping[str, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    outputs = []
    for rows in (1, 5, 1000):
        monkeypatch.setattr(job, "_ROWS", rows)
        monkeypatch.setattr("stages.sources.readers.table_file.BATCH", 3)
        out = tmp_path / f"{rows}.jsonl"
        called(
            runs["text"], str(runs["text"] / "test.jsonl"), "--out", str(out), "--threads", "1", monkeypatch=monkeypatch
        )
        outputs.append(lines_of(out))
    for other in outputs[1:]:
        for first, second in zip(outputs[0], other, strict=True):
            assert first["predicted_label"] == second["predicted_label"]
            assert first["score"] == pytest.approx(second["score"], abs=1e-5)


def test_onnx_gives_what_torch_gives(runs: Mapping[str, Path]) -> None:
    texts = [row["text"] for row in rows_of("text", 21, 2)]
    first, second = (
        Predictor(runs["text"] / "models/export", PredictionOptions(runtime=runtime, precision="fp32")).label_texts(
            texts
        )
        for runtime in ("torch", "onnx")
    )
    assert first["predicted"].equals(second["predicted"])
    assert first["score"].to_pylist() == pytest.approx(second["score"].to_pylist(), abs=1e-4)


# Forms


def _written(form: str, folder: Path, texts: list[str]) -> tuple[Path, list[str]]:
    """Texts in a form, and further arguments."""
    rows = [{"id": str(place), "text": text} for place, text in enumerate(texts)]
    path = folder / f"input.{form}"
    match form:
        case "csv" | "tsv":
            with path.open("w", encoding="utf-8", newline="") as file:
                writer = csv.DictWriter(file, ["id", "text"], delimiter="," if form == "csv" else "\t")
                writer.writeheader()
                writer.writerows(rows)
        case "jsonl":
            path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
        case "json":
            path.write_text(json.dumps(rows), encoding="utf-8")
        case "parquet":
            pq.write_table(pa.Table.from_pylist(rows), path)
        case "txt":
            path.write_text("\n".join(texts), encoding="utf-8")
        case "folder":
            path.mkdir()
            for place, text in enumerate(texts):
                (path / f"{place}.txt").write_text(text, encoding="utf-8")
    return path, []


@pytest.mark.parametrize("form", ["csv", "tsv", "jsonl", "json", "parquet", "txt", "folder"])
@pytest.mark.parametrize("task", ["text", "tokens"])
def test_every_form_gives_the_same_predictions_beside_its_own_columns(
    task: str, form: str, runs: Mapping[str, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    texts = ["My order, never great!", "Paris: the city of Zoë", "x", "the team\u200b was in paris"]
    path, more = _written(form, tmp_path, texts)
    out = tmp_path / "out.jsonl"
    called(runs[task], str(path), "--out", str(out), "--threads", "1", *more, monkeypatch=monkeypatch)
    rows = lines_of(out)
    assert [row["text"] for row in rows] == texts
    own = {"folder": {"file", "text"}, "txt": {"text"}}.get(form, {"id", "text"})
    added = {"label", "score"} if task == "text" else {"entities", "tags", "scores"}
    assert all(row.keys() == own | added for row in rows)
    predictor = Predictor(
        runs[task] / "models/export", PredictionOptions(runtime="torch" if task == "tokens" else "auto")
    )
    if task == "text":
        assert [row["label"] for row in rows] == predictor.label_texts(texts)["predicted"].to_pylist()
    for row in rows:
        for entity in row.get("entities", []):
            assert row["text"][entity["start"] : entity["end"]] == entity["text"] != ""
    assert not list(tmp_path.glob("*.partial"))


def test_longer_rows_than_were_tried_in_bf16_are_tried_too(
    runs: Mapping[str, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The first texts may be short, and a model compute only short rows in bf16."""
    tried, used = list[int](), list[str]()

    def usable(wanted: str, model: Any, batch: Mapping[str, Any], *, training: bool) -> str:
        tried.append(batch["input_ids"].shape[1])
        return "bf16" if tried[-1] < 10 else "fp32"

    def predicted(model: Any, split: Any, collate: Any, *, batch_size: int, precision: str) -> Any:
        used.append(precision)
        return predict(model, split, collate, batch_size=batch_size, precision="fp32")

    monkeypatch.setattr("stages.predict.predictor.usable_precision", usable)
    monkeypatch.setattr("stages.predict.predictor.predict", predicted)
    predictor = Predictor(runs["text"] / "models/export", PredictionOptions(runtime="torch"))
    for text in ("a", "a", "a " * 20, "a " * 30, "a"):
        predictor.label_texts([text])
    assert used == ["bf16", "bf16", "fp32", "fp32", "fp32"] and len(tried) == 2


def test_conll_keeps_its_lines_and_gains_a_column(
    runs: Mapping[str, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "in.conll").write_text("Paris\tNNP\nis\tVBZ\n\n\nZoë\tNNP\n", encoding="utf-8")
    out = tmp_path / "out.conll"
    called(runs["tokens"], str(tmp_path / "in.conll"), "--out", str(out), monkeypatch=monkeypatch)
    lines = out.read_text(encoding="utf-8").splitlines()
    assert [line.rpartition("\t")[0] for line in lines] == ["Paris\tNNP", "is\tVBZ", "", "Zoë\tNNP", ""]
    labels = json.loads((runs["tokens"] / "models/export/config.json").read_text())["id2label"].values()
    assert {line.rpartition("\t")[2] for line in lines} - {""} <= set(labels)


_OF_WORDS = {
    "pandas.csv": "tokens,tags\n\"['Ada', 'wrote']\",\"['B-PER', 'O']\"\n\"['Paris']\",\"['B-LOC']\"\n",
    "numpy.csv": "tokens,tags\n\"['Ada' 'wrote']\",\"['B-PER' 'O']\"\n\"['Paris']\",\"['B-LOC']\"\n",
    "lists.tsv": 'tokens\ttags\n["Ada", "wrote"]\t["B-PER", "O"]\n["Paris"]\t["B-LOC"]\n',
    "joined.csv": "tokens,tags\nAda\u00a0L. wrote,B-PER O\n[ Paris ],O B-LOC O\n",
    "documents.conll": "-DOCSTART- -X- O\n\nAda NNP B-PER\nwrote VB O\n\n-DOCSTART- -X- O\n\nParis NNP B-LOC\n",
    "comments.conll": "# id 1\nAda NNP B-PER\n#yes NN O\n\n# id 2\nParis NNP B-LOC\n",
    "aligned.conll": " Ada   NNP  B-PER\r\n wrote VB   O\r\n\r\nParis  NNP B-LOC\r\n",
    "numbered.conll": "1\tAda\tB-PER\tO\n2\twrote\tO\tO\n\n1\tParis\tB-LOC\tO\n",
    "wikiann.bio": "en:Ada B-PER\nen:wrote O\n\nen:Paris B-LOC\n",
    "first.bio": "B-PER\tAda\nO\twrote\n\nB-LOC\tParis\n",
    "ud.conllu": "# text = Zoë\n1-2\tdu\t_\t_\t_\t_\t_\t_\t_\t_\n"
    + "".join(f"{number}\t{word}\t_\tNOUN\t_\t_\t0\t_\t_\t_\n" for number, word in enumerate(("de", "le"), 1)),
    "ud.conll": "# text = Ada\n1\tAda\t_\tPROPN\t_\t_\t0\t_\t_\t_\n2\tist\t_\tVERB\t_\t_\t0\t_\t_\t_\n",
    "entities.txt": "Ada B-PER\nwrote O\n\nParis B-LOC\n",
    "documents.txt": "-DOCSTART- O\n\nAda NNP\nwrote VB\n\nParis NNP\n",
    "entities.tsv": "Ada\tB-PER\nNew York\tB-LOC\n\nParis\tB-LOC\nis\tO\n",
}


@pytest.mark.parametrize("name", _OF_WORDS)
def test_words_are_those_that_download_reads(name: str, tmp_path: Path) -> None:
    path = tmp_path / name
    path.write_text(_OF_WORDS[name], encoding="utf-8", newline="")
    config = FilesData(name="made", kind="tokens", source="files", fail_on="never", **dict.fromkeys(_SPLITS, str(path)))
    found = [
        words for inputs in read_inputs(path, InputOptions("tokens", of_words=True)) for words in inputs.words or ()
    ]
    assert found == made_of(config).splits["test"]["tokens"][:]


@pytest.mark.parametrize("text", ["we took the I-95", "a\rb O\nc B-x", "blood type O"])
def test_texts_that_end_like_tags_are_texts(text: str, tmp_path: Path) -> None:
    (tmp_path / "in.txt").write_text(text, newline="")
    (inputs,) = read_inputs(tmp_path / "in.txt", InputOptions("tokens", of_words=True))
    assert inputs.texts == text.split("\n")


def test_lines_of_conll_that_hold_no_word_are_left_out(tmp_path: Path) -> None:
    for name, lines in {
        "documents.conll": [["Ada NNP B-PER", "wrote VB O"], ["Paris NNP B-LOC"]],
        "comments.conll": [["Ada NNP B-PER", "#yes NN O"], ["Paris NNP B-LOC"]],
        "ud.conllu": [[f"{number}\t{word}\t_\tNOUN\t_\t_\t0\t_\t_\t_" for number, word in ((1, "de"), (2, "le"))]],
    }.items():
        (tmp_path / name).write_text(_OF_WORDS[name], encoding="utf-8")
        (inputs,) = read_inputs(tmp_path / name, InputOptions("tokens", of_words=True))
        assert inputs.lines == lines


@pytest.mark.parametrize(("column", "after"), [("1", ""), ("-1", ""), ("-2", " B"), ("1", " B"), ("-3", " B I")])
def test_words_may_stand_in_any_column(column: str, after: str, tmp_path: Path) -> None:
    (tmp_path / "in.conll").write_text(f"NNP Paris{after}\nVBZ is{after}\n", encoding="utf-8")
    (inputs,) = read_inputs(tmp_path / "in.conll", InputOptions("tokens", of_words=True, text_column=column))
    assert (inputs.words, inputs.lines) == ([["Paris", "is"]], [[f"NNP Paris{after}", f"VBZ is{after}"]])


def test_labels_of_fasttext_are_no_text(tmp_path: Path) -> None:
    path = tmp_path / "in.txt"
    path.write_text("__label__a fine\n__label__a __label__b more\nbare\n", encoding="utf-8")
    (found,) = read_inputs(path, InputOptions("text", of_words=False))
    assert (found.texts, found.own["label"]) == (["fine", "more", "bare"], [["a"], ["a", "b"], []])
    (found,) = read_inputs(path, InputOptions("text", of_words=False, format="text"))
    assert found.texts == path.read_text(encoding="utf-8").splitlines()


@pytest.mark.parametrize("cell", ["\"['Ada', 'wrote\"", '"[1, 2]"'])
def test_a_list_of_words_that_is_none_is_told(cell: str, tmp_path: Path) -> None:
    (tmp_path / "in.csv").write_text(f"tokens\nfine\n{cell}\n")
    with pytest.raises(DataError, match=r"in\.csv, line 3: tokens holds .*, not words; correct it"):
        list(read_inputs(tmp_path / "in.csv", InputOptions("tokens", of_words=True)))


def test_conll_holds_words_with_spaces_and_no_others(
    runs: Mapping[str, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "out.conll"
    for word, is_held in (("New York", True), ("New\tYork", False), ("New\nYork", False), ("", False), (" ", False)):
        (tmp_path / "in.jsonl").write_text(json.dumps({"tokens": ["in", word]}) + "\n", encoding="utf-8")
        given = [str(tmp_path / "in.jsonl"), "--out", str(out)]
        if is_held:
            called(runs["tokens"], *given, monkeypatch=monkeypatch)
            (inputs,) = read_inputs(out, InputOptions("tokens", of_words=True))
            assert inputs.words == [["in", word]]
            out.unlink()
            continue
        with pytest.raises(SystemExit):
            called(runs["tokens"], *given, monkeypatch=monkeypatch)
        assert f"line 1: CoNLL can't hold the word {word!r}" in capsys.readouterr().err and not out.exists()


@pytest.mark.parametrize("format", ["doccano", "label-studio"])
def test_annotation_tools_get_spans_of_characters(
    format: str, runs: Mapping[str, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    sentences = load_from_disk(str(runs["tokens"] / "data/raw/train"))["tokens"][:]
    (tmp_path / "in.txt").write_text("".join(f"  {' '.join(words)}\n" for words in sentences), encoding="utf-8")
    monkeypatch.setattr(job, "_ROWS", 1)
    monkeypatch.setattr("stages.sources.readers.table_file.BATCH", 10)
    out = tmp_path / "out.json"
    called(runs["tokens"], str(tmp_path / "in.txt"), "--out", str(out), "--out-format", format, monkeypatch=monkeypatch)
    if format == "doccano":
        spans = [(row["text"], *span) for row in lines_of(out) for span in row["label"]]
    else:
        tasks = json.loads(out.read_text(encoding="utf-8"))
        values = [(task, each["value"]) for task in tasks for each in task["predictions"][0]["result"]]
        spans = [(task["data"]["text"], value["start"], value["end"], value["labels"][0]) for task, value in values]
        assert all(task["data"]["text"][value["start"] : value["end"]] == value["text"] for task, value in values)
    assert spans and all(0 <= start < end <= len(text) for text, start, end, _ in spans)


@pytest.mark.parametrize("format", ["doccano", "label-studio"])
def test_annotation_tools_get_what_is_predicted_beside_what_was_annotated(
    format: str, runs: Mapping[str, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    own = {
        "text": "the order in paris",
        "entities": [{"start": 0, "end": 3, "label": "GOLD"}],
        "tags": ["mine"],
        "label": 1,
    }
    (tmp_path / "in.jsonl").write_text(json.dumps(own) + "\n", encoding="utf-8")
    given = [str(tmp_path / "in.jsonl"), "--out-format", format, "--out"]
    called(runs["tokens"], *given, str(tmp_path / "out.json"), monkeypatch=monkeypatch)
    called(runs["tokens"], *given[:1], "--out", str(tmp_path / "out.jsonl"), monkeypatch=monkeypatch)
    (expected,) = lines_of(tmp_path / "out.jsonl")
    spans = [[each["start"], each["end"], each["label"]] for each in expected["predicted_entities"]]
    if format == "doccano":
        (row,) = lines_of(tmp_path / "out.json")
        assert row == {**own, "own_label": 1, "label": spans}
    else:
        (task,) = json.loads((tmp_path / "out.json").read_text())
        values = [each["value"] for each in task["predictions"][0]["result"]]
        assert task["data"] == own
        assert [[each["start"], each["end"], *each["labels"]] for each in values] == spans
    (tmp_path / "in.jsonl").write_text(json.dumps({"tokens": ["the", "order"]}) + "\n", encoding="utf-8")
    with pytest.raises(SystemExit):
        called(runs["tokens"], *given, str(tmp_path / "no.json"), monkeypatch=monkeypatch)
    assert f"line 1: holds words and not their text, in which {format} marks characters" in capsys.readouterr().err


def test_probabilities_labels_and_numbers(
    runs: Mapping[str, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "in.txt").write_text("the order was bad\nparis\n", encoding="utf-8")
    for task, expected in {
        "text": {"text", "label", "score", "probability:neg", "probability:pos"},
        "multilabel": {"text", "label", "score", "probability:a", "probability:b", "probability:c"},
        "regression": {"text", "label"},
    }.items():
        for suffix in ("csv", "parquet", "jsonl"):
            out = tmp_path / f"{task}.{suffix}"
            called(runs[task], str(tmp_path / "in.txt"), "--out", str(out), "--probabilities", monkeypatch=monkeypatch)
        rows = lines_of(tmp_path / f"{task}.jsonl")
        assert all(row.keys() == expected for row in rows)
        assert pq.read_table(tmp_path / f"{task}.parquet").to_pylist() == rows
        assert set(next(csv.reader((tmp_path / f"{task}.csv").read_text(encoding="utf-8").splitlines()))) == expected
        if task == "multilabel":
            threshold = json.loads((runs[task] / "models/export/threshold.json").read_text())["threshold"]
            for row in rows:
                assert row["label"] == [name for name in "abc" if row[f"probability:{name}"] >= threshold]


def test_standard_input_and_output(runs: Mapping[str, Path]) -> None:
    printed = run(runs["text"], "-", "--out", "-", stdin="the order was bad\nparis\n")
    assert [json.loads(line)["text"] for line in printed.splitlines() if line.startswith("{")] == [
        "the order was bad",
        "paris",
    ]


def test_values_come_back_as_they_were(
    runs: Mapping[str, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What CSV could mistake, and keys that only a later row has."""
    rows = [
        {"text": "late\rparcel", "id": "007", "label": "mine", "score": "", "probability:pos": "keep"},
        {
            "text": 'a "quote", and\nmore',
            "id": "NA",
            "label": "",
            "score": "x\ry",
            "probability:pos": "",
            "later": "here",
        },
    ]
    (tmp_path / "in.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    for suffix in ("csv", "tsv", "jsonl", "parquet"):
        out = tmp_path / f"out.{suffix}"
        called(runs["text"], str(tmp_path / "in.jsonl"), "--out", str(out), "--probabilities", monkeypatch=monkeypatch)
        if suffix == "parquet":
            found = pq.read_table(out).to_pylist()
        elif suffix == "jsonl":
            found = lines_of(out)
        else:
            with out.open(encoding="utf-8", newline="") as file:
                found = list(csv.DictReader(file, delimiter="," if suffix == "csv" else "\t"))
        assert len(found) == 2
        for row, written in zip(rows, found, strict=True):
            assert {name: written[name] for name in row} == row
            assert (
                written["predicted_label"] in ("pos", "neg") and 0 <= float(written["predicted_probability:pos"]) <= 1
            )


def test_parquet_keeps_its_types(runs: Mapping[str, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    table = pa.table({
        "text": ["a", "b", "c"],
        "small": pa.array([1, None, 3], pa.int8()),
        "nanoseconds": pa.array([1, 2, 3], pa.timestamp("ns")),
        "large": pa.array([2**63, 1, 2], pa.uint64()),
    })  # fmt: skip
    pq.write_table(table, tmp_path / "in.parquet")
    monkeypatch.setattr(job, "_ROWS", 2)
    called(runs["text"], str(tmp_path / "in.parquet"), "--out", str(tmp_path / "out.parquet"), monkeypatch=monkeypatch)
    found = pq.read_table(tmp_path / "out.parquet")
    assert found.select(table.column_names).equals(pq.read_table(tmp_path / "in.parquet"))


@pytest.mark.parametrize("rows", [[{"text": "a", "x": 1}, {"text": "b", "x": "one"}], [{"text": "a", "x": 10**30}]])
def test_what_parquet_has_no_type_for_is_told(
    rows: list[dict[str, object]], runs: Mapping[str, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    (tmp_path / "in.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    monkeypatch.setattr("stages.sources.readers.table_file.BATCH", 1)
    for chunk in (1, 100):
        monkeypatch.setattr(job, "_ROWS", chunk)
        with pytest.raises(SystemExit):
            called(
                runs["text"],
                str(tmp_path / "in.jsonl"),
                "--out",
                str(tmp_path / "out.parquet"),
                monkeypatch=monkeypatch,
            )
        assert "choose --out-format jsonl" in capsys.readouterr().err
        assert [file.name for file in tmp_path.iterdir()] == ["in.jsonl"]


def test_a_model_that_was_trained_again_is_another(runs: Mapping[str, Path]) -> None:
    from stages.predict.__main__ import _digest

    folder = runs["text"] / "models/export"
    before = _digest(folder, "torch")
    weights = folder / "model.safetensors"
    content = weights.read_bytes()
    try:
        weights.write_bytes(content[:-1] + bytes([content[-1] ^ 1]))
        assert _digest(folder, "torch") != before
        assert _digest(folder, "onnx") == _digest(folder, "onnx") != before
    finally:
        weights.write_bytes(content)


# Faults


@pytest.mark.parametrize(
    ("name", "content", "more", "expected"),
    [
        ("in.csv", b"a,b\n1,2\n", [], "has no column text or sentence"),
        ("in.csv", b"text\nfine\n", ["--text-column", "body"], "has no column body; set --text-column to one of text"),
        ("in.csv", b"text,x\nfine,1\nbad\n", [], "line 3: has 1 fields where the first line has 2"),
        ("in.jsonl", b'{"text": "a"}\n{"text": 3}\n', [], "line 2: text holds 3, not text"),
        ("in.jsonl", b'{"text": "a"}\n{"text": \n', [], "line 2: is not JSON"),
        ("in.jsonl", b'{"text": "a"}\n{"no": "b"}\n', [], "line 2: text holds nothing, not text"),
        ("in.txt", b"", [], "holds no row that can be read; give a file with texts"),
        ("in.txt", b"\xff\xfe\xfd", [], "in.txt"),
        ("in.txt", b"fine\n", ["--out", "no/such/thing.xyz"], "its name does not tell a format"),
        ("in.txt", b"fine\n", ["--out", "x.conll"], "conll is for models that label words"),
        ("in.txt", b"fine\n", ["--model", "HEAD~999"], "HEAD~999"),
        ("in.txt", b"fine\n", ["--model", "data/raw"], "has no prediction_settings.json"),
        ("in.txt", b"fine\n", ["--runtime", "int8"], "has no model_int8.onnx"),
        ("in.txt", b"fine\n", ["--decode", "viterbi"], "decode=viterbi chooses the tags of words"),
        ("other.txt", b"fine\n", [], "there is no such file or folder"),
    ],
)  # fmt: skip
def test_a_fault_is_one_line_and_leaves_no_output(
    name: str, content: bytes, more: list[str], expected: str, runs: Mapping[str, Path], tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    path = tmp_path / name.replace("other", "in")
    path.write_bytes(content)
    given = path if "other" not in name else tmp_path / "missing.txt"
    out = [] if "--out" in more else ["--out", str(tmp_path / "out.jsonl")]
    with pytest.raises(SystemExit) as stop:
        called(runs["text"], str(given), *out, *more, monkeypatch=monkeypatch)
    assert stop.value.code == 1
    (line,) = [line for line in capsys.readouterr().err.splitlines() if line.startswith("error: ")]
    assert expected in line
    assert {file.name for file in tmp_path.iterdir()} <= {path.name}


def test_a_faulty_file_of_a_folder_is_named(
    runs: Mapping[str, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for name, content in {"a/1.txt": "fine", "a/2.txt": "", "b.txt": "fine"}.items():
        (tmp_path / "in" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "in" / name).write_text(content, encoding="utf-8")
    out = str(tmp_path / "out.jsonl")
    with pytest.raises(SystemExit):
        called(runs["text"], str(tmp_path / "in"), "--out", out, monkeypatch=monkeypatch)
    assert f"error: {tmp_path}/in/a/2.txt: text holds nothing, not text" in capsys.readouterr().err
    called(runs["text"], str(tmp_path / "in"), "--out", out, "--on-error", "skip", monkeypatch=monkeypatch)
    assert [row["file"] for row in lines_of(tmp_path / "out.jsonl")] == ["a/1.txt", "b.txt"]
    assert f"skipped: {tmp_path}/in/a/2.txt: " in capsys.readouterr().err


def test_pairs_are_for_models_of_pairs_alone(
    runs: Mapping[str, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    given, out = str(runs["pairs"] / "test.jsonl"), tmp_path / "out.jsonl"
    rows = lines_of(Path(given))
    called(runs["text"], given, "--out", str(out), monkeypatch=monkeypatch)
    predictor = Predictor(runs["text"] / "models/export", PredictionOptions())
    expected = predictor.label_texts([row["text"] for row in rows])["predicted"].to_pylist()
    assert [row["predicted_label"] for row in lines_of(out)] == expected
    texts = tmp_path / "in.txt"
    texts.write_text("fine\n", encoding="utf-8")
    for task, arguments, told in (
        ("text", [given, "--pair-column", "text_pair"], "--pair-column text_pair: the model was not trained on pairs"),
        ("pairs", [str(texts)], "has no second texts, and the model was trained on pairs; name their column"),
    ):
        with pytest.raises(SystemExit):
            called(runs[task], *arguments, "--out", str(tmp_path / "x.jsonl"), monkeypatch=monkeypatch)
        assert told in capsys.readouterr().err
    assert not (tmp_path / "x.jsonl").exists()
    options = InputOptions("text", of_words=False)  # an older export does not tell
    assert [pair for each in read_inputs(Path(given), options) for pair in each.pairs or ()] == [
        row["text_pair"] for row in rows
    ]


def test_rows_that_can_not_be_read_are_left_out_counted_and_listed(
    runs: Mapping[str, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    rows = ["[1]", '{"text": "good"}', '{"text": null}', '{"text": ', '{"text": "better"}']
    (tmp_path / "in.jsonl").write_text("\n".join(rows) + "\n", encoding="utf-8")
    out = tmp_path / "out.jsonl"
    called(runs["text"], str(tmp_path / "in.jsonl"), "--out", str(out), "--on-error", "skip", monkeypatch=monkeypatch)
    assert [row["text"] for row in lines_of(out)] == ["good", "better"]
    listed = (tmp_path / "out.jsonl.skipped.txt").read_text(encoding="utf-8").splitlines()
    assert len(listed) == 3 and all(f"line {number}: " in "".join(listed) for number in (1, 3, 4))
    assert "3 rows were skipped" in capsys.readouterr().err


def test_hard_texts_are_labelled_like_any(
    runs: Mapping[str, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A megabyte, control characters, nothing but white space, right to left, emoji."""
    texts = ["the order " * 100_000, "a\u0000b\u0007", "   ", "שלום עולם", "👩‍👩‍👧‍👦 great"]
    (tmp_path / "in.jsonl").write_text("".join(json.dumps({"text": text}) + "\n" for text in texts), encoding="utf-8")
    for task in ("text", "tokens"):
        out = tmp_path / f"{task}.jsonl"
        called(runs[task], str(tmp_path / "in.jsonl"), "--out", str(out), monkeypatch=monkeypatch)
        rows = lines_of(out)
        assert [row["text"] for row in rows] == texts
        assert all(len(row["tags"]) == len(row["scores"]) for row in rows if task == "tokens")


# Kills


@pytest.mark.slow
def test_a_killed_run_goes_on_where_it_ended(
    runs: Mapping[str, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = tmp_path / "in.jsonl"
    source.write_text("".join(json.dumps(row) + "\n" for row in rows_of("text", 400, 3)), encoding="utf-8")
    program = (
        "import sys; from stages.predict import job; job._ROWS = 10; from stages.predict.__main__ import main; main()"
    )
    whole, killed = tmp_path / "whole.jsonl", tmp_path / "killed.jsonl"

    def start(out: Path) -> subprocess.Popen[bytes]:
        arguments = [str(source), "--out", str(out), "--threads", "1"]
        monkeypatch.setenv("PYTHONPATH", str(ROOT))
        return subprocess.Popen(
            [sys.executable, "-c", program, *arguments], cwd=runs["text"], stderr=subprocess.DEVNULL
        )

    monkeypatch.setattr("stages.sources.readers.table_file.BATCH", 10)
    assert start(whole).wait() == 0
    process, parts = start(killed), tmp_path / "killed.jsonl.partial"
    while len(list(parts.glob("*.part"))) < 1 and process.poll() is None:
        time.sleep(0.01)
    process.send_signal(signal.SIGKILL)
    process.wait()
    if parts.exists():
        assert (
            not killed.exists() and json.loads((parts / "job.json").read_text())["partial output of"] == "killed.jsonl"
        )
        kept = {path.name: path.stat().st_mtime_ns for path in parts.glob("*.part")}
        assert kept
    assert start(killed).wait() == 0
    assert killed.read_bytes() == whole.read_bytes() and not parts.exists()


@pytest.mark.parametrize("source", ["in.txt", "-"])
def test_an_interrupted_run_says_whether_it_can_go_on(
    source: str, runs: Mapping[str, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    texts = tmp_path / "in.txt"
    texts.write_text("the order\nwas bad\n", encoding="utf-8")
    monkeypatch.setattr(job, "_ROWS", 1)
    monkeypatch.setattr("stages.sources.readers.table_file.BATCH", 1)
    predict = Predictor.label_texts
    seen: list[object] = []

    def interrupted(self: Predictor, *given: Any) -> pa.Table:
        seen.append(given)
        if len(seen) == 2:
            raise KeyboardInterrupt
        return predict(self, *given)

    monkeypatch.setattr(Predictor, "label_texts", interrupted)
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(texts.read_bytes())))
    given = str(texts) if source == "in.txt" else source
    with pytest.raises(SystemExit) as stop:
        called(runs["text"], given, "--out", str(tmp_path / "out.jsonl"), monkeypatch=monkeypatch)
    assert stop.value.code == 130
    told = "continue" if source == "in.txt" else "start again"
    assert f"interrupted; run the same command to {told}" in capsys.readouterr().err
    assert (tmp_path / "out.jsonl.partial").exists() == (source == "in.txt")


def test_a_type_that_changes_behind_an_interruption_is_told(
    runs: Mapping[str, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """As it is without one: a column of Parquet has one type, also where the run goes on from a part."""
    rows = [{"text": "a", "x": 1}, {"text": "b", "x": "one"}]
    (tmp_path / "in.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    monkeypatch.setattr(job, "_ROWS", 1)
    monkeypatch.setattr("stages.sources.readers.table_file.BATCH", 1)
    arguments = [str(tmp_path / "in.jsonl"), "--out", str(tmp_path / "out.parquet")]
    with monkeypatch.context() as interrupted:
        predict, seen = Predictor.label_texts, list[object]()

        def stopped(self: Predictor, *given: Any) -> pa.Table:
            seen.append(given)
            if len(seen) == 2:
                raise KeyboardInterrupt
            return predict(self, *given)

        interrupted.setattr(Predictor, "label_texts", stopped)
        with pytest.raises(SystemExit):
            called(runs["text"], *arguments, monkeypatch=monkeypatch)
    assert (tmp_path / "out.parquet.partial").exists()
    with pytest.raises(SystemExit) as failed:
        called(runs["text"], *arguments, monkeypatch=monkeypatch)
    assert failed.value.code == 1 and "choose --out-format jsonl" in capsys.readouterr().err


def test_a_partial_output_of_another_job_is_not_gone_on_with(tmp_path: Path) -> None:
    out = tmp_path / "out.jsonl"
    with parts_of(out, "one") as first:
        first.add(0, b"a")
    with parts_of(out, "one") as same:
        assert same.has(0)
    for key in ("two", ""):
        with parts_of(out, key) as other:
            assert not other.has(0)
            other.add(0, b"b")


@pytest.mark.parametrize("kind", ["file", "folder"])
def test_an_input_that_changes_under_the_same_size_and_time_is_another_job(kind: str, tmp_path: Path) -> None:
    source = tmp_path / "in"
    file = source / "1.txt" if kind == "folder" else source
    file.parent.mkdir(exist_ok=True)
    file.write_text("good")
    output = OutputOptions("jsonl", (), of_words=False)
    made = Job(source, tmp_path / "out.jsonl", InputOptions("text", of_words=False), output)
    key, before = made._key(), file.stat()
    assert made._key() == key
    file.write_text("poor")
    os.utime(file, ns=(before.st_atime_ns, before.st_mtime_ns))
    assert made._key() != key


def test_two_runs_do_not_write_one_output(tmp_path: Path) -> None:
    with (
        parts_of(tmp_path / "out.jsonl", "one"),
        pytest.raises(BusyError, match="another run is in progress in this folder"),
        parts_of(tmp_path / "out.jsonl", "one"),
    ):
        raise AssertionError


def test_the_input_is_not_written_over(
    runs: Mapping[str, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "in.csv"
    path.write_text("text\nfine\n", encoding="utf-8")
    with pytest.raises(SystemExit):
        called(runs["text"], str(path), "--out", str(path), monkeypatch=monkeypatch)
    assert "is the input; name another file" in capsys.readouterr().err
    assert path.read_text(encoding="utf-8") == "text\nfine\n"


def test_words_of_a_text_come_back_exactly(tmp_path: Path) -> None:
    text = "Zoë's 3.5 km—run (in Paris)…  e\u0301nd\u200d!"
    (tmp_path / "in.txt").write_text(text, encoding="utf-8")
    (inputs,) = read_inputs(tmp_path / "in.txt", InputOptions("tokens", of_words=True))
    assert inputs.spans is not None and inputs.words is not None
    for (start, end), word in zip(inputs.spans[0], inputs.words[0], strict=True):
        assert text[start:end] == word and word.strip() == word != ""
    covered = {place for start, end in inputs.spans[0] for place in range(start, end)}
    assert all(text[place].isspace() for place in set(range(len(text))) - covered)


@pytest.mark.parametrize(
    ("name", "content", "pairs"),
    [
        ("in.csv", "Review,Stars\nfine,4\n", None),
        ("in.csv", ",REVIEW_TEXT\n0,fine\n", None),
        ("in.csv", "sep=;\nId;Comment Text\n7;fine\n", None),
        ("in.json", '[["fine", "x"]]', None),
        ("in.csv", "Premise|Hypothesis\nfine|more\n", ["more"]),
    ],
)
def test_columns_are_found_as_download_finds_them(
    name: str, content: str, pairs: list[str] | None, tmp_path: Path
) -> None:
    (tmp_path / name).write_text(content)
    (found,) = read_inputs(tmp_path / name, InputOptions("text", of_words=False))
    assert (found.texts, found.pairs) == (["fine"], pairs)


def test_two_columns_that_are_equally_likely_are_asked_for(tmp_path: Path) -> None:
    (tmp_path / "in.csv").write_text("Review,Comment\na,b\n")
    with pytest.raises(DataError) as error:
        list(read_inputs(tmp_path / "in.csv", InputOptions("text", of_words=False)))
    assert str(error.value).endswith("columns Review, Comment are equally likely; set --text-column to one of them")
