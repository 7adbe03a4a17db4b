"""What the pipeline has written into the workspace, read for people: parameters, predictions, and the texts they are of."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from stages.columns.names import SECOND_TEXT, TEXT
from stages.configuration.composition import YAML_ERRORS
from stages.configuration.params_file import load_yaml
from stages.pipeline.arrow import load_split
from stages.pipeline.errors import DataError
from stages.pipeline.paths import PARAMS, PREDICTIONS, RAW_DATA, VALIDATION_PREDICTIONS
from stages.scoring.core.predicted import RULES
from stages.scoring.evaluation.predictions_file import PredictionsFile, labelled, read_predictions
from stages.scoring.label_errors.issue_table import Source

SHOWN_PARAMETERS = (
    "train.epochs",
    "train.learning_rate",
    "train.batch_size",
    "train.batch_tokens",
    "train.precision",
    "seed",
)
"""Parameters that the page shows. All others stay out of it, since they may be private."""

_FILES = {"test": PREDICTIONS, "validation": VALIDATION_PREDICTIONS}


def params_here() -> Mapping[str, Any]:
    """Return the parameters that are shown, or say how predictions are read, by their dotted keys, as far as they are set."""
    try:
        params = load_yaml(PARAMS)
        if not isinstance(params, DictConfig):
            raise ValueError("holds no keys")
        found = {name: OmegaConf.select(params, name) for name in (*SHOWN_PARAMETERS, *RULES.values())}
    except (OSError, ValueError, *YAML_ERRORS, OmegaConfBaseException) as error:
        raise DataError(f"{PARAMS}: can't be read; run `stagewright compose`") from error
    return {name: value for name, value in found.items() if value is not None}


def predictions_here(path: Path) -> pa.Table:
    """Return a predictions file. Raises DataError if it is missing, not whole, or lacks a column."""
    try:
        table = pq.read_table(path)
    except (OSError, pa.ArrowInvalid) as error:
        raise DataError(f"{path}: is missing or not whole; run `stagewright run`, or `dvc pull`, first") from error
    needed = {"id", "gold", "predicted"} | ({"word"} if "token" in table.column_names else set())
    if missing := sorted(needed - set(table.column_names)):
        raise DataError(f"{path}: has no column {missing[0]}; run `dvc repro` to make it again")
    return table


def sources_here() -> list[Source]:
    """Return the predictions of test and validation of which gold is known, with their texts.

    Raises DataError if those of test are missing, or what there is is damaged.
    """
    sources = []
    for split, path in _FILES.items():
        if split == "validation" and not path.exists():
            continue  # of an older evaluate
        table = labelled(predictions_here(path))
        if table.num_rows:
            file = read_predictions(table, str(path))
            sources.append(Source(split, file, [] if file.has_words else _texts(file, split)))
    return sources


def _texts(file: PredictionsFile, split: str) -> list[tuple[str, ...]]:
    raw = load_split(RAW_DATA, split)
    columns = [raw[name][:] for name in (TEXT, SECOND_TEXT) if name in raw.column_names]
    return texts_of(file, dict(zip(raw["id"][:], zip(*columns, strict=True), strict=True)))


def texts_of(file: PredictionsFile, texts: Mapping[str, tuple[str, ...]]) -> list[tuple[str, ...]]:
    """Return the texts of a file's examples, given by their ids. Raises DataError if there is none of an id."""
    if missing := next((id_ for id_ in file.ids if id_ not in texts), None):
        raise DataError(f"{file.name}: {missing} is not in {RAW_DATA}; run `dvc repro evaluate`")
    return [texts[id_] for id_ in file.ids]
