"""Loss and scores per epoch, through DVCLive, as `dvc plots show` draws them."""

import math
from pathlib import Path

from dvclive.live import Live
from transformers import TrainerCallback, TrainerControl, TrainerState, TrainingArguments

from stages.pipeline.errors import TrainingError
from stages.pipeline.json_files import DECIMALS

_CURVES = {
    "loss": "train/loss",
    "learning_rate": "train/learning_rate",
    "grad_norm": "train/grad_norm",
    "eval_loss": "validation/loss",
    "eval_accuracy": "validation/accuracy",
    "eval_precision": "validation/precision",
    "eval_recall": "validation/recall",
    "eval_f1": "validation/f1",
    "eval_mse": "validation/mse",
    "eval_mae": "validation/mae",
    "eval_pearson": "validation/pearson",
    "eval_spearman": "validation/spearman",
}


class CurvesCallback(TrainerCallback):
    """Writes one TSV a curve: `step` (here: epochs done, which compare across batch sizes) and the value.

    Values are rounded, so that a repeat gives the same bytes.
    """

    def __init__(self, folder: Path) -> None:
        """`folder`: where DVCLive writes; what it held is replaced."""
        self._live = Live(str(folder), save_dvc_exp=False, dvcyaml=None, report=None)

    def on_log(
        self,
        args: TrainingArguments,
        state: TrainerState,
        control: TrainerControl,
        logs: dict[str, float] | None = None,
        **kwargs: object,
    ) -> None:
        """Write the logged values that have a curve."""
        if not state.is_world_process_zero:
            return
        self._live.step = round(state.epoch or 0.0, DECIMALS)  # type: ignore[assignment]
        for name, value in (logs or {}).items():
            if name in _CURVES:
                self._live.log_metric(_CURVES[name], round(float(value), DECIMALS + 4))

    def on_train_end(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: object
    ) -> None:
        """Let DVCLive finish."""
        if state.is_world_process_zero:
            self._live.end()


class FiniteLossCallback(TrainerCallback):
    """Stops a training whose loss is no longer a number, which would otherwise run to its end and pass for a model."""

    def on_log(
        self,
        args: TrainingArguments,
        state: TrainerState,
        control: TrainerControl,
        logs: dict[str, float] | None = None,
        **kwargs: object,
    ) -> None:
        """Raise TrainingError if a logged loss is NaN or infinite."""
        for name, value in (logs or {}).items():
            if name.endswith("loss") and not math.isfinite(value):
                raise TrainingError(
                    f"train: {name} is {value} at step {state.global_step}; lower train.learning_rate, "
                    "or set train.precision=fp32"
                )
