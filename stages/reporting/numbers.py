"""Numbers as the page shows them."""

from stages.scoring.final.resampling import Interval

MISSING = "—"


def score_text(value: float | None) -> str:
    """A score with four decimals."""
    return MISSING if value is None else f"{value:.4f}"


def signed_text(value: float | None) -> str:
    """A difference with its sign; no minus sign before a difference that rounds to 0."""
    return MISSING if value is None else f"{round(value, 4) + 0.0:+.4f}".replace("-", "\u2212")


def interval_text(interval: Interval | None, *, signed: bool = False) -> str:
    """An interval in brackets."""
    if interval is None:
        return MISSING
    shown = signed_text if signed else score_text
    return f"[{shown(interval.low)}, {shown(interval.high)}]"


def p_text(p: float | None) -> str:
    """A p-value with three decimals."""
    if p is None:
        return MISSING
    return "< 0.001" if p < 0.001 else f"{p:.3f}"
