"""Training as the stage does it: the recipe, the best checkpoint, several processes, faults."""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from stages.configuration.composition import compose_params
from stages.configuration.schema import TrainStage
from stages.configuration.validation import select, validate
from stages.modeling.cpu.gradients import clip_in_next_step
from stages.train import train
from stages.training.batching import Batch
from stages.training.trainer import ValidatingTrainer
from tests.support.imports import ROOT
from tests.support.tiny import write_tiny_model
from tests.support.workspace import Workspace

pytestmark = pytest.mark.slow

SMALL = [
    "model=files", "data.train=48", "data.validation=16", "data.test=16", "threads=1",
    "train.epochs=2", "train.learning_rate=1e-3", "train.precision=fp32",
]  # fmt: skip


@pytest.fixture(scope="module")
def tokenized(tmp_path_factory: pytest.TempPathFactory) -> Workspace:
    """A workspace with tokenized data and a model without dropout, ready to train."""
    folder = tmp_path_factory.mktemp("training")
    model = write_tiny_model(folder / "model", dropout=0.0)
    workspace = Workspace(folder / "clone")
    workspace.python("stages.configuration.compose", *SMALL, f"model.path={model}")
    workspace.python("stages.download")
    workspace.python("stages.tokenize")
    return workspace


@pytest.fixture(autouse=True)
def in_workspace(tokenized: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tokenized.root)


def train_here(workspace: Workspace, *overrides: str) -> None:
    """Run the stage in this process, which has paid for importing the Trainer already."""
    params = compose_params([*SMALL, f"model.path={workspace.root}", *overrides])
    train(select(validate(params, "test"), TrainStage))


def trained_weights(workspace: Workspace, *overrides: str) -> dict[str, torch.Tensor]:
    train_here(workspace, *overrides)
    return load_file(workspace.root / "models/trained/model.safetensors")


def largest_difference(first: dict[str, torch.Tensor], second: dict[str, torch.Tensor]) -> float:
    assert first.keys() == second.keys()
    return max(float((first[name] - second[name]).abs().max()) for name in first)


def test_sharing_a_batch_changes_nothing_but_rounding(tokenized: Workspace) -> None:
    exact = "train.precision=fp32"  # bf16 rounds more than sharing does
    alone = trained_weights(tokenized, exact)
    steps = tokenized.metrics("train")["steps"]
    accumulated = trained_weights(tokenized, exact, "train.gradient_accumulation=4")
    assert tokenized.metrics("train")["steps"] == steps
    assert largest_difference(alone, accumulated) < 1e-4
    tokenized.python("stages.train", exact, "train.processes=2")
    shared = load_file(tokenized.root / "models/trained/model.safetensors")
    assert tokenized.metrics("train")["steps"] == steps
    assert largest_difference(alone, shared) < 1e-4
    other_seed = trained_weights(tokenized, exact, "seed=7")
    assert largest_difference(alone, other_seed) > 1e-3  # the comparison can fail


