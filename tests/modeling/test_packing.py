"""Rows packed without padding: the logits and gradients of the padded batch, in every family.

Packing that lets rows see each other raises no error: only the logits tell.
"""

from collections.abc import Sequence
from itertools import combinations, pairwise
from pathlib import Path

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from transformers import (
    PreTrainedModel,
)

from stages.modeling.cpu import padded_layout
from stages.modeling.cpu.bf16_linear import use_bf16_linear
from stages.modeling.cpu.fast_dropout import FastDropout, dropout, use_fast_dropout
from stages.modeling.cpu.packed_rows import PackedRows
from stages.modeling.cpu.packing import PACKED_FAMILIES, is_packed, pack_rows
from stages.modeling.cpu.padded_layout import group_bounds
from stages.modeling.preparation import Use, prepare
from tests.support.tiny_batches import HEADS, batch_of, logits_of, model_of

LENGTHS = (7, 3, 20, 20, 100, 4, 1)

pytestmark = pytest.mark.usefixtures("one_thread")


def flat(model: PreTrainedModel) -> PreTrainedModel:
    """The model with weights as small as a real one's: with steep scores any rounding error grows."""
    with torch.no_grad():
        for weight in model.parameters():
            weight.div_(8 if weight.dim() > 1 else 1)
    return model


def logits_and_gradients(
    model: PreTrainedModel, batch: dict[str, torch.Tensor]
) -> tuple[torch.Tensor, dict[str, torch.Tensor]]:
    model.zero_grad()
    logits = logits_of(model, batch)
    torch.nn.functional.cross_entropy(logits, torch.arange(len(logits)) % 3).backward()
    gradients = {name: weight.grad for name, weight in model.named_parameters() if weight.grad is not None}
    return logits.detach(), gradients


@pytest.mark.parametrize("lengths", [LENGTHS, (5, 5, 5), (9,), (5, 27)], ids=str)
@pytest.mark.parametrize("kind", HEADS)
@pytest.mark.parametrize("family", PACKED_FAMILIES)
def test_packed_logits_and_gradients_are_those_of_the_padded_batch(
    family: str, kind: str, lengths: Sequence[int]
) -> None:
    model, batch = model_of(family, kind), batch_of(lengths)
    expected, gradients = logits_and_gradients(model, batch)
    assert is_packed(pack_rows(model))
    found, of_packed = logits_and_gradients(model, batch)
    assert found.std() > 0.01
    assert torch.allclose(found, expected, rtol=1e-4, atol=1e-4 * float(expected.abs().max()))
    with torch.no_grad():
        assert torch.allclose(logits_of(model, batch), found, rtol=1e-4, atol=1e-4 * float(expected.abs().max()))
    largest = max(float(each.abs().max()) for each in gradients.values())
    assert of_packed.keys() == gradients.keys()
    for name, gradient in gradients.items():
        assert torch.allclose(of_packed[name], gradient, rtol=1e-3, atol=1e-5 * largest), name


