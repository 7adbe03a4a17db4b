"""Training and prediction beside the tutorial recipe, on the same rows.

    python -m benchmarks.training --steps 60 -- task=tokens data=files data.train=… data.validation=… data.test=…
    python -m benchmarks.training --steps 12 -- task=text data=files data.train=… data.test=… data.max_examples.train=2000 \
        tokenize.overflow=truncate

A is the recipe as written: the Trainer, fp32, batches of 16 padded to their longest row. B is A with the best flags that the
Trainer offers: bf16, rows of like length in a batch, the loss's filter off. `ours` is the train stage's own trainer, with A's
batches. They take turns, each run in a process of its own, and all predict the test split. Figures are medians over the
repeats; the first steps of a run are not counted. Scores are our code's, for all three.
"""

import argparse
import json
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
SIDES = ("A", "B", "ours")
_WARM_UP = 3
"""Steps at the beginning that are not counted."""


@dataclass(frozen=True)
class Figures:
    """What one run of one side measured."""

    step: float
    """Seconds an optimizer step, the mean over those counted."""
    epoch_tokens: int
    """Sub-words an epoch, without padding."""
    tokens: float
    """Sub-words a step, without padding."""
    padding: float
    """Sub-words with padding, over those without, as the batches have it."""
    predict: float
    """Seconds that predicting the test split takes."""
    peak: float
    """Largest resident size, MB."""
    utilization: float
    """Floating-point operations that the model needs for the sub-words, a second, over those of a large product."""
    scores: Mapping[str, float | None]
    """On the test split, after the steps trained."""


def main() -> None:
    """Prepare the rows, run the sides in turn and print the table."""
    options = _options()
    if options.side:
        print(json.dumps(asdict(_measured(options.side, options.steps))))
        return
    with tempfile.TemporaryDirectory() as folder:
        _prepare(Path(folder), options.overrides)
        runs: dict[str, list[Figures]] = {side: [] for side in SIDES}
        for _ in range(options.repeats):
            for side in SIDES:
                runs[side].append(_in_a_process(side, Path(folder), options.steps))
                print(side, runs[side][-1], file=sys.stderr, flush=True)
    table = _table(runs)
    print(table)
    if options.out:
        content = {side: [asdict(each) for each in figures] for side, figures in runs.items()}
        options.out.with_suffix(".json").write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")
        options.out.with_suffix(".md").write_text(f"{table}\n", encoding="utf-8")


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("overrides", nargs="*", help="as `python -m stages.configuration.compose` takes them")
    parser.add_argument("--steps", type=int, default=60, help="of each run; 0: one whole epoch")
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--out", type=Path, help="write OUT.md and OUT.json as well")
    parser.add_argument("--side", choices=SIDES, help=argparse.SUPPRESS)
    return parser.parse_args()


def _prepare(folder: Path, overrides: Sequence[str]) -> None:
    for part in ("stages", "conf", "benchmarks", "dvc.yaml"):
        (folder / part).symlink_to(ROOT / part)
    for command in (("stages.configuration.compose", *overrides), ("stages.download",), ("stages.tokenize",)):
        subprocess.run([sys.executable, "-m", *command], cwd=folder, check=True, stdout=subprocess.DEVNULL)


def _in_a_process(side: str, folder: Path, steps: int) -> Figures:
    command = [sys.executable, "-m", "benchmarks.training", "--side", side, "--steps", str(steps)]
    environment = {**os.environ, "HF_HUB_OFFLINE": "1", "PYTHONPATH": str(folder)}
    done = subprocess.run(command, cwd=folder, check=True, stdout=subprocess.PIPE, text=True, env=environment)
    return Figures(**json.loads(done.stdout.splitlines()[-1]))


