"""Find out how a base model takes a batch, by running it on a few rows before anything is trained.

Nothing is read from a list of families. The rows show whether the model tells token types apart, on which side and to which
multiple rows can be padded, how long they can be, and whether the logits of a row stay the same beside a longer one. A model
that can't be trained here raises an error at once.
"""

import inspect
import logging
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from transformers import PreTrainedModel

from stages.columns.names import INPUT_IDS, TOKEN_TYPES
from stages.modeling.agreement import difference
from stages.modeling.batch_format import BatchFormat, Side
from stages.modeling.batches import MASK, PaddingCollator, Row
from stages.modeling.load import head_parameters, new_model
from stages.pipeline.errors import ModelError, first_line
from stages.tasks.encoding.subwords import SubwordEncoder
from stages.tasks.task import Task

log = logging.getLogger("stages.model")

_LONG, _SHORT = 29, 11
"""Sub-words of the probed rows, without special ones. They are odd, so that a multiple that the model needs is noticed."""
_MULTIPLES = tuple(2**power for power in range(13))
_SAME_FAULTS = 3
"""After so many lengths that raise the same error, no other is tried."""
_SAME = 1e-3
"""Logits that differ by up to this share of their spread over rows count as equal. fp32 rounds to 1e-6; a model that reads
padding differs by more."""
_LABELS = ("first", "second", "third")


@dataclass(frozen=True)
class ModelProbe:
    """What probing a model has found."""

    format: BatchFormat
    longest: int
    """The most sub-words that the model takes in a row: what the tokenizer states, unless a row of these, or of 512, fails."""


def probe_model(task: Task, weights: Path, tokenizer: Path, called: str) -> ModelProbe:
    """Find out how the model in the folder `weights` takes a batch of rows of the tokenizer.

    `called`: what messages call the model.

    Raises ModelError if it can't be loaded with a head for the task, can't compute a batch of two rows, or gives the same
    logits whatever the rows hold.
    """
    encoder = SubwordEncoder(tokenizer, None)
    with torch.random.fork_rng(devices=[]), torch.no_grad():
        torch.manual_seed(0)
        model = new_model(task, weights, _LABELS, padding=encoder.padding_id, called=called).eval()
        for weight in head_parameters(model).values():
            if weight.dim() > 1:  # a head that starts at 0 would tell nothing
                torch.nn.init.normal_(weight, std=weight.shape[-1] ** -0.5)
        return _Probe(model, encoder, called).result()


