"""The sides' figures as a Markdown table."""

import statistics
from collections.abc import Callable, Sequence

from benchmarks.sides import Figures

OURS = "ours"


def table(found: Sequence[Figures]) -> str:
    """A column a side: medians over its runs, how many times as fast ours is, and scores as mean ± deviation over seeds."""
    sides = list(dict.fromkeys(each.side for each in found))
    runs = {side: [each for each in found if each.side == side] for side in sides}

    def median(figure: Callable[[Figures], float]) -> dict[str, float]:
        return {side: statistics.median(figure(each) for each in runs[side]) for side in sides}

    def row(name: str, values: Sequence[str]) -> str:
        return f"| {name} | {' | '.join(values)} |"

    def numbers(name: str, figure: Callable[[Figures], float], style: str) -> str:
        return row(name, [style.format(value) for value in median(figure).values()])

    def ratio(figure: Callable[[Figures], float]) -> str:
        values = median(figure)
        ours = values.get(OURS)
        return row("… over ours", ["-" if ours is None else f"{value / ours:.2f} x" for value in values.values()])

    names = list(found[0].scores)
    return "\n".join([
        row("", [*sides]),
        "|---|" + "---:|" * len(sides),
        numbers("seconds before the steps that are counted", lambda each: each.start, "{:.1f}"),
        numbers("seconds a step", lambda each: each.step, "{:.3f}"),
        numbers("seconds an epoch", lambda each: each.epoch, "{:.1f}"),
        ratio(lambda each: each.epoch),
        numbers("sub-words a second", lambda each: each.tokens / each.step, "{:.0f}"),
        numbers("padding factor of the batches", lambda each: each.padding, "{:.2f}"),
        numbers("utilization, of the machine's own products", lambda each: 100 * each.utilization, "{:.0f} %"),
        numbers("seconds to predict test", lambda each: each.predict, "{:.2f}"),
        ratio(lambda each: each.predict),
        numbers("peak memory, MB", lambda each: each.peak, "{:.0f}"),
        *(row(f"{name} on test", [_spread([each.scores[name] for each in runs[side]]) for side in sides]) for name in names),
    ])  # fmt: skip


def _spread(values: Sequence[float | None]) -> str:
    known = [value for value in values if value is not None]
    if not known:
        return "-"
    deviation = f" ± {statistics.stdev(known):.4f}" if len(set(known)) > 1 else ""
    return f"{statistics.fmean(known):.4f}{deviation}"