def _table(runs: Mapping[str, Sequence[Figures]]) -> str:
    """Medians, and how many times as fast ours is."""

    def median(side: str, figure: str) -> float:
        return statistics.median(getattr(each, figure) for each in runs[side])

    def row(name: str, values: Sequence[str]) -> str:
        return f"| {name} | {' | '.join(values)} |"

    def epoch(side: str) -> float:
        """Seconds: a sample of B's steps may hold rows that are longer than the others."""
        found = runs[side]
        return statistics.median(each.step / each.tokens for each in found) * found[0].epoch_tokens

    lines = [row("", SIDES), "|---|" + "---:|" * len(SIDES)]
    lines += [
        row("seconds a step", [f"{median(side, 'step'):.3f}" for side in SIDES]),
        row("seconds an epoch", [f"{epoch(side):.0f}" for side in SIDES]),
        row("over ours", [f"{epoch(side) / epoch('ours'):.2f} x" for side in SIDES]),
        row("sub-words a second", [f"{median(side, 'tokens') / median(side, 'step'):.0f}" for side in SIDES]),
        row("padding factor of the batches", [f"{median(side, 'padding'):.2f}" for side in SIDES]),
        row("utilization", [f"{median(side, 'utilization'):.0%}" for side in SIDES]),
        row("seconds to predict test", [f"{median(side, 'predict'):.1f}" for side in SIDES]),
        row("over ours", [f"{median(side, 'predict') / median('ours', 'predict'):.2f} x" for side in SIDES]),
        row("peak memory, MB", [f"{median(side, 'peak'):.0f}" for side in SIDES]),
        row("scores", [", ".join(f"{name} {value}" for name, value in runs[side][0].scores.items()) for side in SIDES]),
    ]
    return "\n".join(lines)


# One side, in its own process


def _measured(side: str, steps: int) -> Figures:
    from stages.modeling.compute import use_threads
    from stages.modeling.precision import resolved

    config = _configuration(steps)
    use_threads(config.threads)
    trainer = _our_trainer(config) if side == "ours" else _recipe(config, side)
    precision = {"A": "fp32", "B": "bf16"}.get(side) or resolved(config.train.precision)
    seconds = _timed(trainer)
    step = statistics.fmean(seconds[_WARM_UP:])
    tokens, padding = _sizes(trainer, len(seconds))
    started = time.perf_counter()
    readings, split = _predict(trainer, config, precision, as_the_recipe=side != "ours")
    predict = time.perf_counter() - started
    flops = 6 * _weights(trainer.model) * tokens / step
    return Figures(
        step=step,
        epoch_tokens=_epoch_tokens(),
        tokens=tokens,
        padding=padding,
        predict=predict,
        peak=resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1000,
        utilization=flops / _rate(precision),
        scores=_scores(readings, split, config),
    )


def _configuration(steps: int) -> Any:
    """The train stage's, without any validation between its steps."""
    from dataclasses import replace

    from ruamel.yaml import YAML

    from stages.configuration.schema import TrainStage
    from stages.configuration.validation import select, validate

    params = validate(YAML(typ="safe").load(Path("params.yaml")), "params.yaml")
    config = select(params, TrainStage)
    return replace(config, train=replace(config.train, epochs=1.0, max_steps=steps or None, evaluate_every=10**6))


def _our_trainer(config: Any) -> Any:
    from stages.train import build_trainer
    from stages.training.checkpoints import Checkpoints
    from stages.training.interruption import Interruption

    return build_trainer(config, Checkpoints(Path("checkpoints")), Interruption())


def _recipe(config: Any, side: str) -> Any:
    from transformers import Trainer, TrainingArguments, set_seed

    from stages.modeling.batches import PaddingCollator
    from stages.modeling.label_tensors import label_tensor
    from stages.modeling.load import new_model
    from stages.modeling.padding import padding_id
    from stages.pipeline.arrow import load_splits
    from stages.pipeline.paths import BASE_TOKENIZER, BASE_WEIGHTS, TOKENIZED_DATA
    from stages.tasks.columns.names import INPUT_IDS, LABELS, label_names

    train = load_splits(TOKENIZED_DATA)["train"]
    names, padding = label_names(train.features), padding_id(BASE_TOKENIZER)
    flags: dict[str, Any] = {}
    if side == "B":
        flags = {"bf16": True, "train_sampling_strategy": "group_by_length", "logging_nan_inf_filter": False}
    set_seed(config.seed)
    return Trainer(
        model=new_model(config.task.kind, BASE_WEIGHTS, names, config.task.target, padding=padding),
        args=TrainingArguments(
            output_dir="recipe",
            per_device_train_batch_size=config.train.batch_size,
            learning_rate=config.train.learning_rate,
            weight_decay=config.train.weight_decay,
            num_train_epochs=1,
            max_steps=config.train.max_steps or -1,
            seed=config.seed,
            use_cpu=True,
            save_strategy="no",
            logging_strategy="no",
            report_to="none",
            disable_tqdm=True,
            dataloader_pin_memory=False,
            **flags,
        ),
        train_dataset=train.select_columns([INPUT_IDS, LABELS]),
        data_collator=PaddingCollator(padding, label_tensor(config.task.target, len(names))),
    )


