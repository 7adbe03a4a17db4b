"""Find or fetch the files and folders that paths, globs, addresses and archives name.

Remote files are copied, over HTTP or from any storage that fsspec knows. Messages show addresses without their secrets.
"""

import base64
import glob
import http.client
import re
import shutil
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path, PurePosixPath
from typing import Any
from urllib.error import HTTPError, URLError
from urllib.parse import quote, unquote, urlsplit, urlunsplit
from urllib.request import Request, urlopen

from stages.pipeline.errors import DataError
from stages.pipeline.outputs import whole_directory, whole_file
from stages.sources.archives import is_archive, unpacked
from stages.sources.readers.text_folders import natural_key

TIMEOUT = 60
"""Seconds without an answer after which a request fails."""

_ARCHIVE_SCHEMES = ("zip", "tar")
_BLOCK = 1 << 20
_SAFE_IN_ADDRESS = "%/:=&?~+!$,;'()*@[]"
_SCHEME = re.compile(r"[A-Za-z][A-Za-z0-9+.-]+://")
_USER = re.compile(r"(://)[^/?#]*@")
_QUERY = re.compile(r"[?#].*")
_PACKAGES = {
    "s3": "s3fs",
    "s3a": "s3fs",
    "gs": "gcsfs",
    "gcs": "gcsfs",
    "abfs": "adlfs",
    "az": "adlfs",
    "sftp": "paramiko",
}


@dataclass(frozen=True)
class Located:
    """A file or folder of data on this machine."""

    path: Path
    name: str
    """Its name in messages: the path or address as configured, `archive.zip: inner.csv` for a member of an archive."""


def find(split: str, locations: str | list[str], scratch: Path) -> list[Located]:
    """Find what a split's locations name, in their order and in natural order within each, each file once.

    Remote files and members of archives are copied below `scratch`, a folder of this run alone. Raises DataError in one
    line that begins with the split's key or the archive's name.
    """
    key = f"data.{split}"
    return _once_each(part for location in _as_list(locations) for part in _find(key, location, scratch))


def find_packed(split: str, locations: str | list[str], scratch: Path) -> list[Located]:
    """Find the same files and folders, but each archive as one file, without unpacking it."""
    key, last = f"data.{split}", [location.rpartition("::")[2] for location in _as_list(locations)]
    return _once_each(located for location in last for located in _packed(key, location, scratch))


def _as_list(locations: str | list[str]) -> list[str]:
    return [locations] if isinstance(locations, str) else locations


def _once_each(found: Iterable[Located]) -> list[Located]:
    by_path: dict[Path, Located] = {}
    for located in found:
        by_path.setdefault(located.path, located)
    return list(by_path.values())


def _find(key: str, location: str, scratch: Path) -> list[Located]:
    first, chained, rest = location.partition("::")
    if chained:
        scheme, _, inner = first.partition("://")
        if scheme.lower() not in _ARCHIVE_SCHEMES:
            raise DataError(
                f"{key}={shown(location)}: only zip:// and tar:// can come before ::, as in zip://inner/*.csv::archive.zip"
            )
        archives = _find(key, rest, scratch) if "::" in rest else _packed(key, rest, scratch)
        return [part for archive in archives for part in _unpacked(archive, inner.strip("/"), scratch)]
    parts: list[Located] = []
    for located in _packed(key, location, scratch):
        is_packed = located.path.is_file() and is_archive(located.path.name)
        parts += _unpacked(located, "", scratch) if is_packed else [located]
    return parts


def _packed(key: str, location: str, scratch: Path) -> list[Located]:
    """Find what a location names, with archives as they are."""
    scheme = scheme_of(location)
    if scheme in ("http", "https"):
        return [Located(fetch_http(key, location, scratch), shown(location))]
    if scheme == "file":
        return _local(key, unquote(urlsplit(location).path))
    if scheme in _ARCHIVE_SCHEMES:
        raise DataError(f"{key}={location}: does not name the archive; write {scheme}://inner::archive.{scheme}")
    if scheme is not None:
        return [Located(path, name) for path, name in fetch_storage(key, location, scratch)]
    return _local(key, location)


