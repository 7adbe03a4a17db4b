"""Runs: what each predicted, its scores, parameters and curves.

They are read from the workspace, from a file, or from a revision, whose outputs DVC reads out of its cache.
"""

import hashlib
import json
import math
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Protocol

import pyarrow as pa
import pyarrow.parquet as pq
from dvc.api import DVCFileSystem
from dvc.config import Config
from dvc.exceptions import DvcException
from dvc.repo import Repo
from ruamel.yaml import YAML
from ruamel.yaml.error import YAMLError

from stages.columns.names import SECOND_TEXT, TEXT
from stages.comparison.changed_code import note_on_changed_code
from stages.pipeline.errors import DataError
from stages.pipeline.git import git_if_possible
from stages.pipeline.json_files import Json
from stages.pipeline.lock_schema import LockFile, parse_lock
from stages.pipeline.paths import CURVES, EVALUATE_METRICS, LOCK, PARAMS, PREDICTIONS, RAW_DATA, RUNS, TRAIN_METRICS
from stages.pipeline.stage_records import StageRun, stage_runs
from stages.reporting.content import Curve
from stages.reporting.staleness import records, stages_of, stale, unrecorded
from stages.reporting.training_curves import curve_folder, parse_curve
from stages.systems.joining import Columns, checked_predictions, read_both, read_pair, with_ids

WORKSPACE = "workspace"
_THERE = " there (`dvc exp apply` or `git checkout` first)"
_HOW_TO_GET = "make it with `dvc repro` or `dvc exp run`, or get it with `dvc pull`"


class RunFiles(Protocol):
    """The files of one run, by their paths in the repository."""

    def read(self, path: Path) -> bytes | None:
        """Return a file's content; None if there is no such file. Raises DataError if it can't be read."""

    def below(self, folder: Path) -> Sequence[Path]:
        """Return the files below a folder, sorted; an empty list if there is no such folder."""


class WorkspaceFiles:
    """The files as they lie here."""

    def read(self, path: Path) -> bytes | None:
        """Return a file's content; None if there is no such file."""
        return path.read_bytes() if path.is_file() else None

    def below(self, folder: Path) -> Sequence[Path]:
        """Return the files below a folder, sorted; an empty list if there is no such folder."""
        return sorted(file for file in folder.rglob("*") if file.is_file())


class RevisionFiles:
    """The files of a git revision or a DVC experiment. Nothing is checked out."""

    def __init__(self, name: str) -> None:
        """`name`: a revision or an experiment. Raises DataError if neither git nor DVC knows it."""
        self._name = name
        if not name:
            raise DataError("a run has no name: name a git revision, DVC experiment or predictions file")
        try:
            self._files = DVCFileSystem(rev=name, config=_remotes())
            assert self._files.repo  # opened when first used, and not by `exists`, which takes any error for a no
        except DvcException as error:
            where = (
                "this clone is shallow: fetch the rest with `git fetch --unshallow`"
                if _is_shallow()
                else "choose from `git log` or `dvc exp list`"
            )
            raise DataError(
                f"{name}: is not a git revision, a DVC experiment or a predictions file; {where}"
            ) from error

    def read(self, path: Path) -> bytes | None:
        """Return a file's content; None if the revision does not have it. Raises DataError if DVC can't read it."""
        try:
            if not self._files.exists(path.as_posix()):
                return None
            content: bytes = self._files.read_bytes(path.as_posix())
        except (OSError, DvcException) as error:
            raise DataError(
                f"{self._name}: {path} is neither in DVC's cache nor in a remote; get it with `dvc pull`, "
                "or make it again with `dvc exp run` there"
            ) from error
        return content

    def below(self, folder: Path) -> Sequence[Path]:
        """Return the files below a folder, sorted; an empty list if there is no such folder."""
        try:
            return sorted(Path(file) for file in self._files.find(folder.as_posix()))
        except (OSError, DvcException):
            return []


def _is_shallow() -> bool:
    """Return whether the clone has only the last commits, as those of CI do."""
    return git_if_possible("rev-parse", "--is-shallow-repository") == "true\n"


def _remotes() -> dict[str, Any]:
    """Return the remotes as configured here: those of an older revision may be outdated, and lack our `config.local`."""
    config = Config.from_cwd()
    return {section: dict(config[section]) for section in ("core", "remote", "cache") if section in config}


@dataclass(frozen=True)
class Text:
    """The text of an example, and its second one where it is a pair."""

    first: str
    second: str | None


