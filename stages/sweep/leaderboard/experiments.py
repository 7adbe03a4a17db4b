"""Read many experiments fast: git in one process, and predictions out of DVC's cache by their hashes in `dvc.lock`."""

import hashlib
import json
import math
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
from dvc.config import Config

from stages.comparison.loaded_runs import RevisionFiles, code_digest, flat, plain
from stages.pipeline.errors import ConfigError, DataError
from stages.pipeline.json_files import Json
from stages.pipeline.lock_schema import parse_lock
from stages.pipeline.paths import LOCK, PARAMS, PREDICTIONS, RUNS, TRAIN_METRICS
from stages.pipeline.stage_records import StageRun, stage_runs
from stages.pipeline.yaml_1_2 import parse_yaml
from stages.reporting.staleness import records, stale
from stages.sweep.leaderboard.results import LeftOut

_FILES = (PARAMS, LOCK, TRAIN_METRICS, RUNS)
"""The files in git that are read of each experiment."""
_SEED = "seed"


@dataclass(frozen=True)
class Experiment:
    """An experiment that has been trained and evaluated. Its predictions are read when they are asked for."""

    name: str
    revision: str
    params: Mapping[str, Json]
    """By dotted keys, such as `train.learning_rate`."""
    code: str | None
    """A digest of the commands and of all that the stages read but did not make."""
    scores: Mapping[str, float]
    """The validation scores in `metrics/train.json`."""
    stage_runs: Mapping[str, StageRun]
    outputs: Mapping[Path, str]
    """The hash of each output that DVC tracks."""
    cache: Path
    """DVC's cache."""

    @property
    def seed(self) -> Json:
        """Return its seed."""
        return self.params.get(_SEED)

    @property
    def configuration(self) -> Mapping[str, Json]:
        """Return all parameters but the seed."""
        return {key: value for key, value in self.params.items() if key != _SEED}

    @property
    def recipe(self) -> str:
        """Return all that its result depends on except the seed, as text."""
        return json.dumps([self.code, self.configuration], sort_keys=True)

    def predictions(self, path: Path) -> pa.Table:
        """Read one of its predictions files. Raises DataError if it is missing or damaged."""
        md5 = self.outputs.get(path)
        if md5 is None:
            raise DataError(f"{path}: was not written by the evaluate stage of this commit")
        content = _cached(md5, self.cache)
        if content is None:
            content = RevisionFiles(self.revision).read(path)
        if content is None or _md5(content) != md5:
            raise DataError(
                f"{path}: is damaged in DVC's cache; remove {md5} there and run `dvc pull`, or the trial again"
            )
        try:
            return pq.read_table(pa.BufferReader(content))
        except (pa.ArrowInvalid, OSError) as error:
            raise DataError(f"{path}: is not a complete Parquet file; run `dvc pull`, or the trial again") from error


def read_experiments(revisions: Mapping[str, str]) -> tuple[list[Experiment], list[LeftOut]]:
    """Read experiments. `revisions`: the revision of each, by name. Return them, and those that can't be ranked."""
    experiments, left_out = [], []
    cache = Path(Config.from_cwd()["cache"].get("dir") or ".dvc/cache").absolute()
    names = sorted(revisions)
    contents = _contents([f"{revisions[name]}:./{path.as_posix()}" for name in names for path in _FILES])
    for name in names:
        files = dict(zip(_FILES, (next(contents) for _ in _FILES), strict=True))
        try:
            experiments.append(_experiment(name, revisions[name], files, cache))
        except DataError as error:
            left_out.append(LeftOut(name, str(error)))
    return experiments, left_out


def _experiment(name: str, revision: str, files: Mapping[Path, bytes | None], cache: Path) -> Experiment:
    params, scores = _params(files[PARAMS]), files[TRAIN_METRICS]
    lock = parse_lock(files[LOCK] or b"")
    if lock is None:
        raise DataError(f"{LOCK}: is missing or incomplete; run the trial again")
    outputs = {Path(out.path): out.md5 for stage in lock.stages.values() for out in stage.outs if out.md5}
    if PREDICTIONS not in outputs:
        raise DataError("evaluate has not run; `dvc exp run` runs all stages")
    if found := stale(lock, params, PREDICTIONS):
        raise DataError(f"{found} there (`dvc exp apply {name}` first)")
    if scores is None or not records(lock, TRAIN_METRICS, scores):
        raise DataError(f"{TRAIN_METRICS}: is not the one that {LOCK} records; run the trial again")
    return Experiment(
        name,
        revision,
        {key: plain(value) for key, value in flat(params)},
        code_digest(lock),
        dict(_validation_scores(scores)),
        _stage_runs(files[RUNS]),
        outputs,
        cache,
    )


def _validation_scores(content: bytes) -> Iterator[tuple[str, float]]:
    try:
        scores = json.loads(content)["validation"]
    except (ValueError, KeyError, TypeError) as error:
        raise DataError(f"{TRAIN_METRICS}: has no validation scores; run the trial again") from error
    for key, value in flat(scores):
        if isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value):
            yield key, float(value)


def _stage_runs(content: bytes | None) -> Mapping[str, StageRun]:
    try:
        return {} if content is None else stage_runs(content, str(RUNS))
    except DataError:
        return {}  # of another version: nothing depends on it


def _params(content: bytes | None) -> Mapping[str, Any]:
    """Parse `params.yaml`. Raises DataError if it is missing or damaged."""
    if content is None:
        raise DataError(f"{PARAMS}: is missing; run the trial again")
    try:
        found = parse_yaml(content)
    except ValueError as error:
        raise DataError(f"{PARAMS}: is not valid YAML; run the trial again") from error
    if not isinstance(found, Mapping):
        raise DataError(f"{PARAMS}: does not hold groups of keys; run the trial again")
    return found


def _contents(objects: Sequence[str]) -> Iterator[bytes | None]:
    """Yield the content of each `REVISION:PATH` in git; None where it is missing. Raises ConfigError if git fails."""
    asked = "".join(f"{each}\n" for each in objects).encode()
    done = subprocess.run(["git", "cat-file", "--batch"], input=asked, capture_output=True, check=False)
    if done.returncode:
        raise ConfigError(f"`git cat-file` failed: {' '.join(done.stderr.decode(errors='replace').split())}")
    answer, place = done.stdout, 0
    for _ in objects:
        head, _, _ = answer[place : place + 1000].partition(b"\n")
        place += len(head) + 1
        if head.endswith(b" missing"):
            yield None
            continue
        size = int(head.rpartition(b" ")[2])
        yield answer[place : place + size]
        place += size + 1


def _cached(md5: str, cache: Path) -> bytes | None:
    """Return the file with this hash in DVC's cache; None if there is none."""
    try:
        return (cache / "files" / "md5" / md5[:2] / md5[2:]).read_bytes()
    except OSError:
        return None


def _md5(content: bytes) -> str:
    return hashlib.md5(content, usedforsecurity=False).hexdigest()
