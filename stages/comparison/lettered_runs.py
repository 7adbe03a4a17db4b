"""The runs of a comparison in the order in which its page shows them, each with a letter that stands for its name."""

from collections.abc import Sequence
from dataclasses import dataclass

from stages.comparison import wording
from stages.comparison.loaded_runs import Run
from stages.comparison.results import Comparison, Difference, Pair, RunResult
from stages.reporting.markup import Html, breakable, joined, tag
from stages.reporting.page import letter_of


@dataclass(frozen=True)
class LetteredRun:
    """A run and what is known of it."""

    letter: str
    """`A` for the base."""
    result: RunResult
    run: Run
    """Over several seeds the first."""
    pair: Pair | None
    """Against the base; None for the base itself."""

    def difference(self, metric: str) -> Difference | None:
        """Return its difference from the base; None where it has none."""
        differences = self.pair.differences if self.pair else ()
        return next((each for each in differences if each.metric == metric), None)

    @property
    def badge(self) -> Html:
        """Its letter."""
        return tag("b", self.letter, class_="badge")

    @property
    def title(self) -> Html:
        """Its letter and its name, and whether it is the base."""
        base = tag("span", "base", class_="chip") if self.pair is None else ""
        return joined([self.badge, " ", breakable(self.result.name), " " if base else "", base])


def lettered(comparison: Comparison, runs: Sequence[Run]) -> list[LetteredRun]:
    """Give each run a letter: the base first, then the others by their headline score, the best first."""
    by_name = {run.name: run for run in runs}
    pair_of = {pair.other: pair for pair in comparison.pairs}
    base = comparison.runs[0]
    others = [run for run, _ in wording.ranked(comparison, headline_of(comparison)) if run is not base]
    return [
        LetteredRun(letter_of(place), result, by_name[result.runs[0]], pair_of.get(result.name))
        for place, result in enumerate([base, *others])
    ]


def best_of(comparison: Comparison) -> RunResult:
    """Return the run with the best score on the headline metric; the first of equal ones."""
    return wording.ranked(comparison, headline_of(comparison))[0][0]


def headline_of(comparison: Comparison) -> str:
    """Return the metric that comes first; an empty name where no two runs have one in common."""
    differences = (each.metric for pair in comparison.pairs for each in pair.differences)
    return next(iter(comparison.judged), None) or next(differences, "")


def legend(shown: Sequence[LetteredRun]) -> Html:
    """Return the list of letters and the runs that they stand for."""
    return tag("ul", *(tag("li", run.title) for run in shown), class_="runs")
