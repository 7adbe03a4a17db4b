"""Logits of a tokenized split: the one loop that validation while training and the evaluate stage share."""

from collections.abc import Iterator, Sequence

import numpy as np
import torch
from datasets import Dataset
from numpy.typing import NDArray
from transformers import PreTrainedModel

from stages.modeling.batches import PaddingCollator, Row
from stages.modeling.inputs import input_columns
from stages.modeling.precision import Precision
from stages.tasks.columns.names import WORDS


def predict(
    model: PreTrainedModel, split: Dataset, collate: PaddingCollator, *, batch_size: int, precision: Precision
) -> NDArray[np.float32]:
    """The logits read off each row, [readings, labels] in row order: one a row (text), or one a word that begins there (tokens).

    The model is put into evaluation mode and left in the mode it was in.
    """
    was_training = model.training
    model.eval()
    with torch.inference_mode(), torch.autocast(model.device.type, torch.bfloat16, enabled=precision == "bf16"):
        inputs = input_columns(model, split)
        readings = [_read(model, rows, inputs, collate) for rows in _batches(split, inputs, batch_size)]
    model.train(was_training)
    if not readings:
        return np.zeros((0, len(model.config.id2label or {})), np.float32)
    return np.concatenate(readings)


def _read(
    model: PreTrainedModel, rows: Sequence[Row], inputs: Sequence[str], collate: PaddingCollator
) -> NDArray[np.float32]:
    batch = collate([{name: row[name] for name in inputs} for row in rows])
    logits = model(**{name: tensor.to(model.device) for name, tensor in batch.items()}).logits
    if WORDS in rows[0]:
        words = [torch.as_tensor(row[WORDS], dtype=torch.long) for row in rows]
        begins = torch.nn.utils.rnn.pad_sequence(words, batch_first=True, padding_value=-1) >= 0
        logits = logits[begins.to(logits.device)]
    array: NDArray[np.float32] = logits.float().cpu().numpy()
    return array


def _batches(split: Dataset, inputs: Sequence[str], size: int) -> Iterator[Sequence[Row]]:
    columns = [*inputs, *({WORDS} & set(split.column_names))]
    for batch in split.select_columns(columns).iter(batch_size=size):
        yield [
            dict(zip(columns, values, strict=True)) for values in zip(*(batch[name] for name in columns), strict=True)
        ]
