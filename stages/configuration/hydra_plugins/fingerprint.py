"""The fingerprint of the data or the model on this machine, which composition writes to `params.yaml` for DVC to watch.

`conf/data/files.yaml` and `conf/model/files.yaml` call it as `${fingerprint:}`. DVC loads this module as a plugin, where
`stages` can't be imported.
"""

import glob
import json
import os
import time
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from contextvars import ContextVar
from hashlib import file_digest, sha256
from pathlib import Path
from urllib.parse import unquote, urlsplit

from omegaconf import DictConfig, ListConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException
from ruamel.yaml import YAML
from ruamel.yaml.error import YAMLError

_SPLITS = ("train", "validation", "test")
_LOCATIONS = (*_SPLITS, "label_names")
_MODEL = "path"
_NAMES = ("source", *_LOCATIONS, _MODEL)
"""The keys of `data` and `model` that say which files there are; `label_names` is one if it is a string."""
_NOT_OF_MODELS = frozenset({".bin", ".ckpt", ".gguf", ".h5", ".md", ".msgpack", ".onnx", ".pt", ".pth"})
"""Suffixes of what stands beside a model, and is not read."""
_PARAMS = Path("params.yaml")
_KNOWN = Path(".dvc/tmp/fingerprints.json")
"""Fingerprints by the sizes and times of files, so that files are read again only after a change. Outside of git.

A program can set the time of a file's content (`cp -p`, `rsync -t`, `tar`), but not that of its last change (`st_ctime`).
"""
_MOST_KNOWN = 64
_SETTLED = 2.0
"""Seconds after which a change of a file that keeps its size changes its time, on any file system."""
_DIGITS = 16

_IS_WATCHED: ContextVar[bool] = ContextVar("is_watched", default=True)


@contextmanager
def unwatched() -> Iterator[None]:
    """Compose without a fingerprint in the block: no file of data is read, and none is written."""
    token = _IS_WATCHED.set(False)
    try:
        yield
    finally:
        _IS_WATCHED.reset(token)


def fingerprint(locations: Mapping[str, Sequence[str]]) -> str | None:
    """Return a digest of the files at these locations, of their contents and their names below the location.

    Addresses are left out. None if no location is on this machine. Raises FileNotFoundError if a path or glob names nothing.
    """
    found = [
        (f"{split}\0{name}", path)
        for split in _LOCATIONS
        for location in locations.get(split, ())
        for name, path in _files(location)
    ]
    return _digest_of(found) if found else None


def model_fingerprint(folder: str) -> str | None:
    """Return a digest of a model's folder: of the files in it that may be read. Raises FileNotFoundError if it is not there."""
    files = [(f"{_MODEL}\0{path.name}", path) for path in sorted(Path(folder).iterdir()) if _may_be_of_model(path)]
    return _digest_of(files) if files else None


def _may_be_of_model(path: Path) -> bool:
    return path.is_file() and not path.name.startswith(".") and path.suffix not in _NOT_OF_MODELS


def _digest_of(found: Sequence[tuple[str, Path]]) -> str:
    """Return a digest of files, each with a name of its own, by their content."""
    stats = [path.stat() for _, path in found]
    stamps = [
        f"{name}\0{path.absolute()}\0{stat.st_size}\0{stat.st_mtime_ns}\0{stat.st_ctime_ns}\0{stat.st_ino}"
        for (name, path), stat in zip(found, stats, strict=True)
    ]
    stamp = sha256("\n".join(stamps).encode("utf-8", "surrogateescape")).hexdigest()
    known = _known()
    if stamp not in known:
        now = time.time()
        digests = [f"{name}\0{_digest(path)}" for name, path in found]
        known[stamp] = (
            f"sha256-{sha256(chr(10).join(digests).encode('utf-8', 'surrogateescape')).hexdigest()[:_DIGITS]}"
        )
        if all(stat.st_ctime + _SETTLED < now for stat in stats):
            _remember(known)
    return known[stamp]


