"""The model card: what the model is, and its measured scores, in the Hub's metadata and in words."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from huggingface_hub import EvalResult, ModelCardData

from stages.configuration.schema import Kind

PIPELINES: Mapping[Kind, str] = {"text": "text-classification", "tokens": "token-classification"}
_SCORES = ("accuracy", "precision", "recall", "f1")


@dataclass(frozen=True)
class CardFacts:
    """What the card tells."""

    kind: Kind
    data: str
    base_model: str
    labels: tuple[str, ...]
    scores: Mapping[str, float]
    """`accuracy`, `precision`, `recall`, `f1` and `loss` on the test split."""
    per_label: Mapping[str, Mapping[str, Any]]
    """`precision`, `recall`, `f1` and `support` of each label on the test split."""


def model_card(facts: CardFacts) -> str:
    """The text of the card's README.md."""
    pipeline = PIPELINES[facts.kind]
    metadata = ModelCardData(
        library_name="transformers",
        pipeline_tag=pipeline,
        tags=["stagewright"],
        datasets=[facts.data],
        metrics=list(_SCORES),
        model_name=f"{facts.base_model} fine-tuned on {facts.data}",
        eval_results=[
            EvalResult(
                task_type=pipeline,
                dataset_type=facts.data,
                dataset_name=facts.data,
                dataset_split="test",
                metric_type=score,
                metric_value=facts.scores[score],
            )
            for score in _SCORES
        ],
    )
    return f"---\n{metadata.to_yaml()}\n---\n\n{_body(facts, pipeline)}"


def _body(facts: CardFacts, pipeline: str) -> str:
    scores = "\n".join(f"| {name} | {facts.scores[name]:.4f} |" for name in (*_SCORES, "loss"))
    per_label = "\n".join(
        f"| {_escaped(name)} | {row['precision']:.4f} | {row['recall']:.4f} | {row['f1']:.4f} | {row['support']} |"
        for name, row in facts.per_label.items()
    )
    return f"""# {facts.base_model} fine-tuned on {facts.data}

A model for {pipeline.replace("-", " ")}, trained by Stagewright.

```python
from transformers import pipeline

classify = pipeline("{pipeline}", model="path/to/this/folder")
```

Labels: {", ".join(_escaped(label) for label in facts.labels)}.

## Scores on the test split

Every {"example" if facts.kind == "text" else "word"} of the test split is scored; the split selected nothing.

| score | value |
|---|---|
{scores}

| label | precision | recall | F1 | support |
|---|---|---|---|---|
{per_label}
"""


def _escaped(text: str) -> str:
    """A label as it stands in a Markdown table."""
    return text.replace("|", "\\|").replace("<", "&lt;").replace("\n", " ")
