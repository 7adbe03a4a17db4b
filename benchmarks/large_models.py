"""Peak memory of fine-tuning a decoder in full and by adapters: `python -m benchmarks.large_models [STEPS]`.

A Llama of about 100 M random parameters trains on a CPU with batches of 16 rows of 256 sub-words, each way in a process of its
own. Prints a table: the parameters that are trained, the peak resident memory, and the seconds of a step.
"""

import argparse
import json
import multiprocessing
import resource
import tempfile
import time
from dataclasses import dataclass, replace
from pathlib import Path

import torch
import yaml
from pydantic import TypeAdapter
from torch.optim import AdamW
from transformers import LlamaConfig, LlamaForSequenceClassification, LlamaModel

from stages.configuration.schema import TaskConfig, TrainConfig
from stages.modeling.compute import keep_freed_memory, use_threads
from stages.modeling.frozen import parameter_counts, trained_state
from stages.modeling.load import new_model
from stages.modeling.preparation import Use, prepare
from stages.tasks.registry import task_for

ROOT = Path(__file__).parent.parent
ROWS, LENGTH = 16, 256
SMALL = {"adapter": "lora", "gradient_checkpointing": True, "frozen_precision": "bf16"}
WAYS: dict[str, dict[str, object]] = {"in full": {}, "adapters, checkpointing, frozen weights in bf16": SMALL}


@dataclass(frozen=True)
class Measured:
    """What a way of training takes."""

    trained: int
    all: int
    peak: int
    """Bytes of resident memory."""
    seconds: float
    """Of a step, the first one left out where there are more."""


def write_decoder(folder: Path) -> None:
    """Write a Llama with random weights in fp32: 12 layers, 768 wide, a vocabulary of 16,000."""
    torch.manual_seed(0)
    config = LlamaConfig(
        vocab_size=16_000,
        hidden_size=768,
        intermediate_size=2048,
        num_hidden_layers=12,
        num_attention_heads=12,
        num_key_value_heads=12,
        max_position_embeddings=512,
        pad_token_id=0,
    )
    LlamaModel(config).save_pretrained(folder)


def train(recipe: TrainConfig, folder: Path, steps: int) -> Measured:
    """Train so many steps, and keep a copy of the trained weights as the trainer does for the best ones."""
    use_threads(2)
    keep_freed_memory()
    model = new_model(task_for(TaskConfig("text", "label", "loss", "mean")), folder, ["a", "b"], padding=0)
    assert isinstance(model, LlamaForSequenceClassification)
    prepare(model, Use("training", recipe=recipe)).train()
    optimizer = AdamW([weight for weight in model.parameters() if weight.requires_grad], lr=1e-4, fused=True)
    codes, labels = torch.randint(5, 16_000, (ROWS, LENGTH)), torch.arange(ROWS) % 2
    seconds = list[float]()
    for _ in range(steps):
        started = time.perf_counter()
        optimizer.zero_grad()
        with torch.autocast("cpu", torch.bfloat16):
            logits = model(input_ids=codes, attention_mask=torch.ones_like(codes)).logits
        torch.nn.functional.cross_entropy(logits.float(), labels).backward()
        optimizer.step()
        seconds.append(time.perf_counter() - started)
    best = {name: tensor.clone() for name, tensor in trained_state(model).items()}
    counts, later = parameter_counts(model), seconds[1:] or seconds
    assert len(best) > 0
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    return Measured(counts.trained, counts.all, peak, sum(later) / len(later))


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.large_models", description=__doc__)
    parser.add_argument("steps", nargs="?", type=int, default=3)
    steps = parser.parse_args().steps
    text = (ROOT / "conf/train/default.yaml").read_text(encoding="utf-8")
    recipe = TypeAdapter(TrainConfig).validate_json(json.dumps(yaml.safe_load(text)))
    with tempfile.TemporaryDirectory() as name:
        with multiprocessing.get_context("spawn").Pool(1) as pool:  # its memory is no part of what is measured
            pool.apply(write_decoder, (Path(name),))
        print("| | parameters trained | of all | peak, MB | seconds a step |\n|---|---:|---:|---:|---:|")
        peaks = list[int]()
        for way, changed in WAYS.items():
            with multiprocessing.get_context("spawn").Pool(1) as pool:
                found = pool.apply(train, (replace(recipe, **changed), Path(name), steps))  # type: ignore[arg-type]
            peaks.append(found.peak)
            share = f"{found.trained / found.all:.2%}"
            print(
                f"| {way} | {found.trained:,} | {share} | {found.peak / 1e6:,.0f} | {found.seconds:.1f} |", flush=True
            )
    print(f"\npeak of adapters: {peaks[1] / peaks[0]:.1%} of that in full")


if __name__ == "__main__":
    main()
