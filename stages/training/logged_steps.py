"""The steps whose loss is logged between validations, so that a curve shows what happens within an epoch."""

from typing import Any

from transformers import TrainerCallback, TrainerControl, TrainerState, TrainingArguments


class LoggedSteps(TrainerCallback):
    """Makes the Trainer log the mean loss since its last entry each time that `every` more steps are done.

    Validations are logged as before. Steps are counted from the start of training, so a resumed training logs the same.
    """

    def __init__(self, every: int) -> None:
        self._every = every

    def on_step_end(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **_: Any) -> None:
        """Request a log entry if the step's number is a multiple."""
        control.should_log = control.should_log or state.global_step % self._every == 0


def logged_steps(every: int | None) -> list[TrainerCallback]:
    """Return the callback; none if no steps between validations are to be logged."""
    return [] if every is None else [LoggedSteps(every)]
