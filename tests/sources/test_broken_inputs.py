"""Inputs that are broken in many ways: each ends in one line that names file and row, exit status 1, and everything as it was."""

import bz2
import gzip
import io
import json
import tarfile
import zipfile
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from pyarrow import feather

from stages.configuration.schema import DownloadStage, FilesData, FilesModel, Kind
from stages.download import download
from stages.pipeline.one_line import one_line_errors
from tests.support.docbin import BY_SPACY, changed
from tests.support.workbooks import workbook

CSV = b"text,label\ngood,a\nbad,b\nfair,a\n"
JSONL = b'{"text": "good", "label": "a"}\n{"text": "bad", "label": "b"}\n{"text": "fair", "label": "a"}\n'
CONLL = b"a\tB-x\nb\tO\n\nc\tO\n"
TOKENS = b'{"tokens": ["a", "b"], "tags": ["B-x", "O"]}\n{"tokens": ["c"], "tags": ["O"]}\n'
SPANS = b'{"text": "in Paris", "spans": [{"start": 3, "end": 8, "label": "city"}]}\n{"text": "no"}\n'


@dataclass(frozen=True)
class Broken:
    """A test file that can't be used, beside a training file that can, and the words of the message."""

    name: str
    content: bytes
    expected: str
    kind: Kind = "text"
    good: tuple[str, bytes] = ("train.csv", CSV)
    settings: dict[str, Any] = field(default_factory=dict)


def parquet(**columns: Any) -> bytes:
    buffer = io.BytesIO()
    pq.write_table(pa.table(columns), buffer)
    return buffer.getvalue()


def arrow(**columns: Any) -> bytes:
    buffer = io.BytesIO()
    feather.write_feather(pa.table(columns), buffer, compression="uncompressed")
    return buffer.getvalue()


def zipped(**members: bytes) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return buffer.getvalue()


def tarred(*members: tuple[str, bytes], change: Callable[[tarfile.TarInfo], None] = lambda _: None) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz") as archive:
        for name, content in members:
            member = tarfile.TarInfo(name)
            member.size = len(content)
            change(member)
            archive.addfile(member, io.BytesIO(content))
    return buffer.getvalue()


def link_to_passwords(member: tarfile.TarInfo) -> None:
    member.type, member.linkname, member.size = tarfile.SYMTYPE, "/etc/passwd", 0


def device(member: tarfile.TarInfo) -> None:
    member.type, member.size = tarfile.CHRTYPE, 0


def lines(*rows: object) -> bytes:
    return b"".join(json.dumps(row).encode() + b"\n" for row in rows)


def text(name: str, content: bytes, expected: str, **settings: Any) -> Broken:
    return Broken(name, content, expected, settings=settings)


def tokens(name: str, content: bytes, expected: str, **settings: Any) -> Broken:
    good = ("train.jsonl", TOKENS) if name.endswith(("json", "jsonl", "parquet")) else ("train.conll", CONLL)
    return Broken(name, content, expected, "tokens", good, settings)


def spans(text: str, *found: tuple[int, int, str]) -> Broken:
    row = {"text": text, "spans": [{"start": start, "end": end, "label": label} for start, end, label in found]}
    return Broken("test.jsonl", lines(row), "line 1", "tokens", ("train.jsonl", SPANS), {"format": "spans"})


def task(text: str, *choices: str) -> dict[str, Any]:
    """A task of Label Studio."""
    result = [{"from_name": "tone", "value": {"choices": list(choices)}}] if choices else []
    return {"data": {"text": text}, "annotations": [{"result": result}]}