def _timed(trainer: Any) -> list[float]:
    """The seconds of each step, without a validation at the end."""
    from transformers import TrainerCallback

    ends: list[float] = []

    class Clock(TrainerCallback):  # type: ignore[misc]
        def on_step_begin(self, *_: Any, **__: Any) -> None:
            ends.append(time.perf_counter())

        def on_step_end(self, *_: Any, **__: Any) -> None:
            ends.append(time.perf_counter())

    trainer.add_callback(Clock())
    trainer.evaluate = lambda *_, **__: {f"eval_{trainer.args.metric_for_best_model}": 0.0}
    trainer.train()
    return [after - before for before, after in zip(ends[::2], ends[1::2], strict=True)]


def _sizes(trainer: Any, steps: int) -> tuple[float, float]:
    """Sub-words a step without padding, and how many there are with it over those without; of the batches trained on."""
    masks = [batch["attention_mask"] for _, batch in zip(range(steps), trainer.get_train_dataloader(), strict=False)]
    real, padded = (sum(sizes) for sizes in zip(*((int(m.sum()), m.numel()) for m in masks), strict=True))
    return real / len(masks), padded / real


def _epoch_tokens() -> int:
    from stages.pipeline.arrow import load_split
    from stages.pipeline.paths import TOKENIZED_DATA
    from stages.tasks.columns.arrays import lengths
    from stages.tasks.columns.names import INPUT_IDS

    return int(lengths(load_split(TOKENIZED_DATA, "train"), INPUT_IDS).sum())


def _weights(model: Any) -> int:
    """Those that every sub-word is multiplied with."""
    return sum(weight.numel() for name, weight in model.named_parameters() if "embeddings" not in name)


def _rate(precision: str) -> float:
    """Floating-point operations a second of a product of 2048 x 2048 matrices."""
    import torch

    matrix = torch.randn(2048, 2048, dtype=torch.bfloat16 if precision == "bf16" else torch.float32)
    for _ in range(3):
        matrix @ matrix
    started = time.perf_counter()
    for _ in range(10):
        matrix @ matrix
    return 10 * 2 * 2048**3 / (time.perf_counter() - started)


def _predict(trainer: Any, config: Any, precision: str, *, as_the_recipe: bool) -> tuple[Any, Any]:
    """What is read off the test split's rows; the recipe takes its rows as they come, 8 at a time, as `Trainer.predict` does."""
    import torch

    from stages.modeling import prediction
    from stages.modeling.batches import PaddingCollator
    from stages.modeling.padding import padding_id
    from stages.pipeline.arrow import load_split, rows
    from stages.pipeline.paths import BASE_TOKENIZER, TOKENIZED_DATA

    split = load_split(TOKENIZED_DATA, "test")
    if as_the_recipe:
        order = torch.arange(rows(split)).numpy()
        prediction._batches = lambda _, size: (order[start : start + size] for start in range(0, len(order), size))
    collate = PaddingCollator(padding_id(BASE_TOKENIZER))
    size = 8 if as_the_recipe else config.train.evaluation_batch_size
    return prediction.predict(trainer.model, split, collate, batch_size=size, precision=precision), split


def _scores(readings: Any, split: Any, config: Any) -> dict[str, float | None]:
    from stages.tasks.columns.names import label_names
    from stages.tasks.decoding.dispatch import decoding_for

    decoding = decoding_for(config.task.kind, config.task.target, config.task.pooling)
    units = decoding.decode(split, readings)
    found = decoding.score(units, decoding.tokenized_gold(split), label_names(split.features)).headline_json()
    wanted = ("f1", "accuracy", "loss")
    return {name: round(found[name], 4) for name in wanted if found.get(name) is not None}


if __name__ == "__main__":
    main()