def _local(key: str, location: str) -> list[Located]:
    path = Path(location).expanduser()
    if path.exists():
        return [Located(path, location)]
    matches = sorted(glob.glob(str(path), recursive=True), key=natural_key)  # noqa: PTH207 (absolute patterns)
    files = [match for match in matches if Path(match).is_file()]
    if not matches:
        raise DataError(f"{key}={location}: there is no such file; give a path or glob that exists")
    return [Located(Path(match), match) for match in files or matches]


def _unpacked(archive: Located, inner: str, scratch: Path) -> list[Located]:
    return [Located(path, name) for path, name in unpacked(archive.path, archive.name, inner, scratch)]


def scheme_of(location: str) -> str | None:
    """Return the scheme of an address, in lower case; None for a path. A single letter is a Windows drive."""
    match = _SCHEME.match(location)
    return match.group().removesuffix("://").lower() if match else None


def shown(location: str) -> str:
    """Return a path as it is, and an address without its secrets, also at the end of a chain (`zip://part::address`)."""
    *inner, last = location.split("::")
    if scheme_of(last) is not None and scheme_of(last) != "file":
        last = _USER.sub(r"\1", last)
        last = _QUERY.sub("", last) if scheme_of(last) in ("http", "https") else last
    return "::".join([*inner, last])


def without_secrets(text: str, address: str) -> str:
    """Return a library's message about an address as one line without the address's secrets."""
    secrets = [match.group() for match in _QUERY.finditer(address)]
    secrets += [match.group()[3:] for match in _USER.finditer(address)]
    text = text.replace(address, shown(address))
    for secret in secrets:
        text = text.replace(secret, "")
    return " ".join(text.split())


def fetch_http(key: str, address: str, scratch: Path) -> Path:
    """Copy the file at a web address. An address is fetched once into a scratch folder. Raises DataError."""
    folder = _folder_of(address, scratch)
    if folder.is_dir():
        return next(folder.iterdir())
    with _fetch_errors(key, address), _answer(address) as answer, whole_directory(folder) as partial:
        path = partial / _file_name(address, answer)
        expected = answer.headers.get("Content-Length")
        with path.open("wb") as file:
            shutil.copyfileobj(answer, file, _BLOCK)
        _refuse_short(key, address, path, None if expected is None else int(expected))
    return folder / path.name


def fetch_storage(key: str, address: str, scratch: Path) -> list[tuple[Path, str]]:
    """Copy a file, a folder, or the files that a glob matches; return each with its own address. Raises DataError."""
    files, path = _file_system(key, address)
    with _fetch_errors(key, address):
        if any(character in path for character in "*?["):
            matches = sorted((match for match in files.glob(path) if files.isfile(match)), key=natural_key)
        elif files.isdir(path):
            return [(_copied_folder(key, address, files, path, scratch), shown(address))]
        else:
            matches = [path] if files.isfile(path) else []
        if not matches:
            raise DataError(f"{key}={shown(address)}: there is no such file; give an address or glob that exists")
        return [_copied_file(key, address, files, match, scratch) for match in matches]


def _copied_folder(key: str, address: str, files: Any, path: str, scratch: Path) -> Path:
    folder = _folder_of(address, scratch)
    if not folder.is_dir():
        with whole_directory(folder) as partial:
            for file in files.find(path):
                relative = PurePosixPath(file).relative_to(PurePosixPath(path))
                if not any(part.startswith(".") for part in relative.parts):
                    _copy(key, address, files, file, partial.joinpath(*relative.parts))
    return folder


def _copied_file(key: str, address: str, files: Any, path: str, scratch: Path) -> tuple[Path, str]:
    own_address = f"{scheme_of(address)}://{path.lstrip('/')}"
    copy = _folder_of(own_address, scratch) / PurePosixPath(path).name
    if not copy.is_file():
        with whole_file(copy) as partial:
            _copy(key, address, files, path, partial)
    return copy, shown(own_address)


