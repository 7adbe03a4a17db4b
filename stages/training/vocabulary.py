"""Training with the embeddings of those sub-words alone that occur, with the same result as with all.

An embedding that no row of the data looks up has a gradient of 0 for good: AdamW only lets weight decay shrink it. Yet each
step zeroes, measures, multiplies and updates it, and of most vocabularies that is the larger part: 192 M of the 278 M
weights of XLM-RoBERTa. So what does not occur is put aside, and a single row that no sub-word looks up shrinks in its place.
"""

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from transformers import PreTrainedModel

from stages.modeling.gradients import KeptRowsGradient, can_be_kept


class OccurringEmbeddings(torch.nn.Embedding):
    """The embeddings of the sub-words that occur, looked up by their codes in the whole vocabulary.

    The last row is none of them. It begins as 1 and is never looked up: what it has become is by how much weight decay
    has shrunk the embeddings that were put aside. As a row of the weight it is kept in checkpoints and shared between
    processes like all others.
    """

    places: torch.Tensor
    """[vocabulary]: the row of each code; -1 of those put aside."""

    def __init__(self, embeddings: torch.nn.Embedding, occurring: NDArray[np.int64]) -> None:
        """`occurring`: the codes, sorted, [sub-words that occur]. The padding sub-word's is taken in."""
        padding = embeddings.padding_idx
        codes = torch.from_numpy(np.union1d(occurring, [] if padding is None else [padding]).astype(np.int64))
        places = torch.full((embeddings.num_embeddings,), -1)
        places[codes] = torch.arange(len(codes))
        every = embeddings.weight.detach()
        weight = torch.cat([every[codes], torch.ones_like(every[:1])])
        place = None if padding is None else int(places[padding])
        super().__init__(weight.shape[0], weight.shape[1], padding_idx=place, _weight=weight)
        self._codes, self._every, self._padding = codes, every, padding
        self._gradient = KeptRowsGradient()
        self.register_buffer("places", places, persistent=False)

    def forward(self, input: torch.Tensor) -> torch.Tensor:
        """[…] codes to […, width]."""
        places = self.places[input]
        if not can_be_kept(self.weight):
            return super().forward(places)
        found: torch.Tensor = _LookedUp.apply(self.weight, places, self._gradient, self.padding_idx)
        return found

    def all(self) -> torch.nn.Embedding:
        """The embeddings of the whole vocabulary as they are now."""
        weight = self.weight.detach().cpu()
        every = self._every.cpu() * weight[-1, 0]
        every[self._codes] = weight[:-1]
        return torch.nn.Embedding(every.shape[0], every.shape[1], padding_idx=self._padding, _weight=every)


class _LookedUp(torch.autograd.Function):
    """Rows of a weight, whose gradient the backward pass puts where it is kept: to autograd it gives none."""

    @staticmethod
    def forward(
        context: Any, weight: torch.Tensor, places: torch.Tensor, gradient: KeptRowsGradient, padding: int | None
    ) -> torch.Tensor:
        context.weight, context.gradient, context.padding = weight, gradient, padding
        context.save_for_backward(places)
        return torch.nn.functional.embedding(places, weight)

    @staticmethod
    def backward(context: Any, gradient: torch.Tensor) -> tuple[None, None, None, None]:
        (places,) = context.saved_tensors
        rows, row_of_each = torch.unique(places, return_inverse=True)
        of_rows = torch.ops.aten.embedding_dense_backward(gradient, row_of_each, len(rows), -1, False)
        if context.padding is not None:
            of_rows[rows == context.padding] = 0
        context.gradient.add(context.weight, rows, of_rows)
        return None, None, None, None


def keep_occurring(model: PreTrainedModel, codes: NDArray[np.int64]) -> PreTrainedModel:
    """The model, without the embeddings of sub-words other than `codes` (sorted) until `restore_all` is called.

    It stays as it is where its embeddings are of a kind of their own.
    """
    embeddings = model.get_input_embeddings()
    if type(embeddings) is torch.nn.Embedding and embeddings.max_norm is None and not embeddings.scale_grad_by_freq:
        model.set_input_embeddings(OccurringEmbeddings(embeddings, codes))
    return model


def restore_all(model: PreTrainedModel) -> None:
    """Give the model the embeddings of its whole vocabulary again."""
    embeddings = model.get_input_embeddings()
    if isinstance(embeddings, OccurringEmbeddings):
        model.set_input_embeddings(embeddings.all().to(embeddings.weight.device))
