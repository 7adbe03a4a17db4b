"""Put a family through the five stages, and compare what they give with plain transformers."""

import json
import os
import traceback
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import torch
from datasets import load_from_disk
from numpy.typing import NDArray
from transformers import AutoModelForSequenceClassification, AutoModelForTokenClassification, AutoTokenizer, pipeline

from stages.configuration.composition import compose_params
from stages.configuration.schema import (
    DownloadStage,
    EvaluateStage,
    ExportStage,
    Kind,
    Params,
    TokenizeStage,
    TrainStage,
)
from stages.configuration.validation import StageConfig, select, validate
from stages.download import download
from stages.evaluate import evaluate
from stages.export import export
from stages.pipeline.errors import UserError
from stages.tokenize import tokenize
from stages.train import train
from tests.support.imports import ROOT

ROWS = 24
NEAR = 1e-4
"""How far two probabilities may lie apart that are computed in another order."""

_SMALL = (
    f"data.train={ROWS}", f"data.validation={ROWS}", f"data.test={ROWS}", "train.batch_size=4", "train.max_steps=3",
    "train.learning_rate=1e-3", "train.precision=auto", "evaluate.precision=fp32", "evaluate.resamples=0",
    "evaluate.batch_size=5", "task.metric=accuracy", "threads=1", "export.quantize=none",
    "export.onnx_timeout=90",
)  # fmt: skip


@dataclass
class Outcome:
    """What became of a family."""

    family: str
    kind: Kind
    result: str = "right"
    """`right`, `refused` in one line, `wrong`, or `crash`."""
    told: str = ""
    """The line of a refusal, or what is wrong."""
    onnx: str = ""
    """`equal`, or why there is none."""
    notes: list[str] = field(default_factory=list)


def put_through(family: str, kind: Kind, base: Path, root: Path, *, onnx: bool, recipe: Sequence[str] = ()) -> Outcome:
    """Run the five stages in the folder `root` on the model in the folder `base`, and compare. `recipe`: overrides."""
    outcome = Outcome(family, kind)
    root.mkdir(parents=True)
    for name in ("dvc.yaml", "stages"):  # a training is named by what it depends on
        (root / name).symlink_to(ROOT / name)
    choices = [f"task={kind}", "data=demo", "model=files", f"model.path={base}", *_SMALL, *recipe]
    params = validate(compose_params([*choices, f"export.onnx={'auto' if onnx else 'false'}"]), "test")
    try:
        with _inside(root):
            _run_stages(params)
            format = json.loads(Path("models/trained/batch_format.json").read_text(encoding="utf-8"))
            outcome.notes = [f"{name}={value}" for name, value in _unusual(format)]
            faults = [*_faults_of_subwords(kind, base), *_faults_of_predictions(kind), *_faults_of_pipeline(kind)]
            if faults:
                outcome.result, outcome.told = "wrong", "; ".join(faults)
            if onnx:
                metrics = json.loads(Path("metrics/export.json").read_text(encoding="utf-8"))
                outcome.onnx = "equal" if "onnx_largest_difference" in metrics else str(metrics.get("onnx", "declined"))
    except UserError as error:
        outcome.result, outcome.told = "refused", str(error)
    except Exception as error:
        outcome.result, outcome.told = "crash", f"{error!r} {traceback.format_exc()[-900:]}"
    return outcome


def _unusual(format: dict[str, Any]) -> Iterator[tuple[str, object]]:
    usual = {"padding_side": "right", "length_multiple": 1, "equal_lengths": False}
    return ((name, format[name]) for name, value in usual.items() if format[name] != value)


@contextmanager
def _inside(folder: Path) -> Iterator[None]:
    before = Path.cwd()
    os.chdir(folder)
    try:
        yield
    finally:
        os.chdir(before)


def _run_stages(params: Params) -> None:
    def config(stage: type[StageConfig]) -> StageConfig:
        return select(params, stage)

    torch.manual_seed(0)
    download(config(DownloadStage))
    tokenize(config(TokenizeStage))
    train(config(TrainStage))
    evaluate(config(EvaluateStage))
    export(config(ExportStage))


def _examples(kind: Kind) -> list[Any]:
    return list(load_from_disk("data/raw/test")["text" if kind == "text" else "tokens"])


def _faults_of_subwords(kind: Kind, base: Path) -> Iterator[str]:
    """Sub-words are those that the family's own tokenizer gives: for texts, and for words as they stand in a text."""
    own = AutoTokenizer.from_pretrained(base)
    rows, examples = load_from_disk("data/tokenized/test"), _examples(kind)
    counts = np.bincount(rows["example"])
    longest = json.loads(Path("models/base/tokenizer/tokenizer_config.json").read_text())["model_max_length"]
    before = len(own("zz", add_special_tokens=False)["input_ids"])
    for ids, number in zip(rows["input_ids"], rows["example"], strict=True):
        example = examples[number]
        if counts[number] > 1 or len(ids) >= min(longest, 512):
            continue
        if kind == "text":
            is_same = ids == (expected := own(example)["input_ids"])
        else:
            expected = own("zz " + " ".join(example))["input_ids"]
            others = (own(" ".join(example)), own(example, is_split_into_words=True))
            is_same = _ends_alike(ids, expected, before) or ids in [each["input_ids"] for each in others]
        if not is_same:
            yield f"sub-words of {example!r}: {ids} for {expected}"
            return


