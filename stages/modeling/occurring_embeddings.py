"""Train only the embeddings of sub-words that occur in the data, with the same result as training all.

The embedding of a sub-word that no row looks up always has a gradient of 0, so AdamW only shrinks it by weight decay. Yet each
step zeroes its gradient, computes the norm and updates it, and most of a vocabulary never occurs: the embeddings of XLM-RoBERTa
are 192 M of its 278 M weights. So these embeddings are put aside, and one row that is never looked up shrinks in their place.
"""

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from transformers import PreTrainedModel

from stages.modeling.cpu.gradients import RowGradientBuffer, bypasses_autograd


class OccurringEmbeddings(torch.nn.Embedding):
    """The embeddings of the sub-words that occur, looked up by their ids in the whole vocabulary.

    The last row belongs to no sub-word. It starts as ones and is never looked up, so it records how much weight decay has shrunk
    the embeddings that were put aside. As a row of the weight it is saved in checkpoints and shared between processes.
    """

    row_of_code: torch.Tensor
    """[vocabulary]: the row of each id; -1 for those put aside."""

    def __init__(self, embeddings: torch.nn.Embedding, occurring: NDArray[np.int64]) -> None:
        """`occurring`: the ids of the sub-words that occur, sorted. The padding token is kept too."""
        padding = embeddings.padding_idx
        codes = torch.from_numpy(np.union1d(occurring, [] if padding is None else [padding]).astype(np.int64))
        row_of_code = torch.full((embeddings.num_embeddings,), -1)
        row_of_code[codes] = torch.arange(len(codes))
        all_weights = embeddings.weight.detach()
        weight = torch.cat([all_weights[codes], torch.ones_like(all_weights[:1])])
        padding_row = None if padding is None else int(row_of_code[padding])
        super().__init__(weight.shape[0], weight.shape[1], padding_idx=padding_row, _weight=weight)
        self._codes, self._all_weights, self._padding = codes, all_weights, padding
        self._gradient = RowGradientBuffer()
        self.register_buffer("row_of_code", row_of_code, persistent=False)

    def forward(self, input: torch.Tensor) -> torch.Tensor:
        """Look up ids […] and return [… , width]."""
        rows = self.row_of_code[input]
        if not bypasses_autograd(self.weight):
            return super().forward(rows)
        found: torch.Tensor = _EmbeddingFunction.apply(self.weight, rows, self._gradient, self.padding_idx)
        return found

    @property
    def put_aside(self) -> int:
        """The number of parameters that were put aside."""
        return self._all_weights.numel() - self.weight.numel()

    def all(self) -> torch.nn.Embedding:
        """Return the embeddings of the whole vocabulary, as if all had been trained."""
        weight = self.weight.detach().cpu()
        all_weights = self._all_weights.cpu() * weight[-1, 0]
        all_weights[self._codes] = weight[:-1]
        return torch.nn.Embedding(
            len(all_weights), all_weights.shape[1], padding_idx=self._padding, _weight=all_weights
        )


class _EmbeddingFunction(torch.autograd.Function):
    """An embedding look-up whose backward pass writes the gradient into a buffer and returns none to autograd."""

    @staticmethod
    def forward(
        context: Any, weight: torch.Tensor, looked_up: torch.Tensor, gradient: RowGradientBuffer, padding: int | None
    ) -> torch.Tensor:
        context.weight, context.gradient, context.padding = weight, gradient, padding
        context.save_for_backward(looked_up)
        return torch.nn.functional.embedding(looked_up, weight)

    @staticmethod
    def backward(context: Any, gradient: torch.Tensor) -> tuple[None, None, None, None]:
        (looked_up,) = context.saved_tensors
        rows, inverse = torch.unique(looked_up, return_inverse=True)
        of_rows = torch.ops.aten.embedding_dense_backward(gradient, inverse, len(rows), -1, False)
        if context.padding is not None:
            of_rows[rows == context.padding] = 0
        context.gradient.add(context.weight, rows, of_rows)
        return None, None, None, None


def keep_occurring(model: PreTrainedModel, codes: NDArray[np.int64]) -> PreTrainedModel:
    """Put aside the embeddings of all sub-words except `codes` (sorted ids) until `restore_all`. Return the model."""
    embeddings = model.get_input_embeddings()
    assert isinstance(embeddings, torch.nn.Embedding) and has_plain_embeddings(model)
    model.set_input_embeddings(OccurringEmbeddings(embeddings, codes))
    return model


def input_embeddings(model: PreTrainedModel) -> torch.nn.Module | None:
    """Return the module of the input embeddings; None if there is none, as in CANINE, which hashes characters."""
    try:
        return model.get_input_embeddings()
    except NotImplementedError:
        return None


def has_plain_embeddings(model: PreTrainedModel) -> bool:
    """Return whether the input embeddings are a plain `torch.nn.Embedding`, without `max_norm` or `scale_grad_by_freq`."""
    embeddings = input_embeddings(model)
    if type(embeddings) is not torch.nn.Embedding:
        return False
    return embeddings.max_norm is None and not embeddings.scale_grad_by_freq


def restore_all(model: PreTrainedModel) -> None:
    """Put the embeddings of the whole vocabulary back into the model."""
    embeddings = input_embeddings(model)
    if isinstance(embeddings, OccurringEmbeddings):
        model.set_input_embeddings(embeddings.all().to(embeddings.weight.device))
