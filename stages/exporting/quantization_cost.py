"""What quantization costs, in the headline score on validation, and whether that is accepted."""

from collections.abc import Mapping
from dataclasses import dataclass

from stages.pipeline.json_files import Json

_BELOW_ALL_SCORES = 9
"""Decimals to compare at: 0.84 - 0.835 is no more than 0.005."""
_SMALL = 1e-9
"""What a loss of 0 counts as."""


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
        """By how much the headline score is worse; the share by which `loss` grew. Negative if it is better.

        None where quantization made the score undefined.
        """
        before, after = self.before[self.metric], self.after[self.metric]
        if before is None:
            return 0.0  # nothing that could be lost
        if after is None:
            return None
        change = (after - before) / max(before, _SMALL) if self.metric == "loss" else before - after
        return round(change, _BELOW_ALL_SCORES)

    @property
    def is_accepted(self) -> bool:
        """Whether no more is lost than may be."""
        return self.loss is not None and self.loss <= self.limit

    def refusal(self) -> str:
        """Why there is no int8 model, in one line."""
        return (
            f"export: int8 has {self.metric}={_number(self.after[self.metric])} on validation, fp32 "
            f"{_number(self.before[self.metric])}: more is lost than export.max_loss={self.limit:g}, so there is no int8 "
            "model; raise the limit, or set export.quantize=none to save the time"
        )

    def to_json(self) -> dict[str, Json]:
        """The scores of both, and whether int8 is exported."""
        return {"exported": self.is_accepted, "validation": {"fp32": {**self.before}, "int8": {**self.after}}}


def _number(value: float | None) -> str:
    return "undefined" if value is None else f"{value:.4f}"