@dataclass(frozen=True)
class Run:
    """One run."""

    name: str
    predictions: pa.Table | None
    """As `evaluate` writes them; None where they are not at hand."""
    missing: str | None = None
    """Why there are no predictions, in one line."""
    stale: str | None = None
    """Why predictions and metrics are not those of the run's own model, data and parameters, and what to do about it."""
    note: str | None = None
    """What is odd about the predictions, in one line."""
    doubts: Sequence[str] = ()
    """Why its files may be of different runs, or of other code than it has, and what to do about it; a sentence each."""
    metrics: Mapping[str, float] = field(default_factory=dict)
    """Every number of `evaluate.json` and `train.json`, as `evaluate.macro.f1`."""
    params: Mapping[str, Json] = field(default_factory=dict)
    """Flat, as `train.learning_rate`; empty where they are not known."""
    curves: Mapping[str, Curve] = field(default_factory=dict)
    """By name, as `validation/f1`."""
    raw: str | None = None
    """The hash of `data/raw`, as `dvc.lock` has it; None where it is not known. Equal ones hold equal texts."""
    code: str | None = None
    """A digest of the commands and of all that the stages read but did not make; None where it is not known."""
    stage_runs: Mapping[str, StageRun] = field(default_factory=dict)
    """What each stage ran on, and its seconds, as far as it is known."""
    files: RunFiles | None = None
    """Where its other files are read from."""

    def texts(self) -> Mapping[str, Text]:
        """Return the texts of the test split by id, for a file of predictions those in the file; empty if there are none."""
        if self.files is None:
            return {} if self.predictions is None else _texts_beside(self.predictions)
        try:
            return _texts(self.files)
        except (DataError, OSError, pa.ArrowInvalid):
            return {}


def load_run(name: str) -> Run:
    """Return the run that `name` names: `workspace`, a file, a git revision, or an experiment's name or hash.

    A file is of any format that has both gold and predictions. Raises DataError if the run is none of them. A run without
    predictions is one whose `missing` says why.
    """
    if name == WORKSPACE:
        return _run_at(name, WorkspaceFiles())
    if Path(name).is_file():
        return Run(name, read_both(Path(name), may_lack_gold=True))
    if name.endswith(".parquet"):
        raise DataError(f"{name}: is not there; {_HOW_TO_GET}")
    return _run_at(name, RevisionFiles(name))


def load_runs(names: Sequence[str], optional: Collection[str] = ()) -> list[Run]:
    """Load runs by their names. Examples of files without ids get some.

    One of the `optional` that can't be loaded is a run without predictions, whose `missing` says why.
    """
    return _with_ids([_loaded(name, name in optional) for name in names])


def _loaded(name: str, is_optional: bool) -> Run:
    try:
        return load_run(name)
    except DataError as error:
        if not is_optional:
            raise
        return Run(name, None, str(error))


def load_systems(gold: Path, names: Sequence[str], columns: Columns, *, ignore_words: bool) -> list[Run]:
    """Load the predictions of any systems as runs, all with the same gold file."""
    runs: list[Run] = []
    for name in names:
        joined = read_pair(gold, Path(name), columns, ignore_words=ignore_words)
        known = [column for column in joined.table.column_names if column != "id" or not runs]
        runs.append(Run(name, joined.table.select(known), note=joined.note and f"{name}: {joined.note}"))
    return _with_ids(runs)  # all have the rows of gold, so the ids of the first are those of all


def _with_ids(runs: Sequence[Run]) -> list[Run]:
    tables = iter(with_ids([run.predictions for run in runs if run.predictions is not None]))
    return [run if run.predictions is None else replace(run, predictions=next(tables)) for run in runs]


def experiments() -> Sequence[str]:
    """Return the names of the DVC experiments on the current commit, sorted."""
    try:
        found = Repo().experiments.ls()
    except DvcException as error:
        raise DataError(f"experiments can't be listed ({error}); run in a git repository with DVC") from error
    return sorted(name for listed in found.values() for name, _ in listed)


def _run_at(name: str, files: RunFiles) -> Run:
    lock, params = _lock(files, name), _yaml(files, PARAMS, name)
    content: bytes | None = None
    try:
        content = files.read(PREDICTIONS)
        table = _parquet(content, f"{name}: {PREDICTIONS}", name)
        predictions, missing = checked_predictions(f"{name}: {PREDICTIONS}", table), None
    except DataError as error:
        predictions, missing = None, str(error)
    found = stale(lock, params, PREDICTIONS) if content is None or records(lock, PREDICTIONS, content) else None
    return Run(
        name,
        predictions,
        missing,
        found and found + ("" if name == WORKSPACE else _THERE),
        doubts=[*_doubts(name, lock, lambda path: content if path == PREDICTIONS else files.read(path))],
        metrics=dict(_numbers(files)),
        params={key: plain(value) for key, value in flat(params)},
        curves=dict(_curves(files)),
        raw=next((out.md5 for stage in lock.stages.values() for out in stage.outs if Path(out.path) == RAW_DATA), None),
        code=code_digest(lock),
        stage_runs=_stage_runs(files),
        files=files,
    )


def _doubts(name: str, lock: LockFile, read: Callable[[Path], bytes | None]) -> Iterator[str]:
    if found := unrecorded(lock, read):
        yield found
    if name == WORKSPACE and (found := note_on_changed_code(stages_of(lock, PREDICTIONS))):
        yield found