def _ends_alike(ids: Sequence[int], expected: Sequence[int], first: int) -> bool:
    """Whether the sub-words are those of the same words behind another one, of `first` sub-words."""
    before = len(expected) - len(ids) - first
    if before:
        return False
    start = next((n for n in range(len(ids)) if ids[n:] == expected[n + first :]), None)
    return start is not None and ids[:start] == expected[:start]


def _faults_of_predictions(kind: Kind) -> Iterator[str]:
    """The exported model, called by plain transformers with one row at a time, gives what evaluate has predicted."""
    heads = {"text": AutoModelForSequenceClassification, "tokens": AutoModelForTokenClassification}
    model = heads[kind].from_pretrained("models/export", dtype=torch.float32).eval()
    table, rows = pq.read_table("data/predictions/test.parquet"), load_from_disk("data/tokenized/test")
    tokenizer = AutoTokenizer.from_pretrained("models/export")
    multiple = json.loads(Path("models/export/batch_format.json").read_text())["length_multiple"]
    far = 0.0
    if kind == "text":
        for text, expected in zip(_examples(kind), _probabilities(table), strict=True):
            inputs = tokenizer(text, truncation=True, return_tensors="pt", padding=True, pad_to_multiple_of=multiple)
            if inputs["input_ids"].shape[1] >= min(tokenizer.model_max_length, 512):
                continue
            with torch.no_grad():
                found = model(**inputs).logits[0].softmax(-1).numpy()
            far = max(far, float(np.abs(found - expected).max()))
    else:
        scores = np.array(table["score"])
        for number, score in _one_by_one(model, rows, multiple, tokenizer):
            far = max(far, float(np.abs(scores[number] - score)))
    if not far <= NEAR:
        yield f"one by one, probabilities differ by {far:.2g}"


def _one_by_one(model: Any, rows: Any, multiple: int, tokenizer: Any) -> Iterator[tuple[int, float]]:
    """The number of each word in the predictions file, and the largest probability; of examples in one row."""
    lengths = [len(tokens) for tokens in _examples("tokens")]
    starts = np.cumsum(lengths) - lengths
    counts = np.bincount(rows["example"])
    for row in rows:
        if counts[row["example"]] > 1:
            continue
        given = {"input_ids": row["input_ids"], "attention_mask": [1] * len(row["input_ids"])}
        if "token_type_ids" in row and "token_type_ids" in tokenizer.model_input_names:
            given["token_type_ids"] = row["token_type_ids"]
        batch = tokenizer.pad([given], return_tensors="pt", pad_to_multiple_of=multiple)
        with torch.no_grad():
            probabilities = model(**batch).logits[0].softmax(-1)[batch["attention_mask"][0].bool()]
        for place, word in enumerate(row["words"]):
            if word >= 0:
                yield int(starts[row["example"]] + word), float(probabilities[place].max())


def _faults_of_pipeline(kind: Kind) -> Iterator[str]:
    """`pipeline` gives for strings what evaluate has predicted."""
    table = pq.read_table("data/predictions/test.parquet")
    tokenizer = AutoTokenizer.from_pretrained("models/export")
    format = json.loads(Path("models/export/batch_format.json").read_text())
    if format["length_multiple"] > 1:
        return  # a pipeline has no setting for it
    size = 1 if format["equal_lengths"] else 3
    limit = min(tokenizer.model_max_length, 512)
    if kind == "text":
        classify = pipeline("text-classification", "models/export", device="cpu", dtype=torch.float32)
        names = list(classify.model.config.id2label.values())
        texts = [text for text in _examples(kind) if len(tokenizer(text)["input_ids"]) < limit]
        kept = [len(tokenizer(text)["input_ids"]) < limit for text in _examples(kind)]
        found = classify(texts, top_k=None, batch_size=size)
        by_name = [{each["label"]: each["score"] for each in of_text} for of_text in found]
        scores = np.array([[of_text[name] for name in names] for of_text in by_name])
        far = float(np.abs(scores - _probabilities(table)[kept]).max())
        if not far <= NEAR:
            yield f"pipeline's probabilities differ by {far:.2g}"
        return
    if not tokenizer.is_fast:
        return  # a pipeline does not tell where its sub-words stand in the text
    tag = pipeline("token-classification", "models/export", device="cpu", dtype=torch.float32, ignore_labels=[])
    predicted, scores = table["predicted"].to_pylist(), np.array(table["score"])
    examples, rows = _examples(kind), load_from_disk("data/tokenized/test")
    starts = np.cumsum([0, *map(len, examples)])
    counts = np.bincount(rows["example"])
    for row in rows:
        text = " ".join(examples[row["example"]])
        if counts[row["example"]] > 1 or len(row["input_ids"]) >= limit:
            continue
        if [*tokenizer(text)["input_ids"]] != row["input_ids"]:  # where a letter is a sub-word, so is a space
            text = "".join(examples[row["example"]])
        found = {each["index"]: each for each in tag(text)}
        if [*tokenizer(text)["input_ids"]] != row["input_ids"]:
            yield f"pipeline's sub-words of {text!r} are {tokenizer(text)['input_ids']} for {row['input_ids']}"
            return
        for place, word in enumerate(row["words"]):
            number = starts[row["example"]] + word
            if word >= 0 and abs(found[place]["score"] - scores[number]) > NEAR:
                yield f"pipeline's score is {found[place]['score']} for {scores[number]}"
                return
            if word >= 0 and found[place]["entity"] != predicted[number]:
                yield f"pipeline's label is {found[place]['entity']} for {predicted[number]}"
                return


def _probabilities(table: Any) -> NDArray[np.float64]:
    return np.array([list(of_text.values()) for of_text in table["probabilities"].to_pylist()])
