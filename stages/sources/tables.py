"""What every data source returns: one Arrow table a split, its columns named canonically, its labels as found."""

from collections.abc import Mapping
from dataclasses import dataclass

import pyarrow as pa

from stages.configuration.schema import Kind, Split

INPUT_COLUMN: Mapping[Kind, str] = {"text": "text", "tokens": "tokens"}
LABEL_COLUMN: Mapping[Kind, str] = {"text": "label", "tokens": "tags"}


@dataclass(frozen=True)
class SourceTables:
    """Splits as a source gives them.

    A text table has `text` (string) and `label` (string or integer); a tokens table has `tokens` (list of strings)
    and `tags` (list of strings or of integers). Either may have `id` (string).
    """

    kind: Kind
    splits: Mapping[Split, pa.Table]
    origins: Mapping[Split, str]
    """What to call a split's source in messages: its file's name, for example."""
    label_names: tuple[str, ...] | None
    """The labels in order, if the source knows them; integer labels index them."""
