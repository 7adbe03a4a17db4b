"""A leaderboard as one HTML page: the table, all parameters at once, and the score over each of them."""

from collections.abc import Iterator

from stages.comparison.wording import score
from stages.reporting.charts import interval_mark
from stages.reporting.document import Part, asset, document
from stages.reporting.markup import MISSING, Cell, Column, Html, breakable, joined, table, tag
from stages.reporting.sections import section
from stages.sweep.leaderboard import charts, wording
from stages.sweep.leaderboard.keys import numbers_of, setting, short_names
from stages.sweep.leaderboard.results import Board, Leaderboard, Row

_PACKAGE = "stages.sweep.leaderboard"


def as_html(leaderboard: Leaderboard) -> str:
    """The page as HTML text. It follows from `leaderboard` alone: no time, host or path gets into it."""
    parts = [part for place, board in enumerate(leaderboard.boards) for part in _board(board, place, leaderboard)]
    return document(
        "Leaderboard: " + ", ".join(board.title for board in leaderboard.boards),
        f"Experiments on commit {leaderboard.base[:12]}, ranked on validation",
        [*parts, Part("left-out", "Not ranked", _left_out(leaderboard))],
        notes=Html(),
        style=asset("report.css") + asset("leaderboard.css", _PACKAGE),
        script=asset("tables.js") + asset("leaderboard.js", _PACKAGE),
    )


def _board(board: Board, place: int, leaderboard: Leaderboard) -> Iterator[Part]:
    several = len(leaderboard.boards) > 1
    for name, title, content in (
        ("ranking", "Ranking", _ranking(board, place, leaderboard)),
        ("parameters", "All parameters at once", _parameters(board, place)),
        ("effects", "Each parameter", _effects(board, place)),
    ):
        whole, named = (f"{board.title}: {title}" if several else title), f"{name}-{place}"
        yield Part(named, whole, section(named, whole, content))


def _ranking(board: Board, place: int, leaderboard: Leaderboard) -> Html:
    chosen = board.chosen
    return joined(
        [
            tag("p", f"{wording.heading(board)}."),
            tag("p", wording.best_set(board, leaderboard)),
            *(tag("p", note, class_="note") for note in board.notes),
            tag(
                "div",
                tag("p", tag("strong", wording.test_score(board, chosen, leaderboard.level))),
                tag("p", wording.best_of(board)),
                tag("p", tag("code", wording.how_to_get(chosen))),
                class_="chosen",
            ),
            tag("div", _table(board, place, leaderboard), class_="ranking"),
        ]
    )


def _table(board: Board, place: int, leaderboard: Leaderboard) -> Html:
    names = short_names(board.keys)
    are_numbers = {key: numbers_of([row.settings[key] for row in board.rows]) is not None for key in board.keys}
    has_seeds, devices = any(row.deviation is not None for row in board.rows), wording.devices(board.rows)
    columns = [
        Column("rank"),
        Column(board.metric, numeric=True),
        Column(f"{100 * (1 - leaderboard.level):g} % interval"),
        *([Column("sd", numeric=True)] if has_seeds else []),
        *(Column(names[key], numeric=are_numbers[key]) for key in board.keys),
        Column("train s", numeric=True),
        Column("experiment"),
        *([Column("device")] if devices else []),
    ]
    ends = [bound for row in board.rows if row.interval for bound in (row.interval.low, row.interval.high)]
    rows = [
        [
            Cell(_rank(row, f"{place}-{at}"), row.rank),
            Cell(score(row.score), row.score),
            Cell(_interval(row, board, ends), None if row.interval is None else row.interval.low),
            *([Cell(MISSING if row.deviation is None else score(row.deviation), row.deviation)] if has_seeds else []),
            *(_setting(row, key, is_number=are_numbers[key]) for key in board.keys),
            Cell(wording.seconds(row), row.seconds),
            Cell(tag("span", *_experiments(row), class_="experiment")),
            *([Cell(row.device or MISSING)] if devices else []),
        ]
        for at, row in enumerate(board.rows)
    ]
    return table("Configurations by their score on validation", columns, rows, sortable=True)


def _rank(row: Row, name: str) -> Html:
    return tag("span", f"{row.rank} ", tag("span", wording.mark(row), class_="among"), data_row=name)


def _interval(row: Row, board: Board, ends: list[float]) -> Html:
    if row.interval is None:
        return tag("span", row.note or MISSING, class_="why")
    drawn = interval_mark(row.score, row.interval, min(ends), max(ends), board.rows[0].score)
    return tag("span", drawn, wording.span(row.interval), class_="interval")


def _setting(row: Row, key: str, *, is_number: bool) -> Cell:
    value = row.settings[key]
    numbers = numbers_of([value]) if is_number else None
    return Cell(setting(value), numbers[0] if numbers else None)


def _experiments(row: Row) -> Iterator[Html]:
    """All of them, by seed."""
    first, *others = row.trials
    yield breakable(first.experiment)
    if others:
        listed = (
            tag("li", f"seed {setting(each.seed)}: {each.experiment} ({score(each.score)})") for each in row.trials
        )
        yield tag("details", tag("summary", f"+ {wording.counted(len(others), 'seed')}"), tag("ul", *listed))


def _parameters(board: Board, place: int) -> Html:
    if not board.keys or len(board.rows) < 2:
        return Html()
    said = (
        "A line is a configuration; its score is where it ends, the better the higher. Wide lines are those not told apart "
        "from the best, the widest is the leader. Point at a line, or at a row of the table, to see both."
    )
    return joined([tag("p", said), charts.parallel_coordinates(board, place)])


def _effects(board: Board, place: int) -> Html:
    if not board.effects:
        return Html()
    figures = [charts.score_over_key(board, key, place) for key in board.keys]
    rows = [
        [Cell(breakable(effect.key) if not at else ""), Cell(each.value), Cell(score(each.score)), Cell(str(each.trials)),
         Cell(MISSING if at or effect.rank_correlation is None else f"{effect.rank_correlation:+.2f}")]
        for effect in board.effects
        for at, each in enumerate(effect.values)
    ]  # fmt: skip
    columns = [
        Column("parameter"),
        Column("value"),
        Column(f"mean {board.metric}", numeric=True),
        Column("trials", numeric=True),
        Column("rank correlation", numeric=True),
    ]
    return joined(
        [
            tag("p", "A point is a trial, a bar the mean of the trials with one value. ", wording.effects_note(board)),
            tag("div", *figures, class_="figures"),
            table("What goes with each parameter", columns, rows),
        ]
    )


def _left_out(leaderboard: Leaderboard) -> Html:
    if not leaderboard.left_out:
        return Html()
    items = (tag("li", tag("b", each.name), f": {each.reason}") for each in leaderboard.left_out)
    return section("left-out", "Not ranked", tag("ul", *items))
