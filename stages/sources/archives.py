"""Unpack the data in archives, safely: no file can land outside the target folder, and none can grow without bound."""

import lzma
import re
import stat
import tarfile
import zipfile
import zlib
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path, PurePosixPath
from typing import IO

from stages.pipeline.errors import DataError
from stages.pipeline.outputs import scratch_directory
from stages.sources.readers.brat import ANNOTATION_SUFFIX
from stages.sources.readers.compression import suffix_inside
from stages.sources.readers.formats import FORMAT_OF_SUFFIX
from stages.sources.readers.text_folders import natural_key

BOMB_BYTES = 1_000_000_000
"""Bytes that may always be unpacked: text can be compressed to a thousandth of its size."""
BOMB_RATIO = 1000
"""The largest ratio of unpacked to packed size, once more than `BOMB_BYTES` are unpacked."""

ARCHIVE_SUFFIXES = (".zip", ".tar", ".tar.gz", ".tgz", ".tar.bz2", ".tbz2", ".tar.xz", ".txz")

_BLOCK = 1 << 20
_UNFIT = re.compile(r"[\x00-\x1f\x7f\ud800-\udfff]")
"""Control characters, and surrogates, which stand for bytes that are not UTF-8."""
_TAR_BLOCK = 512
_SPLIT_NAMES = frozenset({"train", "test", "dev", "valid", "validation", "eval", "unsup"})


@dataclass(frozen=True)
class Archive:
    """An archive file, and its name in messages."""

    path: Path
    name: str

    def members(self) -> list[str]:
        """Return the files that are not hidden. Raises DataError if any member must not be unpacked."""
        with _archive_errors(self):
            names = [PurePosixPath(name) for name in _checked_files(self)]
            return [str(name) for name in names if not any(p.startswith(".") or p == "__MACOSX" for p in name.parts)]

    def unpack(self, names: set[str], target: Path) -> None:
        """Write the files of these names below an empty folder. Raises DataError."""
        with _archive_errors(self):
            written = 0
            for name, open_member in _contents(self):
                if name not in names:
                    continue
                place = target.joinpath(*PurePosixPath(name).parts)
                place.parent.mkdir(parents=True, exist_ok=True)
                with open_member() as member, place.open("xb") as file:
                    while block := member.read(_BLOCK):
                        file.write(block)
                        written += len(block)
                        if written > max(BOMB_BYTES, BOMB_RATIO * self.path.stat().st_size):
                            raise DataError(
                                f"{self.name}: unpacks to more than {BOMB_RATIO} times its size, like an archive bomb; "
                                "unpack it yourself if you trust it"
                            )


def is_archive(file_name: str) -> bool:
    """Whether a file's name says that it is an archive."""
    return file_name.lower().endswith(ARCHIVE_SUFFIXES)


def unpacked(path: Path, name: str, inner: str, scratch: Path) -> list[tuple[Path, str]]:
    """Unpack what `inner` names in an archive: a path, a glob, or empty for all if that is unambiguous.

    Return the files and folders, each with its name in messages: `archive.zip: inner.csv`. A member has one place below
    `scratch`, whatever named it.
    """
    archive = Archive(path, name)
    members = sorted(archive.members(), key=natural_key)
    root, chosen = _chosen(archive, members, inner)
    folder = scratch / "unpacked" / sha256(str(path.resolve()).encode()).hexdigest()[:16]
    lacking = {member for member in chosen if not (folder / member).is_file()}
    if lacking:
        with scratch_directory(folder.with_suffix(".partial")) as partial:
            archive.unpack(lacking, partial)
            for member in lacking:
                (folder / member).parent.mkdir(parents=True, exist_ok=True)
                (partial / member).rename(folder / member)
    if root is not None:
        return [(folder / root, f"{name}: {root}" if root != "." else name)]
    return [(folder / member, f"{name}: {member}") for member in chosen]


