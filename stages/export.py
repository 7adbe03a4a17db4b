"""Export: a folder that `transformers.pipeline` loads, with an ONNX model of the same logits and a model card."""

from stages.configuration.run_stage import params_or_exit, run_stage

if __name__ == "__main__":
    PARAMS = params_or_exit()

import shutil
from dataclasses import replace
from pathlib import Path

from stages.configuration.schema import ExportStage
from stages.exporting.exported_files import parameters_in
from stages.exporting.model_card import card_facts, model_card
from stages.exporting.runtimes import export_for_runtimes, is_for_runtimes
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
from stages.predict.settings import PredictionSettings, write_settings
from stages.tasks.registry import task_for


def export(config: ExportStage) -> Compute | None:
    """Write `models/export/` and `metrics/export.json`."""
    task = task_for(config.task, config.mode, config.scheme).trained(TRAINED_MODEL)
    download = read_json(DOWNLOAD_METRICS)
    facts = card_facts(task, config.export, download, read_json(EVALUATE_METRICS), TRAINED_MODEL)
    metrics: dict[str, Json] = {"parameters": parameters_in(TRAINED_MODEL)}
    with whole_directory(EXPORTED_MODEL) as folder:
        for file in filter(Path.is_file, sorted(TRAINED_MODEL.iterdir())):
            shutil.copyfile(file, folder / file.name)
        runtimes = export_for_runtimes(config, task, TRAINED_MODEL, TOKENIZED_DATA, folder)
        facts = replace(
            facts,
            onnx=runtimes.onnx_largest_difference is not None,
            int8=runtimes.int8,
            tensorflow=runtimes.tensorflow_largest_difference is not None,
        )
        write_settings(folder, PredictionSettings(config.task, config.tokenize, download["data"].get("pairs", False)))
        (folder / "README.md").write_text(model_card(facts), encoding="utf-8")
        metrics |= runtimes.to_json()
        metrics["bytes"] = {
            file.relative_to(folder).as_posix(): file.stat().st_size
            for file in sorted(folder.rglob("*"))
            if file.is_file()
        }
    write_json(EXPORT_METRICS, metrics)
    return Compute("cpu", "fp32", config.threads) if is_for_runtimes(config) else None


if __name__ == "__main__":
    run_stage(export, ExportStage, PARAMS)
