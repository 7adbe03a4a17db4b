"""Runs: what each predicted, its scores, parameters and curves, read from wherever it is."""

import csv
import hashlib
import io
import json
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
from dvc.exceptions import DvcException
from dvc.repo import Repo
from ruamel.yaml import YAML
from ruamel.yaml.error import YAMLError

from stages.comparison.places import Place, Revision, Workspace
from stages.comparison.results import Curve
from stages.pipeline.errors import DataError
from stages.pipeline.json_files import Json
from stages.pipeline.paths import CURVES, EVALUATE_METRICS, PARAMS, PREDICTIONS, RAW_DATA, RUNS, TRAIN_METRICS
from stages.pipeline.runs import StageRun, stage_runs
from stages.tasks.columns.names import SECOND_TEXT, TEXT

WORKSPACE = "workspace"
_LOCK = Path("dvc.lock")


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
    metrics: Mapping[str, float] = field(default_factory=dict)
    """Every number of `evaluate.json` and `train.json`, as `evaluate.macro.f1`."""
    params: Mapping[str, Json] = field(default_factory=dict)
    """Flat, as `train.learning_rate`; empty where they are not known."""
    curves: Mapping[str, Curve] = field(default_factory=dict)
    """By name, as `validation/f1`."""
    code: str | None = None
    """A digest of the commands and of all that the stages read but did not make; None where it is not known."""
    stage_runs: Mapping[str, StageRun] = field(default_factory=dict)
    """What each stage ran on, and its seconds, as far as it is known."""
    place: Place | None = None
    """Where its other files are."""

    def texts(self) -> Mapping[str, Text]:
        """The texts of its test split, by id; empty if they can't be had here."""
        if self.place is None:
            return {}
        try:
            return _texts(self.place)
        except (DataError, OSError, pa.ArrowInvalid):
            return {}


def load_run(name: str) -> Run:
    """The run that `name` names: `workspace`, a Parquet file, a git revision, or an experiment's name or hash.

    Raises DataError if it is none of them. A run without predictions is one whose `missing` says why.
    """
    if name == WORKSPACE:
        return _run_at(name, Workspace())
    if name.endswith(".parquet"):
        return Run(name, _parquet(Path(name).read_bytes() if Path(name).is_file() else None, name, name))
    return _run_at(name, Revision(name))


def experiments() -> Sequence[str]:
    """The names of the experiments that `dvc exp run` left behind on the current commit, sorted."""
    try:
        found = Repo().experiments.ls()
    except DvcException as error:
        raise DataError(f"experiments can't be listed ({error}); run in a git repository with DVC") from error
    return sorted(name for listed in found.values() for name, _ in listed)


def _run_at(name: str, place: Place) -> Run:
    try:
        predictions, missing = _parquet(place.read(PREDICTIONS), f"{name}: {PREDICTIONS}", name), None
    except DataError as error:
        predictions, missing = None, str(error)
    return Run(
        name,
        predictions,
        missing,
        metrics=dict(_numbers(place)),
        params={key: _plain(value) for key, value in flat(_yaml(place, PARAMS, name))},
        curves=dict(_curves(place)),
        code=_code(_yaml(place, _LOCK, name)),
        stage_runs=_stage_runs(place),
        place=place,
    )


def _parquet(content: bytes | None, what: str, name: str) -> pa.Table:
    if content is None:
        raise DataError(f"{what}: is not there; make it with `dvc repro` or `dvc exp run`, or get it with `dvc pull`")
    try:
        return pq.read_table(pa.BufferReader(content))
    except (pa.ArrowInvalid, OSError) as error:
        raise DataError(f"{what}: is no whole Parquet file; run `dvc repro` or `dvc checkout` for {name}") from error


def _numbers(place: Place) -> Iterator[tuple[str, float]]:
    for path in (EVALUATE_METRICS, TRAIN_METRICS):
        try:
            content = json.loads(place.read(path) or b"{}")
        except ValueError:
            continue  # half-written: the scores are computed from the predictions
        for key, value in flat(content, path.stem):
            if isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value):
                yield key, float(value)


def _yaml(place: Place, path: Path, name: str) -> Mapping[str, Any]:
    try:
        content = YAML(typ="safe").load(place.read(path) or b"{}")
    except YAMLError as error:
        raise DataError(f"{name}: {path} is no valid YAML; mend it or run `git checkout {path}`") from error
    return content if isinstance(content, Mapping) else {}


def flat(content: Any, prefix: str = "") -> Iterator[tuple[str, Json]]:
    """The values of nested mappings by their dotted keys, as `train.learning_rate`."""
    if isinstance(content, Mapping) and (content or not prefix):
        for key, value in content.items():
            yield from flat(value, f"{prefix}.{key}" if prefix else str(key))
    else:
        yield prefix, content


def _plain(value: Json) -> Json:
    """What JSON has, as it is; dates and what is no number as text."""
    if (
        value is None
        or isinstance(value, bool | int | str | list)
        or (isinstance(value, float) and math.isfinite(value))
    ):
        return value
    return str(value)


def _curves(place: Place) -> Iterator[tuple[str, Curve]]:
    folder = CURVES / "plots" / "metrics"
    for path in place.files(folder):
        if path.suffix == ".tsv" and (curve := _curve(place.read(path) or b"")):
            yield path.relative_to(folder).with_suffix("").as_posix(), curve


def _curve(content: bytes) -> Curve | None:
    try:
        _, *rows = csv.reader(io.StringIO(content.decode()), delimiter="\t")
        points = [(float(row[0]), float(row[1])) for row in rows]
    except (ValueError, IndexError):
        return None
    finite = [point for point in points if all(map(math.isfinite, point))]
    return Curve([epoch for epoch, _ in finite], [value for _, value in finite]) if finite else None


def _code(lock: Mapping[str, Any]) -> str | None:
    """What a run depends on beside its parameters, told from `dvc.lock`."""
    stages = [stage for stage in (lock.get("stages") or {}).values() if isinstance(stage, Mapping)]
    if not stages:
        return None
    made = [Path(out["path"]) for stage in stages for out in stage.get("outs", ())]
    read = {
        (dep["path"], dep.get("md5"))
        for stage in stages
        for dep in stage.get("deps", ())
        if not any(Path(dep["path"]).is_relative_to(out) or out.is_relative_to(dep["path"]) for out in made)
    }
    described = json.dumps([sorted(map(str, read)), [stage.get("cmd") for stage in stages]])
    return hashlib.sha256(described.encode()).hexdigest()


def _stage_runs(place: Place) -> Mapping[str, StageRun]:
    try:
        content = place.read(RUNS)
        return {} if content is None else stage_runs(content, str(RUNS))
    except DataError:
        return {}  # of another version: nothing depends on it


def _texts(place: Place) -> Mapping[str, Text]:
    texts: dict[str, Text] = {}
    for path in place.files(RAW_DATA / "test"):
        if path.suffix == ".arrow" and (content := place.read(path)):
            rows = pa.ipc.open_stream(pa.BufferReader(content)).read_all()
            if not {"id", TEXT} <= set(rows.column_names):
                return {}
            second = rows[SECOND_TEXT].to_pylist() if SECOND_TEXT in rows.column_names else [None] * rows.num_rows
            pairs = zip(rows[TEXT].to_pylist(), second, strict=True)
            texts |= {str(id_): Text(*pair) for id_, pair in zip(rows["id"].to_pylist(), pairs, strict=True)}
    return texts
