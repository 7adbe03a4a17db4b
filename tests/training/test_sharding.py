"""Several processes that share a model, or a batch alone, train what one process trains."""

from collections.abc import Sequence
from pathlib import Path

import pytest
from safetensors.torch import load

from stages.configuration.composition import compose_params
from stages.configuration.schema import DownloadStage, Kind, TokenizeStage, TrainStage
from stages.configuration.validation import select, validate
from stages.download import download
from stages.tokenize import tokenize
from stages.train import train
from tests.support.imports import ROOT
from tests.support.shared_trainings import Job, shared_trainings
from tests.support.tiny import write_tiny_model
from tests.support.trainings import result

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("one_thread")]

SMALL = (
    "model=files", "data.train=48", "data.validation=17", "data.test=16", "threads=1", "train.max_steps=10",
    "train.evaluate_every=4", "train.learning_rate=1e-3", "train.precision=fp32",
)  # fmt: skip
"""Processes predict different numbers of batches of the 17 rows."""
PROCESSES = ("train.processes=2",)
SHARDED = (*PROCESSES, "train.sharding=full", "train.evaluation_batch_size=2")
LORA = (
    "train.adapter=lora", "train.lora.rank=2", "train.frozen_precision=bf16", "train.gradient_checkpointing=true",
    "train.keep_adapter=true",
)  # fmt: skip
MODELS: dict[str, tuple[Kind, str]] = {
    "text": ("text", "bert"),
    "tokens": ("tokens", "bert"),
    "pooler": ("text", "big_bird"),
}
"""A kind of task and a family. BigBird's pooler is never used."""
RECIPES: dict[str, tuple[str, Sequence[str], Sequence[str]]] = {
    "text": ("text", (), SHARDED),
    "tokens": ("tokens", ("train.batch_tokens=600",), SHARDED),
    "layer decay": ("text", ("train.layer_decay=0.5", "train.gradient_accumulation=2"), SHARDED),
    "lora": ("tokens", LORA, SHARDED),
    "unused": ("pooler", (), PROCESSES),
}
"""A model, what one process does as well, and how it is shared."""
STOPPED = {"text": (), "lora": ("train.lora.dropout=0.2",)}
"""Recipes that are also stopped, with what draws random numbers in each process."""


class Made:
    """Folders that are ready to train in, and what two processes have trained there."""

    def __init__(self, root: Path) -> None:
        self._root = root
        for model, (kind, family) in MODELS.items():
            self._prepare(root / model, kind, family)
        jobs = {name: self.job(name, *shared) for name, (_, _, shared) in RECIPES.items()}
        for name, more in STOPPED.items():
            if more:
                jobs[f"{name} undisturbed"] = self.job(name, *SHARDED, *more)
            jobs[f"{name} stopped"] = self.job(name, *SHARDED, *more, stops=(3, 8))
        self.shared = shared_trainings(jobs, root / "results")

    def job(self, name: str, *overrides: str, stops: Sequence[int] = ()) -> Job:
        model, recipe, _ = RECIPES[name]
        folder, kind = self._root / model, MODELS[model][0]
        all_overrides = [f"task={kind}", f"model.path={folder / 'model'}", *SMALL, *recipe, *overrides]
        return Job(str(folder), all_overrides, stops)

    def alone(self, name: str) -> dict[str, bytes]:
        job = self.job(name)
        with pytest.MonkeyPatch.context() as patch:
            patch.chdir(job.folder)
            train(select(validate(compose_params(job.overrides), "test"), TrainStage))
            return result(Path.cwd())

    @staticmethod
    def _prepare(folder: Path, kind: Kind, family: str) -> None:
        model = write_tiny_model(folder / "model", family=family, dropout=0.0)
        for linked in ("conf", "dvc.yaml", "stages"):  # a training is named by what it depends on
            (folder / linked).symlink_to(ROOT / linked)
        params = validate(compose_params([f"task={kind}", f"model.path={model}", *SMALL]), "test")
        with pytest.MonkeyPatch.context() as patch:
            patch.chdir(folder)
            download(select(params, DownloadStage))
            tokenize(select(params, TokenizeStage))


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Made:
    return Made(tmp_path_factory.mktemp("shared"))


@pytest.mark.parametrize("name", RECIPES)
def test_two_processes_train_what_one_trains(name: str, shared: Made) -> None:
    alone, found = shared.alone(name), shared.shared[name]
    assert found.keys() == alone.keys()
    weights = [file for file in alone if file.endswith(".safetensors")]
    assert len(weights) == (2 if name == "lora" else 1)
    for file in weights:
        expected, trained = load(alone[file]), load(found[file])
        assert trained.keys() == expected.keys()
        assert max(float((trained[key] - expected[key]).abs().max()) for key in expected) < 1e-5
    for file in alone:
        if file.startswith("models/") and file not in weights:
            assert found[file] == alone[file], file


@pytest.mark.parametrize("name", STOPPED)
def test_a_stopped_training_of_a_shared_model_goes_on_to_the_same_bytes(name: str, shared: Made) -> None:
    undisturbed = shared.shared.get(f"{name} undisturbed", shared.shared[name])
    assert shared.shared[f"{name} stopped"] == undisturbed
