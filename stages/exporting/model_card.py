"""Write the model card: what the model is, and its measured scores, in the Hub's metadata and in words."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from huggingface_hub import EvalResult, ModelCardData

from stages.configuration.schema import ExportConfig
from stages.exporting.exported_files import ONNX, ONNX_INT8, SAVED_MODEL
from stages.exporting.quantization_cost import QuantizationCost
from stages.modeling.batch_format import read_batch_format
from stages.pipeline.escaping import code
from stages.pipeline.json_files import read_json
from stages.scoring.core.metrics import METRICS
from stages.tasks.task import Task

_TOKENIZE = """import numpy as np
import {module}
from transformers import AutoConfig, AutoTokenizer

folder = "path/to/this/folder"
tokenizer, labels = AutoTokenizer.from_pretrained(folder), AutoConfig.from_pretrained(folder).id2label
rows = tokenizer(["one text", "another one"], padding=True, truncation=True, return_tensors="np")

"""
_RUN_ONNX = """slow = ["SkipLayerNormFusion"]
session = onnxruntime.InferenceSession(f"{{folder}}/{file}", disabled_optimizers=slow)
names = [entry.name for entry in session.get_inputs()]
(logits,) = session.run(None, {{name: rows[name] for name in names}})
"""
"""What runs the ONNX model; the task prints the logits."""
_RUN_TENSORFLOW = """model = tensorflow.saved_model.load(f"{folder}/saved_model")
serve = model.signatures["serving_default"]
names = serve.structured_input_signature[1]
logits = serve(**{name: tensorflow.constant(rows[name]) for name in names})["logits"].numpy()
"""


_PADDING = (
    "The logits depend on padding: classify texts one by one, as `pipeline` does by default, or in batches of one length, as the "
    "scores below were measured."
)


_DECODE = (
    "The scores below are of the most probable tags of whole sentences that the scheme of the tags allows (Viterbi), as "
    "`stagewright predict` gives them. `pipeline` takes the most probable tag of each sub-word by itself."
)


@dataclass(frozen=True)
class CardFacts:
    """What the card tells."""

    task: Task
    data: str
    base_model: str
    labels: tuple[str, ...]
    """The labels in the order of their codes; empty where the model gives a number."""
    scores: Mapping[str, float | None]
    """Those of `shown_scores` that were measured on the test split, None where one is not defined. Empty: it was not scored."""
    intervals: Mapping[str, Sequence[float] | None]
    """Low and high end of the 95 % intervals of those scores that have one."""
    threshold: float | None
    """The probability from which on a text has a label, where it may have several."""
    per_label: Mapping[str, Mapping[str, Any]]
    """`precision`, `recall`, `f1` and `support` of each label on the test split."""
    depends_on_padding: bool = False
    """Whether logits depend on padding, so that rows predicted together must have one length."""
    onnx: bool = False
    """Whether the folder has an ONNX model."""
    int8: QuantizationCost | None = None
    """What one in int8 costs, if it was tried."""
    tensorflow: bool = False
    """Whether it has a SavedModel."""
    data_repo: str | None = None
    """The data's repository on the Hub, if they came from there."""
    base_model_repo: str | None = None
    """The base model's repository on the Hub, if it came from there."""
    language: str | list[str] | None = None
    license: str | None = None


def card_facts(
    task: Task, config: ExportConfig, download: Mapping[str, Any], evaluate: Mapping[str, Any], trained: Path
) -> CardFacts:
    """Return what the card tells of a model in the folder `trained`, from the metrics of download and evaluate."""
    labels = read_json(trained / "config.json")["id2label"].values() if task.has_labels else ()
    return CardFacts(
        task=task,
        data=download["data"]["name"],
        base_model=download["model"]["name"],
        labels=tuple(labels),
        scores={name: evaluate[name] for name in shown_scores(task) if name in evaluate},
        intervals=evaluate.get("intervals", {}),
        threshold=evaluate.get("threshold", task.threshold),
        per_label=evaluate.get("per_label", {}),
        depends_on_padding=read_batch_format(trained).equal_lengths,
        data_repo=download["data"].get("repo"),
        base_model_repo=download["model"].get("repo"),
        language=config.language,
        license=config.license,
    )


def shown_scores(task: Task) -> list[str]:
    """Return the names of the scores that the card tells: those that are always shown, and `task.metric`."""
    return [
        name
        for name, metric in METRICS.items()
        if name == task.config.metric or any(metric.listed(form) == "always" for form in metric.formulas)
    ]


