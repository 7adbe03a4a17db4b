"""Compiled layers, as far as a CPU can tell: backends that a test brings take the compiler's place."""

from collections.abc import Iterator, Sequence
from typing import Any

import pytest
import torch
from transformers import PreTrainedModel

from benchmarks.row_kernels import of_kernel, reference
from stages.modeling.gpu.compiling import FEWEST_STEPS, compiled_if_proven, use_compilation
from stages.modeling.gpu.packing import pack_rows_on_gpu
from tests.support.tiny_batches import batch_of, logits_of, model_of

LENGTHS = (7, 3, 20, 20, 50, 4, 1)

pytestmark = pytest.mark.usefixtures("one_thread")


@pytest.fixture(autouse=True)
def anew() -> Iterator[None]:
    torch._dynamo.reset()
    yield
    torch._dynamo.reset()


def packed_model_of(family: str, kind: str, layers: int = 1) -> PreTrainedModel:
    model = model_of(family, kind, rate=0.1, layers=layers)
    pack_rows_on_gpu(model, of_kernel(reference))
    return model


def is_compiled(model: PreTrainedModel) -> bool:
    return any("forward" in module.__dict__ for module in model.modules())


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
def test_compiled_layers_give_the_same_and_new_lengths_compile_nothing() -> None:
    """A layer of all sub-words, and a text classifier's last one. `make check-gpu` compiles layers with windows."""
    graphs: list[torch.fx.GraphModule] = []

    def backend(graph: torch.fx.GraphModule, _: Sequence[Any]) -> Any:
        graphs.append(graph)
        return graph

    model, batch = packed_model_of("bert", "text", layers=2), batch_of(LENGTHS)
    state, expected = torch.get_rng_state(), logits_of(model.eval(), batch)
    model.train()
    assert compiled_if_proven(model, batch, "fp32", backend=backend) == "compiled"
    assert is_compiled(model) and model.training and torch.equal(torch.get_rng_state(), state)
    assert all(weight.grad is None for weight in model.parameters())
    count = len(graphs)
    assert count >= 3, "there is something to compile in each mode"
    for lengths in (LENGTHS, (9, 5, 7, 60), (33, 2, 61, 8)):
        logits_of(model, batch_of(lengths)).sum().backward()
    assert torch.allclose(logits_of(model.eval(), batch), expected, atol=1e-5)
    assert len(graphs) == count


@pytest.mark.filterwarnings("ignore")
def test_a_compiler_that_computes_something_else_is_found() -> None:
    def wrong(graph: torch.fx.GraphModule, _: Sequence[Any]) -> Any:
        return lambda *inputs: tuple(
            1.1 * each if torch.is_tensor(each) and each.is_floating_point() else each for each in graph(*inputs)
        )

    model, batch = packed_model_of("bert", "tokens"), batch_of(LENGTHS)
    expected = logits_of(model.eval(), batch)
    told = compiled_if_proven(model, batch, "fp32", backend=wrong)
    assert told.startswith("not compiled: ") and "differs from that of fp32" in told
    assert not is_compiled(model) and torch.equal(logits_of(model, batch), expected)


@pytest.mark.filterwarnings("ignore")
def test_a_compiler_that_fails_leaves_the_layers_as_they_are() -> None:
    def failing(*_: Any) -> Any:
        raise RuntimeError("no Triton")

    model, batch = packed_model_of("bert", "text"), batch_of(LENGTHS)
    expected = logits_of(model.eval(), batch)
    assert "no Triton" in compiled_if_proven(model, batch, "fp32", backend=failing)
    assert not is_compiled(model) and torch.equal(logits_of(model, batch), expected)
    assert compiled_if_proven(packed_model_of("albert", "text"), batch, "fp32", backend=failing).endswith(
        "the family's code does not mark its layers"
    )


def test_it_is_said_why_nothing_is_compiled(monkeypatch: pytest.MonkeyPatch) -> None:
    def found(**changed: Any) -> str | None:
        usual: dict[str, Any] = {"wanted": "auto", "packing": "packed (flash)", "steps": FEWEST_STEPS}
        return use_compilation(model_of("bert", "text"), lambda: {}, "fp32", **{**usual, **changed})

    assert found(packing=None) is None, "on a CPU nothing is recorded"
    assert found(wanted="off") == "not compiled: train.compile=off"
    assert found(packing="padded: no kernel") == "not compiled: padding is computed"
    assert found(steps=FEWEST_STEPS - 1) == f"not compiled: {FEWEST_STEPS - 1} steps are too few to be worth it"
    monkeypatch.setenv("WORLD_SIZE", "2")
    assert found() == "not compiled: compiling has not been tried with several processes"
