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
"""The end of a trial's name, after the name of its sweep."""


@dataclass(frozen=True)
class ReportOptions:
    """The options of `stagewright sweep report`."""

    sweep: str | None = None
    metric: str | None = None
    level: float = LEVEL
    markdown: str | None = None
    """A file, or - for standard output; likewise the others."""
    json: str | None = None
    html: str | None = None


def report(options: ReportOptions) -> None:
    """Write the leaderboard in the formats that the options name; print it unless one of them goes to standard output.

    Raises ConfigError if there is nothing to rank, and DataError if a metric can't be computed.
    """
    _require_possible(options)
    found = current_leaderboard(options.sweep, options.metric, options.level)
    for place, written in ((options.markdown, as_markdown), (options.json, as_json)):
        if place == STDOUT:
            sys.stdout.write(written(found))
        elif place is not None:
            write_text(Path(place), written(found))
    if options.html is not None:
        from stages.sweep.leaderboard.page import as_html  # needs what the other formats do not

        write_text(Path(options.html), as_html(found, _command(options)))
    if STDOUT not in (options.markdown, options.json):
        sys.stdout.write(as_text(found))


def _command(options: ReportOptions) -> str:
    """Return a shell command that makes the page again. The files that this one wrote are left out: the page is the same."""
    valued = {
        "--sweep": options.sweep,
        "--metric": options.metric,
        "--level": None if options.level == LEVEL else f"{options.level:g}",
    }
    words = [word for option, value in valued.items() if value is not None for word in (option, value)]
    return shlex.join(["stagewright", "sweep", "report", *words, "--html", "leaderboard.html"])


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
        raise ConfigError(_no_experiment(found, sweep))
    return found


def as_json(found: Leaderboard) -> str:
    """Return strict JSON with the fields of `Leaderboard`; unknown values are null."""
    return json.dumps(asdict(found), indent=2, ensure_ascii=False, allow_nan=False) + "\n"


def _require_possible(options: ReportOptions) -> None:
    if options.markdown == options.json == STDOUT:
        raise ConfigError("--markdown - and --json - both write to standard output; give one of them a file")
    if not 0 < options.level < 1:
        raise ConfigError(f"--level {options.level:g}: is not a probability between 0 and 1; give one such as 0.05")
    if options.metric is not None and options.metric not in METRICS:
        raise ConfigError(f"--metric {options.metric}: there is no such metric; choose from {', '.join(METRICS)}")


def _chosen(revisions: Mapping[str, str], known: list[SweepRecord], sweep: str | None) -> Mapping[str, str]:
    """Select the experiments of a sweep: those that its record lists, or whose names begin with its name."""
    if sweep is None:
        return revisions
    listed = {trial.name for record in known for trial in record.trials}
    named = re.compile(re.escape(sweep) + _DIGEST)
    return {name: revision for name, revision in revisions.items() if name in listed or named.fullmatch(name)}


def _unfinished(known: list[SweepRecord], revisions: Mapping[str, str]) -> Iterator[LeftOut]:
    """Yield the trials that have no experiment, with their states."""
    for record in known:
        for trial in record.trials:
            if trial.name not in revisions:
                why = f": {trial.error}" if trial.error else ""
                yield LeftOut(trial.name, f"{trial.state}{why} ({' '.join(trial.overrides)})")


def _no_experiment(found: Leaderboard, sweep: str | None) -> str:
    what = f"sweep {sweep} has no experiment" if sweep else "there is no experiment"
    if found.left_out:
        first = found.left_out[0]
        return f"{what} to rank on this commit: {first.name}: {first.reason}"
    return f"{what} on this commit; make some with `stagewright sweep -S …` or `dvc exp run`"
