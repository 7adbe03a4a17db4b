"""One list of steps prepares a model for training, prediction and export; each step says what it is proven for."""

import ast
import copy
import logging
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import pytest
import torch
from transformers import PreTrainedModel

from stages.configuration.schema import EvaluateStage, ExportStage
from stages.evaluate import evaluate
from stages.export import export
from stages.modeling.cpu.fast_dropout import FastDropout
from stages.modeling.cpu.packing import is_packed
from stages.modeling.gpu.proof import packed_if_proven
from stages.modeling.occurring_embeddings import OccurringEmbeddings
from stages.modeling.preparation import STEPS, Purpose, Step, Use, prepare, undo_for_saving
from stages.training.memory import fits_into_memory
from tests.support.imports import ROOT
from tests.support.tiny_batches import PAD, batch_of, logits_of, model_of
from tests.support.trainings import Trainings

CODES = np.array([PAD, 6, 7])
EVERY: set[Purpose] = {"training", "prediction", "onnx", "packed_onnx"}

pytestmark = pytest.mark.usefixtures("one_thread")


@contextmanager
def step_added(step: Step, place: int = 0) -> Iterator[None]:
    STEPS.insert(place, step)
    try:
        yield
    finally:
        STEPS.remove(step)


@pytest.mark.slow
def test_a_step_that_a_test_adds_is_applied_wherever_a_model_is_prepared(trainings: Trainings) -> None:
    applied, called, undone = Counter[str](), Counter[str](), list[PreTrainedModel]()

    def apply(model: PreTrainedModel, use: Use) -> None:
        applied[use.purpose] += 1
        if use.purpose in ("training", "prediction"):
            model.register_forward_hook(lambda *_: called.update([use.purpose]))

    with step_added(Step("a test's", apply, purposes=EVERY, undo=undone.append)):
        trainings.train("train.batch_size=16", "train.gradient_accumulation=auto", "train.epochs=1", "threads=1")
        assert applied == {"training": 2}, "to find the parts of a batch that fit, and to train and validate"
        assert called["training"] > 3 and len(undone) == 1
        evaluate(trainings.config_of(EvaluateStage, "threads=1"))
        assert applied == {"training": 2, "prediction": 1} and called["prediction"]
        export(trainings.config_of(ExportStage, "threads=1", "export.max_loss=1"))
    assert applied == {"training": 2, "prediction": 1, "onnx": 1, "packed_onnx": 1}


def test_nothing_else_prepares_a_model() -> None:
    """A step that a stage applied by itself would be missing where another stage prepares its model."""
    changing = {
        "add_adapters",
        "enable_gradient_checkpointing",
        "compute_head_in_fp32",
        "freeze_lowest",
        "disable_gradient_checkpointing",
        "keep_occurring",
        "merge_adapters",
        "pack_rows",
        "restore_all",
        "store_frozen_in_bf16",
        "store_in_fp32",
        "use_bf16_linear",
        "use_fast_dropout",
    }
    seen = set[str]()
    for file in sorted((ROOT / "stages").rglob("*.py")):
        imports = [node for node in ast.walk(ast.parse(file.read_text("utf-8"))) if isinstance(node, ast.ImportFrom)]
        found = changing & {alias.name for node in imports for alias in node.names}
        assert not found or file.name == "preparation.py", file
        seen |= found
    assert seen == changing


def test_steps_are_applied_in_the_order_of_the_list_and_undone_in_the_reverse_order() -> None:
    order: list[str] = []

    def noting(name: str) -> Step:
        return Step(
            name, lambda *_: order.append(name), purposes={"training"}, undo=lambda _: order.append(f"undo {name}")
        )

    model = model_of("bert", "text")
    with step_added(noting("first")), step_added(noting("last"), len(STEPS) + 1):
        assert prepare(model, Use("training", occurring=CODES)) is model
        prepare(model_of("bert", "text"), Use("prediction"))
        assert undo_for_saving(model) is model
    assert order == ["first", "last", "undo last", "undo first"]


