"""Reservoir sampling: every sample ever presented is equally likely to be inside."""

from __future__ import annotations

import itertools
from collections import Counter

import numpy as np
import pytest
from scipy import stats

from sparcl_ref.replay import EMPTY, ReservoirBuffer, reservoir_slot
from tests.chance import uniform_inclusion


def test_the_first_samples_fill_the_slots_in_order_whatever_is_drawn() -> None:
    assert [reservoir_slot(i, 4, draw) for i, draw in enumerate([0, -7, 99, 1])] == [0, 1, 2, 3]


@pytest.mark.parametrize(("draw", "slot"), [(0, 0), (3, 3), (4, EMPTY), (9, EMPTY)])
def test_then_the_draw_is_the_slot_or_the_sample_is_dropped(draw, slot) -> None:
    assert reservoir_slot(9, 4, draw) == slot
    assert EMPTY == -1


@pytest.mark.parametrize("draw", [-1, 10])
def test_a_draw_that_could_not_come_up_is_refused(draw) -> None:
    with pytest.raises(ValueError, match=rf"the draw must lie in 0\.\.9, got {draw}"):
        reservoir_slot(9, 4, draw)


@pytest.mark.parametrize(("capacity", "presented"), [(1, 5), (2, 6), (3, 6), (3, 3), (4, 2)])
def test_every_set_of_samples_is_equally_likely_by_counting_all_draws(capacity, presented) -> None:
    contents: Counter[frozenset[int]] = Counter()
    for draws in itertools.product(*(range(i + 1) for i in range(presented))):
        slots: dict[int, int] = {}
        for i, draw in enumerate(draws):
            slot = reservoir_slot(i, capacity, draw)
            if slot != EMPTY:
                slots[slot] = i
        contents[frozenset(slots.values())] += 1
    held = min(capacity, presented)
    assert set(contents) == {frozenset(s) for s in itertools.combinations(range(presented), held)}
    assert len(set(contents.values())) == 1


# --- with a generator, over many streams ------------------------------------------------------------------------------


def present(capacity: int, batches: list[int], seed: int) -> tuple[ReservoirBuffer, np.ndarray]:
    """A buffer that was shown samples whose logits are 0, 1, 2, ... in batches of those sizes, and each one's slot."""
    buffer = ReservoirBuffer(capacity, image_shape=(1,), image_dtype=np.uint8, classes=1, logits_dtype=np.float32)
    rng, slots, first = np.random.default_rng(seed), [], 0
    for size in batches:
        images, labels = np.zeros((size, 1), dtype=np.uint8), np.zeros(size, dtype=np.int64)
        logits = np.arange(first, first + size, dtype=np.float32)[:, None]
        slots.append(buffer.add(images, labels, logits, task=1, rng=rng))
        first += size
    return buffer, np.concatenate(slots)


@pytest.mark.parametrize(("capacity", "batches"), [(5, [4, 4, 4, 4]), (3, [1] * 16), (1, [16])])
def test_every_sample_is_equally_likely_to_be_inside(capacity, batches) -> None:
    trials = 2000
    counts = np.zeros(sum(batches))
    for seed in range(trials):
        counts[present(capacity, batches, seed)[0].content().logits[:, 0].astype(int)] += 1
    assert 0.001 < uniform_inclusion(counts, trials, drawn=capacity) < 0.999


def test_replaced_slots_are_uniform() -> None:
    counts = np.zeros(6)
    for seed in range(1500):
        replaced = present(6, [12], seed)[1][6:]
        np.add.at(counts, replaced[replaced != EMPTY], 1)
    assert 0.001 < stats.chisquare(counts).pvalue < 0.999