def model_card(facts: CardFacts) -> str:
    """Return the text of the card's README.md."""
    pipeline = facts.task.pipeline
    measured: dict[str, float] = {}
    for name, value in facts.scores.items():
        hub_name = METRICS[name].hub_name
        if hub_name is not None and value is not None:
            measured.setdefault(hub_name, value)
    metadata = ModelCardData(
        language=facts.language,
        license=facts.license,
        library_name="transformers",
        base_model=facts.base_model_repo,
        pipeline_tag=pipeline,
        tags=["stagewright"],
        datasets=None if facts.data_repo is None else [facts.data_repo],
        metrics=list(measured) or None,
        model_name=f"{facts.base_model} fine-tuned on {facts.data}" if measured else None,
        eval_results=[
            EvalResult(
                task_type=pipeline,
                dataset_type=facts.data_repo or _hub_id(facts.data),
                dataset_name=facts.data,
                dataset_split="test",
                metric_type=metric,
                metric_value=value,
            )
            for metric, value in measured.items()
        ]
        or None,
    )
    return f"---\n{metadata.to_yaml()}\n---\n\n{_body(facts, pipeline)}"


def _hub_id(name: str) -> str:
    """Return `name` as the Hub lets a data set be called: it refuses a card with any other."""
    return re.sub(r"[^A-Za-z0-9_.-]+", "-", name)


def _body(facts: CardFacts, pipeline: str) -> str:
    labels = f"Labels: {', '.join(code(label) for label in facts.labels)}." if facts.labels else "It gives a number."
    parts = [
        f"# {code(facts.base_model)} fine-tuned on {code(facts.data)}",
        f"A model for {pipeline.replace('-', ' ')}, trained by Stagewright.",
        f"""```python
from transformers import pipeline

classify = pipeline("{pipeline}", model="path/to/this/folder")
```""",
        labels,
        *([] if facts.task.config.decode == "argmax" else [_DECODE]),
        *([_PADDING] if facts.depends_on_padding else []),
        *(_onnx(facts) if facts.onnx else []),
        *(_tensorflow(facts) if facts.tensorflow else []),
        *([] if facts.threshold is None else [_threshold(facts.threshold)]),
        "## Scores on the test split",
        *(_scores(facts) if facts.scores else ["The test split is not scored."]),
    ]
    return "\n\n".join(parts) + "\n"


def _onnx(facts: CardFacts) -> list[str]:
    """Return how to run the ONNX model, and what int8 costs."""
    cost = facts.int8 if facts.int8 is not None and facts.int8.is_accepted else None
    file = ONNX if cost is None else ONNX_INT8
    parts = [
        f"`{file}` is the faster one on a CPU:" if cost else f"`{file}` runs without PyTorch:",
        _python(_TOKENIZE.format(module="onnxruntime"), _RUN_ONNX.format(file=file), facts),
    ]
    if cost is None:
        return parts
    names = [name for name in shown_scores(facts.task) if name in cost.before]
    rows = [[name, _four_digits(cost.before[name]), _four_digits(cost.after[name])] for name in names]
    return [
        *parts,
        f"`{ONNX}` gives PyTorch's logits; what int8 costs is measured on validation:",
        _table(["score on validation", "fp32", "int8"], rows),
    ]


def _tensorflow(facts: CardFacts) -> list[str]:
    return [
        f"`{SAVED_MODEL}` runs in TensorFlow, with PyTorch's logits:",
        _python(_TOKENIZE.format(module="tensorflow"), _RUN_TENSORFLOW, facts),
    ]


def _python(tokenize: str, run: str, facts: CardFacts) -> str:
    return f"```python\n{tokenize}{run}{facts.task.card_code(facts.threshold)}\n```"


def _scores(facts: CardFacts) -> list[str]:
    parts = [f"Every {facts.task.unit} of the test split is scored; the split selected nothing."]
    scores = [[name, _four_digits(value), _span(facts.intervals.get(name))] for name, value in facts.scores.items()]
    parts.append(_table(["score", "value", "95 % interval"], scores))
    if facts.per_label:
        rows = [
            [
                code(name),
                *(_four_digits(row[score]) for score in ("precision", "recall", "f1")),
                str(row["support"]),
            ]
            for name, row in facts.per_label.items()
        ]
        parts.append(_table(["label", "precision", "recall", "F1", "support"], rows))
    return parts


def _threshold(threshold: float) -> str:
    return (
        f"A text has the labels whose probability is at least {threshold:.6g}, chosen on validation: "
        "`classify(text, top_k=None)` gives the probabilities of all."
    )


def _span(interval: Sequence[float] | None) -> str:
    return "" if interval is None else f"[{interval[0]:.4f}, {interval[1]:.4f}]"


def _table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = [_line(header), "|" + "---|" * len(header), *(_line(row) for row in rows)]
    return "\n".join(lines)


def _line(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |"


def _four_digits(value: float | None) -> str:
    return "not defined" if value is None else f"{value:.4f}"
