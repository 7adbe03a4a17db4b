"""What a GPU makes of training and prediction, in 8 minutes: `python -m benchmarks.gpu`.

The reference recipe on reviews that are as long as IMDb's, beside the Trainer's (A and B, `benchmarks/recipe.py`); the same at
a free batch size; two trainings at once; a decoder of 1.1 B parameters by adapters; and padded and packed rows of three models
(`benchmarks/layouts.py`). It needs neither network nor data. The table is written anew after each part, so that what is cut off
leaves the rest, and says why a figure is missing.

    make bench-gpu                                       # benchmarks/results/gpu.md and gpu.json
    python -m benchmarks.gpu --tiny --device cpu         # that it works; the figures mean nothing
"""

import argparse
import os
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from multiprocessing import TimeoutError as PoolTimeoutError
from pathlib import Path

import torch

from benchmarks import layouts
from benchmarks.large_models import LEAST, Size, peaks
from benchmarks.made_reviews import write_job
from benchmarks.result_files import write_results
from benchmarks.sides import Figures, Run, figures_of, start
from benchmarks.training import prepare
from stages.modeling.precision import device

_EPOCHS = 2
_MANY_EPOCHS = 40
"""Of the training at a free batch size, so that it has the steps of one that is worth compiling."""
_TOGETHER = 2
_TIMEOUTS = (subprocess.TimeoutExpired, PoolTimeoutError)


@dataclass(frozen=True)
class Row:
    """A line of the table."""

    what: str
    target: str
    """What is aimed at."""
    found: str
    held: bool | None
    """Whether the target is reached; None: it was not measured, or means nothing here."""


@dataclass
class Report:
    """All that was measured."""

    machine: str
    rows: list[Row] = field(default_factory=list)
    runs: dict[str, Figures] = field(default_factory=dict)
    """By name: A, B, ours, and variants of ours."""
    by_layout: list[layouts.Figures] = field(default_factory=list)

    def text(self) -> str:
        """Return it as Markdown."""
        lines = [f"## {self.machine}", "", "| what | at least | measured | |", "|---|---|---|---|"]
        said = {True: "reached", False: "**not reached**", None: ""}
        lines += [f"| {row.what} | {row.target} | {row.found} | {said[row.held]} |" for row in self.rows]
        if self.runs:
            lines += ["", *_runs_table(self.runs)]
        if self.by_layout:
            lines += ["", layouts.table(self.by_layout)]
        return "\n".join(lines) + "\n"


@dataclass(frozen=True)
class Amount:
    """How much is measured."""

    steps: int
    free_batch: int
    free_steps: int
    decoder: Size
    decoder_steps: int
    tiny: bool


_FULL = Amount(300, 256, 100, "1.1B", 3, tiny=False)
_TINY = Amount(6, 8, 6, "tiny", 2, tiny=True)


class Bench:
    """The measurements, in a folder of their own, until the time is up."""

    def __init__(self, amount: Amount, folder: Path, until: float, report: Report) -> None:
        """`until`: by `time.monotonic`."""
        self.amount, self.folder, self.until, self.report = amount, folder, until, report

    @cached_property
    def project(self) -> Path:
        """Where the job is downloaded and tokenized."""
        folder = self.folder / "project"
        folder.mkdir()
        prepare(folder, write_job(self.folder, tiny=self.amount.tiny))
        return folder

    def run(self, name: str, *runs: Run) -> Figures:
        """Measure runs at the same time; keep and return the figures of the slowest."""
        processes = [start(run, self.project) for run in runs]
        try:
            found = [figures_of(process, self._left) for process in processes]
        finally:
            for process in processes:
                process.kill()
        slowest = max(found, key=lambda each: each.step)
        self.report.runs[name] = slowest
        return slowest

    @property
    def _left(self) -> float:
        return max(0.0, self.until - time.monotonic())

    def recipe(self) -> Iterator[Row]:
        """Train with the tutorial's batches, and predict."""
        steps = self.amount.steps
        ours, recipe, flags = (self.run(side, Run(side, steps, _EPOCHS)) for side in ("ours", "A", "B"))
        what = f"IMDb, 25,000 reviews, {_EPOCHS} epochs, batches of 16"
        yield _ratio(f"{what}: A's seconds over ours", whole_time(recipe), whole_time(ours), 8)
        yield _ratio(f"{what}: B's seconds over ours", whole_time(flags), whole_time(ours), 1.5)
        yield _ratio("prediction: A's seconds over ours", recipe.predict, ours.predict, 10)

    def free_batch(self) -> Iterator[Row]:
        """Train with large batches."""
        batch = self.amount.free_batch
        found = self.run(f"ours, {batch} rows", Run("ours", self.amount.free_steps, _MANY_EPOCHS, batch=batch))
        share = f"{100 * found.utilization:.0f} %"
        what = f"batches of {batch}: the model's operations over those of products of matrices"
        yield Row(what, "40 %", share, found.utilization >= 0.4)

    def two_at_once(self) -> Iterator[Row]:
        """Train twice at the same time, as two jobs of a sweep with `--gpus-per-job 0.5`."""
        alone = self.report.runs.get("ours")
        if alone is None:
            raise LookupError("the recipe alone was not measured")
        meeting = self.folder / "meeting"
        meeting.mkdir()
        run = Run("ours", self.amount.steps, _EPOCHS, meeting=str(meeting), together=_TOGETHER)
        found = self.run("ours, one of two", *[run] * _TOGETHER)
        yield _ratio("two trainings at once: throughput over one's", _TOGETHER * alone.step, found.step, 1.3)

    def decoder(self) -> Iterator[Row]:
        """Fine-tune a large decoder."""
        full, small = peaks(self.amount.decoder, self.amount.decoder_steps, ("in full", LEAST), self._left)
        what = f"decoder of {full.all / 1e9:.2g} B parameters: peak of adapters and checkpointing over that in full"
        peak = f"{small.peak:,.0f} of {full.peak:,.0f} MB, {small.peak / full.peak:.0%}"
        yield Row(what, "at most 33 %", peak, small.peak <= full.peak / 3)