@pytest.mark.parametrize(
    ("given", "reason"),
    [
        ({"families": ("roberta", "albert")}, "proven for roberta, albert, not for bert"),
        ({"obstacle": lambda model, _: f"{model.config.num_labels} labels"}, "3 labels"),
    ],
)
def test_a_step_leaves_what_it_is_not_proven_for_and_the_log_says_why(
    given: dict[str, Any], reason: str, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "stages")

    def refuse(*_: object) -> None:
        raise AssertionError

    with step_added(Step("a test's", refuse, purposes={"prediction"}, **given)):
        prepare(model_of("bert", "text"), Use("prediction"))
    assert f"prediction: without a test's ({reason})" in caplog.messages


def test_a_gpu_gets_none_of_what_is_for_a_cpu_and_nothing_is_said_of_it(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "stages")
    model = prepare(model_of("bert", "text", rate=0.1), Use("training", torch.device("cuda"), occurring=CODES))
    assert isinstance(model.get_input_embeddings(), OccurringEmbeddings)
    assert not is_packed(model) and not [each for each in model.modules() if isinstance(each, FastDropout)]
    assert caplog.messages == []


def test_on_a_gpu_the_trial_alone_says_that_padding_is_computed(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "stages")
    model = prepare(model_of("mpnet", "text"), Use("training", torch.device("cuda"), occurring=CODES))
    packed_if_proven(model, batch_of((5, 9)), "fp32", training=True)
    of_embeddings, of_packing = caplog.messages
    assert of_embeddings.startswith("training: without embeddings of occurring sub-words alone (proven for ")
    assert of_packing.startswith("mpnet: padding is computed on the GPU (packing is proven for albert, bert, ")


def test_a_family_that_packing_is_not_proven_for_computes_padding_and_the_log_says_so(
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.INFO, "stages")
    model = prepare(model_of("mpnet", "text", rate=0.1), Use("prediction"))
    assert not is_packed(model) and [each for each in model.modules() if isinstance(each, FastDropout)]
    (told,) = [message for message in caplog.messages if "packed rows" in message]
    assert (
        told.startswith("prediction: without bf16 linear layers, packed rows (proven for albert, bert, ")
        and "not for mpnet" in told
    )


def test_embeddings_of_a_kind_of_their_own_are_left_as_they_are(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "stages")
    model = model_of("bert", "text")
    embeddings = model.get_input_embeddings()
    embeddings.max_norm = 1.0
    assert prepare(model, Use("training", occurring=CODES)).get_input_embeddings() is embeddings
    assert "its embeddings are no plain torch.nn.Embedding" in caplog.text


def test_a_model_that_is_saved_shows_nothing_of_its_preparation() -> None:
    model = model_of("bert", "text", rate=0.1)
    expected = copy.deepcopy(model.state_dict())
    undo_for_saving(prepare(model, Use("training", occurring=CODES)))
    found = model.state_dict()
    assert found.keys() == expected.keys()
    assert all(torch.equal(weight, expected[name]) for name, weight in found.items())


def test_for_onnx_a_model_stays_as_it_is() -> None:
    model = model_of("bert", "text").eval()
    expected = logits_of(model, batch_of((5, 9)))
    assert torch.equal(logits_of(prepare(model, Use("onnx", torch.device("cpu"))), batch_of((5, 9))), expected)
    assert not any(module._forward_hooks or module._forward_pre_hooks for module in model.modules())


def test_what_fits_is_found_with_a_sub_word_that_occurs() -> None:
    model = prepare(model_of("modernbert", "text"), Use("training", occurring=CODES))
    assert fits_into_memory(model, "fp32", 7)([9, 3])
    with pytest.raises(IndexError):
        fits_into_memory(model, "fp32", 0)([9, 3])