def _chosen(archive: Archive, members: Sequence[str], inner: str) -> tuple[str | None, list[str]]:
    """Return the members to unpack and, before them, the folder to read them as; None if each is a file of its own."""
    if not members:
        raise DataError(f"{archive.name}: holds no files")
    if not inner:
        return _all_members(archive, members)
    pattern = _pattern(inner)
    matches = [inner] if inner in members else [name for name in members if pattern.fullmatch(name)]
    if matches:
        return None, matches
    below = [name for name in members if name.startswith(f"{inner}/")]
    if not below:
        raise DataError(f"{archive.name}: holds no {inner}; it holds {_some(members)}")
    return (None, below) if all(_is_data(name) for name in below) else (inner, below)


def _all_members(archive: Archive, members: Sequence[str]) -> tuple[str | None, list[str]]:
    if len(members) == 1 or all(_is_data(name) for name in members):
        return None, list(members)
    root = "." if any(name.endswith(ANNOTATION_SUFFIX) for name in members) else _root_of_labels(members)
    if root is not None:
        return root, list(members)
    scheme = "zip" if archive.path.name.lower().endswith(".zip") else "tar"
    raise DataError(
        f"{archive.name}: holds {len(members)} files ({_some(members)}), not all of them data; say which, for example "
        f"{scheme}://{members[0]}::{archive.name}"
    )


def _root_of_labels(members: Sequence[str]) -> str | None:
    """Return the folder that holds folders of texts, one a label, and nothing else. Names of splits are no labels."""
    folders = [PurePosixPath(name).parts[:-1] for name in members]
    depth = 0
    while all(len(parts) > depth for parts in folders) and len({parts[depth] for parts in folders}) == 1:
        depth += 1
    labels = {parts[depth].lower() if len(parts) > depth else None for parts in folders}
    are_texts = all(name.lower().endswith(".txt") for name in members)
    if not are_texts or None in labels or len(labels) < 2 or labels & _SPLIT_NAMES:
        return None
    return str(PurePosixPath(*folders[0][:depth]))


def _is_data(name: str) -> bool:
    return suffix_inside(name) in FORMAT_OF_SUFFIX and not name.endswith(ANNOTATION_SUFFIX)


def _some(members: Sequence[str]) -> str:
    return ", ".join(members[:3]) + (" …" if len(members) > 3 else "")


def _pattern(inner: str) -> re.Pattern[str]:
    """Return a glob as a regular expression: `**/` matches any number of folders, `*` and `?` within a name."""
    parts = re.split(r"(\*\*/|\*\*|\*|\?|\[[^\]]+\])", inner)
    special = {"**/": "(?:[^/]+/)*", "**": ".*", "*": "[^/]*", "?": "[^/]"}
    pattern = ""
    for place, part in enumerate(parts):
        if place % 2 and part not in special:  # [abc] or [!abc]
            body = part[1:-1]
            negated = body.startswith("!")
            pattern += f"[{'^/' if negated else ''}{re.escape(body[negated:]).replace(chr(92) + '-', '-')}]"
        else:
            pattern += special.get(part) or re.escape(part)
    return re.compile(pattern)


@dataclass(frozen=True)
class _Entry:
    raw_name: str
    is_folder: bool
    fault: str | None
    """Why it must not be unpacked, if there is a reason."""


def _checked_files(archive: Archive) -> list[str]:
    files: dict[str, str] = {}
    parents: set[str] = set()
    for entry in _entries(archive):
        name = _normal_name(entry.raw_name)
        fault = entry.fault or _fault_of_name(entry.raw_name)
        if fault is not None:
            raise _refused(archive, entry.raw_name, fault)
        parts = PurePosixPath(name.casefold()).parts
        parents.update("/".join(parts[:depth]) for depth in range(1, len(parts) + entry.is_folder))
        if not entry.is_folder:
            if name.casefold() in files:
                raise _refused(archive, entry.raw_name, "occurs twice, apart from upper and lower case")
            files[name.casefold()] = name
    clash = next((name for folded, name in files.items() if folded in parents), None)
    if clash is not None:
        raise _refused(archive, clash, "is a file and a folder")
    return list(files.values())


