"""Clipping in AdamW's own pass: the weights that PyTorch's clipping gives."""

import copy

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch.optim import AdamW

from stages.modeling.cpu.gradients import clip_in_next_step, gradient_norm

pytestmark = pytest.mark.usefixtures("one_thread")


def model_with_a_layer_left_out() -> torch.nn.Module:
    torch.manual_seed(0)
    model = torch.nn.Sequential(torch.nn.Linear(30, 20), torch.nn.GELU(), torch.nn.Linear(20, 5), torch.nn.Linear(5, 5))
    model[3].requires_grad_(False)
    return model


def steps(model: torch.nn.Module, most: float | None, scales: tuple[float, ...]) -> list[float]:
    """Train with gradients of such sizes; by PyTorch's own clipping unless `most` is given. The norms before clipping."""
    optimizer, norms = AdamW(model.parameters(), lr=0.01, eps=1e-3, fused=True), []
    for number, scale in enumerate(scales):
        torch.manual_seed(number)
        model.zero_grad()
        (model(torch.randn(8, 30)).square().mean() * scale).backward()
        if most is None:
            norms.append(float(torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)))
        else:
            norms.append(float(gradient_norm(model.parameters())))
            clip_in_next_step(optimizer, torch.tensor(norms[-1]), most)
        optimizer.step()
    return norms


def test_weights_are_those_of_pytorchs_clipping_whether_it_clips_or_not() -> None:
    ours = model_with_a_layer_left_out()
    pytorchs, unclipped = copy.deepcopy(ours), copy.deepcopy(ours)
    sizes = (0.01, 50.0, 1.0, 3000.0, 0.1)
    found, expected = steps(ours, 1.0, sizes), steps(pytorchs, None, sizes)
    assert found == pytest.approx(expected, rel=1e-5)
    assert min(found) < 1 < max(found)
    steps(unclipped, 1e9, sizes)
    for weight, same, other in zip(ours.parameters(), pytorchs.parameters(), unclipped.parameters(), strict=True):
        assert torch.allclose(weight, same, rtol=1e-5, atol=1e-7)
        assert not weight.requires_grad or not torch.allclose(weight, other, rtol=1e-3)


@given(st.integers(0, 10**6), st.floats(1e-6, 1e6))
def test_the_norm_is_that_of_all_gradients_as_one_vector(seed: int, size: float) -> None:
    torch.manual_seed(seed)
    weights = [torch.zeros(shape) for shape in ((7, 33), (1,), (500,))]
    for weight in weights[:2]:
        weight.grad = torch.randn_like(weight) * size
    whole = torch.cat([weight.grad.double().flatten() for weight in weights if weight.grad is not None])
    assert float(gradient_norm(weights)) == pytest.approx(float(whole.norm()), rel=1e-5)


def test_a_gradient_that_is_no_number_makes_the_weights_none_as_pytorchs_clipping_does() -> None:
    model = model_with_a_layer_left_out()
    optimizer = AdamW(model.parameters(), fused=True)
    model(torch.full((2, 30), torch.inf)).sum().backward()
    norm = gradient_norm(model.parameters())
    clip_in_next_step(optimizer, norm, 1.0)
    optimizer.step()
    assert not norm.isfinite() and model[0].weight.isnan().all()
