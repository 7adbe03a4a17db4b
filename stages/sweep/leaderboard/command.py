"""`stagewright sweep report`: read the experiments on the current commit, rank them, and write the leaderboard."""

import json
import re
import shlex
import sys
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path

from stages.pipeline.errors import ConfigError
from stages.pipeline.git import git
from stages.pipeline.outputs import write_text
from stages.scoring.core.metrics import METRICS
from stages.sweep import repository
from stages.sweep.leaderboard.experiments import read_experiments
from stages.sweep.leaderboard.markdown import as_markdown
from stages.sweep.leaderboard.ranking import LEVEL, leaderboard
from stages.sweep.leaderboard.results import Leaderboard, LeftOut
from stages.sweep.leaderboard.text import as_text
from stages.sweep.record import SweepRecord, folders, read_record

STDOUT = "-"
_DIGEST = r"-[0-9a-f]{8}"
"""What a trial's name has behind the sweep's."""


@dataclass(frozen=True)
class ReportCall:
    """What a user has asked for."""

    sweep: str | None = None
    metric: str | None = None
    level: float = LEVEL
    markdown: str | None = None
    """A file, or - for standard output; likewise the others."""
    json: str | None = None
    html: str | None = None


def report(call: ReportCall) -> None:
    """Write the leaderboard to where it is asked for, and to the terminal.

    Raises ConfigError if there is nothing to rank, and DataError if a metric can't be computed.
    """
    _require_possible(call)
    found = current_leaderboard(call.sweep, call.metric, call.level)
    for place, written in ((call.markdown, as_markdown), (call.json, as_json)):
        if place == STDOUT:
            sys.stdout.write(written(found))
        elif place is not None:
            write_text(Path(place), written(found))
    if call.html is not None:
        from stages.sweep.leaderboard.page import as_html  # needs what the other formats do not

        write_text(Path(call.html), as_html(found, _command(call)))
    if STDOUT not in (call.markdown, call.json):
        sys.stdout.write(as_text(found))


def _command(call: ReportCall) -> str:
    """Return what makes the page again, for a shell. Where this call wrote to is left out: the page does not depend on it."""
    valued = {
        "--sweep": call.sweep,
        "--metric": call.metric,
        "--level": None if call.level == LEVEL else f"{call.level:g}",
    }
    options = [word for option, value in valued.items() if value is not None for word in (option, value)]
    return shlex.join(["stagewright", "sweep", "report", *options, "--html", "leaderboard.html"])


def current_leaderboard(sweep: str | None = None, metric: str | None = None, level: float = LEVEL) -> Leaderboard:
    """Rank the experiments on the current commit; with `sweep`, those of this sweep alone.

    Raises ConfigError if there are none, and DataError if the metric can't be computed.
    """
    base = git("rev-parse", "HEAD").strip()
    known = [record for record in map(read_record, folders()) if record.base == base and sweep in (None, record.name)]
    revisions = _chosen(repository.finished(base), known, sweep)
    experiments, left_out = read_experiments(revisions)
    without = [*left_out, *_unfinished(known, revisions)]
    found = leaderboard(experiments, without, base=base, metric=metric, level=level)
    if not found.boards:
        raise ConfigError(_nothing(found, sweep))
    return found


def as_json(found: Leaderboard) -> str:
    """Strict JSON with the fields of `Leaderboard`; what is not known is null."""
    return json.dumps(asdict(found), indent=2, ensure_ascii=False, allow_nan=False) + "\n"


def _require_possible(call: ReportCall) -> None:
    if call.markdown == call.json == STDOUT:
        raise ConfigError("--markdown - and --json - both write to standard output; give one of them a file")
    if not 0 < call.level < 1:
        raise ConfigError(f"--level {call.level:g}: is not a probability between 0 and 1; give one such as 0.05")
    if call.metric is not None and call.metric not in METRICS:
        raise ConfigError(f"--metric {call.metric}: there is no such metric; choose from {', '.join(METRICS)}")


def _chosen(revisions: Mapping[str, str], known: list[SweepRecord], sweep: str | None) -> Mapping[str, str]:
    """The experiments of a sweep: those that its record names, or that are named like it."""
    if sweep is None:
        return revisions
    listed = {trial.name for record in known for trial in record.trials}
    named = re.compile(re.escape(sweep) + _DIGEST)
    return {name: revision for name, revision in revisions.items() if name in listed or named.fullmatch(name)}


def _unfinished(known: list[SweepRecord], revisions: Mapping[str, str]) -> Iterator[LeftOut]:
    """The trials of sweeps that have become no experiment."""
    for record in known:
        for trial in record.trials:
            if trial.name not in revisions:
                why = f": {trial.error}" if trial.error else ""
                yield LeftOut(trial.name, f"{trial.state}{why} ({' '.join(trial.overrides)})")


def _nothing(found: Leaderboard, sweep: str | None) -> str:
    what = f"sweep {sweep} has no experiment" if sweep else "there is no experiment"
    if found.left_out:
        first = found.left_out[0]
        return f"{what} to rank on this commit: {first.name}: {first.reason}"
    return f"{what} on this commit; make some with `stagewright sweep -S …` or `dvc exp run`"
