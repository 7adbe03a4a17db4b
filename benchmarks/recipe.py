"""The tutorial recipe on `Trainer`, from the same rows and the same seed as the train stage: what others would run.

A is the recipe as written: fp32, batches padded to their longest row. B has the best flags that the Trainer offers: bf16,
rows of like length in a batch, the loss's filter off (the optimizer is fused in both: it is the Trainer's default).
"""

from functools import partial
from typing import Any, Literal

import numpy as np
import torch
from datasets import Dataset
from numpy.typing import NDArray
from transformers import Trainer, TrainingArguments, set_seed

from stages.columns.names import INPUT_IDS, LABELS, WORDS, label_names
from stages.configuration.schema import TrainStage
from stages.modeling.batch_format import read_batch_format
from stages.modeling.batches import PaddingCollator
from stages.modeling.load import new_model
from stages.pipeline.arrow import load_split
from stages.pipeline.paths import BASE_MODEL, BASE_WEIGHTS, TOKENIZED_DATA
from stages.tasks.registry import task_for

Recipe = Literal["A", "B"]

_FLAGS: dict[Recipe, dict[str, Any]] = {
    "A": {},
    "B": {"bf16": True, "train_sampling_strategy": "group_by_length", "logging_nan_inf_filter": False},
}
_FLAGS_ON_GPU: dict[Recipe, dict[str, Any]] = {
    "A": {"per_device_eval_batch_size": 16},
    "B": {"per_device_eval_batch_size": 64, "tf32": True, "dataloader_num_workers": 4},
}
"""Further ones. A's is the tutorial's; the figures on CPUs were measured with the Trainer's own, 8."""


def recipe_trainer(config: TrainStage, recipe: Recipe) -> Trainer:
    """A trainer that neither validates nor writes anything."""
    rows = config.train.batch_size
    if rows == "auto":
        raise SystemExit("benchmarks: the Trainer's recipe needs a number of rows; give --set train.batch_size=16")
    train = load_split(TOKENIZED_DATA, "train")
    task, names, format = task_for(config.task), label_names(train.features), read_batch_format(BASE_MODEL)
    set_seed(config.seed)
    return Trainer(
        model=new_model(task, BASE_WEIGHTS, names, padding=format.padding_id),
        args=TrainingArguments(
            output_dir="recipe",
            per_device_train_batch_size=rows,
            learning_rate=config.train.learning_rate,
            weight_decay=config.train.weight_decay,
            num_train_epochs=config.train.epochs,
            max_steps=config.train.max_steps or -1,
            seed=config.seed,
            use_cpu=not torch.cuda.is_available(),
            save_strategy="no",
            logging_strategy="no",
            report_to="none",
            disable_tqdm=True,
            dataloader_pin_memory=torch.cuda.is_available(),
            **_FLAGS[recipe],
            **(_FLAGS_ON_GPU[recipe] if torch.cuda.is_available() else {}),
        ),
        train_dataset=train.select_columns([INPUT_IDS, LABELS]),
        data_collator=PaddingCollator(format, partial(task.label_tensor, labels=len(names))),
    )


def recipe_readings(trainer: Trainer, split: Dataset) -> NDArray[np.float32]:
    """What `Trainer.predict` gives, read off as our stages do: one a row, or one a word that begins there."""
    logits = np.asarray(trainer.predict(split.select_columns([INPUT_IDS])).predictions, np.float32)
    if WORDS not in split.column_names:
        return logits
    return np.concatenate(
        [row[: len(words)][np.array(words) >= 0] for row, words in zip(logits, split[WORDS], strict=True)]
    )