def _copy(key: str, address: str, files: Any, source: str, target: Path) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    with files.open(source, "rb") as remote, target.open("wb") as file:
        shutil.copyfileobj(remote, file, _BLOCK)
    _refuse_short(key, address, target, files.info(source).get("size"))


def _file_system(key: str, address: str) -> tuple[Any, str]:
    import fsspec

    try:
        files, path = fsspec.core.url_to_fs(address)
    except ImportError as error:
        scheme = scheme_of(address) or ""
        package = _PACKAGES.get(scheme)
        advice = f"pip install {package}" if package else without_secrets(str(error), address)
        raise DataError(
            f"{key}={shown(address)}: {scheme}:// needs a package that is not installed; {advice}"
        ) from error
    except ValueError as error:
        reason = without_secrets(str(error), address)
        raise DataError(f"{key}={shown(address)}: is not a valid address ({reason})") from error
    except (
        Exception
    ) as error:  # each storage has its own classes, and raises them already when it looks for credentials
        raise _unreadable(key, address, error) from error
    return files, str(path)


@contextmanager
def _fetch_errors(key: str, address: str) -> Iterator[None]:
    """Turn what a server or a storage library raises into DataError."""
    try:
        yield
    except DataError:
        raise
    except HTTPError as error:
        error.close()  # it is the response as well
        advice = "check that you may read it" if error.code in (401, 403) else "check the address"
        raise DataError(f"{key}={shown(address)}: the server answered {error.code} {error.reason}; {advice}") from error
    except URLError as error:
        raise DataError(
            f"{key}={shown(address)}: can't be reached ({without_secrets(str(error.reason), address)}); check the address "
            "and the connection"
        ) from error
    except (http.client.IncompleteRead, ConnectionError, TimeoutError) as error:
        raise DataError(
            f"{key}={shown(address)}: the connection broke ({_reason(error, address)}); run again"
        ) from error
    except Exception as error:  # each storage has its own classes, without a common one
        raise _unreadable(key, address, error) from error


def _unreadable(key: str, address: str, error: Exception) -> DataError:
    return DataError(
        f"{key}={shown(address)}: can't be read ({_reason(error, address)}); check the address and your access"
    )


def _reason(error: Exception, address: str) -> str:
    text = without_secrets(str(error), address)
    return f"{type(error).__name__}: {text}" if text else type(error).__name__


@contextmanager
def _answer(address: str) -> Iterator[Any]:
    """Request a web address. A user and password in it become a header that is not sent on to other hosts."""
    parts = urlsplit(address)
    host = parts.netloc.rpartition("@")[2]
    clean = urlunsplit(
        (parts.scheme, host, quote(parts.path, _SAFE_IN_ADDRESS), quote(parts.query, _SAFE_IN_ADDRESS), "")
    )
    request = Request(clean, headers={"User-Agent": "stagewright", "Accept-Encoding": "identity"})
    if parts.username is not None:
        pair = f"{unquote(parts.username)}:{unquote(parts.password or '')}"
        request.add_unredirected_header("Authorization", "Basic " + base64.b64encode(pair.encode()).decode())
    with urlopen(request, timeout=TIMEOUT) as answer:
        yield answer


def _file_name(address: str, answer: Any) -> str:
    """Return the file name at the end of the address or, if that has no suffix, the one that the server proposes."""
    name = PurePosixPath(unquote(urlsplit(address).path)).name
    proposed = PurePosixPath((answer.headers.get_filename() or "").replace("\\", "/")).name
    chosen = proposed if proposed and not PurePosixPath(name).suffix else name
    return chosen.replace("\0", "").lstrip(".") or "download"


def _refuse_short(key: str, address: str, path: Path, expected: int | None) -> None:
    got = path.stat().st_size
    if expected is not None and got != expected:
        raise DataError(f"{key}={shown(address)}: the connection broke after {got:,} of {expected:,} bytes; run again")


def _folder_of(address: str, scratch: Path) -> Path:
    return scratch / "fetched" / sha256(address.encode()).hexdigest()[:16]
