"""Numbers and sentences of a leaderboard, which the terminal, Markdown and the page share."""

import shlex
from collections.abc import Sequence

from stages.comparison.wording import counted, score
from stages.pipeline.escaping import visible
from stages.scoring.evaluation.resampling import Interval
from stages.sweep.leaderboard.results import Board, Chosen, KeyEffect, Leaderboard, Row

AMONG_BEST, UNKNOWN = "●", "?"


def heading(board: Board) -> str:
    """Return how many configurations are ranked, and by what."""
    on = f" on {counted(board.examples, 'validation example')}" if board.examples else ""
    return f"{counted(len(board.rows), 'configuration')} from {counted(board.trials, 'trial')}, ranked by {board.metric}{on}"


def mark(row: Row) -> str:
    """Return the mark of a configuration that may be the best, or for which that is unknown; else nothing."""
    if row.is_among_best is None:
        return UNKNOWN
    return AMONG_BEST if row.is_among_best else ""


def span(found: Interval | None) -> str:
    """Return an interval with three decimals; more would be noise."""
    return "-" if found is None else f"[{_short(found.low)}, {_short(found.high)}]"


def _short(value: float) -> str:
    return f"{round(value, 3) + 0.0:.3f}" if abs(value) < 1000 else f"{value:.4g}"


def experiment(row: Row) -> str:
    """Return the first experiment's name, and how many more seeds there are."""
    more = len(row.trials) - 1
    return row.trials[0].experiment + (f" + {counted(more, 'seed')}" if more else "")


def seconds(row: Row) -> str:
    """Return the seconds of training."""
    return "-" if row.seconds is None else f"{row.seconds:,.1f}"


def best_set(board: Board, leaderboard: Leaderboard) -> str:
    """Explain the mark, and how the configurations that may be the best were found."""
    others = sum(row.p is not None for row in board.rows) - 1
    if others < 0:
        return "There are no validation predictions here, so it is unknown which differences may be chance."
    if not others:
        return f"{AMONG_BEST} There is only one configuration, so there is nothing to compare it with."
    count = len(board.best)
    unknown = sum(row.p is None for row in board.rows)
    which = (
        f"{AMONG_BEST} The leader is better than all others,"
        if count == 1
        else f"{AMONG_BEST} The best configuration is among these {count},"
    )
    return (
        f"{which} with {100 * (1 - leaderboard.level):g} % confidence (paired tests against the leader on the validation "
        f"examples, corrected for {counted(others, 'comparison')})."
        + (f" Nothing is known of the {unknown} marked {UNKNOWN}." if unknown else "")
    )


def test_score(board: Board, chosen: Chosen, level: float) -> str:
    """Return the test score of the leader as a sentence, or why there is none."""
    if chosen.test is None:
        return f"No test score: {chosen.missing or f'{board.metric} is not defined for its test predictions'}."
    seeds = "" if chosen.deviation is None else f", sd over seeds {score(chosen.deviation)}"
    within = "" if chosen.interval is None else f" {span(chosen.interval)} ({100 * (1 - level):g} % interval{seeds})"
    return f"Test {board.metric} of the leader: {score(chosen.test)}{within} on {counted(chosen.examples, 'example')}."


def how_to_get(chosen: Chosen) -> str:
    """Return the shell command that brings the leader into the workspace."""
    return f"dvc exp apply {shlex.quote(visible(chosen.experiments[0]))}"


def selection_bias(board: Board) -> str:
    """Explain why the leader's validation score is optimistic, and its test score is not."""
    if len(board.rows) == 1:
        return "The test split played no part in the choice."
    return (
        f"The leader was chosen by its validation {board.metric}: {score(board.chosen.validation)} is the best of "
        f"{len(board.rows)}, and therefore optimistic. Its test score is not, because the test split played no part in "
        "the choice."
    )


def effect_heading(effect: KeyEffect) -> str:
    """Return the key, and the rank correlation of its numbers with the score."""
    if effect.rank_correlation is None:
        return effect.key
    return f"{effect.key} (rank correlation with the score {effect.rank_correlation:+.2f})"


def effects_note(board: Board) -> str:
    """Return how to read the effects."""
    return (
        f"Mean {board.metric} on validation of the trials with each value, starting with the parameter with the largest "
        "differences. All other parameters are averaged over, not held fixed."
    )


def effects(board: Board) -> list[KeyEffect]:
    """Return the effects sorted by the difference between their largest and smallest mean, the largest first."""
    return sorted(board.effects, key=lambda each: -_reach(each))


def difference_of_means(effect: KeyEffect) -> str:
    """Return by how much the means of its values differ."""
    return f"means of its values differ by {_reach(effect):.4f}"


def _reach(effect: KeyEffect) -> float:
    means = [each.score for each in effect.values]
    return max(means) - min(means)


def devices(rows: Sequence[Row]) -> list[str]:
    """Return the devices of the rows if they differ; an empty list if all were trained on the same one."""
    found = sorted({row.device or "-" for row in rows})
    return found if len(found) > 1 else []