LOCKED = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + bytes(500) + "EncryptedPackage".encode("utf-16-le")
GOOD = {"text": "x", "label": "a"}
BROKEN = {
    # encodings and compression
    "not UTF-8": text("test.csv", b"text,label\ncaf\xe9,a\n", "line 2"),
    "UTF-16": text("test.csv", CSV.decode().encode("utf-16"), "data.encoding"),
    "not UTF-8 in JSONL": text("test.jsonl", lines(GOOD) + b'{"text": "\xff", "label": "a"}\n', "line 2"),
    "not UTF-8 in CoNLL": tokens("test.conll", b"a\tO\n\xe9\tO\n", "line 2"),
    "an unknown encoding": text("test.csv", CSV, "data.encoding", encoding="utf-7000"),
    "NUL bytes": text("test.csv", b"text,label\na\x00b,a\n", "line 2"),
    "half a surrogate pair": text("test.jsonl", lines(GOOD) + b'{"text": "\\ud800", "label": "a"}\n', "line 2"),
    "truncated gzip": text("test.csv.gz", gzip.compress(CSV * 1000)[:-20], "test.csv.gz"),
    "gzip that is none": text("test.csv.gz", CSV, "test.csv.gz"),
    "damaged bzip2": text("test.csv.bz2", bz2.compress(CSV * 1000)[:-10], "test.csv.bz2"),
    # CSV and TSV
    "an empty file": text("test.csv", b"", "test.csv"),
    "white space alone": text("test.csv", b"\n \n", "test.csv"),
    "a header alone": text("test.csv", b"text,label\n", "no examples"),
    "too few fields": text("test.csv", b"text,label\na,b\nc\n", "line 3"),
    "too many fields": text("test.csv", b"text,label\na,b\nc,d,e\n", "line 3"),
    "a column twice": text("test.csv", b"text,text,label\na,b,a\n", "text"),
    "a column without a name": text("test.csv", b"text,,label\na,b,a\n", "test.csv"),
    "an open quote": text("test.csv", b'text,label\n"a,a\nb,b\n', "line 2"),
    "text behind a quote": text("test.csv", b'text,label\n"a"b,a\n', "line 2"),
    "no label column": Broken("test.csv", CSV, "data.label_column", good=("train.csv", b"text,other\na,b\n")),
    "no text column": text("test.csv", b"other,label\na,b\n", "data.text_column"),
    "the configured column is missing": text("test.csv", CSV, "title", text_column="title"),
    "an empty label": text("test.csv", b"text,label\na,a\nb,\n", "line 3"),
    "an unknown label": text("test.csv", b"text,label\na,a\nb,c\n", "line 3", label_names=["a", "b"]),
    "an index that has no name": Broken(
        "test.csv", b"text,label\na,0\nb,2\n", "line 3", good=("train.csv", b"text,label\na,0\nb,1\nc,0\n"),
        settings={"label_names": ["x", "y"]},
    ),
    "text for a number": Broken(
        "test.csv", b"text,label\na,1\nb,high\n", "line 3", "text", ("train.csv", b"text,label\na,1\nb,2\n"),
        {"target": "number"},
    ),
    "NaN for a number": Broken(
        "test.csv", b"text,label\na,1\nb,nan\n", "line 3", "text", ("train.csv", b"text,label\na,1\nb,2\n"),
        {"target": "number"},
    ),
    "CSV that is Parquet": text("test.csv", parquet(text=["a"], label=["a"]), "test.csv"),
    "a TSV with too few fields": text("test.tsv", b"text\tlabel\na\ta\nb\n", "line 3"),
    # JSON
    "JSON cut off": text("test.jsonl", JSONL[:-10], "line 3"),
    "no object": text("test.jsonl", lines(GOOD, [1, 2]), "line 2"),
    "a missing label": text("test.jsonl", lines(GOOD, {"text": "y"}), "line 2"),
    "a null label": text("test.jsonl", lines(GOOD, {"text": "y", "label": None}), "line 2"),
    "a NaN label": text("test.jsonl", lines(GOOD) + b'{"text": "y", "label": NaN}\n', "line 2"),
    "a null text": text("test.jsonl", lines(GOOD, {"text": None, "label": "a"}), "line 2"),
    "a number for a text": text("test.jsonl", lines(GOOD, {"text": 5, "label": "a"}), "line 2"),
    "an object for a text": text("test.jsonl", lines(GOOD, {"text": {"a": 1}, "label": "a"}), "line 2"),
    "labels of two types": text("test.jsonl", lines(GOOD, {"text": "y", "label": 1}), "line 2"),
    "a fraction for a label": text("test.jsonl", lines({"text": "y", "label": 0.5}), "line 1"),
    "a list for a label": text("test.jsonl", lines({"text": "y", "label": ["a", "b"]}), "line 1"),
    "a key twice": text("test.jsonl", b'{"text": "x", "text": "y", "label": "a"}\n', "line 1"),
    "an array that does not end": text("test.json", b'[{"text": "x", "label": "a"},', "test.json"),
    "an array of numbers": text("test.json", b"[1, 2]", "test.json"),
    "an empty array": text("test.json", b"[]", "test.json"),
    "a label for several": Broken(
        "test.jsonl", lines({"text": "x", "label": 3}), "line 1", "text",
        ("train.jsonl", lines({"text": "x", "label": ["a"]}, {"text": "y", "label": ["b"]})), {"target": "labels"},
    ),
    # Parquet, Arrow, pickle
    "truncated Parquet": text("test.parquet", parquet(text=["a"] * 99, label=["a"] * 99)[:-9], "test.parquet"),
    "Parquet that is none": text("test.parquet", b"PAR1 or so", "test.parquet"),
    "a null in Parquet": text("test.parquet", parquet(text=["a", None], label=["a", "b"]), "row 2"),
    "a NaN label in Parquet": text("test.parquet", parquet(text=["a", "b"], label=[0.0, float("nan")]), "label"),
    "truncated Arrow": text("test.arrow", arrow(text=["a"] * 99, label=["a"] * 99)[:-99], "test.arrow"),
    "a pickle": text("test.pkl", b"\x80\x04]\x94.", "pickle"),
    # words and tags
    "a word without a tag": tokens("test.conll", b"a\tO\nb\n", "line 2"),
    "a tag without a word": tokens("test.conll", b"a\tO\n\tO\n", "line 2"),
    "ragged CoNLL": tokens("test.conll", b"a x O\nb O\n", "line 2"),
    "CoNLL without a sentence": tokens("test.conll", b"-DOCSTART- O\n\n", "test.conll"),
    "an unknown tag": tokens("test.conll", b"a\tO\nb\tB-y\n", "line", label_names=["O", "B-x"]),
    "more tags than words": tokens("test.jsonl", lines({"tokens": ["a"], "tags": ["O", "O"]}), "line 1"),
    "joined words with too few tags": tokens("test.jsonl", lines({"tokens": "a b", "tags": ["O"]}), "line 1"),
    "a number for a word": tokens("test.jsonl", lines({"tokens": ["a", 5], "tags": ["O", "O"]}), "line 1"),
    "a missing tag": tokens("test.jsonl", lines({"tokens": ["a", "b"], "tags": ["O", None]}), "line 1"),
    "a list in a list": tokens("test.jsonl", lines({"tokens": [["a"]], "tags": [["O"]]}), "line 1"),
    # spans
    "a span beyond the text": spans("a", (0, 9, "x")),
    "a span backwards": spans("ab", (2, 1, "x")),
    "spans that overlap": spans("a b c", (0, 3, "x"), (2, 5, "y")),
    "a span over nothing": spans("a  b", (1, 2, "x")),
    "a span without a label": Broken(
        "test.jsonl", lines({"text": "ab", "spans": [{"start": 0, "end": 2}]}), "line 1", "tokens",
        ("train.jsonl", SPANS), {"format": "spans"},
    ),
    # forms of other tools
    "a list without a label": text("test.jsonl", lines(GOOD, {"text": "y", "label": []}), "line 2"),
    "two categories for one label": text("test.jsonl", lines({"text": "y", "cats": {"a": 1, "b": 1}}), "line 1"),
    "a category of one half": text("test.jsonl", lines(GOOD, {"text": "y", "label": {"a": 0.5}}), "line 2"),
    "a workbook with a password": text("test.xlsx", LOCKED, "password"),
    "a workbook without the sheet": text("test.xlsx", workbook(["text", "label"]), "data.sheet", sheet="no"),
    "a workbook without a label": text("test.xlsx", workbook(["text", "label"], ["x", "a"], [], ["y", None]), "row 4"),
    "a workbook cut off": text("test.xlsx", workbook(["text", "label"], ["x", "a"])[:-99], "test.xlsx"),
    "a formula that was never computed": text("test.xlsx", workbook(["text", "label"], ["x", "=1+1"]), "row 2"),
    "a DocBin cut off": tokens("test.spacy", BY_SPACY[:-99], "test.spacy"),
    "a DocBin without the strings": tokens("test.spacy", changed(strings=[]), "test.spacy, document 1"),
    "a pair with a span too long": tokens("test.jsonl", lines(["a", {"entities": [[0, 2, "x"]]}]), "line 1"),
    "a word without a sentence": tokens("test.csv", b"Sentence #,Word,Tag\n,a,O\n", "line 2"),
    "an empty word of a row": tokens("test.csv", b"Sentence #,Word,Tag\n1,a,O\n1,,O\n", "line 3"),
    "a tag missing of a row": tokens("test.csv", b"Sentence #,Word,Tag\n1,a,O\n2,b,\n", "line 3"),
    "more joined tags than words": tokens("test.csv", b"text,tags\na b,O O O\n", "line 2"),
    "a task without a choice": text("test.jsonl", lines(task("x", "a"), task("y")), "line 2"),
    "a task with two choices": text("test.jsonl", lines(task("x", "a"), task("y", "a", "b")), "line 2"),
    "a line with two of fastText's labels": text("test.txt", b"__label__a x\n__label__a __label__b y\n", "line 2"),
    "a line without fastText's label": text("test.txt", b"__label__a x\ny\n", "line 2"),
    "a question without a text": Broken(
        "test.txt", b"a x\nb\n", "line 2", "text", ("train.txt", b"a x\nb y\na z\n"), {"format": "trec"},
    ),
    "annotations without a text": tokens("test.ann", b"T1\tx 0 1\ta\n", "test.txt"),
    "XML": text("test.xml", b"<a/>", "test.xml: is XML"),
    "a Word document": text("test.docx", b"", "test.docx: is a Word document"),
    # archives and places
    "an archive that climbs out": text("test.zip", zipped(**{"../test.csv": CSV}), ".."),
    "an absolute name": text("test.tar.gz", tarred(("/tmp/test.csv", CSV)), "/tmp/test.csv"),
    "a link in an archive": text("test.tar.gz", tarred(("test.csv", b""), change=link_to_passwords), "link"),
    "a device in an archive": text("test.tar.gz", tarred(("test.csv", b""), change=device), "test.csv"),
    "a truncated archive": text("test.tar.gz", tarred(("test.csv", CSV * 9))[:-40], "test.tar.gz"),
    "a zip that is none": text("test.zip", b"PK or so", "test.zip"),
    "an empty archive": text("test.zip", zipped(), "test.zip"),
    "no such file": text("other.csv", CSV, "test.csv", test="test.csv"),
    "no such address": text("test.csv", CSV, "http://127.0.0.1:9", test="http://127.0.0.1:9/test.csv"),
    # the data as a whole
    "ids twice": Broken("test.csv", b"id,text,label\n1,x,a\n1,y,b\n", "id", good=("train.csv", b"id,text,label\n1,q,a\n2,r,b\n")),
    "a single label": Broken("test.csv", CSV, "same label", good=("train.csv", b"text,label\nx,a\ny,a\nz,a\n")),
    "integers for names": text("test.csv", b"text,label\nx,0\ny,1\n", "integers in test"),
    "the wrong kind": Broken("test.csv", CSV, "data.text_column", "tokens", ("train.conll", CONLL)),
}  # fmt: skip


