"""The outputs of training: the best weights with their tokenizer, learning curves, and a summary."""

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
"""The folder for adapters, inside that of the model that they are merged into."""
_TRAINING = {"loss": "train/loss", "learning_rate": "train/learning_rate", "grad_norm": "train/grad_norm"}
"""The curve of each value that the Trainer logs while training."""
_VALIDATION = "eval_"
"""The Trainer's prefix for validation metrics."""


def write_trained_model(trainer: ValidatingTrainer, train: TrainConfig, path: Path, tokenizer: Path) -> None:
    """Write the best weights to the folder `path`, with the tokenizer of the folder `tokenizer` as training used it.

    Adapters are merged. With `train.keep_adapter` they are also written on their own.
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
    """Copy the tokenizer, and set its padding side and its inputs to those that the model was trained with."""
    for file in sorted(source.iterdir()):
        shutil.copyfile(file, folder / file.name)
    settings = read_json(folder / TOKENIZER_CONFIG)
    settings["model_input_names"] = [INPUT_IDS, *([TOKEN_TYPES] if format.token_types else []), MASK]
    settings["padding_side"] = format.padding_side
    text = json.dumps(settings, indent=2, ensure_ascii=False) + "\n"
    (folder / TOKENIZER_CONFIG).write_text(text, encoding="utf-8")


def write_learning_curves(trainer: ValidatingTrainer, path: Path) -> None:
    """Write losses and scores to the folder `path` with DVCLive, for `dvc plots show`: one TSV file per curve.

    The column `step` holds epochs with fractions, which are comparable between batch sizes. The Trainer's log is part of a
    checkpoint, so curves are complete after a kill too. Values are rounded, so that a repeat gives the same bytes.
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
    """Return the best validation scores and the amount of training, without times: a repeat gives the same bytes."""
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
    """Yield the curve and value of each entry that was logged at one step: training first, then validation, its loss first."""
    for name, curve in _TRAINING.items():
        if name in logged:
            yield curve, logged[name]
    for metric in dict.fromkeys(["loss", *METRICS]):
        if _VALIDATION + metric in logged:
            yield f"validation/{metric}", logged[_VALIDATION + metric]
