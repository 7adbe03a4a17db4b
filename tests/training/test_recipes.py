"""Recipes that train a part of a model: the same bytes twice and after a stop, small checkpoints, faults told at once."""

import json
import signal
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from stages.pipeline.errors import ConfigError, ModelError, UserError
from stages.training import applicable
from tests.support.tiny import write_tiny_model
from tests.support.trainings import FREQUENT, Trainings, signal_at

LORA = (
    "train.adapter=lora",
    "train.lora.rank=2",
    "train.lora.dropout=0.1",
    "train.max_steps=14",
    "train.evaluate_every=4",
)
ALL = (
    *LORA, "train.keep_adapter=true", "train.freeze=1", "train.frozen_precision=bf16", "train.layer_decay=0.8",
    "train.gradient_checkpointing=true", "train.gradient_accumulation=2", "train.optimizer=adamw_8bit",
)  # fmt: skip
IN_8_BITS = ("train.optimizer=adamw_8bit", "train.max_steps=14", "train.evaluate_every=4")
FREEZE = ("train.freeze=1", "train.max_steps=6")

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("one_thread")]


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Trainings:
    """A model of which adapters and head are a small part, as they are of a real one."""
    folder = tmp_path_factory.mktemp("recipes")
    return Trainings(folder, "task=tokens", "threads=1", f"model.path={write_tiny_model(folder / 'wide', width=128)}")


@pytest.mark.parametrize(
    ("recipe", "stops"), [(LORA, [5]), (IN_8_BITS, [5]), (ALL, [2, 5, 7])], ids=["lora", "8bit", "all"]
)
def test_a_stopped_training_goes_on_to_the_same_bytes(
    recipe: tuple[str, ...], stops: list[int], trainings: Trainings
) -> None:
    undisturbed = trainings.undisturbed(*recipe)
    for step in stops:
        with pytest.MonkeyPatch.context() as patch:
            signal_at(patch, step)
            with pytest.raises(SystemExit) as stopped:
                trainings.train(*recipe)
        assert stopped.value.code == 128 + signal.SIGTERM
    trainings.train(*recipe)
    assert trainings.result() == undisturbed
    assert {Path(name).name for name in undisturbed if "adapter/" in name} == (
        {"adapter_config.json", "adapter_model.safetensors"} if recipe is ALL else set()
    )


def test_another_process_gives_the_same_bytes(trainings: Trainings) -> None:
    """peft holds names in sets, whose order differs from process to process."""
    undisturbed = trainings.undisturbed(*ALL)
    trainings.workspace.python("stages.train", *ALL, PYTHONHASHSEED="7", **FREQUENT)
    assert trainings.result() == undisturbed


def test_a_checkpoint_of_adapters_is_a_fraction_of_a_full_one(
    trainings: Trainings, monkeypatch: pytest.MonkeyPatch
) -> None:
    sizes = []
    for recipe in ((), ("train.adapter=lora", "train.lora.rank=2")):
        with monkeypatch.context() as patch:
            signal_at(patch, 6)
            with pytest.raises(SystemExit):
                trainings.train(*recipe, "train.evaluate_every=4")
        (checkpoint,) = trainings.checkpoints()
        sizes.append(sum(file.stat().st_size for file in checkpoint.iterdir()))
        trainings.forget()
    assert sizes[1] <= 0.1 * sizes[0]


def test_moments_in_8_bits_are_small(trainings: Trainings, monkeypatch: pytest.MonkeyPatch) -> None:
    sizes = []
    for optimizer in ("adamw", "adamw_8bit"):
        with monkeypatch.context() as patch:
            signal_at(patch, 3)
            with pytest.raises(SystemExit):
                trainings.train(f"train.optimizer={optimizer}", "train.max_steps=6")
        (checkpoint,) = trainings.checkpoints()
        sizes.append((checkpoint / "optimizer.pt").stat().st_size)
        trainings.forget()
    assert sizes[1] < 0.4 * sizes[0], "a quarter, and 32 bits for embeddings and small tensors"


def test_frozen_weights_are_the_base_models_to_the_bit(trainings: Trainings) -> None:
    trainings.train(*FREEZE)
    base = load_file(trainings.root / "models/base/weights/model.safetensors")
    trained = load_file(trainings.root / "models/trained/model.safetensors")
    for name, weight in base.items():
        if "pooler" in name:
            continue
        is_frozen = "embeddings." in name or "layer.0." in name
        assert torch.equal(trained[f"bert.{name}"], weight) == is_frozen, name


def test_how_much_is_trained_is_told_and_recorded(trainings: Trainings, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO", "stages")
    trainings.train(*LORA)
    summary = trainings.workspace.metrics("train")
    trained = load_file(trainings.root / "models/trained/model.safetensors")
    adapters = 2 * (4 * 2 * (128 + 128) + 2 * 2 * (128 + 64))
    head = sum(tensor.numel() for name, tensor in trained.items() if name.startswith("classifier"))
    assert summary["trained_parameters"] == adapters + head
    assert summary["parameters"] == adapters + sum(tensor.numel() for tensor in trained.values())
    told = f"trained: {summary['trained_parameters']} of {summary['parameters']} parameters"
    assert told in caplog.messages
    assert summary["trained_parameters"] < 0.05 * summary["parameters"]


def test_layers_learn_at_their_rates_and_the_log_shows_the_heads(
    trainings: Trainings, monkeypatch: pytest.MonkeyPatch
) -> None:
    recipe = ("train.layer_decay=0.5", "train.schedule=constant", "train.learning_rate=1e-3", "train.evaluate_every=2")
    with monkeypatch.context() as patch:
        signal_at(patch, 3)
        with pytest.raises(SystemExit):
            trainings.train(*recipe)
    checkpoint = trainings.checkpoints()[-1]
    groups = torch.load(checkpoint / "optimizer.pt", weights_only=True)["param_groups"]
    assert sorted({group["lr"] for group in groups}) == [1e-3 / 8, 1e-3 / 4, 1e-3 / 2, 1e-3]
    logged = json.loads((checkpoint / "trainer_state.json").read_text())["log_history"][0]
    assert logged["learning_rate"] == 1e-3
    trainings.forget()


@pytest.mark.parametrize(
    ("recipe", "error", "told"),
    [
        (
            ["train.adapter=lora", "train.lora.targets=[q_proj]"],
            ModelError,
            "train.lora.targets has q_proj, which matches no",
        ),
        (["train.adapter=lora", "train.lora.rank=129"], ModelError, "train.lora.rank=129 is larger than bert."),
        (["train.adapter=lora", "train.freeze=2"], ModelError, "train.freeze=2 leaves no layer of bert's 2"),
        (["train.freeze=3"], ModelError, "train.freeze=3 is more than the 2 layers of bert; lower it"),
        (["train.optimizer=adamw_8bit"], ConfigError, "train.optimizer=adamw_8bit needs bitsandbytes; install it"),
        (["train.adapter=lora"], ConfigError, "train.adapter=lora needs peft; install it"),
    ],
)
def test_what_can_not_be_is_told_before_weights_are_read(
    recipe: list[str], error: type[UserError], told: str, trainings: Trainings, monkeypatch: pytest.MonkeyPatch
) -> None:
    if error is ConfigError:
        monkeypatch.setattr(applicable, "find_spec", lambda package: None)
    weights = trainings.root / "models/base/weights/model.safetensors"
    weights.rename(weights.with_suffix(".away"))
    try:
        with pytest.raises(error) as caught:
            trainings.train(*recipe)
    finally:
        weights.with_suffix(".away").rename(weights)
    assert told in str(caught.value) and "\n" not in str(caught.value)
