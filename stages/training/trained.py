"""What a training leaves behind: the best weights with their tokenizer, and a summary."""

import shutil
from pathlib import Path

from stages.modeling.preparation import undo_for_saving
from stages.pipeline.json_files import Json
from stages.pipeline.outputs import whole_directory
from stages.scoring.core.threshold import write_threshold
from stages.training.learning_curves import write_curves
from stages.training.progress import Best
from stages.training.trainer import ValidatingTrainer


def write_trained_model(trainer: ValidatingTrainer, path: Path, tokenizer: Path) -> None:
    """Write the best weights to the folder `path`, with the files of the folder `tokenizer`."""
    best = _best(trainer)
    trainer.bare_model.load_state_dict(trainer.best_weights)
    with whole_directory(path) as folder:
        undo_for_saving(trainer.bare_model).save_pretrained(folder)
        for file in sorted(tokenizer.iterdir()):
            shutil.copyfile(file, folder / file.name)
        if best.threshold is not None:
            write_threshold(folder, best.threshold)


def write_learning_curves(trainer: ValidatingTrainer, path: Path) -> None:
    """Write the curves of what was logged to the folder `path`."""
    with whole_directory(path) as folder:
        write_curves(folder, trainer.state.log_history)


def summary(trainer: ValidatingTrainer) -> Json:
    """Return the best weights' validation scores, and how many steps and rows there were. Nothing that a clock measured."""
    best, state = _best(trainer), trainer.state
    return {
        "validation": best.scores,
        "best_step": best.step,
        "steps": state.global_step,
        "epochs": state.epoch,
        "rows": len(trainer.rows),
        "batch_size": trainer.batching.rows,
        "gradient_accumulation": trainer.batching.parts,
    }


def _best(trainer: ValidatingTrainer) -> Best:
    assert trainer.best is not None, "training ends with a validation"
    return trainer.best
