"""What happened to weights, against brute force over single weights."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sparcl_ref.report.mask_history import (
    even_sample,
    final_origins,
    initial_survival,
    joined_in_task,
    life_order,
    turnover,
)
from tests.strategies import masks


@st.composite
def histories(draw):
    """Snapshots, shape (S, n), and the task of each."""
    moments, weights = draw(st.integers(1, 8)), draw(st.integers(1, 12))
    alive = draw(masks((moments, weights)))
    tasks = [0, *sorted(draw(st.lists(st.integers(1, 3), min_size=moments - 1, max_size=moments - 1)))]
    return alive, tasks


@given(history=histories())
def test_survival_counts_the_initial_weights_that_live(history):
    alive, _ = history
    first = [weight for weight in range(alive.shape[1]) if alive[0, weight]]
    expected = [sum(bool(now[w]) for w in first) / len(first) if first else 1.0 for now in alive]
    assert initial_survival(alive).tolist() == pytest.approx(expected)


@given(history=histories())
def test_turnover_counts_joining_and_leaving_against_the_living_before(history):
    alive, _ = history
    joined, left = turnover(alive)
    assert (joined[0], left[0]) == (0, 0)
    for index in range(1, len(alive)):
        pairs = list(zip(alive[index - 1], alive[index], strict=True))
        living = max(1, sum(bool(before) for before, _ in pairs))
        assert joined[index] == pytest.approx(sum(now and not before for before, now in pairs) / living)
        assert left[index] == pytest.approx(sum(before and not now for before, now in pairs) / living)


def origin_of(life: np.ndarray, tasks: list[int], moment: int) -> int:
    """Walk back from a moment to where this stretch of life began."""
    if not life[moment]:
        return -1
    while moment > 0 and life[moment - 1]:
        moment -= 1
    return tasks[moment]


@given(history=histories())
def test_origins_are_found_by_walking_back(history):
    alive, tasks = history
    found = list(joined_in_task(alive, tasks))
    assert len(found) == len(alive)
    for moment, origins in enumerate(found):
        assert origins.tolist() == [origin_of(life, tasks, moment) for life in alive.T]


@given(history=histories())
def test_final_origins_are_shares_of_the_living(history):
    alive, tasks = history
    final = [origin for origin in (origin_of(life, tasks, len(alive) - 1) for life in alive.T) if origin >= 0]
    expected = {task: final.count(task) / len(final) for task in sorted(set(final))}
    assert final_origins(alive, tasks) == pytest.approx(expected)


@given(history=histories())
def test_life_order_holds_each_weight_that_ever_lived_in_layers(history):
    alive, tasks = history
    order = life_order(alive, tasks)
    assert sorted(order.tolist()) == [weight for weight in range(alive.shape[1]) if alive[:, weight].any()]
    keys = []
    for weight in order:
        moments = np.flatnonzero(alive[:, weight])
        keys.append((tasks[moments[0]], -moments[-1], moments[0], -len(moments), weight))
    assert keys == sorted(keys)


def test_an_even_sample_keeps_ends_and_shares():
    order = np.arange(1000)
    chosen = even_sample(order, 11)
    assert chosen.tolist() == [0, 100, 200, 300, 400, 500, 599, 699, 799, 899, 999]
    assert even_sample(order, 1000) is order
    assert even_sample(order[:0], 5).tolist() == []
