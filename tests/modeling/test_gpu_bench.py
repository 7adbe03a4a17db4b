"""`make bench-gpu` on a CPU with tiny models, so that it can't rot: its figures mean nothing there."""

import json
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from subprocess import CalledProcessError, TimeoutExpired

import numpy as np
import pytest
import torch

from benchmarks import gpu, layouts
from benchmarks.gpu import Amount, Bench, Report, Row, rows_of
from benchmarks.gpu_models import SIZES
from benchmarks.imdb_lengths import LONGEST, TABLE, drawn_lengths
from benchmarks.large_models import LEAST, WAYS, Measured, train, write_decoder
from benchmarks.sides import Figures, Run, measured
from stages.columns.arrays import lengths
from stages.columns.names import INPUT_IDS
from stages.pipeline.arrow import load_splits
from stages.pipeline.paths import TOKENIZED_DATA

pytestmark = pytest.mark.usefixtures("one_thread")

FIGURES = Figures("ours", 42, 1.0, 0.1, 5.0, 800.0, 1.2, 2.0, 10.0, 0.5, {})


class InProcess:
    """Stands for a process: measures in this one."""

    def __init__(self, run: Run, folder: Path) -> None:
        self.run, self.folder = run, folder

    def kill(self) -> None:
        """Nothing is left."""


@pytest.fixture
def bench(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Bench:
    """A bench that measures in this process."""

    def figures_of(process: InProcess, timeout: float) -> Figures:
        assert timeout > 0
        with monkeypatch.context() as context:
            context.chdir(process.folder)
            return measured(process.run)

    monkeypatch.setattr(gpu, "start", InProcess)
    monkeypatch.setattr(gpu, "figures_of", figures_of)
    monkeypatch.setattr("benchmarks.sides.product_rate", lambda *_: 1e9)
    monkeypatch.setattr("benchmarks.sides._meet", lambda folder, together: None)
    return Bench(Amount(6, 8, 6, "tiny", 2, tiny=True), tmp_path, float("inf"), Report("a CPU"))


@pytest.mark.slow
def test_the_recipe_and_its_variants_are_measured(bench: Bench) -> None:
    rows = [*bench.recipe(), *bench.free_batch(), *bench.two_at_once()]
    assert [row.target for row in rows] == ["8 x", "1.5 x", "10 x", "40 %", "1.3 x"]
    runs = bench.report.runs
    assert [*runs] == ["ours", "A", "B", "ours, 8 rows", "ours, one of two"]
    assert runs["ours"].tokens == runs["A"].tokens == runs["ours, one of two"].tokens, "the same batches"
    assert runs["ours, 8 rows"].tokens < runs["ours"].tokens
    assert all(each.step > 0 and each.start > 0 and each.predict > 0 and each.padding > 1 for each in runs.values())
    splits = load_splits(bench.project / TOKENIZED_DATA)
    drawn = drawn_lengths(96, seed=0, longest=40)
    assert lengths(splits["train"], INPUT_IDS).tolist() == [max(3, length) for length in drawn]


def test_ways_of_training_a_decoder_differ_by_what_they_train(tmp_path: Path) -> None:
    write_decoder(tmp_path, "tiny")
    full, in_8_bits, small = (train(way, tmp_path, 1) for way in WAYS)
    assert full.trained == full.all == in_8_bits.trained and small.trained < 0.05 * full.all
    assert small.all == pytest.approx(full.all, rel=0.05) and full.peak > 0


def test_memory_is_compared_with_that_in_full(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    for peak, held in ((300.0, True), (400.0, False)):
        found = [Measured(way, 1, 10**9, mb, 1.0) for way, mb in (("in full", 1000.0), (LEAST, peak))]
        monkeypatch.setattr(gpu, "peaks", lambda *_, found=found: found)
        (row,) = bench.decoder()
        assert row.held is held and row.found == f"{peak:.0f} of 1,000 MB, {peak / 1000:.0%}"


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (CalledProcessError(3, "a"), "a process ended with status 3; what it printed says why"),
        (TimeoutExpired("a", 1), "the time is up"),
        (LookupError("the recipe alone was not measured"), "the recipe alone was not measured"),
    ],
)
def test_a_part_that_fails_is_told_and_the_rest_goes_on(error: Exception, said: str) -> None:
    def part() -> Iterator[Row]:
        raise error
        yield

    assert rows_of("memory", part, float("inf")) == [Row("memory", "", f"not measured: {said}", None)]
    assert rows_of("memory", part, 0.0)[0].found == "not measured: the time is up"


