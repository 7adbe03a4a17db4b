"""Files are those whose SHA-256 the configuration gives, whatever place they come from; the metrics tell what was read."""

import hashlib
import zipfile
from itertools import chain
from pathlib import Path
from typing import Any

import pytest

from stages.configuration.hydra_plugins.fingerprint import fingerprint
from stages.configuration.schema import Digests, FilesData, HubData
from stages.pipeline.digests import files_below, sha256_of
from stages.pipeline.errors import DataError
from stages.predict.inputs import InputOptions, listed, read_inputs
from stages.sources.readers.table_file import ReadOptions
from stages.sources.readers.text_folders import open_folder
from tests.support.canonical_data import made_of
from tests.support.hub_server import COMMIT, HubServer, text_data
from tests.support.told import told

CSV = {name: f"text,label\n{name} good,a\n{name} bad,b\n{name} fair,a\n".encode() for name in ("one", "two", "test")}
OTHER = "0" * 64


def digest(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name, content in CSV.items():
        (tmp_path / f"{name}.csv").write_bytes(content)
    return tmp_path


def data(folder: Path, places: str | list[str], **sha256: Any) -> FilesData:
    return FilesData(
        name="d", kind="text", source="files", train=places, test=str(folder / "test.csv"),
        validation_fraction=0.4, sha256=Digests(**sha256),
    )  # fmt: skip


def test_right_digests_pass_and_the_metrics_tell_those_that_can_be_given(folder: Path) -> None:
    train = [str(folder / "two.csv"), str(folder / "o*.csv")]
    found = made_of(data(folder, train)).report.to_json()["sha256"]
    assert found == {"train": [digest(CSV["two"]), digest(CSV["one"])], "test": [digest(CSV["test"])]}
    again = data(folder, train, train=found["train"], test=digest(CSV["test"]))
    assert made_of(again).report.to_json()["sha256"] == found


def test_a_file_with_another_digest_is_refused(folder: Path) -> None:
    with pytest.raises(DataError) as error:
        made_of(data(folder, str(folder / "one.csv"), test=OTHER))
    found = digest(CSV["test"])
    assert told(error).startswith(f"{folder}/test.csv: has SHA-256 {found}, but data.sha256.test says {OTHER}; fetch")


@pytest.mark.parametrize("given", [OTHER, [OTHER] * 3])
def test_too_few_and_too_many_digests_are_told(folder: Path, given: str | list[str]) -> None:
    with pytest.raises(DataError, match=r"^data\.sha256\.train: \d for 2 files"):
        made_of(data(folder, [str(folder / "one.csv"), str(folder / "two.csv")], train=given))


def test_what_is_read_through_links_counts(folder: Path) -> None:
    elsewhere, texts = folder / "elsewhere", folder / "texts"
    (elsewhere / "deeper").mkdir(parents=True), (texts / "ham").mkdir(parents=True)
    for name, content in (("elsewhere/1.txt", "one"), ("elsewhere/deeper/2.txt", "two"), ("texts/ham/3.txt", "three")):
        (folder / name).write_text(content)
    (texts / "spam").symlink_to(elsewhere), (texts / "ham/more").symlink_to(elsewhere / "deeper")
    (elsewhere / "deeper/again").symlink_to(elsewhere), (texts / "ham/up").symlink_to("..")  # round and round
    names = ["ham/3.txt", "ham/more/2.txt", "spam/1.txt", "spam/deeper/2.txt"]
    assert sorted(path.relative_to(texts).as_posix() for path in files_below(texts)) == names

    def read() -> list[list[str]]:
        table = open_folder(texts, "texts", ReadOptions("text"))
        downloaded = [listed(rows.columns["text"]) for rows in table.read(["text"])]
        predicted = [list(each.texts or ()) for each in read_inputs(texts, InputOptions("text", of_words=False))]
        return [sorted(map(str, chain(*each))) for each in (downloaded, predicted)]

    known, printed = sha256_of(texts), fingerprint({"train": [str(texts)]})
    assert read() == [["one", "three", "two", "two"]] * 2
    (elsewhere / "1.txt").write_text("six")
    assert read() == [["six", "three", "two", "two"]] * 2
    assert sha256_of(texts) != known and fingerprint({"train": [str(texts)]}) != printed


def test_a_folder_has_the_digest_of_its_files_names_and_digests(folder: Path) -> None:
    texts = folder / "texts"
    for name, content in (("b/1.txt", "some text"), ("a/10.txt", "a text"), ("a/9.txt", "any"), (".git/1", "left out")):
        (texts / name).parent.mkdir(parents=True, exist_ok=True)
        (texts / name).write_text(content)
    listed = "".join(f"{digest((texts / name).read_bytes())}  {name}\n" for name in ("a/10.txt", "a/9.txt", "b/1.txt"))
    known = digest(listed.encode())
    assert made_of(data(folder, str(texts), train=known)).report.to_json()["sha256"]["train"] == [known]  # type: ignore[index, call-overload]
    refused = r"texts: has SHA-256 .*, but data\.sha256\.train says"
    (texts / "b/1.txt").write_text("other text")
    with pytest.raises(DataError, match=refused):
        made_of(data(folder, str(texts), train=known))
    (texts / "b/1.txt").write_text("some text")
    (texts / "b/1.txt").rename(texts / "b/2.txt")
    with pytest.raises(DataError, match=refused):
        made_of(data(folder, str(texts), train=known))


@pytest.mark.parametrize("place", ["{}/a.zip", "zip://in/one.csv::{}/a.zip"])
def test_an_archive_is_checked_before_it_is_opened(folder: Path, place: str) -> None:
    with zipfile.ZipFile(folder / "a.zip", "w") as archive:
        archive.writestr("in/one.csv", CSV["one"])
    whole = (folder / "a.zip").read_bytes()
    assert made_of(data(folder, place.format(folder), train=digest(whole))).report.to_json()["sha256"]["train"] == [
        digest(whole)
    ]
    (folder / "a.zip").write_bytes(b"PK, and then what breaks whoever unpacks it")
    with pytest.raises(DataError, match=r"a\.zip: has SHA-256 .*, but data\.sha256\.train says"):
        made_of(data(folder, place.format(folder), train=digest(whole)))


def test_files_of_the_hub_are_checked_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    repo = text_data()
    train, test = "plain_text/train-00000-of-00001.parquet", "plain_text/test-00000-of-00001.parquet"
    with HubServer({"datasets/acme/reviews": repo}) as hub:
        hub.patch(monkeypatch, tmp_path)
        keys: dict[str, Any] = {
            "source": "hub",
            "repo": "acme/reviews",
            "revision": COMMIT,
            "train": train,
            "test": test,
        }
        report = made_of(HubData(name="d", kind="text", **keys)).report
        assert report.to_json()["sha256"] == {"train": [digest(repo.files[train])], "test": [digest(repo.files[test])]}
        with pytest.raises(DataError, match=r"test-00000-of-00001\.parquet: has SHA-256"):
            made_of(HubData(name="d", kind="text", sha256=Digests(test=OTHER), **keys))