def test_gradients_are_clipped_as_the_trainer_itself_does(
    tokenized: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Which it would go on doing, slower, if a release of transformers no longer called the method that is overridden."""
    steps: list[float] = []

    def clip(optimizer: torch.optim.AdamW, norm: torch.Tensor, most: float) -> None:
        steps.append(float(norm))
        clip_in_next_step(optimizer, norm, most)

    monkeypatch.setattr("stages.training.trainer.clip_in_next_step", clip)
    ours = trained_weights(tokenized, "train.max_grad_norm=0.3")
    assert len(steps) == tokenized.metrics("train")["steps"] and min(steps) < 0.3 < max(steps)
    monkeypatch.delattr(ValidatingTrainer, "_clip_grad_norm")
    assert largest_difference(ours, trained_weights(tokenized, "train.max_grad_norm=0.3")) < 1e-5


def test_sharing_a_batch_of_sub_words_changes_nothing_but_rounding(tokenized: Workspace) -> None:
    recipe = ("train.batch_tokens=600", "train.gradient_accumulation=1")
    alone = trained_weights(tokenized, *recipe)
    steps = tokenized.metrics("train")["steps"]
    accumulated = trained_weights(tokenized, "train.batch_tokens=600", "train.gradient_accumulation=3")
    assert tokenized.metrics("train")["steps"] == steps
    assert largest_difference(alone, accumulated) < 1e-4
    tokenized.python("stages.train", *recipe, "train.processes=2")
    shared = load_file(tokenized.root / "models/trained/model.safetensors")
    assert tokenized.metrics("train")["steps"] == steps
    assert largest_difference(alone, shared) < 1e-4
    assert largest_difference(alone, trained_weights(tokenized)) > 1e-4  # the comparison can fail


def test_an_epoch_of_sub_word_batches_has_each_row_once(tokenized: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: dict[int, list[int]] = {}
    sub_words: dict[int, int] = {}
    compute = ValidatingTrainer.training_step

    def noted(self: ValidatingTrainer, model: torch.nn.Module, inputs: Batch, *rest: object) -> torch.Tensor:
        seen.setdefault(self.state.global_step, []).extend(inputs["example"])
        sub_words[self.state.global_step] = sub_words.get(self.state.global_step, 0) + int(
            inputs["attention_mask"].sum()
        )
        return compute(self, model, inputs, *rest)

    monkeypatch.setattr(ValidatingTrainer, "training_step", noted)
    train_here(tokenized, "train.batch_tokens=600", "train.gradient_accumulation=2", "train.epochs=3")
    summary = tokenized.metrics("train")
    epoch = summary["steps"] // 3
    assert (
        summary["epochs"] == 3 and len(seen) == summary["steps"] and summary["batch_size"] == pytest.approx(48 / epoch)
    )
    orders = [
        [row for step in range(number * epoch, (number + 1) * epoch) for row in seen[step]] for number in range(3)
    ]
    assert all(sorted(order) == list(range(48)) for order in orders)
    assert orders[0] != orders[1] != orders[2]
    assert max(sub_words.values()) <= 600


def test_the_best_checkpoint_on_validation_is_the_result(tokenized: Workspace) -> None:
    train_here(tokenized, "train.epochs=6", "task.metric=loss", "train.learning_rate=3e-2")
    summary = tokenized.metrics("train")
    curve = (tokenized.root / "metrics/plots/curves/plots/metrics/validation/loss.tsv").read_text().split()[2:]
    losses = {float(step): float(loss) for step, loss in zip(curve[::2], curve[1::2], strict=True)}
    best_epoch = min(losses, key=lambda epoch: losses[epoch])
    assert len(losses) == 6
    assert summary["best_step"] == best_epoch * summary["steps"] / 6
    assert summary["validation"]["loss"] == pytest.approx(losses[best_epoch], abs=1e-5)


def test_losses_between_validations_are_logged_and_change_nothing_else(tokenized: Workspace) -> None:
    """An epoch has 3 steps: what is logged of its parts averages to what is logged of the whole."""

    def losses(every: str) -> list[tuple[float, float]]:
        train_here(tokenized, f"train.log_every={every}")
        file = tokenized.root / "metrics/plots/curves/plots/metrics/train/loss.tsv"
        numbers = list(map(float, file.read_text().split()[2:]))
        return list(zip(numbers[::2], numbers[1::2], strict=True))

    whole = losses("null")
    weights = (tokenized.root / "models/trained/model.safetensors").read_bytes()
    parts = losses("2")
    assert (tokenized.root / "models/trained/model.safetensors").read_bytes() == weights
    assert [epoch for epoch, _ in whole] == [1, 2]
    assert [epoch for epoch, _ in parts] == pytest.approx([2 / 3, 1, 4 / 3, 2], abs=1e-5)
    first, rest, shared, last = (loss for _, loss in parts)
    assert [(2 * first + rest) / 3, (shared + 2 * last) / 3] == pytest.approx([loss for _, loss in whole], abs=1e-6)


def test_early_stopping_ends_a_training_that_no_longer_improves(tokenized: Workspace) -> None:
    tokenized.python(
        "stages.train", "train.epochs=40", "task.metric=loss", "train.learning_rate=5e-2", "train.early_stopping=1"
    )
    assert tokenized.metrics("train")["epochs"] < 40


def test_settings_of_the_recipe_take_effect(tokenized: Workspace) -> None:
    plain = trained_weights(tokenized, "train.max_steps=3")
    assert tokenized.metrics("train")["steps"] == 3
    for override in ("train.label_smoothing=0.2", "train.class_weights=balanced", "train.schedule=constant",
                     "train.warmup=0.5", "train.weight_decay=0.9", "train.max_grad_norm=0.01"):  # fmt: skip
        assert largest_difference(plain, trained_weights(tokenized, "train.max_steps=3", override)) > 1e-6, override


def test_a_loss_that_is_no_number_stops_the_training_and_writes_no_model(tokenized: Workspace) -> None:
    trained_weights(tokenized)
    weights = tokenized.root / "models/trained/model.safetensors"
    before = weights.read_bytes()
    failed = tokenized.run("python", "-m", "stages.train", "train.learning_rate=1e30", "train.max_grad_norm=1e30")
    assert failed.returncode == 1
    assert "error: train:" in failed.stderr and "lower train.learning_rate" in failed.stderr
    assert "Traceback" not in failed.stderr
    assert weights.read_bytes() == before


def test_the_result_holds_no_pickle_no_checkpoints_and_no_times(tokenized: Workspace) -> None:
    train_here(tokenized)
    files = {file.name for file in (tokenized.root / "models/trained").iterdir()}
    tokenizer = {"tokenizer.json", "tokenizer_config.json"}
    assert files == {"config.json", "model.safetensors", "batch_format.json", *tokenizer}
    assert not (tokenized.root / ".checkpoints").exists()
    summary = json.loads((tokenized.root / "metrics/train.json").read_text())
    assert set(summary) == {
        "validation", "best_step", "steps", "epochs", "rows", "batch_size", "gradient_accumulation",
        "parameters", "trained_parameters",
    }  # fmt: skip


@pytest.mark.parametrize("block", ["pass", "sys.exit(3)"])
@pytest.mark.parametrize("processes", ["1", "2"])
def test_one_of_several_processes_ends_without_the_interpreters_teardown(processes: str, block: str) -> None:
    script = "import atexit, os, sys; from stages.training.processes import ending_at_once\n"
    script += f"atexit.register(os.abort)\nwith ending_at_once():\n    print('said', end=''); {block}"
    environment = {**os.environ, "WORLD_SIZE": processes}
    done = subprocess.run([sys.executable, "-c", script], cwd=ROOT, env=environment, capture_output=True, check=False)
    ended = 3 if "exit" in block else 0
    assert done.returncode == (ended if processes == "2" else -signal.SIGABRT)
    assert processes == "1" or done.stdout == b"said"


def test_a_batch_that_processes_cannot_share_evenly_is_refused(tokenized: Workspace) -> None:
    failed = tokenized.run("python", "-m", "stages.train", "train.batch_size=3", "train.processes=2")
    assert failed.returncode == 1
    assert "train.batch_size=3 is not divisible" in failed.stderr


def test_tokens_train_too(tokenized: Workspace, tmp_path: Path) -> None:
    workspace = Workspace(tmp_path / "tokens")
    model = write_tiny_model(tmp_path / "model")
    workspace.python("stages.configuration.compose", *SMALL, f"model.path={model}", "task=tokens")
    for stage in ("download", "tokenize", "train"):
        workspace.python(f"stages.{stage}", **({"OMP_NUM_THREADS": "2"}))
    assert set(workspace.metrics("train")["validation"]) == {"accuracy", "precision", "recall", "f1", "loss"}
