"""A leaderboard as one HTML page: the ranking, main effects, and charts of the parameters."""

from collections.abc import Iterator

from stages.comparison.wording import counted, score
from stages.reporting.charts import interval_mark
from stages.reporting.content import Fact, Tile
from stages.reporting.document import Part, asset, document
from stages.reporting.forest import Estimate, forest
from stages.reporting.head import provenance, tiles
from stages.reporting.markup import (
    MISSING,
    Cell,
    Column,
    Html,
    breakable,
    interval_text,
    joined,
    score_text,
    table,
    tag,
)
from stages.reporting.sections import section
from stages.scoring.core.metrics import bounds_of
from stages.sweep.leaderboard import charts, wording
from stages.sweep.leaderboard.keys import numbers_of, setting, short_names
from stages.sweep.leaderboard.results import Board, Leaderboard, Row

_PACKAGE = "stages.sweep.leaderboard"


def as_html(leaderboard: Leaderboard, command: str = "") -> str:
    """Return the page as HTML text. It depends only on the arguments: there is no time, host or path in it.

    `command`: a shell command that makes the page again.
    """
    parts = [part for place, board in enumerate(leaderboard.boards) for part in _board(board, place, leaderboard)]
    return document(
        "Leaderboard: " + ", ".join(board.title for board in leaderboard.boards),
        "Experiments ranked on the validation split",
        [*parts, Part("left-out", "Not ranked", _left_out(leaderboard))],
        head=_head(leaderboard, command),
        notes=Html(),
        style=asset("report.css") + asset("leaderboard.css", _PACKAGE),
        script=asset("tables.js") + asset("leaderboard.js", _PACKAGE),
    )


def _head(leaderboard: Leaderboard, command: str) -> Html:
    """Return the provenance of the page; for a single board its figures too."""
    facts = [
        Fact("Data", ", ".join(dict.fromkeys(board.title for board in leaderboard.boards))),
        Fact("Experiments", ", ".join(wording.heading(board) for board in leaderboard.boards)),
        Fact("Git revision", tag("code", leaderboard.base[:12])),
        *([Fact("Reproduce", tag("code", command))] if command else []),
    ]
    figures = _figures(leaderboard.boards[0], leaderboard) if len(leaderboard.boards) == 1 else Html()
    return joined([provenance(facts), figures])


def _figures(board: Board, leaderboard: Leaderboard) -> Html:
    """Return tiles with the leader's scores, and how many configurations may be the best."""
    leader, chosen = board.rows[0], board.chosen
    interval = Html() if chosen.interval is None else interval_text(chosen.interval)
    of_test = f"on {counted(chosen.examples, 'example')}" if chosen.examples else chosen.missing or ""
    shown = [
        Tile(
            f"Test {board.metric} of the leader",
            score_text(chosen.test),
            [each for each in (interval, of_test) if each],
            "headline",
        ),
        Tile(
            f"Best validation {board.metric}",
            score_text(leader.score),
            [
                interval_text(leader.interval) if leader.interval else "",
                f"the best of {len(board.rows)}, so optimistic",
            ],
        ),
    ]
    if board.best:
        may_be = f"of {counted(len(board.rows), 'configuration')}"
        shown.append(
            Tile(
                "May be the best",
                f"{len(board.best)}",
                [may_be, f"with {100 * (1 - leaderboard.level):g} % confidence"],
            )
        )
    if board.effects:
        first = wording.effects(board)[0]
        shown.append(
            Tile(
                "Largest main effect",
                breakable(short_names(board.keys)[first.key]),
                [wording.difference_of_means(first)],
            )
        )
    return tiles(shown)


def _board(board: Board, place: int, leaderboard: Leaderboard) -> Iterator[Part]:
    several = len(leaderboard.boards) > 1
    for name, title, content in (
        ("ranking", "Ranking", _ranking(board, place, leaderboard)),
        ("effects", "Main effects", _effects(board)),
        ("parameters", "All parameters at once", _parameters(board, place)),
        ("each", "Each parameter", _each(board, place)),
    ):
        whole, named = (f"{board.title}: {title}" if several else title), f"{name}-{place}"
        yield Part(named, whole, section(named, whole, content))


