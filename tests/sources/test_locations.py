"""Paths, globs, addresses and archives as files on this machine, or one line that says what is wrong with them."""

import io
import socket
import stat
import tarfile
import threading
import zipfile
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from random import Random

import fsspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from stages.pipeline.errors import DataError
from stages.sources import archives
from stages.sources.locations import find, shown
from tests.support.told import told

CSV = b"text,label\na,1\n"
SECRET = "s3cret"
NOISE = Random(0).randbytes(1 << 22)
"""Bytes that do not shrink."""


def told_without_secrets(error: pytest.ExceptionInfo[DataError]) -> str:
    """An error's text, which must be one line and must not show a password."""
    text = told(error)
    assert SECRET not in text
    return text


def refused(place: str, scratch: Path) -> str:
    with pytest.raises(DataError) as error:
        find("train", place, scratch)
    return told_without_secrets(error)


def write(folder: Path, *names: str, content: bytes = CSV) -> Path:
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(content)
    return folder


def names(places: str | list[str], scratch: Path) -> list[str]:
    return [located.name for located in find("train", places, scratch)]


@pytest.fixture
def scratch(tmp_path: Path) -> Path:
    return tmp_path / "scratch"


# This machine


def test_globs_are_sorted_as_numbers_count(tmp_path: Path, scratch: Path) -> None:
    write(tmp_path, "a/part-10.csv", "a/part-2.csv", "a/deep/part-1.csv", "a/other.txt")
    assert names(f"{tmp_path}/a/*.csv", scratch) == [f"{tmp_path}/a/part-2.csv", f"{tmp_path}/a/part-10.csv"]
    assert len(names(f"{tmp_path}/a/**/*.csv", scratch)) == 3
    assert not scratch.exists()


