"""Padded and packed rows and compiled layers in training and prediction: a part of `python -m benchmarks.gpu`.

Models of DistilBERT's, MiniLM's and ModernBERT base's sizes with random weights, on batches with the lengths of IMDb's reviews.
Packed rows and compiled layers are measured only where a trial shows that they give the same (`stages/modeling/gpu/`).
"""

import gc
import statistics
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Literal, TypeAlias

import numpy as np
import torch
from transformers import PreTrainedModel

from benchmarks.gpu_models import SIZES, random_batch, random_model
from benchmarks.imdb_lengths import drawn_lengths
from benchmarks.machine import peak_memory, wait_for
from benchmarks.row_kernels import of_kernel, reference
from stages.modeling.batches import MASK, Batch, batches_by_length
from stages.modeling.compute import use_tf32
from stages.modeling.gpu.compiling import compiled_if_proven
from stages.modeling.gpu.proof import packed_if_proven
from stages.modeling.precision import Precision, logits_of, resolved

Purpose: TypeAlias = Literal["training", "prediction"]
Side: TypeAlias = Literal["padded", "packed", "compiled"]
"""`compiled`: packed, with compiled layers."""

_WARM_UP = 3
_ROWS_TO_TRY = 8


@dataclass(frozen=True)
class Amount:
    """How much is measured."""

    batch: int
    """The rows of a batch in training; in prediction, batches have as many sub-words as so many of the longest rows."""
    steps: int
    rows: int
    """The rows that are predicted."""
    longest: int


_FULL, _TINY = Amount(32, 40, 4000, 512), Amount(4, 2, 12, 40)


@dataclass(frozen=True)
class Figures:
    """What was measured of one model, one way and one purpose."""

    model: str
    purpose: Purpose
    precision: Precision
    side: Side
    trial: str | None
    """What the trial of packed rows said; None where they were not tried."""
    milliseconds: float | None
    """Of a batch, the median; None where there was nothing to measure."""
    tokens: float | None
    """Sub-words a second, without padding."""
    padding: float
    """Sub-words with padding over those without."""
    peak_mb: float | None
    """The most memory: of the GPU, or resident."""


def measurements(place: torch.device, *, tiny: bool) -> Iterator[Callable[[], Figures]]:
    """Yield the measurements, those first that tell most."""
    use_tf32()
    amount = _TINY if tiny else _FULL
    precisions: list[Precision] = list(dict.fromkeys([resolved("auto"), "fp32"]))
    for precision in precisions:
        for size in SIZES:
            for purpose in ("training", "prediction"):
                for side in ("padded", "packed"):
                    yield _Measurement(size, purpose, precision, side, place, amount, tiny).figures
    for size in list(SIZES)[: 1 if tiny else None]:  # compiling takes long
        yield _Measurement(size, "training", precisions[0], "compiled", place, amount, tiny).figures


