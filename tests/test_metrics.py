"""Metrics against brute force in exact arithmetic, written from the papers with tasks counted from 1."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sparcl_ref import metrics
from tests import strategies
from tests.helpers import assert_close

ALL = (
    metrics.average_accuracy,
    metrics.forgetting,
    metrics.backward_transfer,
    metrics.forward_transfer,
    metrics.learning_accuracy,
)


def exact(matrix):
    """All five as Fractions; None where undefined. accuracy(t, j) is the accuracy on task j after t tasks."""
    T = matrix.shape[1]

    def accuracy(t, j):
        return Fraction(float(matrix[t, j - 1]))

    found = {"average_accuracy": sum(accuracy(T, j) for j in range(1, T + 1)) / T}
    found["learning_accuracy"] = sum(accuracy(j, j) for j in range(1, T + 1)) / T
    if T == 1:
        return found | dict.fromkeys(("forgetting", "backward_transfer", "forward_transfer"))
    lost = Fraction(0)
    for j in range(1, T):
        best = accuracy(j, j)
        for t in range(j + 1, T):
            if accuracy(t, j) > best:
                best = accuracy(t, j)
        lost += best - accuracy(T, j)
    found["forgetting"] = lost / (T - 1)
    found["backward_transfer"] = sum(accuracy(T, j) - accuracy(j, j) for j in range(1, T)) / (T - 1)
    found["forward_transfer"] = sum(accuracy(j - 1, j) - accuracy(0, j) for j in range(2, T + 1)) / (T - 1)
    return found


@given(strategies.accuracy_matrices())
def test_metrics_agree_with_exact_brute_force(matrix):
    expected = exact(matrix)
    for function in ALL:
        got, want = function(matrix), expected[function.__name__]
        if want is None:
            assert got is None
        else:
            assert isinstance(got, float)
            # At most seven terms of size one, each rounded to 1.1e-16, and their sum.
            assert_close(got, float(want), call=function.__name__, rtol=0, atol=2e-15)


def test_metrics_by_hand():
    matrix = np.array(
        [
            [0.10, 0.20, 0.30],
            [0.90, 0.25, 0.20],
            [0.95, 0.80, 0.50],
            [0.60, 0.85, 0.70],
        ]
    )
    assert metrics.average_accuracy(matrix) == pytest.approx((0.60 + 0.85 + 0.70) / 3)
    assert metrics.forgetting(matrix) == pytest.approx(((0.95 - 0.60) + (0.80 - 0.85)) / 2)
    assert metrics.backward_transfer(matrix) == pytest.approx(((0.60 - 0.90) + (0.85 - 0.80)) / 2)
    assert metrics.forward_transfer(matrix) == pytest.approx(((0.25 - 0.20) + (0.50 - 0.30)) / 2)
    assert metrics.learning_accuracy(matrix) == pytest.approx((0.90 + 0.80 + 0.70) / 3)


def test_forgetting_can_be_negative():
    assert metrics.forgetting([[0.0, 0.0], [0.5, 0.0], [0.75, 1.0]]) == -0.25


def test_forgetting_looks_only_from_a_task_to_before_the_end():
    # The best row of task 1 is the untrained one, that of task 2 lies before it was learned: neither counts.
    matrix = [[1.0, 1.0, 1.0], [0.5, 1.0, 1.0], [0.25, 0.5, 1.0], [0.25, 0.25, 0.0]]
    assert metrics.forgetting(matrix) == 0.25


@given(strategies.accuracy_matrices(tasks=st.integers(2, 7)))
def test_forgetting_is_at_least_what_backward_transfer_lost(matrix):
    # The maximum is over rows that include the diagonal; with two tasks there is no other.
    forgotten, transferred = metrics.forgetting(matrix), metrics.backward_transfer(matrix)
    assert forgotten >= -transferred - 2e-15
    if matrix.shape[1] == 2:
        assert forgotten == -transferred


@given(strategies.accuracy_matrices(), strategies.seeds())
def test_only_forward_transfer_reads_the_untrained_row(matrix, seed):
    other = matrix.copy()
    other[0] = np.random.default_rng(seed).random(matrix.shape[1])
    for function in ALL:
        if function is not metrics.forward_transfer:
            assert function(other) == function(matrix)


@given(strategies.accuracy_matrices(tasks=st.integers(2, 7)), st.sampled_from([0.25, -0.25]))
def test_a_constant_shift_of_all_rows_cancels_in_differences(matrix, shift):
    shifted = matrix / 2 + 0.25 + shift
    for function in (metrics.forgetting, metrics.backward_transfer, metrics.forward_transfer):
        assert_close(function(shifted), function(matrix) / 2, call=function.__name__, rtol=0, atol=4e-15)


@given(strategies.accuracy_matrices())
def test_arguments_are_left_alone_and_may_be_lists(matrix):
    frozen = matrix.copy()
    frozen.flags.writeable = False
    for function in ALL:
        value = function(frozen)
        assert function(matrix.tolist()) == value
        assert function(np.asfortranarray(matrix)) == value
    assert np.array_equal(frozen, matrix)


def test_a_checked_matrix_is_a_copy():
    matrix = np.array([[0.0], [1.0]])
    checked = metrics.checked_matrix(matrix)
    checked[...] = 0.5
    assert matrix.tolist() == [[0.0], [1.0]]


@given(strategies.accuracy_matrices(tasks=st.integers(2, 7)))
def test_joint_training_has_an_average_only(matrix):
    joint = matrix[[0, -1]]
    assert metrics.average_accuracy(joint) == metrics.average_accuracy(matrix)
    for function in ALL[1:]:
        assert function(joint) is None


@pytest.mark.parametrize(
    "matrix",
    [
        np.zeros((3, 3)),
        np.zeros((3, 4)),
        np.zeros((1, 2)),
        np.zeros((1, 1)),
        np.zeros((1, 0)),
        np.zeros((2, 0)),
        np.zeros(2),
        np.zeros((2, 1, 1)),
        0.5,
        [],
    ],
)
@pytest.mark.parametrize("function", ALL)
def test_other_shapes_are_refused(function, matrix):
    with pytest.raises(ValueError, match=r"must have shape \(T \+ 1, T\)"):
        function(matrix)


@given(strategies.accuracy_matrices(), strategies.seeds(), st.sampled_from([np.nan, np.inf, -np.inf, 73.2, -1e-9]))
def test_values_that_are_no_fractions_are_refused(matrix, seed, bad):
    row, column = (int(i) for i in np.random.default_rng(seed).integers(matrix.shape))
    matrix[row, column] = bad
    for function in ALL:
        with pytest.raises(ValueError, match=rf"fractions in 0\.\.1, got {bad} in row {row}, column {column}"):
            function(matrix)


@pytest.mark.parametrize("matrix", [[[0.5], [0.5, 0.5]], [["a"], ["b"]], [[None], [{}]], None])
@pytest.mark.parametrize("function", ALL)
def test_what_is_no_rectangle_of_numbers_is_refused(function, matrix):
    with pytest.raises(ValueError, match="accuracy matrix must"):
        function(matrix)
