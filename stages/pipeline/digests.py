"""SHA-256 of files and folders."""

import hashlib
import os
from collections.abc import Iterator
from pathlib import Path


def sha256_of(path: Path) -> str:
    r"""Return the SHA-256 of a file, or of what `sha256sum` prints of a folder's files, in hexadecimal digits.

    Files of a folder are named below it and sorted by the bytes of these names; hidden ones are left out:
    `find -L . -type f -not -path '*/.*' -printf '%P\0' | LC_ALL=C sort -z | xargs -0 sha256sum | sha256sum`.
    """
    if path.is_dir():
        digest = hashlib.sha256()
        for name in sorted(map(os.fsencode, _files_in(path))):
            digest.update(b"%s  %s\n" % (sha256_of(path / os.fsdecode(name)).encode(), name))
        return digest.hexdigest()
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _files_in(folder: Path) -> list[str]:
    """Return the names of a folder's files, in it and below, but for hidden ones."""
    files = (file.relative_to(folder) for file in files_below(folder))
    return [file.as_posix() for file in files if not any(part.startswith(".") for part in file.parts)]


def files_below(folder: Path) -> Iterator[Path]:
    """Yield the files in a folder and below it, through links to folders, but for a link to a folder that it lies in."""
    for parent, folders, files in os.walk(folder, followlinks=True):
        inside = Path(parent)
        way = [inside, *(above for above in inside.parents if above == folder or folder in above.parents)]
        around = {above for real in map(Path.resolve, way) for above in (real, *real.parents)}
        folders[:] = [name for name in folders if (inside / name).resolve() not in around]
        yield from (inside / name for name in files if (inside / name).is_file())
