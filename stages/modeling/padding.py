"""The padding sub-word of a tokenizer."""

from pathlib import Path

from stages.pipeline.errors import ModelError
from stages.pipeline.json_files import read_json


def padding_id(folder: Path) -> int:
    """The padding sub-word's code in a tokenizer folder. Raises ModelError if it has none."""
    token = read_json(folder / "tokenizer_config.json").get("pad_token")
    for added in read_json(folder / "tokenizer.json")["added_tokens"]:
        if added["content"] == token:
            return int(added["id"])
    raise ModelError(f"{folder}: the tokenizer has no padding token; choose a model whose tokenizer has one")
