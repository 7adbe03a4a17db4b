"""The steps whose loss is logged between validations, so that a curve shows what happens within an epoch."""

from typing import Any

from transformers import TrainerCallback, TrainerControl, TrainerState, TrainingArguments


class LoggedSteps(TrainerCallback):
    """Has the Trainer log every so many steps the mean loss since it last logged, beside what it logs at a validation.

    Steps are counted from the start of training, so that a resumed one logs the same.
    """

    def __init__(self, every: int) -> None:
        self._every = every

    def on_step_end(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **_: Any) -> None:
        """Request the log entry of a step that is a multiple."""
        control.should_log = control.should_log or state.global_step % self._every == 0


def logged_steps(every: int | None) -> list[TrainerCallback]:
    """Return the callback, if steps between validations are to be logged."""
    return [] if every is None else [LoggedSteps(every)]
