"""The progress of training for a program that watches it: JSON lines in the file that an environment variable names.

The file is not an output of the stage, since it depends on the clock.
"""

import json
import os
import time
from pathlib import Path
from typing import Any

from transformers import TrainerCallback, TrainerControl, TrainerState, TrainingArguments

FILE = "STAGEWRIGHT_PROGRESS"
"""The environment variable that names the file."""

_PAUSE = 2.0
"""Seconds between two lines."""


class LiveProgress(TrainerCallback):
    """Appends a line with the step, the seconds left and, after a validation, the headline score."""

    def __init__(self, file: Path) -> None:
        """`file`: is emptied."""
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(b"")
        self._file = file
        self._started = self._written = time.monotonic()
        self._first_step = 0

    def on_train_begin(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **_: Any) -> None:
        """Write the validations of a resumed training run that were before its checkpoint."""
        self._first_step = state.global_step
        for entry in state.log_history:
            if _key(args) in entry:
                self._write(state, int(entry["step"]), entry[_key(args)])

    def on_step_end(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **_: Any) -> None:
        """Write the step, every `_PAUSE` seconds."""
        if time.monotonic() - self._written >= _PAUSE:
            self._write(state, state.global_step, None)

    def on_evaluate(
        self,
        args: TrainingArguments,
        state: TrainerState,
        control: TrainerControl,
        metrics: dict[str, float] | None = None,
        **_: Any,
    ) -> None:
        """Write the score."""
        if metrics is not None:
            self._write(state, state.global_step, metrics[_key(args)])

    def _write(self, state: TrainerState, step: int, score: float | None) -> None:
        self._written = time.monotonic()
        done = step - self._first_step
        left = (self._written - self._started) / done * (state.max_steps - step) if done > 0 else None
        line = {"step": step, "steps": state.max_steps, "seconds_left": left, "score": score}
        with self._file.open("a", encoding="utf-8") as file:
            file.write(json.dumps(line) + "\n")


def live_progress() -> list[TrainerCallback]:
    """Return the callback if the environment variable is set; else nothing."""
    file = os.environ.get(FILE)
    return [LiveProgress(Path(file))] if file else []


def _key(args: TrainingArguments) -> str:
    return f"eval_{args.metric_for_best_model}"
