"""Moments to jump to, against plain loops."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sparcl_ref.report.explorer import moments
from tests.strategies import accuracy_matrices

counts = st.integers(1, 8).flatmap(
    lambda length: st.lists(
        st.tuples(*2 * [st.lists(st.integers(0, 2), min_size=length, max_size=length)]), min_size=1, max_size=3
    )
)


@given(layers=counts)
def test_adjustments_and_exchanges(layers):
    came, left = [layer[0] for layer in layers], [layer[1] for layer in layers]
    adjusted, exchanged = [], []
    for moment in range(len(came[0])):
        into = sum(layer[moment] for layer in came)
        out = sum(layer[moment] for layer in left)
        if into + out:
            adjusted.append(moment)
        if into and out:
            exchanged.append(moment)
    assert moments.adjustments(came, left) == adjusted
    assert moments.exchanges(came, left) == exchanged


def test_without_layers_nothing_moves():
    assert moments.adjustments([], []) == moments.exchanges([], []) == []


@given(removed=st.lists(st.integers(0, 3)))
def test_removals(removed):
    assert moments.removals(removed) == [index for index in range(len(removed)) if removed[index] > 0]


@given(data=st.data(), epochs=st.integers(1, 3))
def test_the_first_forgetting_is_the_first_fall_of_a_task_that_was_learned(data, epochs):
    tasks = data.draw(st.integers(1, 3))
    when = [(0, 0), *((task, epoch) for task in range(1, tasks + 1) for epoch in range(1, epochs + 1))]
    row = st.lists(st.integers(0, 100), min_size=tasks, max_size=tasks)
    percent = np.array(data.draw(st.lists(row, min_size=len(when), max_size=len(when))))
    expected = None
    best = [-1] * tasks
    for moment, (now, _) in enumerate(when):
        for task in range(now):
            best[task] = max(best[task], percent[moment, task])
            earlier = task < now - 1  # the one being learned may go up and down
            if expected is None and earlier and best[task] - percent[moment, task] >= 5:
                expected = moment
    assert moments.first_forgetting(percent / 100, when, range(1, tasks + 1)) == expected


@given(matrix=accuracy_matrices())
def test_what_never_falls_is_never_forgotten(matrix):
    risen = np.maximum.accumulate(np.asarray(matrix), axis=0)
    when = [(min(row, risen.shape[1]), 1) for row in range(len(risen))]
    assert moments.first_forgetting(risen, when, range(1, risen.shape[1] + 1)) is None


def test_what_is_learned_at_once_is_never_forgotten():
    accuracy = np.array([[0.1, 0.1], [0.9, 0.9], [0.2, 0.2]])
    assert moments.first_forgetting(accuracy, [(0, 0), (1, 1), (1, 2)], [1, 1]) is None
    assert moments.first_forgetting(accuracy, [(0, 0), (1, 1), (2, 1)], [1, 2]) == 2


@pytest.mark.parametrize(("moment", "name"), [((0, 0), "0"), ((3, 2), "3.2"), ((12, 10), "12.10")])
def test_addresses(moment, name):
    assert moments.address(*moment) == name


@given(
    titles=st.lists(st.sampled_from(["ER", "DER++", "DER++ (full head)", "DER++ .90", "é", "run", "run 2"]), min_size=1)
)
def test_keys_are_distinct_and_fit_an_address(titles):
    keys = moments.keys(titles)
    assert len(set(keys)) == len(keys) == len(titles)
    assert all(set(key) <= set("abcdefghijklmnopqrstuvwxyz0123456789-") and key for key in keys)
