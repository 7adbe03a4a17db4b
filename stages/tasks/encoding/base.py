"""What the tokenize stage asks of a task, whichever kind it is."""

from collections.abc import Mapping, Sequence
from typing import Protocol

from datasets import Dataset, Features

from stages.configuration.schema import Kind, TokenizeConfig
from stages.tasks.encoding.subwords import SubwordEncoder


class Encoding(Protocol):
    """How one kind of task makes a raw split a tokenized one. Chosen by `stages.tasks.encoding.dispatch.encoding_for`."""

    @property
    def kind(self) -> Kind:
        """The configuration's name of this kind."""

    def features(self, raw: Features) -> Features:
        """The columns of a tokenized split, but for `token_type_ids`."""

    def encode(
        self, raw: Dataset, encoder: SubwordEncoder, config: TokenizeConfig, *, first_example: int
    ) -> Mapping[str, Sequence[object]]:
        """The columns of the tokenized split that a part of a raw split becomes; its first row is `first_example`."""