@dataclass(frozen=True)
class _Measurement:
    size: str
    purpose: Purpose
    precision: Precision
    side: Side
    place: torch.device
    amount: Amount
    tiny: bool

    def figures(self) -> Figures:
        """Measure it, on memory that no other measurement holds."""
        gc.collect()
        if self.place.type == "cuda":
            torch.cuda.empty_cache()
            torch.cuda.reset_peak_memory_stats()
        model = random_model(self.size, self.place, tiny=self.tiny)
        batches = self._batches(model.config.vocab_size)
        padded, real = (sum(sizes) for sizes in zip(*map(_sizes, batches), strict=True))
        trial = None if self.side == "padded" else self._trial(model)
        seconds = None
        if trial is None or (trial.startswith("packed") and "not compiled" not in trial):
            try:
                seconds = self._seconds(model, batches)
            except torch.OutOfMemoryError as error:
                trial = f"{trial or ''} out of memory ({str(error).splitlines()[0]})".strip()
        return Figures(
            self.size,
            self.purpose,
            self.precision,
            self.side,
            trial,
            None if seconds is None else 1000 * statistics.median(seconds),
            None if seconds is None else real / sum(seconds),
            padded / real,
            None if seconds is None else peak_memory(self.place),
        )

    def _batches(self, vocabulary: int) -> list[Batch]:
        lengths = drawn_lengths(self.amount.rows, longest=self.amount.longest)
        if self.purpose == "training":
            count = self.amount.batch
            parts = [lengths[start : start + count] for start in range(0, count * self.amount.steps, count)]
            parts = [
                part if len(part) == count else drawn_lengths(count, len(part), self.amount.longest) for part in parts
            ]
        else:
            parts = [lengths[rows] for rows in batches_by_length(lengths, self.amount.batch, None)]
        return [random_batch(part.tolist(), vocabulary, seed) for seed, part in enumerate(parts)]

    def _trial(self, model: PreTrainedModel) -> str:
        lengths = np.quantile(drawn_lengths(1000, longest=self.amount.longest), np.linspace(0, 1, _ROWS_TO_TRY))
        batch = random_batch(lengths.astype(int).tolist(), model.config.vocab_size)
        kernels = of_kernel(reference) if self.place.type == "cpu" else None
        found = packed_if_proven(model, batch, self.precision, training=self.purpose == "training", kernels=kernels)
        if self.side == "packed" or not found.startswith("packed"):
            return found
        backend = "eager" if self.place.type == "cpu" else "inductor"
        return f"{found}, {compiled_if_proven(model, batch, self.precision, backend=backend)}"

    def _seconds(self, model: PreTrainedModel, batches: Sequence[Batch]) -> list[float]:
        """Return the seconds of each batch, after some that are not counted."""
        step = self._training_step(model) if self.purpose == "training" else self._prediction_step(model)
        for batch in batches[:_WARM_UP]:
            step(batch)
        found = []
        for batch in batches:
            wait_for(self.place)
            started = time.perf_counter()
            step(batch)
            wait_for(self.place)
            found.append(time.perf_counter() - started)
        return found

    def _training_step(self, model: PreTrainedModel) -> Callable[[Batch], None]:
        optimizer = torch.optim.AdamW(model.parameters(), lr=1e-5, fused=True)
        model.train()

        def step(batch: Batch) -> None:
            logits = logits_of(model, batch, self.precision).float()
            torch.nn.functional.cross_entropy(
                logits, torch.zeros(len(logits), dtype=torch.long, device=self.place)
            ).backward()
            torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
            optimizer.step()
            optimizer.zero_grad()

        return step

    def _prediction_step(self, model: PreTrainedModel) -> Callable[[Batch], None]:
        model.eval()

        def step(batch: Batch) -> None:
            with torch.inference_mode():
                logits_of(model, batch, self.precision).float().cpu()

        return step


def _sizes(batch: Batch) -> tuple[int, int]:
    return batch[MASK].numel(), int(batch[MASK].sum())


def table(found: Sequence[Figures]) -> str:
    """Return a row for each measurement, and how many times as fast packed rows are as padded ones."""
    padded = {(each.model, each.purpose, each.precision): each for each in found if each.side == "padded"}
    rows = [
        "| model | purpose | precision | rows | ms a batch | sub-words a second | times as fast | padding factor | peak MB |",
        "|---|---|---|---|---:|---:|---:|---:|---:|",
    ]
    for each in found:
        base = padded.get((each.model, each.purpose, each.precision))
        ratio = None if base is None or base.tokens is None or each.tokens is None else each.tokens / base.tokens
        side = each.trial or each.side
        numbers = [
            _number(each.milliseconds, "{:.1f}"),
            _number(each.tokens, "{:,.0f}"),
            _number(ratio, "{:.2f}"),
            _number(each.padding, "{:.2f}"),
            _number(each.peak_mb, "{:,.0f}"),
        ]
        rows.append(f"| {each.model} | {each.purpose} | {each.precision} | {side} | {' | '.join(numbers)} |")
    return "\n".join(rows)


def _number(value: float | None, style: str) -> str:
    return "-" if value is None else style.format(value)
