"""Export: a folder that `transformers.pipeline` loads as it is, an ONNX model that gives the same logits, and a model card."""

import inspect
import json
import shutil
from pathlib import Path

from datasets import Dataset
from transformers import PreTrainedModel

from stages.configuration.schema import ExportConfig, ExportStage, Kind
from stages.exporting.model_card import CardFacts, model_card
from stages.modeling.batches import PaddingCollator, Row
from stages.modeling.load import trained_model
from stages.pipeline.arrow import load_split, rows
from stages.pipeline.json_files import Json, read_json, write_json
from stages.pipeline.outputs import whole_directory
from stages.pipeline.paths import (
    DOWNLOAD_METRICS,
    EVALUATE_METRICS,
    EXPORT_METRICS,
    EXPORTED_MODEL,
    TOKENIZED_DATA,
    TRAINED_MODEL,
)
from stages.pipeline.stage import run_stage
from stages.tasks.base import INPUT_IDS
from stages.tasks.subwords import padding_id

ONNX = "model.onnx"


def export(config: ExportStage) -> None:
    """Write `models/export/` and `metrics/export.json`."""
    facts = _card_facts()
    model = trained_model(facts.kind, TRAINED_MODEL)
    metrics: dict[str, Json] = {"parameters": model.num_parameters()}
    with whole_directory(EXPORTED_MODEL) as folder:
        _copy_model(model, folder)
        (folder / "README.md").write_text(model_card(facts), encoding="utf-8")
        if config.export.onnx:
            metrics["onnx_largest_difference"] = _export_onnx(model, config.export, folder / ONNX)
        metrics["bytes"] = {file.name: file.stat().st_size for file in sorted(folder.iterdir())}
    write_json(EXPORT_METRICS, metrics)


def _card_facts() -> CardFacts:
    download, evaluate, config = (
        read_json(path) for path in (DOWNLOAD_METRICS, EVALUATE_METRICS, TRAINED_MODEL / "config.json")
    )
    kind: Kind = download["data"]["kind"]
    return CardFacts(
        kind=kind,
        data=download["data"]["name"],
        base_model=download["model"]["name"],
        labels=tuple(config["id2label"].values()),
        scores=evaluate,
        per_label=evaluate["per_label"],
    )


def _copy_model(model: PreTrainedModel, folder: Path) -> None:
    """Copy weights and tokenizer; tell the tokenizer which inputs this model takes (DistilBERT knows no token types)."""
    for file in sorted(TRAINED_MODEL.iterdir()):
        shutil.copyfile(file, folder / file.name)
    settings = folder / "tokenizer_config.json"
    taken = inspect.signature(model.forward).parameters
    names = [name for name in (INPUT_IDS, "token_type_ids", "attention_mask") if name in taken]
    content = {**read_json(settings), "model_input_names": names}
    settings.write_text(json.dumps(content, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")


def _export_onnx(model: PreTrainedModel, config: ExportConfig, path: Path) -> float:
    from stages.exporting.onnx_model import largest_difference, write_onnx  # importing the exporter takes seconds

    collate = PaddingCollator(padding_id(TRAINED_MODEL))
    sample = _rows_of_all_lengths(load_split(TOKENIZED_DATA, "test"), config.onnx_check_rows)
    write_onnx(model, collate(sample[:2]), path)
    return largest_difference(model, path, sample, collate, config.onnx_tolerance)


def _rows_of_all_lengths(split: Dataset, count: int) -> list[Row]:
    """Rows spread evenly from the longest to the shortest (at least 2: a batch of one would be exported as a constant)."""
    order = sorted(range(rows(split)), key=lambda index: -len(split[index][INPUT_IDS]))
    places = [round(place * (len(order) - 1) / max(1, count - 1)) for place in range(max(2, count))]
    return [{INPUT_IDS: split[order[min(place, len(order) - 1)]][INPUT_IDS]} for place in places]


if __name__ == "__main__":
    run_stage(export, ExportStage)
