"""Training that resumes exactly from its newest checkpoint after a signal, a kill or a full disk."""

import logging
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from accelerate.utils import broadcast_object_list, gather_object
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import nn
from transformers import TrainerCallback, TrainerControl, TrainerState, TrainingArguments
from transformers.trainer import SCHEDULER_NAME, TRAINER_STATE_NAME
from transformers.trainer_utils import PREFIX_CHECKPOINT_DIR
from transformers.utils import SAFE_WEIGHTS_NAME

from stages.modeling.frozen import load_trained_state, trained_state
from stages.modeling.sharding import is_sharded
from stages.training.checkpoints import Checkpoints, Pace
from stages.training.interruption import Interrupted, Interruption
from stages.training.processes import Agreement
from stages.training.progress import Progress, read_progress, write_progress
from stages.training.trainer import ValidatingTrainer

log = logging.getLogger("stages.train")

_COPIES = 4
"""Copies of each trained weight in a checkpoint: its value, Adam's two moments, and its value at the best validation."""


class ResumableTrainer(ValidatingTrainer):
    """A Trainer that resumes a killed run, and ends with the same bytes as if it had not been killed."""

    def __init__(self, *, checkpoints: Checkpoints, interruption: Interruption, **parts: Any) -> None:
        """`parts`: the arguments of ValidatingTrainer. Their `output_dir` must be `checkpoints.partial`."""
        super().__init__(**parts)
        self.processes = Agreement()
        self.pace = Pace(_COPIES * sum(weight.nbytes for weight in trained_state(self.bare_model).values()))
        self._checkpoints = checkpoints
        self._interruption = interruption
        self._resumed: Progress | None = None
        self._has_warned = False
        self.saved_step: int | None = None
        """The step of the last checkpoint; None if it could not be written."""
        self.add_callback(_Saving(self, interruption))

    def run(self) -> None:
        """Train to the end, from the newest whole checkpoint if there is one. Raises Interrupted for a signal."""
        checkpoint = self._newest_checkpoint()
        with self._interruption.deferred():
            if checkpoint is None:
                self.train()
                return
            self._resumed, self.best_weights = read_progress(checkpoint)
            self.best = self._resumed.best
            if self._resumed.is_finished:
                self.state = TrainerState.load_from_json(str(checkpoint / TRAINER_STATE_NAME))
            else:
                self.train(resume_from_checkpoint=str(checkpoint))

    def restore_loss(self) -> None:
        """Restore the sum of losses from the checkpoint. The Trainer would start at 0, and log a different mean."""
        if self._resumed is not None:
            self._tr_loss.fill_(self._resumed.loss_sums[self.args.process_index])
            self._globalstep_last_logged = self._resumed.logged_step

    def save_model(self, output_dir: str | None = None, _internal_call: bool = False) -> None:
        """Write only the trained weights. The frozen ones are those of the base model.

        The Trainer would pickle its arguments too, with paths and the Hub's token.
        """
        assert output_dir is not None
        weights = self.gathered_weights()
        if self.args.should_save:
            Path(output_dir).mkdir(parents=True, exist_ok=True)
            save_file(
                {name: tensor.contiguous() for name, tensor in weights.items()}, Path(output_dir, SAFE_WEIGHTS_NAME)
            )

    def _load_from_checkpoint(self, resume_from_checkpoint: str, model: nn.Module | None = None) -> None:
        """Load what `save_model` wrote. The Trainer would expect the frozen weights too."""
        load_trained_state(self.bare_model, load_file(Path(resume_from_checkpoint, SAFE_WEIGHTS_NAME)))

    def _save_optimizer_and_scheduler(self, output_dir: str) -> None:
        """Write the optimizer's state. If it is sharded, each process writes its own; the Trainer would write one."""
        if not is_sharded(self.bare_model):
            super()._save_optimizer_and_scheduler(output_dir)
            return
        assert self.optimizer is not None and self.lr_scheduler is not None
        Path(output_dir).mkdir(parents=True, exist_ok=True)
        torch.save(self.optimizer.state_dict(), Path(output_dir, self._optimizer_part))
        if self.args.should_save:
            torch.save(self.lr_scheduler.state_dict(), Path(output_dir, SCHEDULER_NAME))

    def _load_optimizer_and_scheduler(self, checkpoint: str | None) -> None:
        """Load what `_save_optimizer_and_scheduler` wrote."""
        if checkpoint is None or not is_sharded(self.bare_model):
            super()._load_optimizer_and_scheduler(checkpoint)
            return
        assert self.optimizer is not None and self.lr_scheduler is not None
        self.optimizer.load_state_dict(torch.load(Path(checkpoint, self._optimizer_part), weights_only=True))
        self.lr_scheduler.load_state_dict(torch.load(Path(checkpoint, SCHEDULER_NAME), weights_only=True))

    @property
    def _optimizer_part(self) -> str:
        return f"optimizer_{self.args.process_index}.pt"

    def _save_checkpoint(self, model: nn.Module, trial: Any) -> None:
        """Write a checkpoint. If the disk can't be written, training continues, and older checkpoints stay.

        Raises TrainingError if a loss or weight is not finite, so that no checkpoint holds one.
        """
        self.require_finite()
        started, step = time.monotonic(), self.state.global_step
        is_written = self._attempt(lambda: self._write(model, trial))
        if self.processes.all(is_written) and self.args.should_save:
            is_written = self._attempt(lambda: self._checkpoints.complete(self._written_folder, step))
        self.saved_step = step if self.processes.all(is_written) else None
        if self.args.should_save:
            self._checkpoints.discard_partial()
        self.pace.took(time.monotonic() - started)

    @property
    def _written_folder(self) -> Path:
        """The folder that the Trainer writes the checkpoint of this step into."""
        return self._checkpoints.partial / f"{PREFIX_CHECKPOINT_DIR}-{self.state.global_step}"

    def _write(self, model: nn.Module, trial: Any) -> None:
        loss_sums = gather_object([self._tr_loss.item()])
        super()._save_checkpoint(model, trial)
        if self.args.should_save:
            progress = Progress(self.control.should_training_stop, loss_sums, self._globalstep_last_logged, self.best)
            write_progress(self._written_folder, progress, self.best_weights)

    def _attempt(self, write: Callable[[], None]) -> bool:
        """Call `write` and return whether it succeeded. Log only the first failure."""
        try:
            write()
        except (OSError, RuntimeError, SafetensorError) as error:  # as Python, torch.save and safetensors raise them
            if not self._has_warned:
                folder = self._checkpoints.folder
                log.warning(
                    "%s: a checkpoint could not be written (%s); training continues, but free some space", folder, error
                )
            self._has_warned = True
            return False
        return True

    def _newest_checkpoint(self) -> Path | None:
        """Return the newest whole checkpoint, as the main process finds it."""
        found: list[Path | None] = [None]
        if self.args.should_save:
            self._checkpoints.prepare()
            found = [self._checkpoints.newest_whole()]
        checkpoint: Path | None = broadcast_object_list(found)[0]
        if checkpoint is not None and self.args.should_save:
            log.info("resuming from %s", checkpoint)
        return checkpoint


class _Saving(TrainerCallback):
    """Requests a checkpoint when one is due or a signal has come, only where training can resume exactly."""

    def __init__(self, trainer: ResumableTrainer, interruption: Interruption) -> None:
        self._trainer = trainer
        self._interruption = interruption
        self._signum = 0

    def on_train_begin(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **_: Any) -> None:
        self._trainer.restore_loss()

    def on_step_end(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **_: Any) -> None:
        """Request a checkpoint, except after the last step of an epoch, whose validation is still to come."""
        if not (control.should_training_stop or state.epoch.is_integer()):
            self._ask(control)

    def on_evaluate(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **_: Any) -> None:
        self._ask(control)

    def on_epoch_end(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **_: Any) -> None:
        self._ask(control)

    def on_save(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **_: Any) -> None:
        if self._signum:
            raise Interrupted(self._signum, self._trainer.saved_step)

    def _ask(self, control: TrainerControl) -> None:
        """Request a checkpoint if one is due by the clock of the main process, or any process has received a signal."""
        is_due = self._trainer.pace.is_due and self._trainer.args.should_save
        self._signum, is_due_there = self._trainer.processes.largest(self._interruption.signum, int(is_due))
        control.should_save = control.should_save or bool(self._signum or is_due_there)