def _ranking(board: Board, place: int, leaderboard: Leaderboard) -> Html:
    chosen = board.chosen
    return joined(
        [
            _figures(board, leaderboard) if len(leaderboard.boards) > 1 else Html(),
            *(tag("p", note, class_="note") for note in board.notes),
            tag(
                "div",
                tag("p", wording.test_score(board, chosen, leaderboard.level), " ", wording.selection_bias(board)),
                tag("p", "Get the leader: ", tag("code", wording.how_to_get(chosen))),
                class_="chosen",
            ),
            tag("p", wording.best_set(board, leaderboard)),
            tag("div", _table(board, place, leaderboard), class_="ranking"),
        ]
    )


def _table(board: Board, place: int, leaderboard: Leaderboard) -> Html:
    names = short_names(board.keys)
    are_numbers = {key: numbers_of([row.settings[key] for row in board.rows]) is not None for key in board.keys}
    has_seeds, devices = any(row.deviation is not None for row in board.rows), wording.devices(board.rows)
    ends = [bound for row in board.rows if row.interval for bound in (row.interval.low, row.interval.high)]
    columns = [
        Column("rank"),
        Column(board.metric, numeric=True),
        *([Column(f"{100 * (1 - leaderboard.level):g} % interval")] if ends else []),
        *([Column("sd", numeric=True)] if has_seeds else []),
        *(Column(names[key], numeric=are_numbers[key]) for key in board.keys),
        Column("train s", numeric=True),
        Column("experiment"),
        *([Column("device")] if devices else []),
    ]
    rows = [
        [
            Cell(_rank(row, f"{place}-{at}"), row.rank),
            Cell(_score(row), row.score),
            *([Cell(_interval(row, board, ends), None if row.interval is None else row.interval.low)] if ends else []),
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


def _score(row: Row) -> Html:
    interval = Html() if row.interval is None else tag("span", wording.span(row.interval), class_="interval-text")
    return joined([score(row.score), interval])


def _interval(row: Row, board: Board, ends: list[float]) -> Html:
    if row.interval is None:
        return tag("span", row.note or MISSING, class_="why")
    return interval_mark(row.score, row.interval, min(ends), max(ends), board.rows[0].score)


def _setting(row: Row, key: str, *, is_number: bool) -> Cell:
    value = row.settings[key]
    numbers = numbers_of([value]) if is_number else None
    return Cell(setting(value), numbers[0] if numbers else None)


def _experiments(row: Row) -> Iterator[Html]:
    """Yield the experiments of a row, sorted by seed."""
    first, *others = row.trials
    yield breakable(first.experiment)
    if others:
        listed = (
            tag("li", f"seed {setting(each.seed)}: {each.experiment} ({score(each.score)})") for each in row.trials
        )
        yield tag("details", tag("summary", f"+ {counted(len(others), 'seed')}"), tag("ul", *listed))


def _parameters(board: Board, place: int) -> Html:
    if not board.keys or len(board.rows) < 2:
        return Html()
    said = (
        "Each line is a configuration and ends at its score, with the best at the top. Wide lines may be the best; the widest is "
        "the leader. Point at a line, or at a row of the table, to highlight both."
    )
    return joined([tag("p", said), charts.parallel_coordinates(board, place)])


def _effects(board: Board) -> Html:
    """Draw the mean score of each value, on one axis for all parameters."""
    if not board.effects:
        return Html()
    estimates = [
        Estimate(each.value, each.score, group=wording.effect_heading(effect), behind=(f"{each.trials:,}",))
        for effect in wording.effects(board)
        for each in effect.values
    ]
    drawn = forest(
        f"Mean {board.metric} on validation",
        estimates,
        what="value",
        value="mean",
        behind=("trials",),
        bounds=bounds_of(board.metric),
    )
    return joined([tag("p", wording.effects_note(board)), drawn])


def _each(board: Board, place: int) -> Html:
    if not board.effects:
        return Html()
    figures = [charts.score_over_key(board, effect.key, place) for effect in wording.effects(board)]
    said = "Each point is a trial; a bar is the mean of the trials with one value."
    return joined([tag("p", said), tag("div", *figures, class_="figures")])


def _left_out(leaderboard: Leaderboard) -> Html:
    if not leaderboard.left_out:
        return Html()
    items = (tag("li", tag("b", each.name), f": {each.reason}") for each in leaderboard.left_out)
    return section("left-out", "Not ranked", tag("ul", *items))
