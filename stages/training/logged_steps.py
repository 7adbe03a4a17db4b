"""Log the loss between validations too, so that the curve shows what happens within an epoch."""

from typing import Any

from transformers import TrainerCallback, TrainerControl, TrainerState, TrainingArguments


class LoggedSteps(TrainerCallback):
    """Makes the Trainer log the mean loss since its last entry at every `every`-th step.

    Steps are counted from the start of training, so a resumed run logs at the same steps.
    """

    def __init__(self, every: int) -> None:
        self._every = every

    def on_step_end(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **_: Any) -> None:
        """Request a log entry if the step is a multiple of `every`."""
        control.should_log = control.should_log or state.global_step % self._every == 0


def logged_steps(every: int | None) -> list[TrainerCallback]:
    """Return the callback; nothing if `every` is None."""
    return [] if every is None else [LoggedSteps(every)]
