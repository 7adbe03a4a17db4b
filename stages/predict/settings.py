"""The settings beside an exported model, with which it predicts new data as it predicted the test split."""

import json
from dataclasses import asdict, dataclass
from pathlib import Path

from pydantic import TypeAdapter, ValidationError

from stages.configuration.schema import TaskConfig, TokenizeConfig
from stages.pipeline.errors import ModelError
from stages.pipeline.json_files import read_json

_FILE = "prediction_settings.json"


@dataclass(frozen=True)
class PredictionSettings:
    """The parts of the configuration that predictions depend on."""

    task: TaskConfig
    tokenize: TokenizeConfig
    pairs: bool | None = None
    """Whether the model was trained on pairs of texts. None: the export is older than this key."""


def write_settings(folder: Path, settings: PredictionSettings) -> None:
    """Write them beside an exported model."""
    (folder / _FILE).write_text(json.dumps(asdict(settings), indent=2) + "\n", encoding="utf-8")


def read_settings(folder: Path) -> PredictionSettings:
    """Read those of an exported model. Raise ModelError if the folder holds none."""
    if not folder.is_dir():
        raise ModelError(
            f"{folder}: there is no such folder; export a model with `stagewright run`, or name another with --model"
        )
    if not (folder / _FILE).is_file():
        raise ModelError(f"{folder}: has no {_FILE}, so Stagewright did not export it; choose another --model")
    try:
        return TypeAdapter(PredictionSettings).validate_json(json.dumps(read_json(folder / _FILE)))
    except ValidationError as error:
        fault = error.errors()[0]
        raise ModelError(
            f"{folder / _FILE}: {'.'.join(map(str, fault['loc']))}: {fault['msg']}; run `dvc repro --force export`"
        ) from error
