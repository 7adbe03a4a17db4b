"""The progress of a sweep for its user: a live table on a terminal, elsewhere a line for each event."""

import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from rich.console import Console, Group
from rich.live import Live
from rich.table import Table

from stages.pipeline.escaping import shortened, visible
from stages.sweep.record import SweepRecord, TrialRecord

_ROWS = 20
"""Trials that the live table shows, running ones first."""
_LONGEST_FAILURE = 400
"""Characters of a line."""
_ORDER = {"running": 0, "waiting": 2, "stopped": 3, "failed": 1, "pruned": 4, "done": 5}


class Lines:
    """Prints a line for each event."""

    def __init__(self, console: Console) -> None:
        """`console`: where the lines go."""
        self._console = console

    def event(self, text: str) -> None:
        """Print a line with the time."""
        self._console.print(
            f"{time.strftime('%H:%M:%S')} {visible(text)}", markup=False, highlight=False, soft_wrap=True
        )

    def show(self, record: SweepRecord) -> None:
        """Print nothing: every tick would be a line."""


class LiveTable(Lines):
    """Shows a table of the trials, drawn anew at each poll; events scroll above it."""

    def __init__(self, console: Console, live: Live) -> None:
        """`live`: shows the table, on the console."""
        super().__init__(console)
        self._live = live

    def show(self, record: SweepRecord) -> None:
        """Draw the table."""
        self._live.update(Group(table(record.trials), f"{record.name}: {record.counts()}"))


@contextmanager
def display() -> Iterator[Lines]:
    """Yield a live table if standard output is a terminal, else lines."""
    console = Console()
    if not console.is_terminal:
        yield Lines(console)
        return
    with Live(console=console, refresh_per_second=2, transient=True) as live:
        yield LiveTable(console, live)


def table(trials: Sequence[TrialRecord], rows: int = _ROWS) -> Table:
    """Return a table of at most `rows` trials, running ones first."""
    drawn = Table(box=None, pad_edge=False)
    for column in ("trial", "state", "device", "stage", "step", "validation", "left"):
        drawn.add_column(column, no_wrap=True, justify="right" if column in ("step", "validation", "left") else "left")
    for trial in sorted(trials, key=lambda trial: _ORDER[trial.state])[:rows]:
        is_running = trial.state == "running"
        drawn.add_row(
            trial.name,
            _state(trial),
            _where(trial),
            trial.stage if is_running else "",
            f"{trial.step}/{trial.steps}" if trial.steps else "",
            _score(trial),
            _duration(trial.seconds_left) if is_running and trial.seconds_left is not None else "",
        )
    return drawn


def status_lines(record: SweepRecord) -> Iterator[str]:
    """Yield the counts, then a line for each trial with its state, score and overrides."""
    yield f"{record.name}: {record.counts()}"
    for trial in record.trials:
        yield f"  {trial.name}  {_state(trial):11} {_score(trial):>7}  {visible(' '.join(trial.overrides))}"


def failures(trials: Sequence[TrialRecord]) -> Iterator[str]:
    """Yield a line for each trial that has failed: attempt, device, exit status and error."""
    for trial in trials:
        if trial.state == "failed":
            told = f"attempt {trial.attempts}  {_where(trial)}  status {trial.status}  {trial.error}"
            yield shortened(visible(f"  {trial.name}  {told}"), _LONGEST_FAILURE)


def _state(trial: TrialRecord) -> str:
    return trial.state + (f" ({trial.attempts})" if trial.attempts > 1 else "")


def _where(trial: TrialRecord) -> str:
    return f"{trial.host} {trial.device}".strip()


def _score(trial: TrialRecord) -> str:
    return "" if trial.score is None else f"{trial.score:.4f}"


def _duration(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes}:{rest:02}"
