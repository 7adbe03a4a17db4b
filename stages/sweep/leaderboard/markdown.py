"""A leaderboard as GitHub's Markdown, for a pull request. What comes from names and parameters is shown as code."""

from collections.abc import Iterator, Sequence

from stages.comparison.markdown import folded, table
from stages.comparison.wording import counted, score
from stages.pipeline.escaping import code
from stages.pipeline.json_files import Json
from stages.sweep.leaderboard import wording
from stages.sweep.leaderboard.keys import setting, short_names
from stages.sweep.leaderboard.results import Board, Leaderboard, Row

_ROWS = 15
"""Configurations that are not folded."""


def as_markdown(leaderboard: Leaderboard) -> str:
    """Return a table for each board. All but the first configurations, main effects, and what is not ranked are folded."""
    parts = [part for board in leaderboard.boards for part in _board(board, leaderboard)]
    if leaderboard.left_out:
        listed = "\n".join(f"- {code(each.name)}: {code(each.reason)}" for each in leaderboard.left_out)
        parts.append(folded(f"Not ranked: {counted(len(leaderboard.left_out), 'experiment')}", listed))
    return "\n\n".join(parts) + "\n"


def _board(board: Board, leaderboard: Leaderboard) -> Iterator[str]:
    yield f"### {code(board.title)}"
    chosen = board.chosen
    said = wording.test_score(board, chosen, leaderboard.level)
    yield f"**{said}**" if chosen.test is not None else code(said)
    yield f"{wording.selection_bias(board)} Get it with {code(wording.how_to_get(chosen))}."
    yield f"{wording.heading(board)}."
    yield _rows(board, board.rows[:_ROWS], leaderboard)
    if rest := board.rows[_ROWS:]:
        yield folded(f"{counted(len(rest), 'configuration')} more", _rows(board, rest, leaderboard))
    yield wording.best_set(board, leaderboard)
    for note in board.notes:
        yield f"Note: {code(note)}"
    if board.effects:
        rows = [
            [code(effect.key) if not place else "", code(each.value), score(each.score), str(each.trials)]
            for effect in wording.effects(board)
            for place, each in enumerate(effect.values)
        ]
        said = "\n\n".join(
            f"{code(each.key)}: rank correlation with the score {each.rank_correlation:+.2f}"
            for each in wording.effects(board)
            if each.rank_correlation is not None
        )
        content = table(["parameter", "value", board.metric, "trials"], rows)
        yield folded(
            "Main effects of the parameters", "\n\n".join(filter(None, [wording.effects_note(board), content, said]))
        )


def _setting(value: Json) -> str:
    """Return a value as code; a number as plain text, which is harmless and narrower."""
    return setting(value) if isinstance(value, int | float) else code(setting(value))


def _rows(board: Board, rows: Sequence[Row], leaderboard: Leaderboard) -> str:
    names = short_names(board.keys)
    has_seeds, devices = any(row.deviation is not None for row in board.rows), wording.devices(board.rows)
    header = [
        "rank", board.metric, f"{100 * (1 - leaderboard.level):g} % interval", *(["sd"] if has_seeds else []),
        *(code(names[key]) for key in board.keys), "train s", *(["device"] if devices else []), "experiment",
    ]  # fmt: skip
    return table(
        header,
        [
            [
                f"{row.rank} {wording.mark(row)}".strip(),
                score(row.score),
                wording.span(row.interval),
                *([score(row.deviation)] if has_seeds else []),
                *(_setting(row.settings[key]) for key in board.keys),
                wording.seconds(row),
                *([code(row.device or "-")] if devices else []),
                code(row.trials[0].experiment) + wording.experiment(row).removeprefix(row.trials[0].experiment),
            ]
            for row in rows
        ],
    )