def test_files_and_folders_are_taken_as_they_are(
    tmp_path: Path, scratch: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(tmp_path, "a.csv", "folder/pos/1.txt", "odd [1].csv")
    monkeypatch.chdir(tmp_path)
    found = find("train", ["a.csv", "folder", "odd [1].csv", (tmp_path / "odd [1].csv").as_uri()], scratch)
    assert [located.path for located in found] == [
        Path("a.csv"),
        Path("folder"),
        Path("odd [1].csv"),
        tmp_path / "odd [1].csv",
    ]


def test_a_file_that_two_places_name_is_found_once(tmp_path: Path, scratch: Path) -> None:
    write(tmp_path, "a.csv", "b.csv")
    assert names([f"{tmp_path}/b.csv", f"{tmp_path}/*.csv"], scratch) == [f"{tmp_path}/b.csv", f"{tmp_path}/a.csv"]


# Archives

Pack = Callable[[Path, dict[str, bytes]], Path]


def zipped(path: Path, members: dict[str, bytes]) -> Path:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return path


def tarred(path: Path, members: dict[str, bytes]) -> Path:
    modes = {".gz": "w:gz", ".tgz": "w:gz", ".bz2": "w:bz2", ".xz": "w:xz"}
    with tarfile.open(path, modes.get(path.suffix, "w")) as archive:  # type: ignore[call-overload]
        for name, content in members.items():
            info = tarfile.TarInfo(name)
            info.size = len(content)
            archive.addfile(info, io.BytesIO(content))
    return path


def packed(path: Path, members: dict[str, bytes]) -> Path:
    return (zipped if path.suffix == ".zip" else tarred)(path, members)


SUFFIXES = ["zip", "tar", "tar.gz", "tgz", "tar.bz2", "tar.xz"]


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_an_archive_of_data_files_gives_them_all(suffix: str, tmp_path: Path, scratch: Path) -> None:
    members = {"d/part-10.csv": b"10", "d/part-2.csv.gz": b"2", "__MACOSX/d/._x.csv": b"", "d/.DS_Store": b""}
    path = packed(tmp_path / f"data.{suffix}", members)
    found = find("train", str(path), scratch)
    assert [located.name for located in found] == [f"{path}: d/part-2.csv.gz", f"{path}: d/part-10.csv"]
    assert [located.path.read_bytes() for located in found] == [b"2", b"10"]
    assert all(located.path.is_relative_to(scratch) for located in found)


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_a_part_of_an_archive_is_chosen_by_path_glob_or_folder(suffix: str, tmp_path: Path, scratch: Path) -> None:
    members = {
        "r/train/a.csv": b"a",
        "r/train/b.csv": b"b",
        "r/test/x/c.csv": b"c",
        "r/README.md": b"",
        "l/pos/1.txt": b"1",
    }
    path = packed(tmp_path / f"data.{suffix}", members)
    scheme = suffix[:3].replace("tgz", "tar")

    def inner(part: str) -> list[str]:
        return [name.removeprefix(f"{path}: ") for name in names(f"{scheme}://{part}::{path}", scratch)]

    assert inner("r/train/a.csv") == ["r/train/a.csv"]
    assert inner("r/*/*.csv") == inner("r/train") == inner("/r/train/") == ["r/train/a.csv", "r/train/b.csv"]
    assert inner("**/*.csv") == ["r/test/x/c.csv", "r/train/a.csv", "r/train/b.csv"]
    assert inner("r/train/[!a].csv") == inner("r/train/[b-c].csv") == ["r/train/b.csv"]
    assert inner("l") == ["l"]
    assert f"{path}: holds no r/valid; it holds l/pos/1.txt, r/README.md" in refused(
        f"{scheme}://r/valid::{path}", scratch
    )


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_a_member_that_two_places_name_is_found_once(suffix: str, tmp_path: Path, scratch: Path) -> None:
    path = packed(tmp_path / f"data.{suffix}", {"d/a.csv": b"a", "d/b.csv": b"b"})
    scheme = suffix[:3].replace("tgz", "tar")
    found = find("train", [f"{scheme}://d/b.csv::{path}", f"{scheme}://d/*.csv::{path}", str(path)], scratch)
    assert [located.name for located in found] == [f"{path}: d/b.csv", f"{path}: d/a.csv"]
    assert [located.path.read_bytes() for located in found] == [b"b", b"a"]


def test_a_member_whose_name_looks_like_a_glob_is_found(tmp_path: Path, scratch: Path) -> None:
    path = zipped(tmp_path / "a.zip", {"odd [1].csv": b"odd", "odd 1.csv": b"even"})
    (located,) = find("train", f"zip://odd [1].csv::{path}", scratch)
    assert located.path.read_bytes() == b"odd"


def test_label_folders_in_an_archive_are_one_folder(tmp_path: Path, scratch: Path) -> None:
    path = zipped(tmp_path / "reviews.zip", {"reviews/pos/1.txt": b"good", "reviews/neg/deep/1.txt": b"bad"})
    (located,) = find("train", str(path), scratch)
    assert (located.path / "pos" / "1.txt").read_bytes() == b"good"
    assert located.name == f"{path}: reviews"


@pytest.mark.parametrize(
    "members",
    [
        ["a.csv", "README.md"],
        ["train/pos/1.txt", "test/pos/1.txt"],
        ["pos/1.txt", "urls.txt"],
        ["one/1.txt", "one/2.txt"],
    ],
)
def test_what_an_archive_is_for_must_be_obvious(members: list[str], tmp_path: Path, scratch: Path) -> None:
    path = zipped(tmp_path / "a.zip", dict.fromkeys(members, b"x"))
    text = refused(str(path), scratch)
    assert text.startswith(f"{path}: holds 2 files (") and f"zip://{sorted(members)[0]}::{path}" in text
    assert not scratch.exists()


def test_an_archive_in_an_archive_is_named_as_a_chain(tmp_path: Path, scratch: Path) -> None:
    inner = zipped(tmp_path / "inner.zip", {"a.csv": CSV}).read_bytes()
    path = tarred(tmp_path / "outer.tar.gz", {"x/inner.zip": inner, "x/README": b""})
    (located,) = find("train", f"zip://a.csv::tar://x/inner.zip::{path}", scratch)
    assert located.path.read_bytes() == CSV and located.name == f"{path}: x/inner.zip: a.csv"


member_names = st.lists(
    st.lists(
        st.text(st.characters(exclude_categories=["C"]), min_size=1, max_size=4)
        | st.sampled_from(["..", ".", "", "a"]),
        min_size=1,
        max_size=3,
    )
    .map("/".join)
    .filter(bool),
    min_size=1,
    max_size=4,
)


@given(member_names, st.sampled_from([".zip", ".tar"]))
@pytest.mark.filterwarnings("ignore:Duplicate name:UserWarning")
def test_nothing_is_written_outside_scratch_whatever_members_are_called(
    tmp_path_factory: pytest.TempPathFactory, members: list[str], suffix: str
) -> None:
    folder = tmp_path_factory.mktemp("archive")
    path = packed(folder / f"a{suffix}", dict.fromkeys(members, b"x"))
    scratch = folder / "in" / "scratch"
    try:
        found = find("train", f"{suffix[1:]}://**::{path}", scratch)
    except DataError as error:
        assert len(str(error).splitlines()) == 1
        found = []
    assert {entry.name for entry in folder.iterdir()} <= {path.name, "in"}
    assert all(located.path.resolve().is_relative_to(scratch.resolve()) for located in found)
    assert all(located.path.is_file() and not located.path.is_symlink() for located in found)


def raw_tar(*members: tarfile.TarInfo) -> bytes:
    file = io.BytesIO()
    with tarfile.open(fileobj=file, mode="w") as archive:
        for member in members:
            archive.addfile(member, io.BytesIO(bytes(member.size)))
    return file.getvalue()


def tar_member(name: str, kind: bytes = tarfile.REGTYPE, target: str = "") -> tarfile.TarInfo:
    info = tarfile.TarInfo(name)
    info.type, info.linkname, info.size = kind, target, 1 if kind == tarfile.REGTYPE else 0
    return info


def raw_zip(*members: tuple[str, int]) -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        for name, mode in members:
            info = zipfile.ZipInfo(name)
            info.external_attr = mode << 16
            archive.writestr(info, "x" * 5000)
    return file.getvalue()


def with_encryption_flag(content: bytes) -> bytes:
    """The flag is bit 0 of the word at byte 8 of the member's entry in the directory."""
    place = content.index(b"PK\x01\x02") + 8
    return content[:place] + bytes([content[place] | 1]) + content[place + 1 :]


GOOD_TAR = raw_tar(tar_member("a.csv"), tar_member("b.csv"))
GOOD_ZIP = raw_zip(("a.csv", 0), ("b.csv", 0))
BROKEN_ARCHIVES: list[tuple[str, bytes, str]] = [
    ("a.tar", raw_tar(tar_member("b.csv"), tar_member("/etc/a.csv")), "'/etc/a.csv' has an absolute name"),
    ("a.tar", raw_tar(tar_member("b.csv"), tar_member("x/../../a.csv")), "leads out of the archive"),
    ("a.tar", raw_tar(tar_member("a.csv", tarfile.SYMTYPE, "/etc/passwd")), "is a link or a device"),
    ("a.tar", raw_tar(tar_member("b.csv"), tar_member("a.csv", tarfile.LNKTYPE, "b.csv")), "is a link or a device"),
    ("a.tar", raw_tar(tar_member("a.csv", tarfile.FIFOTYPE)), "is a link or a device"),
    ("a.tar", raw_tar(tar_member("a.csv", tarfile.CHRTYPE)), "is a link or a device"),
    ("a.tar", raw_tar(tar_member("a.csv"), tar_member("./a.csv")), "occurs twice"),
    ("a.tar", raw_tar(tar_member("a.csv"), tar_member("A.csv")), "occurs twice"),
    ("a.tar", raw_tar(tar_member("a.csv"), tar_member("a.csv/b.csv")), "is a file and a folder"),
    ("a.tar", raw_tar(tar_member("a\n.csv")), "has a name that can't be a file's"),
    ("a.zip", raw_zip(("../a.csv", 0)), "leads out of the archive"),
    ("a.zip", raw_zip(("..\\a.csv", 0)), "leads out of the archive"),
    ("a.zip", raw_zip(("C:\\a.csv", 0)), "has an absolute name"),
    ("a.zip", raw_zip(("/a.csv", 0)), "has an absolute name"),
    ("a.zip", raw_zip(("a.csv", stat.S_IFLNK | 0o777)), "is a link or a device"),
    ("a.zip", raw_zip(("a.csv", 0), ("a.csv/b.csv", 0)), "is a file and a folder"),
    ("a.zip", with_encryption_flag(raw_zip(("a.csv", 0))), "is encrypted"),
    ("a.zip", GOOD_ZIP[:-30], "is truncated, corrupt"),
    ("a.zip", GOOD_ZIP.replace(b"xxxx", b"xxxy", 1), "is truncated, corrupt"),
    ("a.zip", b"text,label\n", "is truncated, corrupt or not the archive that its name says"),
    ("a.zip", b"", "is truncated, corrupt"),
    ("a.zip", raw_zip(), "holds no files"),
    ("a.tar", raw_tar(tar_member(".hidden")), "holds no files"),
    ("a.tar", GOOD_TAR[:1024], "is truncated, corrupt"),
    ("a.tar", GOOD_TAR[:1300], "is truncated, corrupt"),
    ("a.tar", GOOD_TAR[:700], "is truncated, corrupt"),
    ("a.tar", GOOD_TAR[:1030] + b"\xff" * 400 + GOOD_TAR[1430:], "is truncated, corrupt"),
    ("a.tar.gz", b"\x1f\x8b\x08" + bytes(50), "is truncated, corrupt"),
    ("a.tar.xz", b"not xz", "is truncated, corrupt"),
]


@pytest.mark.parametrize(("name", "content", "expected"), BROKEN_ARCHIVES)
@pytest.mark.filterwarnings("ignore:Duplicate name:UserWarning")
def test_a_broken_or_hostile_archive_is_refused_before_anything_is_kept(
    name: str, content: bytes, expected: str, tmp_path: Path, scratch: Path
) -> None:
    path = write(tmp_path, name, content=content) / name
    text = refused(str(path), scratch)
    assert text.startswith(f"{path}: ") and expected in text
    assert [entry for entry in scratch.rglob("*") if entry.is_file()] == []
    assert {entry.name for entry in tmp_path.iterdir()} <= {name, "scratch"}


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_every_cut_of_an_archive_is_told(suffix: str, tmp_path: Path, scratch: Path) -> None:
    whole = packed(tmp_path / f"whole.{suffix}", {"a.csv": NOISE[:700], "b.csv": NOISE[700:1400]}).read_bytes()
    path = tmp_path / f"cut.{suffix}"
    data_end = 7 * 512 if suffix == "tar" else len(whole) - 1  # more blocks of zeros may well be missing
    for length in range(0, data_end, 97):
        path.write_bytes(whole[:length])
        assert "is truncated, corrupt" in refused(str(path), scratch)


def test_a_bomb_is_refused_by_what_it_unpacks_to(
    tmp_path: Path, scratch: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(archives, "BOMB_BYTES", 1 << 21)
    monkeypatch.setattr(archives, "BOMB_RATIO", 100)
    path = zipped(tmp_path / "bomb.zip", {"a.csv": bytes(1 << 23)})
    assert "unpacks to more than 100 times its size" in refused(str(path), scratch)
    assert [entry for entry in scratch.rglob("*") if entry.is_file()] == []
    honest = zipped(tmp_path / "honest.zip", {"a.csv": NOISE})
    assert len(find("train", str(honest), scratch)) == 1


# HTTP


class _Handler(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        server = self.server
        assert isinstance(server, Server)
        server.asked.append((self.path, self.headers.get("Authorization")))
        page = self.path.partition("?")[0]
        if page.startswith("/status/"):
            self.send_error(int(page.removeprefix("/status/")))
        elif page == "/moved":
            self.send_response(302)
            self.send_header("Location", f"http://localhost:{server.server_port}/a.csv?sig={SECRET}")
            self.end_headers()
        else:
            self._send(server.pages[page], promised=10_000 if "short" in page else None)

    def _send(self, content: bytes, promised: int | None) -> None:
        self.send_response(200)
        self.send_header("Content-Length", str(promised or len(content)))
        if "download" in self.path:
            self.send_header("Content-Disposition", 'attachment; filename="../../named.csv"')
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, *_: object) -> None:
        pass


class Server(ThreadingHTTPServer):
    pages: dict[str, bytes]
    asked: list[tuple[str, str | None]]


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    monkeypatch.setenv("no_proxy", "127.0.0.1,localhost")
    with Server(("127.0.0.1", 0), _Handler) as running:
        running.pages, running.asked = {"/a.csv": CSV}, []
        thread = threading.Thread(target=running.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield running
        running.shutdown()
        thread.join()


def at(server: Server, path: str, user: str = "") -> str:
    return f"http://{user}127.0.0.1:{server.server_port}{path}"


def test_an_address_is_fetched_once_and_shown_without_its_secrets(server: Server, scratch: Path) -> None:
    address = at(server, f"/a.csv?token={SECRET}", user=f"me:{SECRET}@")
    (located,) = find("train", address, scratch)
    find("test", address, scratch)
    assert located.path.read_bytes() == CSV and located.path.name == "a.csv"
    assert located.name == at(server, "/a.csv")
    assert [path for path, _ in server.asked] == [f"/a.csv?token={SECRET}"]
    assert server.asked[0][1] == "Basic bWU6czNjcmV0"


def test_a_password_does_not_follow_a_redirect(server: Server, scratch: Path) -> None:
    (located,) = find("train", at(server, "/moved", user=f"me:{SECRET}@"), scratch)
    assert located.path.read_bytes() == CSV
    assert [authorization for _, authorization in server.asked] == ["Basic bWU6czNjcmV0", None]


def test_a_name_that_the_server_proposes_stays_in_scratch(server: Server, scratch: Path) -> None:
    server.pages["/download"] = CSV
    (located,) = find("train", at(server, "/download?id=3"), scratch)
    assert located.path.name == "named.csv" and located.path.is_relative_to(scratch)


def test_an_archive_at_an_address_is_unpacked(server: Server, tmp_path: Path, scratch: Path) -> None:
    server.pages["/data set.zip"] = server.pages["/d"] = zipped(tmp_path / "a.zip", {"x/a.csv": CSV}).read_bytes()
    server.pages["/data%20set.zip"] = server.pages["/data set.zip"]
    for place in (at(server, "/data set.zip"), f"zip://x::{at(server, '/d')}"):
        (located,) = find("train", place, scratch)
        assert located.path.read_bytes() == CSV
        assert located.name == f"{place.rpartition('::')[2]}: x/a.csv"


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("/status/404", "the server answered 404 Not Found; check the address"),
        ("/status/403", "the server answered 403 Forbidden; check that you may read it"),
        ("/status/500", "the server answered 500"),
        ("/short.csv", "the connection broke after 15 of 10,000 bytes"),
    ],
)
def test_what_a_server_fails_at_is_told(path: str, expected: str, server: Server, scratch: Path) -> None:
    server.pages["/short.csv"] = CSV
    text = refused(at(server, f"{path}?sig={SECRET}", user=f"me:{SECRET}@"), scratch)
    assert text.startswith(f"data.train={at(server, path)}: {expected}")
    assert [entry for entry in scratch.rglob("*") if entry.is_file()] == []


def test_a_server_that_is_not_there_is_told(scratch: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        port = unused.getsockname()[1]
    text = refused(f"http://me:{SECRET}@127.0.0.1:{port}/a.csv?{SECRET}", scratch)
    assert text.startswith(f"data.train=http://127.0.0.1:{port}/a.csv: can't be reached (")


@pytest.mark.parametrize(
    "answer", [b"", b"nonsense\r\n\r\n", b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nff\r\nabc"]
)
def test_an_answer_that_is_not_http_or_breaks_off_is_told(
    answer: bytes, scratch: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    with socket.create_server(("127.0.0.1", 0)) as listening:

        def serve() -> None:
            connection, _ = listening.accept()
            with connection:
                connection.recv(4096)
                connection.sendall(answer)

        thread = threading.Thread(target=serve)
        thread.start()
        text = refused(f"http://127.0.0.1:{listening.getsockname()[1]}/a.csv", scratch)
        thread.join()
    assert "/a.csv: " in text and ("the connection broke" in text or "can't be read" in text)


# Other storage


@pytest.fixture
def memory() -> Iterator[fsspec.AbstractFileSystem]:
    files = fsspec.filesystem("memory")
    for name in ("/bucket/part-10.csv", "/bucket/part-2.csv", "/bucket/.hidden", "/bucket/pos/1.txt"):
        files.pipe(name, CSV)
    yield files
    files.rm("/bucket", recursive=True)


def test_storage_gives_files_globs_and_folders(memory: fsspec.AbstractFileSystem, scratch: Path) -> None:
    assert names("memory://bucket/part-2.csv", scratch) == ["memory://bucket/part-2.csv"]
    assert names("memory://bucket/*.csv", scratch) == ["memory://bucket/part-2.csv", "memory://bucket/part-10.csv"]
    (folder,) = find("train", "memory://bucket", scratch)
    assert sorted(path.relative_to(folder.path).as_posix() for path in folder.path.rglob("*") if path.is_file()) == [
        "part-10.csv",
        "part-2.csv",
        "pos/1.txt",
    ]
    assert all(located.path.read_bytes() == CSV for located in find("train", "memory://bucket/*.csv", scratch))


def test_storage_that_gives_less_than_it_says_is_told(
    memory: fsspec.AbstractFileSystem, scratch: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(type(memory), "info", lambda self, path, **_: {"name": path, "size": 99, "type": "file"})
    text = refused("memory://bucket/part-2.csv", scratch)
    assert text == "data.train=memory://bucket/part-2.csv: the connection broke after 15 of 99 bytes; run again"


BROKEN_PLACES: list[tuple[str, str]] = [
    ("nowhere.csv", "data.train=nowhere.csv: there is no such file"),
    ("nowhere/**/*.csv", "data.train=nowhere/**/*.csv: there is no such file"),
    ("file:///nowhere.csv", "data.train=/nowhere.csv: there is no such file"),
    ("memory://nowhere/a.csv", "data.train=memory://nowhere/a.csv: there is no such file"),
    ("memory://nowhere/*.csv", "data.train=memory://nowhere/*.csv: there is no such file"),
    ("tape://a.csv", "data.train=tape://a.csv: is not a valid address"),
    ("zip://a.csv", "data.train=zip://a.csv: does not name the archive; write zip://inner::archive.zip"),
    ("gzip://a.csv::b.gz", "data.train=gzip://a.csv::b.gz: only zip:// and tar:// can come before ::"),
    ("zip://a.csv::nowhere.zip", "data.train=nowhere.zip: there is no such file"),
    ("https://", "data.train=https://: "),
]


@pytest.mark.parametrize(("place", "expected"), BROKEN_PLACES)
def test_a_place_that_names_nothing_is_told(place: str, expected: str, scratch: Path) -> None:
    assert refused(place, scratch).startswith(expected)


@pytest.mark.parametrize(("address", "package"), [("s3://b/a.csv", "s3fs"), ("gs://b/a.csv", "gcsfs")])
def test_a_storages_missing_package_is_named(
    address: str, package: str, scratch: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(__import__("sys").modules, package, None)
    text = refused(address, scratch)
    assert text.startswith(f"data.train={address}: ") and f"pip install {package}" in text


@pytest.mark.parametrize(
    ("place", "expected"),
    [
        ("a/b?.csv", "a/b?.csv"),
        (f"https://u:{SECRET}@h.org/a.csv?x={SECRET}#{SECRET}", "https://h.org/a.csv"),
        (f"zip://a/*.csv::https://{SECRET}@h.org/a.zip?{SECRET}", "zip://a/*.csv::https://h.org/a.zip"),
        (f"sftp://u:{SECRET}@h/a?.csv", "sftp://h/a?.csv"),
    ],
)
def test_addresses_are_shown_without_secrets(place: str, expected: str) -> None:
    assert shown(place) == expected
