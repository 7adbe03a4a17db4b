"""What a training leaves behind: the best weights with their tokenizer, learning curves, and a summary."""

import json
import shutil
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path

from dvclive.live import Live

from stages.columns.names import INPUT_IDS, TOKEN_TYPES
from stages.configuration.schema import TrainConfig
from stages.modeling.adapters import write_adapters
from stages.modeling.batch_format import BatchFormat, write_batch_format
from stages.modeling.batches import MASK
from stages.modeling.preparation import undo_for_saving
from stages.pipeline.json_files import DECIMALS, Json, read_json
from stages.pipeline.outputs import whole_directory
from stages.pipeline.paths import TOKENIZER_CONFIG
from stages.scoring.core.metrics import METRICS
from stages.training.progress import Best
from stages.training.trainer import ValidatingTrainer

ADAPTERS = "adapter"
"""The folder of the adapters beside the model that they are merged into."""
_TRAINING = {"loss": "train/loss", "learning_rate": "train/learning_rate", "grad_norm": "train/grad_norm"}
"""What the Trainer calls what it measures while training, and the curve of each."""
_VALIDATION = "eval_"
"""What the Trainer puts before the name of a metric on validation."""


def write_trained_model(trainer: ValidatingTrainer, train: TrainConfig, path: Path, tokenizer: Path) -> None:
    """Write the best weights to the folder `path`, and the tokenizer in the folder `tokenizer` as they were trained with it.

    Adapters are merged, and written by themselves as well if `train` asks for them.
    """
    best, model = _best(trainer), trainer.restore_best()
    with whole_directory(path) as folder:
        if train.keep_adapter:
            write_adapters(model, train.lora, folder / ADAPTERS)
        undo_for_saving(model).save_pretrained(folder)
        write_tokenizer(tokenizer, folder, trainer.batch_format)
        write_batch_format(folder, trainer.batch_format)
        replace(trainer.task, threshold=best.threshold).write(folder)


def write_tokenizer(source: Path, folder: Path, format: BatchFormat) -> None:
    """Write the tokenizer so that it pads on the side that the model was trained with, and gives the inputs that it takes."""
    for file in sorted(source.iterdir()):
        shutil.copyfile(file, folder / file.name)
    settings = read_json(folder / TOKENIZER_CONFIG)
    settings["model_input_names"] = [INPUT_IDS, *([TOKEN_TYPES] if format.token_types else []), MASK]
    settings["padding_side"] = format.padding_side
    text = json.dumps(settings, indent=2, ensure_ascii=False) + "\n"
    (folder / TOKENIZER_CONFIG).write_text(text, encoding="utf-8")


def write_learning_curves(trainer: ValidatingTrainer, path: Path) -> None:
    """Write losses and scores to the folder `path` with DVCLive, for `dvc plots show`: one TSV a curve.

    `step` holds epochs and fractions of them, since these compare across batch sizes. What the Trainer has logged is part of
    a checkpoint, so curves continue after a kill. Values are rounded, so that a repeat gives the same bytes.
    """
    with whole_directory(path) as folder:
        live = Live(str(folder), save_dvc_exp=False, dvcyaml=None, report=None)
        for logged in trainer.state.log_history:
            live.step = round(logged["epoch"], DECIMALS)  # type: ignore[assignment]
            for curve, value in _curves(logged):
                live.log_metric(curve, round(value, DECIMALS + 4))
        live.end()
        Path(live.metrics_file).unlink()  # DVC would take the last values for a plot that it can't draw


def summary(trainer: ValidatingTrainer) -> Json:
    """Return the best weights' validation scores, and how much was trained. Nothing that a clock measured."""
    best, state = _best(trainer), trainer.state
    return {
        "validation": best.scores,
        "best_step": best.step,
        "steps": state.global_step,
        "epochs": state.epoch,
        "rows": len(trainer.rows),
        "batch_size": trainer.batching.rows,
        "gradient_accumulation": trainer.batching.parts,
        "parameters": trainer.parameters.all,
        "trained_parameters": trainer.parameters.trained,
    }


def _best(trainer: ValidatingTrainer) -> Best:
    assert trainer.best is not None, "training ends with a validation"
    return trainer.best


def _curves(logged: Mapping[str, float]) -> Iterator[tuple[str, float]]:
    """What is logged at one step, by the name of its curve: of training, then of validation, the loss first."""
    for name, curve in _TRAINING.items():
        if name in logged:
            yield curve, logged[name]
    for metric in dict.fromkeys(["loss", *METRICS]):
        if _VALIDATION + metric in logged:
            yield f"validation/{metric}", logged[_VALIDATION + metric]
