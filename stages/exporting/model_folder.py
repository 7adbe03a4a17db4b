"""The folder that `transformers.pipeline` loads."""

import json
import shutil
from pathlib import Path

from transformers import PreTrainedModel

from stages.columns.names import INPUT_IDS, TOKEN_TYPES
from stages.modeling.batches import takes_token_types
from stages.pipeline.json_files import read_json


def copy_model(model: PreTrainedModel, trained: Path, folder: Path) -> None:
    """Copy weights and tokenizer; tell the tokenizer which inputs this model takes (DistilBERT knows no token types)."""
    for file in sorted(trained.iterdir()):
        shutil.copyfile(file, folder / file.name)
    settings = folder / "tokenizer_config.json"
    types = [TOKEN_TYPES] if takes_token_types(model) else []
    names = [INPUT_IDS, *types, "attention_mask"]
    content = {**read_json(settings), "model_input_names": names}
    settings.write_text(json.dumps(content, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
