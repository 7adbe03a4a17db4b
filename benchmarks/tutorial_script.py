"""The token-classification tutorial as one script, in the current folder: what a user would write instead of the pipeline.

`data/raw` and `models/base` are there (as a warm cache of the Hub would be). It aligns labels in `map`, trains with A's
settings, validates every epoch with seqeval, keeps the best checkpoint, predicts and scores the test split, saves the model
and exports it to ONNX. Prints the scores.
"""

import json
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from datasets import DatasetDict, disable_progress_bars, load_from_disk
from seqeval.metrics import classification_report, f1_score
from transformers import (
    AutoModelForTokenClassification,
    AutoTokenizer,
    DataCollatorForTokenClassification,
    Trainer,
    TrainingArguments,
    set_seed,
)

_IGNORED = -100


def main() -> None:
    """Everything from data to ONNX; the learning rate is the only argument."""
    disable_progress_bars()
    set_seed(42)
    raw = DatasetDict({name: load_from_disk(f"data/raw/{name}") for name in ("train", "validation", "test")})
    names = raw["train"].features["tags"].feature.names
    tokenizer = AutoTokenizer.from_pretrained("models/base/tokenizer")
    tokenized = raw.map(
        lambda examples: _aligned(tokenizer, examples), batched=True, remove_columns=["id", "tokens", "tags"]
    )
    model = AutoModelForTokenClassification.from_pretrained("models/base/weights", num_labels=len(names))
    trainer = Trainer(
        model=model,
        args=TrainingArguments(
            output_dir="tutorial",
            learning_rate=float(sys.argv[1]),
            per_device_train_batch_size=16,
            per_device_eval_batch_size=16,
            num_train_epochs=2,
            weight_decay=0.01,
            eval_strategy="epoch",
            save_strategy="epoch",
            load_best_model_at_end=True,
            metric_for_best_model="f1",
            report_to="none",
            disable_tqdm=True,
            use_cpu=True,
            dataloader_pin_memory=False,
        ),
        train_dataset=tokenized["train"],
        eval_dataset=tokenized["validation"],
        data_collator=DataCollatorForTokenClassification(tokenizer),
        processing_class=tokenizer,
        compute_metrics=lambda found: {"f1": f1_score(*_tags(found, names))},
    )
    trainer.train()
    gold, predicted = _tags(trainer.predict(tokenized["test"]), names)
    trainer.save_model("tutorial/model")
    _write_onnx(trainer.model, Path("tutorial/model.onnx"))
    print(json.dumps({"f1": f1_score(gold, predicted), "report": classification_report(gold, predicted)}))


def _aligned(tokenizer: Any, examples: Mapping[str, Any]) -> Any:
    encoded = tokenizer(examples["tokens"], truncation=True, is_split_into_words=True)
    encoded["labels"] = []
    for row, tags in enumerate(examples["tags"]):
        labels, before = [], None
        for word in encoded.word_ids(batch_index=row):
            labels.append(_IGNORED if word is None or word == before else tags[word])
            before = word
        encoded["labels"].append(labels)
    return encoded


def _tags(found: Any, names: list[str]) -> tuple[list[list[str]], list[list[str]]]:
    logits, labels = found[0], found[1]
    best, known = np.argmax(logits, axis=-1), labels != _IGNORED
    gold = [[names[code] for code in row[mask]] for row, mask in zip(labels, known, strict=True)]
    predicted = [[names[code] for code in row[mask]] for row, mask in zip(best, known, strict=True)]
    return gold, predicted


def _write_onnx(model: Any, path: Path) -> None:
    ids = torch.ones(2, 8, dtype=torch.long)
    dynamic = {0: torch.export.Dim("rows"), 1: torch.export.Dim("subwords")}
    shapes = {"input_ids": dynamic, "attention_mask": dynamic}
    torch.onnx.export(
        model.eval(), kwargs={"input_ids": ids, "attention_mask": ids}, f=path, dynamic_shapes=shapes, dynamo=True
    )


if __name__ == "__main__":
    main()
