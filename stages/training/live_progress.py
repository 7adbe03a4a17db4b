"""How far a training is, told to who watches it: one JSON object a line, in the file that an environment variable names.

It is no output: it depends on the clock.
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
    """Appends the step, the seconds that are left and, after a validation, its headline score."""

    def __init__(self, file: Path) -> None:
        """`file`: is written anew."""
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(b"")
        self._file = file
        self._started = self._told = time.monotonic()
        self._first_step = 0

    def on_train_begin(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **_: Any) -> None:
        """Tell the validations that a resumed training has had before."""
        self._first_step = state.global_step
        for entry in state.log_history:
            if _key(args) in entry:
                self._tell(state, int(entry["step"]), entry[_key(args)])

    def on_step_end(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **_: Any) -> None:
        """Tell the step, every few seconds."""
        if time.monotonic() - self._told >= _PAUSE:
            self._tell(state, state.global_step, None)

    def on_evaluate(
        self,
        args: TrainingArguments,
        state: TrainerState,
        control: TrainerControl,
        metrics: dict[str, float] | None = None,
        **_: Any,
    ) -> None:
        """Tell the score."""
        if metrics is not None:
            self._tell(state, state.global_step, metrics[_key(args)])

    def _tell(self, state: TrainerState, step: int, score: float | None) -> None:
        self._told = time.monotonic()
        done = step - self._first_step
        left = (self._told - self._started) / done * (state.max_steps - step) if done > 0 else None
        line = {"step": step, "steps": state.max_steps, "seconds_left": left, "score": score}
        with self._file.open("a", encoding="utf-8") as file:
            file.write(json.dumps(line) + "\n")


def live_progress() -> list[TrainerCallback]:
    """Return the callback, if somebody watches."""
    file = os.environ.get(FILE)
    return [LiveProgress(Path(file))] if file else []


def _key(args: TrainingArguments) -> str:
    return f"eval_{args.metric_for_best_model}"