class _Probe:
    """A model and the rows that it is run on."""

    def __init__(self, model: PreTrainedModel, encoder: SubwordEncoder, called: str) -> None:
        self._model, self._encoder, self._called = model, encoder, called
        draw, codes = np.random.default_rng(0), encoder.ordinary_codes()
        long = min(_LONG, encoder.capacity)
        lengths = (long, max(1, min(_SHORT, long // 2)), long)
        self._texts = [draw.choice(codes, length) for length in lengths]

    def result(self) -> ModelProbe:
        """Run the model in all ways that matter."""
        format = self._working_format()
        self._require_dependence(format)
        format = replace(format, token_types=self._tells_types_apart(format), shortest=self._shortest(format))
        return ModelProbe(self._with_padding(format), self._longest(format))

    def _working_format(self) -> BatchFormat:
        """Return the first format by which a padded batch can be computed, in evaluation and in training mode."""
        faults: dict[int, Exception] = {}
        for multiple in _MULTIPLES:
            length = len(self._rows()[0][INPUT_IDS])  # type: ignore[arg-type]
            length += -length % multiple
            told = [first_line(fault) for fault in faults.values()][-_SAME_FAULTS:]
            if length in faults:
                continue
            if length > self._encoder.model_limit or (len(told) == _SAME_FAULTS and len(set(told)) == 1):
                break  # it is not about the length
            format = BatchFormat(self._encoder.padding_id, False, self._encoder.padding_side, length_multiple=multiple)
            try:
                for mode in (True, False):
                    self._model.train(mode)
                    self._logits(format, self._rows())
                return format
            except Exception as fault:  # a model may raise any
                self._model.eval()
                faults[length] = fault
        first = next(iter(faults.values()))
        raise ModelError(
            f"{self._called}: can't compute a batch of rows from sub-words alone ({first_line(first)}); choose another model"
        ) from first

    def _shortest(self, format: BatchFormat) -> int:
        """Return the least length to which a row of one sub-word has to be padded to be computed."""
        row = self._row(self._texts[0][:1])
        for length in range(1, _LONG):
            try:
                for mode in (True, False):
                    self._model.train(mode)
                    self._logits(replace(format, shortest=length), [row])
            except Exception:
                self._model.eval()
            else:
                return length
        return _LONG

    def _require_dependence(self, format: BatchFormat) -> None:
        """Raise ModelError if the logits, or those of the last sub-word, are the same whatever else the row holds."""
        text = self._texts[2].copy()
        text[-1] = self._texts[0][-1]
        first, other = (
            self._logits(format, [row])[0].reshape(-1, len(_LABELS)) for row in (self._rows()[0], self._row(text))
        )
        at = len(self._encoder.template.special[1]) + 1
        first, other = (logits[-at if len(logits) > 1 else -1] for logits in (first, other))
        if not (first - other).abs().max() > 1e-6 * first.abs().max():
            raise ModelError(
                f"{self._called}: its logits don't depend on what a row holds, so that it can't learn on this machine; "
                "choose another model"
            )

    def _tells_types_apart(self, format: BatchFormat) -> bool:
        """Return whether type 0 is what the model assumes by itself, and another type makes a difference."""
        if TOKEN_TYPES not in inspect.signature(self._model.forward).parameters:
            return False
        row, other = self._rows()[0], self._encoder.largest_type
        types = np.zeros(len(row[INPUT_IDS]), np.int64)  # type: ignore[arg-type]
        mixed = types.copy()
        mixed[len(types) // 2 :] = other
        try:
            without, zeros, mixture = (
                self._logits(format, [each])[0]
                for each in (row, {**row, TOKEN_TYPES: types}, {**row, TOKEN_TYPES: mixed})
            )
        except Exception:  # it has one type, or types of another shape
            return False
        spread = self._spread(format)
        return bool(difference([zeros], [without]) <= _SAME * spread and difference([mixture], [zeros]) > 1e-4 * spread)

    def _with_padding(self, format: BatchFormat) -> BatchFormat:
        """Return the format with the side on which padding changes no logits, or that says that no side is such."""
        rows, allowed = self._rows(), _SAME * self._spread(format)
        sides: tuple[Side, Side] = ("right", "left") if format.padding_side == "right" else ("left", "right")
        for side in sides:
            padded = replace(format, padding_side=side)
            singles = [logits for row in rows for logits in self._logits(padded, [row])]
            if difference(self._logits(padded, rows), singles) <= allowed:
                return padded
        log.info("%s: its logits depend on padding; it is predicted in batches of rows of one length", self._called)
        return replace(format, equal_lengths=True)

    def _longest(self, format: BatchFormat) -> int:
        """Return the longest row that can be computed, by bisection, if not the longest that the tokenizer states."""
        most = self._encoder.max_length
        if self._computes(format, most):
            return self._encoder.model_limit
        least = len(self._rows()[0][INPUT_IDS])  # type: ignore[arg-type]
        while most - least > 1:
            middle = (least + most) // 2
            least, most = (middle, most) if self._computes(format, middle) else (least, middle)
        return least

    def _computes(self, format: BatchFormat, length: int) -> bool:
        subwords = np.resize(self._texts[0], max(1, length - self._encoder.template.specials))
        try:
            self._logits(format, [self._row(subwords)])
        except Exception:
            return False
        return True

    def _spread(self, format: BatchFormat) -> float:
        """Return how far logits lie from each other over different rows."""
        singles = [self._logits(format, [row])[0].reshape(-1, len(_LABELS)) for row in self._rows()]
        return float(torch.cat(singles).std(dim=0).max())

    def _rows(self) -> list[Row]:
        return [self._row(text) for text in self._texts]

    def _row(self, text: np.ndarray) -> Row:
        return {INPUT_IDS: self._encoder.template.row(text)}

    def _logits(self, format: BatchFormat, rows: Sequence[Row]) -> list[torch.Tensor]:
        """Return the logits of each row: [labels], or [sub-words, labels] without padding."""
        batch = PaddingCollator(format)(rows)
        logits: torch.Tensor = self._model(**batch).logits
        if logits.dim() == 2:
            return list(logits)
        return [of_row[mask.bool()] for of_row, mask in zip(logits, batch[MASK], strict=True)]
