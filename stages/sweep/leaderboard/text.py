"""A leaderboard for the terminal, at most 80 columns wide unless names are longer."""

from collections.abc import Iterator, Sequence

from stages.comparison.wording import counted, score
from stages.pipeline.escaping import lines, shortened, visible, width
from stages.sweep.leaderboard import wording
from stages.sweep.leaderboard.keys import setting, short_names
from stages.sweep.leaderboard.results import Board, KeyEffect, Leaderboard

_WIDTH = 80
_ROWS = 30
_NAMES = 10
"""Experiments named below a table that has no room for their names."""
_VALUES = 12
"""The most values that are listed of a parameter."""
_LONGEST_VALUE = 24
_LONGEST_LINE = 300


def as_text(leaderboard: Leaderboard) -> str:
    """Return, for each board, a table, the test score of the leader and the main effects; then what is not ranked."""
    found = [line for board in leaderboard.boards for line in (*_board(board, leaderboard), "")]
    if leaderboard.left_out:
        found += [f"not ranked: {counted(len(leaderboard.left_out), 'experiment')}"]
        found += [shortened(visible(f"  {each.name}: {each.reason}"), _LONGEST_LINE) for each in leaderboard.left_out]
    return "\n".join(line.rstrip() for line in found).rstrip("\n") + "\n"


def _board(board: Board, leaderboard: Leaderboard) -> Iterator[str]:
    yield from _wrapped(f"{board.title}: {wording.heading(board)}")
    yield ""
    yield from _table(board, leaderboard)
    yield ""
    yield from _wrapped(wording.best_set(board, leaderboard))
    for note in board.notes:
        yield from _wrapped(f"note: {note}")
    yield ""
    yield from _wrapped(wording.test_score(board, board.chosen, leaderboard.level))
    yield from _wrapped(wording.selection_bias(board))
    yield f"  {wording.how_to_get(board.chosen)}"
    if board.effects:
        yield ""
        yield from _wrapped(wording.effects_note(board))
        for effect in wording.effects(board):
            yield from _effect(effect)


def _table(board: Board, leaderboard: Leaderboard) -> Iterator[str]:
    """One line a configuration. Where that is too long, the first names are listed below, or the settings in lines between."""
    shown = board.rows[:_ROWS]
    has_seeds, devices = any(row.deviation is not None for row in shown), wording.devices(shown)
    header = ["  ", board.metric, f"{100 * (1 - leaderboard.level):g} % interval"]
    header += (["sd"] if has_seeds else []) + ["train s"] + (["device"] if devices else [])
    numbers = [
        [
            f"{row.rank} {wording.mark(row) or ' '}",
            score(row.score),
            wording.span(row.interval),
            *([score(row.deviation)] if has_seeds else []),
            wording.seconds(row),
            *([shortened(visible(row.device or "-"), _LONGEST_VALUE)] if devices else []),
        ]
        for row in shown
    ]
    names = short_names(board.keys)
    settings = [[shortened(visible(setting(row.settings[key])), _LONGEST_VALUE) for key in board.keys] for row in shown]
    experiments = [visible(wording.experiment(row)) for row in shown]
    left = _columns([header, *numbers])
    values = _columns([[visible(names[key]) for key in board.keys], *settings])
    table = [f"{first}{second}" for first, second in zip(left, values, strict=True)]
    whole = [f"{line}  {name}" for line, name in zip(table, ["experiment", *experiments], strict=True)]
    if max(map(width, whole)) <= _WIDTH:
        yield from whole
    elif max(map(width, table)) <= _WIDTH:
        yield from table
        yield from ("", "      experiment")
        yield from (f"{row.rank:4}  {name}" for row, name in list(zip(shown, experiments, strict=True))[:_NAMES])
    else:
        yield f"{left[0]}  experiment"
        for first, of_row, name in zip(left[1:], settings, experiments, strict=True):
            yield f"{first}  {name}"
            said = " ".join(f"{names[key]}={value}" for key, value in zip(board.keys, of_row, strict=True))
            yield from (f"      {line}" for line in lines(visible(said), _WIDTH - 6) if line)
    if len(board.rows) > len(shown):
        rest = board.rows[len(shown) :]
        among = sum(bool(row.is_among_best) for row in rest)
        marked = f", {among} of them {wording.AMONG_BEST}" if among else ""
        yield f"      … and {len(rest)} more{marked}; --markdown, --json and --html show all"


def _columns(rows: Sequence[Sequence[str]]) -> list[str]:
    """Return rows with their cells aligned right in columns; an empty line for a row without cells."""
    widths = [max(map(width, column)) for column in zip(*rows, strict=True)]
    sized = [[" " * (size - width(cell)) + cell for cell, size in zip(row, widths, strict=True)] for row in rows]
    return ["".join(f"  {cell}" for cell in row) for row in sized]


def _effect(effect: KeyEffect) -> Iterator[str]:
    yield from _wrapped(f"  {wording.effect_heading(effect)}")
    shown = effect.values[:_VALUES]
    cells = [
        [shortened(visible(each.value), _LONGEST_VALUE), score(each.score), counted(each.trials, "trial")]
        for each in shown
    ]
    widths = [max(map(width, column)) for column in zip(*cells, strict=True)]
    for row in cells:
        value, mean, trials = (cell + " " * (size - width(cell)) for cell, size in zip(row, widths, strict=True))
        yield f"    {value}  {mean}  {trials}"
    if len(effect.values) > len(shown):
        yield f"    … and {len(effect.values) - len(shown)} more values"


def _wrapped(text: str) -> list[str]:
    indent = " " * (len(text) - len(text.lstrip()))
    return [f"{indent}{line}" for line in lines(visible(text), _WIDTH - len(indent))]
