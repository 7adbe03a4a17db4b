"""A folder's manifest: the sizes and digests of its files, written last, by which a folder that is not whole is found out."""

import hashlib
import os
from pathlib import Path

from pydantic import TypeAdapter, ValidationError
from pydantic.dataclasses import dataclass

_NAME = "manifest.json"


@dataclass(frozen=True)
class FileRecord:
    """What a file must be."""

    size: int
    """Bytes."""
    sha256: str


_MANIFEST = TypeAdapter(dict[str, FileRecord])


def write_manifest(folder: Path) -> None:
    """Record every file of `folder`, each safely on the disk before the manifest names it. Raises OSError if the disk won't."""
    records = {file.name: FileRecord(file.stat().st_size, _synced_digest(file)) for file in sorted(folder.iterdir())}
    manifest = folder / _NAME
    manifest.write_bytes(_MANIFEST.dump_json(records, indent=2))
    _synced_digest(manifest)
    sync_folder(folder)


def fault(folder: Path) -> str | None:
    """Why `folder` is not what its manifest says, in a few words; None if it is."""
    try:
        records = _MANIFEST.validate_json((folder / _NAME).read_bytes())
    except OSError:
        return f"{_NAME} is missing"
    except ValidationError:
        return f"{_NAME} is damaged"
    found = {file.name for file in folder.iterdir()} - {_NAME}
    odd = sorted(found ^ records.keys())
    if odd:
        return f"{odd[0]} is {'not in its manifest' if odd[0] in found else 'missing'}"
    damaged = (name for name, record in records.items() if not _matches(folder / name, record))
    return next((f"{name} is damaged" for name in damaged), None)


def sync_folder(folder: Path) -> None:
    """Wait until the disk has the folder's own entries, a rename in it for example."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _matches(file: Path, record: FileRecord) -> bool:
    try:
        return file.stat().st_size == record.size and _digest(file) == record.sha256
    except OSError:  # a bad sector, or a folder under a file's name
        return False


def _digest(file: Path) -> str:
    with file.open("rb") as content:
        return hashlib.file_digest(content, "sha256").hexdigest()


def _synced_digest(file: Path) -> str:
    """The digest, of what the system still holds in memory, once the disk has the file as well."""
    with file.open("r+b") as content:
        os.fsync(content.fileno())
        return hashlib.file_digest(content, "sha256").hexdigest()