def test_two_at_once_need_the_figures_of_one(bench: Bench) -> None:
    assert rows_of("two", bench.two_at_once, float("inf"))[0].found == "not measured: the recipe alone was not measured"


def test_a_bench_that_is_cut_off_leaves_what_it_has(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def recipe(bench: Bench) -> Iterator[Row]:
        bench.report.runs["ours"] = FIGURES
        yield Row("recipe", "8 x", "9.00 x", True)

    def killed(_: Bench) -> Iterator[Row]:
        raise KeyboardInterrupt
        yield

    monkeypatch.setattr(Bench, "recipe", recipe)
    monkeypatch.setattr(Bench, "free_batch", killed)
    monkeypatch.setattr(sys, "argv", ["gpu", "--device", "cpu", "--tiny", "--out", str(tmp_path / "gpu")])
    with pytest.raises(KeyboardInterrupt):
        gpu.main()
    (report,) = json.loads((tmp_path / "gpu.json").read_text())
    assert report["rows"] == [{"what": "recipe", "target": "8 x", "found": "9.00 x", "held": True}]
    assert report["runs"]["ours"]["step"] == 0.1
    text = (tmp_path / "gpu.md").read_text()
    assert "| recipe | 8 x | 9.00 x | reached |" in text and "| ours | 1.0 | 100.0 | 5.0 | 8,000 |" in text


def test_all_parts_are_in_the_table(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def part(name: str, held: bool | None) -> Callable[[Bench], Iterator[Row]]:
        return lambda _: iter([Row(name, "1", "2", held)])

    for number, name in enumerate(("recipe", "free_batch", "two_at_once", "decoder")):
        monkeypatch.setattr(Bench, name, part(name, (True, False, None)[number % 3]))
    layout = layouts.Figures("m", "training", "fp32", "padded", None, 1.0, 2.0, 1.5, None)
    monkeypatch.setattr(layouts, "measurements", lambda *_, **__: [lambda: layout])
    monkeypatch.setattr(sys, "argv", ["gpu", "--device", "cpu", "--tiny", "--out", str(tmp_path / "gpu")])
    gpu.main()
    text = (tmp_path / "gpu.md").read_text()
    for said in (
        "| recipe | 1 | 2 | reached |",
        "| free_batch | 1 | 2 | **not reached** |",
        "| two_at_once | 1 | 2 |  |",
        "| m | t",
    ):
        assert said in text


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")  # PyTorch's compiler warns, and takes a warning that is an error for a fault
def test_each_layout_of_rows_is_measured() -> None:
    found = [measure() for measure in layouts.measurements(torch.device("cpu"), tiny=True)]
    kinds = {(each.model, each.purpose, each.side) for each in found}
    assert len(kinds) == 4 * len(SIZES) + 1
    assert all(each.tokens and each.tokens > 0 and each.padding > 1 for each in found)
    assert {(each.side, each.trial) for each in found} == {
        ("padded", None),
        ("packed", "packed (flash)"),
        ("compiled", "packed (flash), compiled"),
    }
    assert sum(line.startswith("| ") for line in layouts.table(found).splitlines()) == 1 + len(found)


def test_packed_rows_are_compared_with_the_padded_ones_of_their_kind() -> None:
    def of(side: layouts.Side, tokens: float | None, trial: str | None = None) -> layouts.Figures:
        return layouts.Figures("m", "training", "bf16", side, trial, 2.0, tokens, 1.5, 10.0)

    lines = layouts.table(
        [of("padded", 100.0), of("packed", 180.0, "packed (flash)"), of("packed", None, "padded: no")]
    )
    assert [line.split(" | ")[6] for line in lines.splitlines()[2:]] == ["1.00", "1.80", "-"]


def test_lengths_are_drawn_as_often_as_they_occur() -> None:
    table = {int(length): count for length, count in json.loads(TABLE.read_text()).items()}
    assert sum(table.values()) == 25_000 and max(table) == LONGEST
    lengths = drawn_lengths(20_000)
    mean = sum(length * count for length, count in table.items()) / 25_000
    assert lengths.mean() == pytest.approx(mean, rel=0.02)
    assert np.mean(lengths == LONGEST) == pytest.approx(table[LONGEST] / 25_000, abs=0.02)
    assert drawn_lengths(100, longest=40).max() <= 40 and drawn_lengths(100, longest=40).min() >= 1