@pytest.mark.parametrize("scores", [1, 500, 30_000])
@pytest.mark.parametrize(("family", "kind"), [("bert", "text"), ("bert", "tokens"), ("modernbert", "tokens")])
def test_it_is_the_same_however_many_heads_and_rows_are_attended_to_at_once(
    family: str, kind: str, scores: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """1: a head at a time; 500: both heads of short rows, one of long ones; 30,000: several rows, and two heads of 100."""
    model, batch = model_of(family, kind), batch_of(LENGTHS)
    expected, gradients = logits_and_gradients(model, batch)
    assert is_packed(pack_rows(model))
    monkeypatch.setattr(padded_layout, "_MAX_SCORES", scores)
    found, of_packed = logits_and_gradients(model, batch)
    assert torch.allclose(found, expected, rtol=1e-4, atol=1e-4 * float(expected.abs().max()))
    largest = max(float(each.abs().max()) for each in gradients.values())
    assert all(
        torch.allclose(of_packed[name], each, rtol=1e-3, atol=1e-5 * largest) for name, each in gradients.items()
    )


@pytest.mark.parametrize("kind", HEADS)
@pytest.mark.parametrize("family", PACKED_FAMILIES)
def test_in_bf16_it_is_as_near_to_fp32_as_a_padded_batch_is(family: str, kind: str) -> None:
    def error() -> float:
        with torch.autocast("cpu", torch.bfloat16):
            _, found = logits_and_gradients(model, batch)
        return float((whole(found) - expected).norm() / expected.norm())

    def whole(gradients: dict[str, torch.Tensor]) -> torch.Tensor:
        return torch.cat([each.flatten() for each in gradients.values()])

    model, batch = flat(model_of(family, kind)), batch_of(LENGTHS)
    expected = whole(logits_and_gradients(model, batch)[1])
    padded = error()
    use_bf16_linear(model.base_model)
    assert is_packed(pack_rows(model))
    assert error() <= 1.2 * padded < 0.05


@pytest.mark.parametrize("family", ["bert", "modernbert"])
def test_without_a_mask_nothing_is_padding(family: str) -> None:
    model, batch = model_of(family, "tokens").eval(), batch_of((6, 6))
    expected = model(input_ids=batch["input_ids"]).logits
    assert is_packed(pack_rows(model))
    assert torch.allclose(model(input_ids=batch["input_ids"]).logits, expected, atol=1e-3)


@pytest.mark.parametrize("has_gradient", [False, True], ids=["predicted", "trained"])
@pytest.mark.parametrize("family", ["bert", "modernbert"])
def test_a_row_sees_no_other_row(family: str, has_gradient: bool) -> None:
    model, batch = model_of(family, "tokens").eval(), batch_of((4, 9, 9, 12))
    assert is_packed(pack_rows(model))
    with torch.set_grad_enabled(has_gradient):
        before = logits_of(model, batch)
        batch["input_ids"][2] = batch["input_ids"][2].flip(0)
        after = logits_of(model, batch)
    rows = zip(before.split((4, 9, 9, 12)), after.split((4, 9, 9, 12)), strict=True)
    assert [bool(torch.equal(*each)) for each in rows] == [True, True, False, True]


@pytest.mark.parametrize("has_gradient", [False, True], ids=["predicted", "trained"])
@pytest.mark.parametrize("is_bf16", [False, True], ids=["fp32", "bf16"])
@pytest.mark.parametrize("kind", HEADS)
@pytest.mark.parametrize("family", PACKED_FAMILIES)
def test_the_last_layer_of_a_text_computes_what_the_head_reads(
    family: str, kind: str, is_bf16: bool, has_gradient: bool
) -> None:
    model, batch = model_of(family, kind).eval(), batch_of((9, 40, 9, 3, 77))
    model = flat(model) if is_bf16 else model
    padded = logits_of(model, batch).detach()
    use_bf16_linear(model.base_model)
    assert is_packed(pack_rows(model))
    sizes: list[int] = []
    for norm in (each for each in model.base_model.modules() if isinstance(each, torch.nn.LayerNorm)):
        norm.register_forward_hook(lambda _, __, states: sizes.append(states.flatten(0, -2).shape[0]))
    with torch.autocast("cpu", torch.bfloat16, enabled=is_bf16), torch.set_grad_enabled(has_gradient):
        found = logits_of(model, batch).detach().float()
    assert (sizes.pop() < 138) == (kind == "text" and family not in {"albert", "modernbert"})
    assert (found - padded).abs().max() < (0.1 if is_bf16 else 1e-5) * padded.std(dim=0).mean()


@pytest.mark.parametrize("kind", HEADS)
@pytest.mark.parametrize("family", ["bert", "distilbert"])
def test_with_dropout_the_gradient_is_that_of_the_numbers_drawn(family: str, kind: str) -> None:
    """Along a random direction, against the difference of two losses."""

    def loss(step: float) -> torch.Tensor:
        torch.manual_seed(5)  # the same draws each time
        moved = {name: weight + step * direction[name] for name, weight in weights.items()}
        logits = torch.func.functional_call(model, moved, kwargs=batch).logits
        return (logits * mask).square().mean() if kind == "tokens" else logits.square().mean()

    model, batch = pack_rows(model_of(family, kind, rate=0.3).double()), batch_of((5, 9, 9, 30))
    use_fast_dropout(model)
    mask = batch["attention_mask"][..., None]
    weights = dict(model.named_parameters())
    direction = {name: torch.randn_like(weight) for name, weight in weights.items()}
    loss(0.0).backward()
    along = sum(
        float((weight.grad * direction[name]).sum()) for name, weight in weights.items() if weight.grad is not None
    )
    with torch.no_grad():
        assert along == pytest.approx(float(loss(1e-6) - loss(-1e-6)) / 2e-6, rel=1e-5)


@pytest.mark.parametrize("kind", HEADS)
@pytest.mark.parametrize("family", PACKED_FAMILIES)
def test_a_row_without_sub_words_disturbs_no_other_row(family: str, kind: str) -> None:
    model, batch = model_of(family, kind), batch_of((7, 0, 3, 0))
    assert is_packed(pack_rows(model))
    found, gradients = logits_and_gradients(model, batch)
    assert found.isfinite().all() and all(each.isfinite().all() for each in gradients.values())
    others = logits_of(model, {name: each[[0, 2]] for name, each in batch.items()}).detach()
    assert torch.allclose(found[[0, 2]] if kind == "text" else found, others, atol=1e-5 * float(others.abs().max()))


def test_a_packed_model_is_saved_as_it_was(tmp_path: Path) -> None:
    model = model_of("bert", "text", rate=0.1)
    model.save_pretrained(tmp_path / "padded")
    assert prepare(model, Use("prediction")) is model
    model.save_pretrained(tmp_path / "packed")
    for name in ("config.json", "model.safetensors"):
        assert (tmp_path / "packed" / name).read_bytes() == (tmp_path / "padded" / name).read_bytes()


def test_families_that_are_not_known_run_as_they_are() -> None:
    assert not is_packed(prepare(model_of("mpnet", "text"), Use("prediction")))


@given(st.lists(st.integers(1, 60), min_size=1, max_size=7).map(sorted), st.integers(0, 4000))
def test_groups_are_the_cheapest(lengths: list[int], cost: int) -> None:
    def price(bounds: Sequence[tuple[int, int]]) -> int:
        return sum((end - first) * lengths[end - 1] ** 2 + cost for first, end in bounds)

    found = group_bounds(lengths, cost)
    assert [place for bounds in found for place in range(*bounds)] == list(range(len(lengths)))
    inner = range(1, len(lengths))
    ways = [cuts for count in range(len(lengths)) for cuts in combinations(inner, count)]
    assert price(found) == min(price([*pairwise((0, *cuts, len(lengths)))]) for cuts in ways)


@settings(max_examples=50)
@given(st.lists(st.integers(1, 200), min_size=1, max_size=9))
def test_packing_and_grouping_lose_and_move_nothing(lengths: list[int]) -> None:
    batch = torch.rand(len(lengths), max(lengths), 3)
    mask = torch.arange(max(lengths)) < torch.tensor(lengths)[:, None]
    rows = PackedRows.of(batch, mask)
    packed = rows.pack(batch)
    assert torch.equal(rows.unpack(packed), batch * mask[..., None])
    assert packed[sum(lengths) :].count_nonzero() == 0
    heads = torch.rand(len(packed), 2, 4)
    layout = rows.layout(2)
    padded = layout.pad(heads)
    heads[sum(lengths) :] = 0
    assert torch.equal(layout.unpad(padded, len(heads)), heads)
    assert len(padded) - len(layout.padding) == 2 * sum(lengths)
    in_chunks = torch.cat([chunk.flatten(0, 1) for chunk in layout.by_chunk(padded)])
    by_group = [heads[group.packed_index].transpose(1, 2).flatten(0, 2) for group in rows.groups]
    assert torch.equal(in_chunks, torch.cat(by_group))


@settings(max_examples=50)
@given(st.lists(st.integers(1, 600), min_size=1, max_size=20).map(sorted), st.sampled_from([1, 2, 12, 16]))
def test_what_is_attended_to_at_once_has_few_sizes(lengths: list[int], heads: int) -> None:
    """Each would have oneDNN make code of its own."""
    rows = PackedRows(torch.arange(sum(lengths)), tuple(lengths), len(lengths), lengths[-1])
    groups, chunks = rows.groups, rows.layout(heads).chunks
    assert all(int(group.lengths.max()) <= group.padded_length < int(group.lengths.max()) + 16 for group in groups)
    assert all(
        chunk.padded_length == groups[chunk.group].padded_length and chunk.padded_length % 16 == 0 for chunk in chunks
    )
    assert all(chunk.heads % heads == 0 or heads % chunk.heads == 0 for chunk in chunks)
    assert sum(chunk.heads for chunk in chunks) == heads * len(lengths)
    assert all(chunk.heads == 1 or chunk.heads * chunk.padded_length**2 <= 2**20 for chunk in chunks)


@settings(max_examples=50)
@given(st.lists(st.integers(1, 600), min_size=1, max_size=20))
def test_a_pack_is_its_rows_and_a_filler_up_to_a_round_size(lengths: list[int]) -> None:
    longest = max(lengths)
    mask = torch.arange(longest) < torch.tensor(lengths)[:, None]
    rows = PackedRows.of(mask, mask)
    found = {tuple(row.tolist()) for row in rows.padded_index.split(rows.lengths)}
    assert found == {tuple(range(number * longest, number * longest + size)) for number, size in enumerate(lengths)}
    assert list(rows.lengths) == sorted(rows.lengths)
    size = len(rows.pack(mask))
    assert size == sum(lengths) + rows.filler == len(rows.positions)
    assert rows.positions.tolist() == [place % longest for place in rows.padded_index.tolist()] + [0] * rows.filler
    assert size % 32 == 0 and rows.filler < max(32, sum(lengths) / 32)
    assert size <= 2048 or size % 64 == 0


# Dropout


@pytest.mark.parametrize("p", [0.1, 0.5, 0.9])
def test_dropout_keeps_the_share_and_the_mean(p: float) -> None:
    torch.manual_seed(0)
    found = dropout(torch.ones(1_000_003), p)
    kept = found != 0
    assert float(kept.float().mean()) == pytest.approx(1 - p, abs=0.002)
    assert float(found.mean()) == pytest.approx(1, abs=0.01)
    assert found[kept].unique().tolist() == pytest.approx([1 / (1 - p)], rel=1e-4)
    quarters = kept[:1_000_000].view(-1, 4).float().mean(dim=0)  # each 64 random bits decide on four
    assert quarters.tolist() == pytest.approx([1 - p] * 4, abs=0.005)
    assert torch.corrcoef(kept[:1_000_000].view(-1, 4).T.float()).triu(1).abs().max() < 0.01


def test_dropout_follows_the_seed_and_the_state_of_pytorchs_generator() -> None:
    torch.manual_seed(3)
    first, state = dropout(torch.ones(999), 0.5), torch.get_rng_state()
    second = dropout(torch.ones(999), 0.5)
    torch.manual_seed(3)
    assert torch.equal(dropout(torch.ones(999), 0.5), first) and not torch.equal(first, second)
    torch.set_rng_state(state)
    assert torch.equal(dropout(torch.ones(999), 0.5), second)


def test_the_gradient_passes_where_the_value_did() -> None:
    values = torch.ones(100, requires_grad=True)
    found = dropout(values, 0.3)
    found.sum().backward()
    assert values.grad is not None and torch.equal(values.grad, found.detach())


def test_no_dropout_outside_of_training_and_none_at_a_rate_of_nothing() -> None:
    values = torch.ones(100)
    assert torch.equal(FastDropout(0.5).eval()(values), values)
    assert torch.equal(dropout(values, 1e-9), values)


@pytest.mark.parametrize("family", PACKED_FAMILIES)
def test_every_dropout_of_a_model_is_replaced(family: str) -> None:
    model = model_of(family, "text", rate=0.1)
    rates = sorted(module.p for module in model.modules() if type(module) is torch.nn.Dropout and module.p)
    use_fast_dropout(model)
    assert not [module for module in model.modules() if type(module) is torch.nn.Dropout and module.p]
    assert sorted(module.p for module in model.modules() if isinstance(module, FastDropout)) == rates


def test_with_dropout_a_packed_model_varies_in_training_as_a_padded_one_does() -> None:
    model, batch = model_of("bert", "text", rate=0.3), batch_of((5, 9, 30))
    padded = torch.stack([logits_of(model, batch).detach() for _ in range(300)])
    assert is_packed(pack_rows(model))
    use_fast_dropout(model)
    packed = torch.stack([logits_of(model, batch).detach() for _ in range(300)])
    spread = padded.std(dim=0)
    assert torch.allclose(packed.std(dim=0), spread, rtol=0.25)
    assert ((packed.mean(dim=0) - padded.mean(dim=0)).abs() < 0.35 * spread).all()