def test_there_are_enough_of_them() -> None:
    assert len(BROKEN) >= 60


@pytest.fixture
def workspace(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder in which an earlier run has left its outputs."""
    monkeypatch.chdir(tmp_path)
    for name in ("data/raw/kept", "metrics/download.json", "data/report.md", "models/base/kept", "dvc.lock"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text("earlier")
    return tmp_path


def state(root: Path) -> dict[str, bytes]:
    files = [root / "dvc.lock", *(file for part in ("data", "metrics", "models") for file in (root / part).rglob("*"))]
    return {str(file): file.read_bytes() for file in files if file.is_file()}


@pytest.mark.parametrize("broken", BROKEN.values(), ids=list(BROKEN))
def test_a_broken_input_is_told_in_one_line_and_changes_nothing(
    broken: Broken, workspace: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    source = workspace / "source"
    source.mkdir()
    for name, content in (broken.good, (broken.name, broken.content)):
        (source / name).write_bytes(content)
    settings = {"train": f"source/{broken.good[0]}", "test": f"source/{broken.name}", "validation_fraction": 0.4}
    if "test" in broken.settings:
        settings["test"] = broken.settings["test"]
    settings |= {key: value for key, value in broken.settings.items() if key != "test"}
    data = FilesData(name="data", kind=broken.kind, source="files", **settings)  # type: ignore[arg-type]
    before = state(workspace)
    with pytest.raises(SystemExit) as stop, one_line_errors():
        model = FilesModel(name="none", source="files", path="no such model")
        download(DownloadStage(data, model, broken.kind, "label"))
    assert stop.value.code == 1
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("error: ")
    assert broken.expected in line
    if broken.expected.startswith(("line", "row")):
        assert f"source/{broken.name}" in line
    assert state(workspace) == before
    assert not (workspace / "data/.scratch").exists()
