"""Export: a folder that `transformers.pipeline` loads as it is, an ONNX model that gives the same logits, and a model card."""

from stages.pipeline.stage import run_stage, tell_faults_early

if __name__ == "__main__":
    tell_faults_early()

import json
import logging
import shutil
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
from datasets import Dataset
from transformers import PreTrainedModel

from stages.configuration.schema import ExportConfig, ExportStage, Kind
from stages.exporting.model_card import SCORES, CardFacts, model_card
from stages.exporting.onnx_files import ONNX, ONNX_INT8
from stages.exporting.quantization_cost import QuantizationCost
from stages.modeling.batches import PaddingCollator, Row
from stages.modeling.compute import use_threads
from stages.modeling.inputs import input_columns, takes_token_types
from stages.modeling.load import trained_model
from stages.modeling.padding import padding_id
from stages.pipeline.arrow import load_split
from stages.pipeline.environment import Compute
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
from stages.scoring.headline.threshold import read_threshold
from stages.tasks.columns.arrays import lengths
from stages.tasks.columns.names import INPUT_IDS, TOKEN_TYPES
from stages.tasks.decoding.dispatch import decoding_for

log = logging.getLogger("stages.export")


def export(config: ExportStage) -> Compute:
    """Write `models/export/` and `metrics/export.json`."""
    use_threads(config.threads)
    facts = _card_facts()
    model = trained_model(facts.kind, TRAINED_MODEL)
    metrics: dict[str, Json] = {"parameters": model.num_parameters()}
    with whole_directory(EXPORTED_MODEL) as folder:
        _copy_model(model, folder)
        if config.export.onnx:
            facts = replace(facts, onnx=True)
            metrics["onnx_largest_difference"] = _export_onnx(model, config.export, folder / ONNX)
            if config.export.quantize == "int8":
                cost = _export_int8(model, config, folder)
                metrics["int8"] = cost.to_json()
                facts = replace(facts, int8=cost)
        (folder / "README.md").write_text(model_card(facts), encoding="utf-8")
        metrics["bytes"] = {file.name: file.stat().st_size for file in sorted(folder.iterdir())}
    write_json(EXPORT_METRICS, metrics)
    return Compute("cpu", "fp32", config.threads)


def _card_facts() -> CardFacts:
    download, evaluate, config = (
        read_json(path) for path in (DOWNLOAD_METRICS, EVALUATE_METRICS, TRAINED_MODEL / "config.json")
    )
    kind: Kind = download["data"]["kind"]
    return CardFacts(
        kind=kind,
        data=download["data"]["name"],
        base_model=download["model"]["name"],
        labels=() if config.get("problem_type") == "regression" else tuple(config["id2label"].values()),
        scores={name: evaluate[name] for name in SCORES if name in evaluate},
        intervals=evaluate.get("intervals", {}),
        threshold=evaluate.get("threshold"),
        per_label=evaluate.get("per_label", {}),
    )


def _copy_model(model: PreTrainedModel, folder: Path) -> None:
    """Copy weights and tokenizer; tell the tokenizer which inputs this model takes (DistilBERT knows no token types)."""
    for file in sorted(TRAINED_MODEL.iterdir()):
        shutil.copyfile(file, folder / file.name)
    settings = folder / "tokenizer_config.json"
    types = [TOKEN_TYPES] if takes_token_types(model) else []
    names = [INPUT_IDS, *types, "attention_mask"]
    content = {**read_json(settings), "model_input_names": names}
    settings.write_text(json.dumps(content, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")


def _export_onnx(model: PreTrainedModel, config: ExportConfig, path: Path) -> float:
    from stages.exporting.onnx_model import largest_difference, write_onnx  # importing the exporter takes seconds

    collate = PaddingCollator(padding_id(TRAINED_MODEL))
    sample = _rows_of_all_lengths(model, load_split(TOKENIZED_DATA, "test"), config.onnx_check_rows)
    write_onnx(model, collate(sample[:2]), path)
    return largest_difference(model, path, sample, collate, config.onnx_tolerance)


def _export_int8(model: PreTrainedModel, config: ExportStage, folder: Path) -> QuantizationCost:
    """Write the int8 model, and remove it again if it costs more than `export.max_loss`."""
    from stages.exporting.onnx_model import write_onnx
    from stages.exporting.onnx_scores import Examples, onnx_scores, spread  # importing the quantizers takes a second
    from stages.exporting.quantization import write_int8

    validation = load_split(TOKENIZED_DATA, "validation")
    collate = PaddingCollator(padding_id(TRAINED_MODEL))
    with TemporaryDirectory() as packed:
        write_onnx(model, collate(_rows_of_all_lengths(model, validation, 2)), Path(packed, ONNX), packed=True)
        write_int8(Path(packed, ONNX), folder / ONNX_INT8)
    threshold = read_threshold(TRAINED_MODEL) if config.task.target == "labels" else None
    examples = Examples(
        spread(validation, config.export.max_loss_examples),
        decoding_for(config.task.kind, config.task.target, config.task.pooling, threshold),
        collate,
    )
    before, after = (onnx_scores(folder / name, model.config, examples) for name in (ONNX, ONNX_INT8))
    cost = QuantizationCost(config.task.metric, before, after, config.export.max_loss)
    if not cost.is_accepted:
        (folder / ONNX_INT8).unlink()
        log.warning("%s", cost.refusal())
    return cost


def _rows_of_all_lengths(model: PreTrainedModel, split: Dataset, count: int) -> list[Row]:
    """Rows spread evenly from the longest to the shortest (at least 2: a batch of one would be exported as a constant)."""
    split = split.select_columns(input_columns(model, split))
    order = np.argsort(-lengths(split, INPUT_IDS), kind="stable")
    places = [round(place * (len(order) - 1) / max(1, count - 1)) for place in range(max(2, count))]
    return [split[int(order[min(place, len(order) - 1)])] for place in places]


if __name__ == "__main__":
    run_stage(export, ExportStage)
