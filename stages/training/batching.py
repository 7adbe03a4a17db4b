"""How many rows an optimizer step takes, and how many of them are computed at once."""

import logging
from dataclasses import dataclass

from datasets import Dataset

from stages.configuration.schema import TrainStage
from stages.pipeline.errors import ConfigError
from stages.pipeline.ranks import is_main_process
from stages.tasks.columns.arrays import lengths
from stages.tasks.columns.names import INPUT_IDS
from stages.training.processes import world_size
from stages.training.token_batches import TokenBatches

log = logging.getLogger("stages.train")


@dataclass(frozen=True)
class Batching:
    """What an optimizer step takes: so many rows, or so many sub-words."""

    rows: float
    """The rows of a step, over all processes and parts; where sub-words are counted, their mean."""
    parts: int
    """Parts of a batch that each process computes one after the other."""
    tokens: TokenBatches | None = None
    """The batches where sub-words are counted."""

    @property
    def rows_at_once(self) -> int:
        """The rows that one process computes at once, as the Trainer wants to know; about so many, for sub-words."""
        return max(1, int(self.rows / (world_size() * self.parts)))


def batching(config: TrainStage, train: Dataset) -> Batching:
    """The configured batches of the rows of `train`. Raises ConfigError if they can't be shared."""
    size, parts = config.train.batch_size, config.train.gradient_accumulation
    assert size != "auto" and parts != "auto", "numbers have been found for them"
    if config.train.batch_tokens is None:
        _require_even_shares(size, parts)
        return Batching(size, parts)
    tokens = token_batches(config, train, config.train.batch_tokens, parts)
    found = Batching(train.num_rows / tokens.steps, parts, tokens)
    if is_main_process():
        log.info(
            "train.batch_tokens=%d: an epoch has %d steps, each of %.1f rows and %.0f sub-words on average",
            tokens.budget, tokens.steps, found.rows, tokens.lengths.sum() / tokens.steps,
        )  # fmt: skip
    return found


def token_batches(config: TrainStage, train: Dataset, budget: int, parts: int) -> TokenBatches:
    """Batches of at most `budget` sub-words, of which each process computes so many parts."""
    fewest = parts * world_size()
    if train.num_rows < fewest:
        raise ConfigError(
            f"train.gradient_accumulation={parts} x {world_size()} processes are more than the {train.num_rows} rows of "
            "train; lower one of them"
        )
    epochs, max_steps = config.train.epochs, config.train.max_steps
    return TokenBatches(lengths(train, INPUT_IDS), budget, fewest, config.seed, epochs, max_steps)


def _require_even_shares(batch_size: int, parts: int) -> None:
    if batch_size % (world_size() * parts):
        raise ConfigError(
            f"train.batch_size={batch_size} is not divisible by {world_size()} processes x "
            f"train.gradient_accumulation={parts}; change one of them"
        )
