"""Batches of about equal sub-word count: every row once, within the budget, in an order of the seed and the epoch."""

from itertools import pairwise

import numpy as np
import pytest
from accelerate.data_loader import SeedableRandomSampler
from hypothesis import given, settings
from hypothesis import strategies as st

from stages.training.batching import PartsOfBatches, TokenBatches

LENGTHS = st.lists(st.integers(2, 60), min_size=1, max_size=60)


def made(
    lengths: list[int],
    budget: int,
    *,
    fewest: int = 1,
    seed: int = 1,
    epochs: float = 3,
    max_steps: int | None = None,
) -> TokenBatches:
    return TokenBatches(np.array(lengths), budget, fewest, seed, epochs, max_steps)


@settings(max_examples=300, deadline=None)
@given(LENGTHS, st.integers(1, 200), st.integers(1, 4), st.integers(0, 99))
def test_every_row_is_in_one_batch_of_an_epoch_and_no_batch_is_over_the_budget(
    lengths: list[int], budget: int, fewest: int, seed: int
) -> None:
    fewest = min(fewest, len(lengths))
    batches = made(lengths, budget, fewest=fewest, seed=seed)
    for epoch in range(3):
        found = batches.of_epoch(epoch)
        assert len(found) == batches.steps
        assert np.concatenate(found).tolist() == batches.shuffled(epoch).tolist()
        assert sorted(np.concatenate(found)) == list(range(len(lengths)))
        for batch in found:
            assert len(batch) >= fewest
            if fewest == 1:
                assert batches.lengths[batch].sum() <= budget or len(batch) == 1


@settings(max_examples=100, deadline=None)
@given(LENGTHS, st.integers(60, 200), st.integers(0, 9), st.integers(0, 3))
def test_no_order_of_the_seed_and_epoch_needs_fewer_steps(
    lengths: list[int], budget: int, seed: int, epoch: int
) -> None:
    """Greedy batches, closed one row at a time, are the fewest there can be of a given order."""
    batches = made(lengths, budget, seed=seed, epochs=epoch + 1)
    counts = []
    for each in range(epoch + 1):
        count, room = 1, budget
        for row in batches.shuffled(each):
            count, room = (count, room - lengths[row]) if lengths[row] <= room else (count + 1, budget - lengths[row])
        counts.append(count)
    assert batches.steps == max(counts)


def test_rows_come_in_the_order_in_which_batches_of_equal_row_count_take_them() -> None:
    lengths = list(range(5, 105))
    sampler = SeedableRandomSampler(lengths, data_seed=7)
    batches = made(lengths, 300, seed=7)
    for epoch in range(3):
        sampler.set_epoch(epoch)
        assert batches.shuffled(epoch).tolist() == list(sampler)


def test_batches_have_about_equal_sub_word_counts_and_leave_no_small_rest() -> None:
    draw = np.random.default_rng(3)
    lengths = draw.gamma(3, 8, 3000).astype(int) + 3
    batches = made(lengths.tolist(), 400)
    for epoch in range(3):
        sums = np.array([lengths[batch].sum() for batch in batches.of_epoch(epoch)])
        assert sums.max() <= 400
        assert np.median(sums) > 0.9 * 400
        assert sums.min() > 0.6 * 400


def test_the_order_and_the_batches_follow_from_the_seed_and_the_epoch() -> None:
    lengths = list(range(5, 105))
    found = [
        [batch.tolist() for batch in made(lengths, 300, seed=seed).of_epoch(epoch)]
        for seed, epoch in ((1, 0), (1, 0), (1, 1), (5, 0))
    ]
    assert found[0] == found[1]
    assert all(one != other for one, other in pairwise(found[1:]))
    assert found[0] != found[3]


def test_the_steps_of_an_epoch_hold_for_all_epochs_that_max_steps_need() -> None:
    lengths = list(range(5, 105))
    by_steps = made(lengths, 300, epochs=1, max_steps=40 * made(lengths, 300).steps)
    assert by_steps.steps == made(lengths, 300, epochs=40).steps > made(lengths, 300, epochs=1).steps
    for epoch in range(40):
        assert max(by_steps.lengths[batch].sum() for batch in by_steps.of_epoch(epoch)) <= 300


@pytest.mark.parametrize(("processes", "parts"), [(1, 1), (1, 4), (2, 1), (2, 3)])
def test_processes_and_parts_share_each_batch(processes: int, parts: int) -> None:
    batches = made(list(range(5, 105)), 300, fewest=processes * parts)
    shares = [PartsOfBatches(batches, parts, process, processes) for process in range(processes)]
    for epoch in range(2):
        for share in shares:
            share.set_epoch(epoch)
        of_process = [list(share) for share in shares]
        assert {len(found) for found in of_process} == {len(shares[0])} == {batches.steps * parts}
        for number, batch in enumerate(batches.of_epoch(epoch)):
            steps = [found[number * parts : (number + 1) * parts] for found in of_process]
            together = [row for step in steps for part in step for row in part]
            assert sorted(together) == sorted(batch)
            sizes = [len(part) for step in steps for part in step]
            assert min(sizes) >= max(1, max(sizes) - 1)
