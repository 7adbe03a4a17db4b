"""Cross-validated predictions of train: each part of it by a model that was trained on the others.

Each fold is a trial of a sweep, and so a DVC experiment: the same call again runs those alone that are not finished.
"""

import subprocess
import sys
from collections.abc import Mapping, Sequence
from contextlib import suppress

from stages.comparison.loaded_runs import Run, load_run
from stages.pipeline.errors import ConfigError, DataError
from stages.pipeline.json_files import Json
from stages.reporting.workspace import texts_of
from stages.scoring.evaluation.predictions_file import labelled, read_predictions
from stages.scoring.label_errors.issue_table import Source
from stages.sweep.repository import clean_commit, finished
from stages.sweep.trials import Trial, digest, grid


def cross_validated(folds: int, overrides: Sequence[str]) -> tuple[list[Source], Mapping[str, Json]]:
    """Return the predictions of every part of train with its texts, and the parameters of their runs.

    `overrides`: what the configuration differs in from `conf/`. Raises ConfigError if it can't run, and DataError if a fold has
    failed; those that are finished are kept.
    """
    name = f"folds-{digest([sorted(overrides), folds])}"
    settings = [*overrides, f"data.fold={','.join(f'{part}/{folds}' for part in range(1, folds + 1))}"]
    trials = grid(name, settings)
    if len(trials) != folds:
        raise ConfigError(
            f"-S {' '.join(overrides)}: makes {len(trials)} runs of {folds} folds; give each key one value"
        )
    base = clean_commit()
    _sweep(name, settings)
    revisions = finished(base)
    if missing := [trial for trial in trials if trial.name not in revisions]:
        raise DataError(
            f"{', '.join(map(_fold, missing))}: {len(missing)} of {folds} folds not finished; see `stagewright sweep "
            f"status {name}`. The same call runs them again, and no others"
        )
    runs = [load_run(revisions[trial.name]) for trial in trials]
    sources = [_source(run, trial) for run, trial in zip(runs, trials, strict=True)]
    return sources, runs[0].params


def _sweep(name: str, settings: Sequence[str]) -> None:
    """Run the folds that are not finished. The sweep tells what goes wrong, and Ctrl-C reaches it, too: it stops its trials."""
    sweep = subprocess.Popen(
        [sys.executable, "-m", "stages.sweep", "run", "--name", name, *(f"-S{each}" for each in settings)]
    )
    while sweep.returncode is None:
        with suppress(KeyboardInterrupt):
            sweep.wait()


def _fold(trial: Trial) -> str:
    return next(each for each in trial.overrides if each.startswith("data.fold="))


def _source(run: Run, trial: Trial) -> Source:
    """Return the part of train that is the test split of a fold."""
    if run.predictions is None or run.stale:
        raise DataError(f"{trial.name}: {run.missing or run.stale}")
    file = read_predictions(labelled(run.predictions), trial.name)
    if file.has_words:
        return Source("train", file, [])
    texts = {id_: (text.first, *([] if text.second is None else [text.second])) for id_, text in run.texts().items()}
    return Source("train", file, texts_of(file, texts))
