"""Find or fetch the files and folders that paths, globs, addresses and archives name."""

import glob
import re
from collections.abc import Sequence
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path, PurePosixPath
from urllib.parse import unquote, urlsplit

from stages.pipeline.errors import DataError
from stages.pipeline.outputs import whole_directory
from stages.sources.archives import Archive, is_archive
from stages.sources.fetching import fetch_http, fetch_storage, scheme_of, shown
from stages.sources.readers.compression import suffix_inside
from stages.sources.readers.formats import FORMAT_OF_SUFFIX
from stages.sources.readers.natural_order import natural_key

_ARCHIVE_SCHEMES = ("zip", "tar")
_SPLIT_NAMES = frozenset({"train", "test", "dev", "valid", "validation", "eval", "unsup"})
_GLOB_CHARACTERS = "*?["


@dataclass(frozen=True)
class Located:
    """A file or folder of data on this machine."""

    path: Path
    name: str
    """Its name in messages: the path or address as configured, `archive.zip: inner.csv` for a member of an archive."""


def find_files(split: str, places: str | list[str], scratch: Path) -> list[Located]:
    """Find the files and folders that a split's places name, with archives as they are. See `find`."""
    key = f"data.{split}"
    found: dict[Path, Located] = {}
    for place in [places] if isinstance(places, str) else places:
        for located in _unexpanded(key, place.rpartition("::")[2], scratch):
            found.setdefault(located.path, located)
    return list(found.values())


def find(split: str, places: str | list[str], scratch: Path) -> list[Located]:
    """Find what a split's places name, in their order and in natural order within each, each file once.

    Remote files and members of archives are copied below `scratch`, a folder of this run alone. Raises DataError in one
    line that begins with the split's key or the archive's name.
    """
    key = f"data.{split}"
    found: dict[Path, Located] = {}
    for place in [places] if isinstance(places, str) else places:
        for located in _find(key, place, scratch):
            found.setdefault(located.path, located)
    return list(found.values())


def _find(key: str, place: str, scratch: Path) -> list[Located]:
    first, chained, rest = place.partition("::")
    if chained:
        scheme, _, inner = first.partition("://")
        if scheme.lower() not in _ARCHIVE_SCHEMES:
            raise DataError(
                f"{key}={shown(place)}: only zip:// and tar:// can stand before ::, as in zip://inner/*.csv::archive.zip"
            )
        archives = _find(key, rest, scratch) if "::" in rest else _unexpanded(key, rest, scratch)
        return [part for archive in archives for part in _unpacked(archive, inner.strip("/"), scratch)]
    parts: list[Located] = []
    for located in _unexpanded(key, place, scratch):
        is_packed = located.path.is_file() and is_archive(located.path.name)
        parts += _unpacked(located, "", scratch) if is_packed else [located]
    return parts


def _unexpanded(key: str, place: str, scratch: Path) -> list[Located]:
    """Find what a place names, with archives as they are."""
    scheme = scheme_of(place)
    if scheme in ("http", "https"):
        return [Located(fetch_http(key, place, scratch), shown(place))]
    if scheme == "file":
        return _local(key, unquote(urlsplit(place).path))
    if scheme in _ARCHIVE_SCHEMES:
        raise DataError(f"{key}={place}: does not name the archive; write {scheme}://inner::archive.{scheme}")
    if scheme is not None:
        return [Located(path, name) for path, name in fetch_storage(key, place, scratch)]
    return _local(key, place)


def _local(key: str, place: str) -> list[Located]:
    path = Path(place).expanduser()
    if path.exists():
        return [Located(path, place)]
    matches = sorted(glob.glob(str(path), recursive=True), key=natural_key)  # noqa: PTH207 (absolute patterns)
    files = [match for match in matches if Path(match).is_file()]
    if not matches:
        raise DataError(f"{key}={place}: there is no such file; give a path or glob that exists")
    return [Located(Path(match), match) for match in files or matches]


def _unpacked(located: Located, inner: str, scratch: Path) -> list[Located]:
    """Unpack what `inner` names in an archive: a path, a glob, or empty for all if that is unambiguous."""
    archive = Archive(located.path, located.name)
    members = sorted(archive.members(), key=natural_key)
    root, chosen = _chosen(archive, members, inner)
    folder = scratch / "unpacked" / sha256(f"{located.path.resolve()}::{inner}".encode()).hexdigest()[:16]
    if not folder.is_dir():
        with whole_directory(folder) as partial:
            archive.unpack(set(chosen), partial)
    if root is not None:
        return [Located(folder / root, f"{located.name}: {root}" if root != "." else located.name)]
    return [Located(folder / name, f"{located.name}: {name}") for name in chosen]


def _chosen(archive: Archive, members: Sequence[str], inner: str) -> tuple[str | None, list[str]]:
    """Return the folder that the members to unpack stand for, if they do, and these members."""
    if not members:
        raise DataError(f"{archive.name}: holds no files")
    if not inner:
        return _all_members(archive, members)
    if any(character in inner for character in _GLOB_CHARACTERS):
        pattern = _pattern(inner)
        matches = [name for name in members if pattern.fullmatch(name)]
    else:
        matches = [name for name in members if name == inner]
    if matches:
        return None, matches
    below = [name for name in members if name.startswith(f"{inner}/")]
    if not below:
        raise DataError(f"{archive.name}: holds no {inner}; it holds {_some(members)}")
    return (None, below) if all(_is_data(name) for name in below) else (inner, below)


def _all_members(archive: Archive, members: Sequence[str]) -> tuple[str | None, list[str]]:
    if len(members) == 1 or all(_is_data(name) for name in members):
        return None, list(members)
    root = _root_of_labels(members)
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
    return suffix_inside(name) in FORMAT_OF_SUFFIX


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