def whole_time(figures: Figures) -> float:
    """Return the seconds of all epochs, with what comes before the first steps."""
    return figures.start + _EPOCHS * figures.epoch


def main() -> None:
    """Measure, and write after each part."""
    options = _options()
    if options.device == "cpu":
        os.environ["CUDA_VISIBLE_DEVICES"] = ""
    until, place = time.monotonic() + options.seconds, torch.device(options.device)
    report = Report(_machine(place))

    def write() -> None:
        write_results(options.out, report.text(), [report])

    with tempfile.TemporaryDirectory() as folder:
        bench = Bench(_TINY if options.tiny else _FULL, Path(folder), until, report)
        parts: Mapping[str, Callable[[], Iterator[Row]]] = {
            "the recipe beside the Trainer's": bench.recipe,
            "a free batch size": bench.free_batch,
            "two trainings at once": bench.two_at_once,
            "a large decoder": bench.decoder,
        }
        for name, part in parts.items():
            report.rows += rows_of(name, part, until)
            write()
    for measure in layouts.measurements(place, tiny=options.tiny):
        if time.monotonic() > until:
            break
        report.by_layout.append(measure())
        write()
    print(report.text())


def rows_of(name: str, part: Callable[[], Iterator[Row]], until: float) -> list[Row]:
    """Measure a part and print its rows; where it fails or the time is up, one row says why."""
    try:
        found = [*part()] if time.monotonic() < until else [_missing(name, "the time is up")]
    except _TIMEOUTS:
        found = [_missing(name, "the time is up")]
    except subprocess.CalledProcessError as error:
        found = [_missing(name, f"a process ended with status {error.returncode}; what it printed says why")]
    except LookupError as error:
        found = [_missing(name, str(error))]
    for row in found:
        print(row, flush=True)
    return found


def _missing(name: str, reason: str) -> Row:
    return Row(name, "", f"not measured: {reason}", None)


def _ratio(what: str, numerator: float, denominator: float, target: float) -> Row:
    ratio = numerator / denominator
    return Row(what, f"{target:g} x", f"{ratio:.2f} x", ratio >= target)


def _runs_table(runs: Mapping[str, Figures]) -> Sequence[str]:
    head = (
        "run",
        "s before",
        "ms a step",
        "s an epoch",
        "sub-words/s",
        "padding",
        "utilization",
        "s to predict",
        "peak MB",
    )
    lines = [f"| {' | '.join(head)} |", "|---|" + "---:|" * (len(head) - 1)]
    for name, each in runs.items():
        cells = [
            f"{each.start:.1f}", f"{1000 * each.step:.1f}", f"{each.epoch:.1f}", f"{each.tokens / each.step:,.0f}",
            f"{each.padding:.2f}", f"{each.utilization:.0%}", f"{each.predict:.2f}", f"{each.peak:,.0f}",
        ]  # fmt: skip
        lines.append(f"| {name} | {' | '.join(cells)} |")
    return lines


def _machine(place: torch.device) -> str:
    name = torch.cuda.get_device_name() if place.type == "cuda" else "a CPU: that it works, and no figures to quote"
    return f"{name}, PyTorch {torch.__version__}"


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.gpu", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--device", choices=("cuda", "cpu"), default=device().type)
    parser.add_argument("--tiny", action="store_true", help="tiny models and few rows, to see that it works")
    parser.add_argument("--seconds", type=float, default=450, help="when it ends at the latest (default: 450)")
    parser.add_argument("--out", type=Path, default=Path("benchmarks/results/gpu"), help="writes OUT.md and OUT.json")
    return parser.parse_args()


if __name__ == "__main__":
    main()
