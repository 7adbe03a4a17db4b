"""Peak memory of fine-tuning a decoder, in full and in less memory: `python -m benchmarks.large_models [STEPS] [--size SIZE]`.

A Llama of random parameters trains with batches of 16 rows of 256 sub-words, each way in a process of its own: on a GPU if there
is one. Prints a table: the parameters that are trained, the peak of resident or GPU memory, and the seconds of a step.
"""

import argparse
import json
import multiprocessing
import tempfile
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal, TypeAlias, TypeVar, get_args

import torch
import yaml
from pydantic import TypeAdapter
from torch.nn import Parameter
from torch.optim import AdamW, Optimizer
from transformers import LlamaConfig, LlamaForSequenceClassification, LlamaModel

from benchmarks.machine import peak_memory, wait_for
from stages.configuration.schema import TaskConfig, TrainConfig
from stages.modeling.compute import keep_freed_memory, use_threads
from stages.modeling.frozen import parameter_counts, trained_state
from stages.modeling.load import new_model
from stages.modeling.precision import device
from stages.modeling.preparation import Use, prepare
from stages.tasks.registry import task_for

Size: TypeAlias = Literal["tiny", "100M", "1.1B"]
Way: TypeAlias = Literal["in full", "in full, moments in 8 bits", "adapters, checkpointing, frozen weights in bf16"]
_Result = TypeVar("_Result")

ROOT = Path(__file__).parent.parent
ROWS, LENGTH, VOCABULARY = 16, 256, 16_000
LEAST: Way = "adapters, checkpointing, frozen weights in bf16"
WAYS: Mapping[Way, Mapping[str, Any]] = {
    "in full": {},
    "in full, moments in 8 bits": {"optimizer": "adamw_8bit"},
    LEAST: {
        "adapter": "lora", "gradient_checkpointing": True, "frozen_precision": "bf16"
    },
}  # fmt: skip
_SHAPES: Mapping[Size, Mapping[str, int]] = {
    "tiny": {"hidden_size": 32, "intermediate_size": 64, "num_hidden_layers": 2, "num_attention_heads": 2},
    "100M": {"hidden_size": 768, "intermediate_size": 2048, "num_hidden_layers": 12, "num_attention_heads": 12},
    "1.1B": {
        "hidden_size": 2048, "intermediate_size": 5632, "num_hidden_layers": 22, "num_attention_heads": 32,
        "num_key_value_heads": 4, "vocab_size": 32_000,
    },
}  # fmt: skip
"""The largest is of TinyLlama's shape."""


@dataclass(frozen=True)
class Measured:
    """What a way of training takes."""

    way: Way
    trained: int
    all: int
    peak: float
    """MB: of the GPU, or resident."""
    seconds: float
    """Of a step, the first one left out where there are more."""


def peaks(size: Size, steps: int, ways: Iterable[Way], timeout: float | None = None) -> list[Measured]:
    """Measure the ways. Raises TimeoutError if one takes longer than `timeout` seconds."""
    with tempfile.TemporaryDirectory() as name:
        _in_a_process(write_decoder, Path(name), size, timeout=timeout)
        return [_in_a_process(train, way, Path(name), steps, timeout=timeout) for way in ways]


def _in_a_process(function: Callable[..., _Result], *arguments: Any, timeout: float | None) -> _Result:
    """Call the function in a process that ends then: its memory is no part of what is measured."""
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        return pool.apply_async(function, arguments).get(timeout)


def write_decoder(folder: Path, size: Size) -> None:
    """Write a Llama with random weights in fp32."""
    torch.manual_seed(0)
    shape: dict[str, Any] = {
        "vocab_size": VOCABULARY,
        "max_position_embeddings": 512,
        "pad_token_id": 0,
        **_SHAPES[size],
    }
    with device():
        model = LlamaModel(LlamaConfig(**shape))
    model.save_pretrained(folder)


def train(way: Way, folder: Path, steps: int) -> Measured:
    """Train so many steps, and keep a copy of the trained weights as the trainer does for the best ones."""
    use_threads(2)
    keep_freed_memory()
    text = (ROOT / "conf/train/default.yaml").read_text(encoding="utf-8")
    recipe = replace(TypeAdapter(TrainConfig).validate_json(json.dumps(yaml.safe_load(text))), **WAYS[way])
    place = device()
    model = new_model(task_for(TaskConfig("text", "label", "loss", "mean")), folder, ["a", "b"], padding=0)
    assert isinstance(model, LlamaForSequenceClassification)
    torch.nn.Module.to(prepare(model, Use("training", recipe=recipe)).train(), place)
    optimizer = _optimizer(recipe, [weight for weight in model.parameters() if weight.requires_grad])
    codes, labels = torch.randint(5, VOCABULARY, (ROWS, LENGTH)).to(place), (torch.arange(ROWS) % 2).to(place)
    seconds = list[float]()
    for _ in range(steps):
        started = time.perf_counter()
        optimizer.zero_grad()
        with torch.autocast(place.type, torch.bfloat16):
            logits = model(input_ids=codes, attention_mask=torch.ones_like(codes)).logits
        torch.nn.functional.cross_entropy(logits.float(), labels).backward()
        optimizer.step()
        wait_for(place)
        seconds.append(time.perf_counter() - started)
    best = {name: tensor.to("cpu", copy=True) for name, tensor in trained_state(model).items()}
    counts, later = parameter_counts(model), seconds[1:] or seconds
    assert len(best) > 0
    return Measured(way, counts.trained, counts.all, peak_memory(place), sum(later) / len(later))


def _optimizer(recipe: TrainConfig, trained: Sequence[Parameter]) -> Optimizer:
    if recipe.optimizer == "adamw":
        return AdamW(trained, lr=1e-4, fused=True)
    from bitsandbytes.optim.adamw import AdamW8bit  # of an extra

    optimizer: Optimizer = AdamW8bit(trained, lr=1e-4)
    return optimizer


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.large_models", description=__doc__)
    parser.add_argument("steps", nargs="?", type=int, default=3)
    parser.add_argument("--size", choices=get_args(Size), default="100M")
    options = parser.parse_args()
    print(
        "| | parameters trained | of all | peak, MB | of that in full | seconds a step |\n|---|---:|---:|---:|---:|---:|"
    )
    measured = peaks(options.size, options.steps, WAYS)
    for found in measured:
        share = f"{found.trained / found.all:.2%}"
        peak = f"{found.peak:,.0f} | {found.peak / measured[0].peak:.1%}"
        print(f"| {found.way} | {found.trained:,} | {share} | {peak} | {found.seconds:.1f} |")


if __name__ == "__main__":
    main()