def _refused(archive: Archive, member: str, fault: str) -> DataError:
    return DataError(
        f"{archive.name}: its member {member!r} {fault}; nothing was unpacked: unpack it yourself if you trust it"
    )


def _normal_name(raw_name: str) -> str:
    """Return the member's path with slashes: some programs on Windows write backslashes."""
    return str(PurePosixPath(raw_name.replace("\\", "/")))


def _fault_of_name(raw_name: str) -> str | None:
    name = raw_name.replace("\\", "/")
    if name.startswith("/") or name[1:2] == ":":
        return "has an absolute name"
    if ".." in PurePosixPath(name).parts:
        return "leads out of the archive (..)"
    if not name or _UNFIT.search(name):
        return "has a name that can't be a file's"
    return None


def _is_zip(archive: Archive) -> bool:
    with archive.path.open("rb") as file:
        return file.read(2) == b"PK"  # an address may not end with .zip


def _entries(archive: Archive) -> Iterator[_Entry]:
    if _is_zip(archive):
        with zipfile.ZipFile(archive.path) as opened:
            for info in opened.infolist():
                mode = stat.S_IFMT(info.external_attr >> 16)
                is_special = mode not in (0, stat.S_IFREG, stat.S_IFDIR)
                fault = "is a link or a device" if is_special else "is encrypted" if info.flag_bits & 1 else None
                yield _Entry(info.filename, info.is_dir(), fault)
        return
    with tarfile.open(archive.path) as opened_tar:
        for member in opened_tar:
            tar_fault = None if member.isreg() or member.isdir() else "is a link or a device"
            yield _Entry(member.name, member.isdir(), tar_fault)
        _refuse_unfinished(opened_tar)


def _contents(archive: Archive) -> Iterator[tuple[str, Callable[[], IO[bytes]]]]:
    if _is_zip(archive):
        with zipfile.ZipFile(archive.path) as opened:
            for info in opened.infolist():
                if not info.is_dir():
                    yield _normal_name(info.filename), lambda info=info: opened.open(info)  # type: ignore[misc]
        return
    with tarfile.open(archive.path) as opened_tar:
        for member in opened_tar:
            if member.isreg():
                yield _normal_name(member.name), lambda member=member: opened_tar.extractfile(member)  # type: ignore[misc]


def _refuse_unfinished(opened: tarfile.TarFile) -> None:
    """Raise ReadError unless the archive ends properly: `tarfile` silently takes a damaged header for the end."""
    assert opened.fileobj is not None
    opened.fileobj.seek(opened.offset)
    if opened.fileobj.read(_TAR_BLOCK) != bytes(_TAR_BLOCK):
        raise tarfile.ReadError("it does not end as an archive does")
    while opened.fileobj.read(_BLOCK):  # the checksum of compressed data is at their end
        pass


@contextmanager
def _archive_errors(archive: Archive) -> Iterator[None]:
    """Turn what reading the archive raises into DataError."""
    try:
        yield
    except (zipfile.BadZipFile, tarfile.TarError, EOFError, zlib.error, lzma.LZMAError) as error:
        reason = str(error).partition("\n")[0].rstrip(":")  # tarfile lists all that it has tried
        raise DataError(
            f"{archive.name}: is truncated, corrupt or not the archive that its name says ({reason}); fetch it again"
        ) from error
    except (NotImplementedError, RuntimeError) as error:
        raise DataError(f"{archive.name}: is packed in a way that can't be read ({error}); pack it again") from error
    except OSError as error:
        raise DataError(
            f"{archive.name}: can't be unpacked ({error.strerror or error}); fetch it again, or free disk space"
        ) from error