def _lock(files: RunFiles, name: str) -> LockFile:
    """Read `dvc.lock` of the run; one without stages if there is none."""
    content = files.read(LOCK)
    lock = LockFile(schema="2.0") if content is None else parse_lock(content)
    if lock is None:
        raise DataError(f"{name}: {LOCK} is incomplete; run `git checkout {LOCK}`, or `stagewright run`")
    return lock


def _parquet(content: bytes | None, what: str, name: str) -> pa.Table:
    if content is None:
        raise DataError(f"{what}: is not there; {_HOW_TO_GET}")
    try:
        return pq.read_table(pa.BufferReader(content))
    except (pa.ArrowInvalid, OSError) as error:
        raise DataError(
            f"{what}: is not a complete Parquet file; run `dvc repro` or `dvc checkout` for {name}"
        ) from error


def _numbers(files: RunFiles) -> Iterator[tuple[str, float]]:
    for path in (EVALUATE_METRICS, TRAIN_METRICS):
        try:
            content = json.loads(files.read(path) or b"{}")
        except ValueError:
            continue  # half-written: the scores are computed from the predictions
        for key, value in flat(content, path.stem):
            if isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value):
                yield key, float(value)


def _yaml(files: RunFiles, path: Path, name: str) -> Mapping[str, Any]:
    try:
        content = YAML(typ="safe").load(files.read(path) or b"{}")
    except (ValueError, YAMLError) as error:  # a ValueError: 2024-13-01 has the form of a date
        raise DataError(f"{name}: {path} is not valid YAML; correct it or run `git checkout {path}`") from error
    return content if isinstance(content, Mapping) else {}


def flat(content: Any, prefix: str = "") -> Iterator[tuple[str, Json]]:
    """Yield the values of nested mappings by their dotted keys, as `train.learning_rate`."""
    if isinstance(content, Mapping) and (content or not prefix):
        for key, value in content.items():
            yield from flat(value, f"{prefix}.{key}" if prefix else str(key))
    else:
        yield prefix, content


def plain(value: Json) -> Json:
    """Return a value of JSON as it is; dates and numbers that are not finite as text."""
    if (
        value is None
        or isinstance(value, bool | int | str | list)
        or (isinstance(value, float) and math.isfinite(value))
    ):
        return value
    return str(value)


def _curves(files: RunFiles) -> Iterator[tuple[str, Curve]]:
    folder = curve_folder(CURVES)
    for path in files.below(folder):
        with suppress(DataError):  # a damaged curve is left out: nothing depends on it
            if path.suffix == ".tsv" and (curve := parse_curve(path, files.read(path) or b"")).epochs:
                yield path.relative_to(folder).with_suffix("").as_posix(), curve


def code_digest(lock: LockFile) -> str | None:
    """Return a digest of what a run depends on beside its parameters, as `dvc.lock` records it."""
    stages = lock.stages.values()
    if not stages:
        return None
    made = [Path(out.path) for stage in stages for out in stage.outs]
    read = {
        (dep.path, dep.md5)
        for stage in stages
        for dep in stage.deps
        if not any(Path(dep.path).is_relative_to(out) or out.is_relative_to(dep.path) for out in made)
    }
    described = json.dumps([sorted(map(str, read)), [stage.cmd for stage in stages]])
    return hashlib.sha256(described.encode()).hexdigest()


def _stage_runs(files: RunFiles) -> Mapping[str, StageRun]:
    try:
        content = files.read(RUNS)
        return {} if content is None else stage_runs(content, str(RUNS))
    except DataError:
        return {}  # of another version: nothing depends on it


def _texts_beside(predictions: pa.Table) -> Mapping[str, Text]:
    """Return the texts in a table of predictions; empty if it has none."""
    columns = [name for name in (TEXT, SECOND_TEXT) if name in predictions.column_names]
    if not {"id", TEXT} <= set(predictions.column_names) or not all(
        pa.types.is_string(predictions[name].type) for name in columns
    ):
        return {}
    firsts, *seconds = (predictions[name].fill_null("").to_pylist() for name in columns)
    texts = zip(firsts, *seconds or [[None] * predictions.num_rows], strict=True)
    return dict(zip(predictions["id"].to_pylist(), (Text(*pair) for pair in texts), strict=True))


def _texts(files: RunFiles) -> Mapping[str, Text]:
    texts: dict[str, Text] = {}
    for path in files.below(RAW_DATA / "test"):
        if path.suffix == ".arrow" and (content := files.read(path)):
            rows = pa.ipc.open_stream(pa.BufferReader(content)).read_all()
            if not {"id", TEXT} <= set(rows.column_names):
                return {}
            second = rows[SECOND_TEXT].to_pylist() if SECOND_TEXT in rows.column_names else [None] * rows.num_rows
            pairs = zip(rows[TEXT].to_pylist(), second, strict=True)
            texts |= {str(id_): Text(*pair) for id_, pair in zip(rows["id"].to_pylist(), pairs, strict=True)}
    return texts