def _files(location: str) -> list[tuple[str, Path]]:
    """Return the files that a location names here, each with its name below the location (empty for a single file)."""
    location = location.rpartition("::")[2]
    if "://" in location:
        if not location.lower().startswith("file://"):
            return []
        location = unquote(urlsplit(location).path)
    path = Path(location).expanduser()
    if path.is_file():
        return [("", path), *((other.name, other) for other in _partners_of([path]))]
    matches = [path] if path.exists() else [Path(match) for match in glob.glob(str(path), recursive=True)]  # noqa: PTH207
    if not matches:
        raise FileNotFoundError(location)
    files = {file for match in matches for file in ([match] if match.is_file() else _files_below(match))}
    files.update(_partners_of(files))
    base = os.path.commonpath([match if match.is_dir() else match.parent for match in matches])
    named = ((os.path.relpath(file, base), file) for file in files)
    return sorted((name, file) for name, file in named if not any(part.startswith(".") for part in Path(name).parts))


def _files_below(folder: Path) -> Iterator[Path]:
    """Yield the files in a folder and below it, through links to folders, but for a link to a folder that it lies in.

    It is `stages.pipeline.digests.files_below`, which can't be imported here.
    """
    for parent, folders, files in os.walk(folder, followlinks=True):
        inside = Path(parent)
        way = [inside, *(above for above in inside.parents if above == folder or folder in above.parents)]
        around = {above for real in map(Path.resolve, way) for above in (real, *real.parents)}
        folders[:] = [name for name in folders if (inside / name).resolve() not in around]
        yield from (inside / name for name in files if (inside / name).is_file())


_PARTNERS = {".txt": ".ann", ".ann": ".txt"}
"""The suffixes of files that are read together, even if one is named alone: brat's texts and annotations."""


def _partners_of(files: Collection[Path]) -> list[Path]:
    """Return the files that are read with those that are named."""
    others = (file.with_suffix(_PARTNERS[file.suffix]) for file in files if file.suffix in _PARTNERS)
    return [other for other in others if other not in files and other.is_file()]


def _digest(path: Path) -> str:
    with path.open("rb") as file:
        return file_digest(file, "sha256").hexdigest()


def _known() -> dict[str, str]:
    with suppress(OSError, ValueError):
        return {str(stamp): str(found) for stamp, found in json.loads(_KNOWN.read_bytes()).items()}
    return {}


def _remember(known: Mapping[str, str]) -> None:
    if not _KNOWN.parent.parent.is_dir():
        return
    partial = _KNOWN.with_name(f"{_KNOWN.name}.{os.getpid()}.partial")
    with suppress(OSError):  # then they are read again
        _KNOWN.parent.mkdir(exist_ok=True)
        partial.write_text(json.dumps(dict(list(known.items())[-_MOST_KNOWN:])) + "\n", encoding="utf-8")
        partial.replace(_KNOWN)


def _of_group(*, _parent_: DictConfig) -> str | None:
    """Resolve `${fingerprint:}`. Of files that are not on this machine, return the fingerprint that `params.yaml` has of them."""
    if not _IS_WATCHED.get() or any(OmegaConf.is_missing(_parent_, name) for name in _NAMES if name in _parent_):
        return None
    try:
        named = {name: _plain(_parent_.get(name)) for name in _NAMES}
    except OmegaConfBaseException:
        return None  # it is raised again where the key itself is resolved, and names it then
    if named["source"] != "files":
        return None
    path = named[_MODEL]
    try:
        return fingerprint(locations_of(named)) if path is None else model_fingerprint(str(path))
    except OSError:
        written = _written("data" if path is None else "model")
        same = all(written.get(name) == named[name] for name in _NAMES)
        return str(written["fingerprint"]) if same and written.get("fingerprint") else None


def locations_of(named: Mapping[str, object]) -> dict[str, list[str]]:
    """Return the locations that the keys of `data` name, by the key."""
    names = named.get("label_names")
    locations = {split: _as_list(named.get(split)) for split in _SPLITS}
    return locations | {"label_names": [names] if isinstance(names, str) else []}


def _plain(value: object) -> object:
    return OmegaConf.to_container(value, resolve=True) if isinstance(value, ListConfig) else value


def _as_list(value: object) -> list[str]:
    values = value if isinstance(value, list) else [] if value is None else [value]
    return [each for each in values if isinstance(each, str)]


def _written(group: str) -> dict[str, object]:
    with suppress(OSError, ValueError, YAMLError):
        content = YAML(typ="safe").load(_PARAMS.read_text(encoding="utf-8"))
        if isinstance(content, dict) and isinstance(content.get(group), dict):
            return dict(content[group])
    return {}


OmegaConf.register_new_resolver("fingerprint", _of_group, replace=True)
