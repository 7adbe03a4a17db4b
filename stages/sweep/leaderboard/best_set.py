"""Which configurations are not told apart from the best: a set that holds the truly best one with a given probability.

It is the subset of Gupta (1965, "On some multiple decision (selection and ranking) rules", Technometrics 7) in the form of
multiple comparisons with the best (Hsu 1996, "Multiple Comparisons", chapter 4), with the paired test of
`stages.comparison.compare` in place of a normal distribution: a configuration leaves the set if the one that leads on
validation is better by more than chance explains, at a level that is divided by the number of others (Bonferroni).

The truly best one b leaves the set only if some other one that is no better leads it so far. For any single one this has at
most the divided level's probability; which one leads is not known before, so these add up, over all others, to the level. So it
does not matter that the leader was chosen by the same examples. Nothing is said of the others: those in the set need not
be alike, and the leader is always in it.
"""

from collections.abc import Sequence

from stages.comparison.comparing import discordant
from stages.comparison.significance import mcnemar, randomization
from stages.scoring.evaluation.measured import Measured
from stages.scoring.evaluation.resampling import FEWEST_EXAMPLES, RESAMPLES

_ROUNDS_BEYOND_LEVEL = 10
"""Rounds of the randomization test, as a multiple of 1 / the divided level. With fewer, p is too coarse for that level."""


def p_of_being_best(scores: Sequence[Measured], level: float) -> list[float | None]:
    """Return, for each configuration, the probability of the leader's observed lead over it if both were equally good.

    `scores`: of the same examples, that of the leader first. The probabilities are one-sided and corrected for the number of
    others, so that those above `level` make up the set. The leader's own is 1, and so are all with fewer than
    `FEWEST_EXAMPLES`. None for scores of ranks that can't be tested.
    """
    others = len(scores) - 1
    rounds = max(RESAMPLES, round(_ROUNDS_BEYOND_LEVEL * others / level))
    found: list[float | None] = []
    for score in scores:
        if score is scores[0] or score.examples < FEWEST_EXAMPLES:
            found.append(1.0)
            continue
        p = _one_sided(scores[0], score, rounds)
        found.append(None if p is None else min(1.0, p * others))
    return found


def _one_sided(leader: Measured, other: Measured, rounds: int) -> float | None:
    """Halve the two-sided p-value: exchanging all outputs turns a difference round, so both sides are equally probable."""
    if leader.is_share and other.is_share:
        p: float | None = mcnemar(*discordant(leader.statistic, other.statistic))
    else:
        [p] = randomization([leader.statistic], [other.statistic], rounds=rounds)
    if p is None:
        return None
    ahead = leader.statistic.observed() - other.statistic.observed()
    return p / 2 if ahead and (ahead > 0) == leader.metric.higher_is_better else 1.0
