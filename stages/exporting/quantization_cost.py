"""The cost of quantization in `task.metric` on validation, and whether it is accepted."""

from collections.abc import Mapping
from dataclasses import dataclass

from stages.pipeline.json_files import Json
from stages.scoring.core.metrics import METRICS

_BELOW_ALL_SCORES = 9
"""Decimals that differences are rounded to, so that 0.84 - 0.835 is not more than 0.005."""
_SMALL = 1e-9
"""The least loss that a share is taken of: 0 has none."""


@dataclass(frozen=True)
class QuantizationCost:
    """The same examples' scores, before and after."""

    metric: str
    """The headline score's name."""
    before: Mapping[str, float | None]
    """The headline scores of the model in fp32."""
    after: Mapping[str, float | None]
    """Those of the model in int8."""
    limit: float
    """The largest loss that is accepted."""

    @property
    def loss(self) -> float | None:
        """Return by how much the metric is worse. Negative if it is better.

        Of metrics without an upper bound, such as `loss`, it is the share by which they grew.

        None where quantization made the score undefined.
        """
        before, after = self.before[self.metric], self.after[self.metric]
        if before is None:
            return 0.0  # nothing that could be lost
        if after is None:
            return None
        metric = METRICS[self.metric]
        change = before - after if metric.higher_is_better else after - before
        return round(change if metric.high is not None else change / max(before, _SMALL), _BELOW_ALL_SCORES)

    @property
    def is_accepted(self) -> bool:
        """Return whether the loss is within the limit."""
        return self.loss is not None and self.loss <= self.limit

    def refusal(self) -> str:
        """Return why there is no int8 model, in one line."""
        return (
            f"export: int8 has {self.metric}={_number(self.after[self.metric])} on validation, fp32 "
            f"{_number(self.before[self.metric])}: more than export.max_loss={self.limit:g} is lost, so no int8 "
            "model is written; raise the limit, or set export.quantize=none to save the time"
        )

    def to_json(self) -> dict[str, Json]:
        """Return the scores of both, and whether int8 is exported."""
        return {"exported": self.is_accepted, "validation": {"fp32": {**self.before}, "int8": {**self.after}}}


def _number(value: float | None) -> str:
    return "undefined" if value is None else f"{value:.4f}"
