"""Equal shares of a buffer, and what a buffer holds after each task."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sparcl_ref.methods import TaskData
from sparcl_ref.methods.quotas import even_shares, keep_and_add
from sparcl_ref.replay import ReservoirBuffer, Samples
from sparcl_ref.streams import split
from tests.methods.twin import small_dataset

DATASET = small_dataset(each=7)
STREAM = split(DATASET, classes_per_task=2, class_order=(0, 1, 2, 3, 4, 5))


def empty(capacity: int) -> ReservoirBuffer:
    return ReservoirBuffer(
        capacity, image_shape=(1, 8, 8), image_dtype=np.uint8, classes=6, logits_dtype=np.dtype(np.float64)
    )


@given(st.integers(1, 60), st.lists(st.integers(1, 30), min_size=1, max_size=6))
def test_shares_are_even_and_fit(capacity, sizes) -> None:
    shares = even_shares(capacity, sizes)
    assert sum(shares) <= capacity
    for share, size in zip(shares, sizes, strict=True):
        assert share == capacity // len(sizes) or share == size < capacity // len(sizes)


@given(st.integers(1, 50), st.integers(0, 99))
def test_old_tasks_are_cut_from_the_end_and_the_new_one_gets_its_share(capacity, seed) -> None:
    rng, buffer = np.random.default_rng(seed), empty(capacity)
    orders, known = [], []
    for task in STREAM.training:
        data = TaskData(task, DATASET, np.float64, tasks=3, batch_size=4)
        orders.append(rng.permutation(len(data)))
        logits = rng.standard_normal((min(capacity // task.number, len(data)), 6))
        known.append(logits)
        keep_and_add(buffer, data, orders[-1], logits)
        held = buffer.content()
        start = 0
        for before, (order, stored) in enumerate(zip(orders, known, strict=True)):
            share = min(capacity // task.number, 14)
            index = STREAM.training[before].train_index[order[:share]]
            part = slice(start, start + share)
            np.testing.assert_array_equal(held.images[part], DATASET.train_x[index])
            np.testing.assert_array_equal(held.labels[part], DATASET.train_y[index])
            np.testing.assert_array_equal(held.logits[part], stored[:share])
            assert (held.tasks[part] == before + 1).all()
            start += share
        assert len(buffer) == start == sum(even_shares(capacity, [14] * task.number))


def test_without_logits_zeros_are_stored() -> None:
    buffer = empty(5)
    data = TaskData(STREAM.training[0], DATASET, np.float64, tasks=3, batch_size=4)
    keep_and_add(buffer, data, np.arange(14))
    assert not buffer.content().logits.any()


def test_what_does_not_fit_is_refused_and_changes_nothing() -> None:
    buffer = empty(2)
    keep_and_add(buffer, TaskData(STREAM.training[0], DATASET, np.float64, tasks=3, batch_size=4), np.arange(14))
    before = buffer.state()
    three = Samples(np.zeros((3, 1, 8, 8), np.uint8), np.zeros(3, int), np.zeros((3, 6)), np.ones(3, int))
    with pytest.raises(ValueError, match="a buffer of 2 slots cannot hold 3 samples"):
        buffer.hold(three)
    with pytest.raises(ValueError, match="labels must lie in"):
        buffer.hold(Samples(*(array[:1] for array in three))._replace(labels=np.array([6])))
    with pytest.raises(ValueError, match="images must have shape"):
        buffer.hold(Samples(*(array[:1] for array in three))._replace(images=np.zeros((1, 1, 4, 4), np.uint8)))
    np.testing.assert_equal(buffer.state(), before)
