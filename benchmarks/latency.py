"""How long a CPU takes to answer: torch as `pipeline` runs it, and the exported ONNX models.

    python -m benchmarks.latency                     # in a project that `dvc repro` has run in
    python -m benchmarks.latency --threads 2 --batches 40 --out benchmarks/latency-text

Rows are those of the test split, alone and 32 at a time: as they come, and rows of like length together. All sides take turns
on each batch, so that other load on the machine meets them all. A ratio is the median over the batches of torch's time over
the side's.
"""

import argparse
import statistics
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias

import numpy as np
import torch
from numpy.typing import NDArray
from ruamel.yaml import YAML
from transformers import PreTrainedModel

from benchmarks.result_files import write_results
from stages.columns.arrays import lengths
from stages.columns.names import INPUT_IDS
from stages.configuration.validation import validate
from stages.exporting.exported_files import ONNX, ONNX_INT8
from stages.exporting.onnx_model import session
from stages.modeling.batch_format import read_batch_format
from stages.modeling.batches import Batch, PaddingCollator, Row
from stages.modeling.load import trained_model
from stages.pipeline.arrow import load_split
from stages.pipeline.paths import EXPORTED_MODEL, PARAMS, TOKENIZED_DATA
from stages.tasks.registry import task_for

Side: TypeAlias = Callable[[Batch], object]

_BATCH = 32


@dataclass(frozen=True)
class Figures:
    """What one side took for one kind of batch."""

    batches: str
    """What was in them."""
    side: str
    p50: float
    """Milliseconds a batch."""
    p95: float
    """Likewise."""
    ratio: float
    """How many times as fast as torch."""


def main() -> None:
    """Measure and print the table."""
    options = _options()
    torch.set_num_threads(options.threads)
    sides, kinds = _sides(), _batches(options.batches)
    figures = [row for name, batches in kinds.items() for row in _measured(name, batches, sides)]
    table = _table(figures)
    print(table)
    if options.out:
        write_results(options.out, f"{table}\n", figures)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--batches", type=int, default=40, help="of 32 rows; single rows are five times as many")
    parser.add_argument("--out", type=Path, help="write OUT.md and OUT.json as well")
    return parser.parse_args()


def _sides() -> dict[str, Side]:
    """The exported models by name, torch first."""
    model = _exported_model()

    def in_torch(batch: Batch) -> object:
        with torch.inference_mode():
            return model(**batch).logits

    names = [name for name in (ONNX, ONNX_INT8) if (EXPORTED_MODEL / name).exists()]
    return {"torch fp32": in_torch, **{name: _in_onnx(EXPORTED_MODEL / name) for name in names}}


def _exported_model() -> PreTrainedModel:
    params = validate(YAML(typ="safe").load(PARAMS.read_text(encoding="utf-8")), str(PARAMS))
    return trained_model(task_for(params.task), EXPORTED_MODEL)


def _in_onnx(path: Path) -> Side:
    model = session(path)
    names = [entry.name for entry in model.get_inputs()]
    return lambda batch: model.run(None, {name: batch[name].numpy() for name in names})


def _batches(count: int) -> dict[str, list[Batch]]:
    split = load_split(TOKENIZED_DATA, "test")
    split = split.select_columns(read_batch_format(EXPORTED_MODEL).columns(split))
    collate = PaddingCollator(read_batch_format(EXPORTED_MODEL))
    order = np.random.default_rng(0).permutation(len(split))
    by_length = order[np.argsort(lengths(split, INPUT_IDS)[order], kind="stable")]

    def batch(places: NDArray[np.int64]) -> Batch:
        rows: list[Row] = [split[int(place)] for place in places]
        return collate(rows)

    def cut(places: NDArray[np.int64]) -> list[Batch]:
        starts = np.arange(0, len(places) - _BATCH + 1, _BATCH)
        chosen = np.unique(np.linspace(0, len(starts) - 1, count).round().astype(int))
        return [batch(places[start : start + _BATCH]) for start in starts[chosen]]

    return {
        "one row": [batch(order[[place]]) for place in range(min(5 * count, len(order)))],
        "32 rows as they come": cut(order),
        "32 rows of like length": cut(by_length),
    }


def _measured(name: str, batches: Sequence[Batch], sides: Mapping[str, Side]) -> list[Figures]:
    for side in sides.values():
        side(batches[0])
    seconds: dict[str, list[float]] = {key: [] for key in sides}
    for batch in batches:
        for key, side in sides.items():
            started = time.perf_counter()
            side(batch)
            seconds[key].append(time.perf_counter() - started)
    torchs = next(iter(seconds.values()))
    return [
        Figures(
            name,
            key,
            1000 * statistics.median(taken),
            1000 * float(np.quantile(taken, 0.95)),
            statistics.median(base / each for base, each in zip(torchs, taken, strict=True)),
        )
        for key, taken in seconds.items()
    ]


def _table(figures: Sequence[Figures]) -> str:
    lines = ["| batches | model | p50, ms | p95, ms | over torch |", "|---|---|---:|---:|---:|"]
    lines += [f"| {row.batches} | {row.side} | {row.p50:.1f} | {row.p95:.1f} | {row.ratio:.2f} x |" for row in figures]
    return "\n".join(lines)


if __name__ == "__main__":
    main()
