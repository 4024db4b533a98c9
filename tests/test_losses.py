"""Losses against PyTorch's autograd, against high-precision arithmetic and by finite differences."""

from __future__ import annotations

import math
from decimal import Decimal, localcontext

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from sparcl_ref.losses import correct, cross_entropy, mean_loss, mse_logits
from tests import strategies
from tests.helpers import assert_close, assert_positive_zero, finite_difference


@st.composite
def cross_entropy_cases(draw, *, max_classes=7, scales=(0.0, 1.0, 10.0)):
    """Logits, classes (None or a subset in any order) and labels among them."""
    head = draw(st.integers(1, max_classes))
    n = draw(st.integers(1, 6))
    logits = draw(strategies.normal_arrays((n, head), scale=st.sampled_from(scales)))
    classes = draw(st.none() | strategies.class_subsets(head))
    return logits, classes, draw(strategies.labels(n, head if classes is None else classes))


def torch_cross_entropy(logits, labels, classes):
    """Per-sample losses and the mean's gradient; single head by filling with minus infinity, as the paper says."""
    z = torch.tensor(logits, requires_grad=True)
    head = z
    if classes is not None:
        out = torch.ones(logits.shape[1], dtype=torch.bool)
        out[list(classes)] = False
        head = z.masked_fill(out, -torch.inf)
    per_sample = torch.nn.functional.cross_entropy(head, torch.tensor(labels), reduction="none")
    per_sample.mean().backward()
    return per_sample.detach().numpy(), z.grad.numpy()


def exact_cross_entropy(row, label, classes):
    """Loss and softmax of one sample with 50 digits, straight from the definition."""
    with localcontext() as context:
        context.prec = 50
        exponentials = {j: Decimal(float(row[j])).exp() for j in classes}
        total = sum(exponentials.values())
        loss = total.ln() - Decimal(float(row[label]))
        return float(loss), {j: float(value / total) for j, value in exponentials.items()}


@given(cross_entropy_cases())
def test_cross_entropy_agrees_with_torch(case):
    logits, classes, labels = case
    per_sample, dlogits = cross_entropy(logits, labels, classes=classes)
    expected_losses, expected_gradient = torch_cross_entropy(logits, labels, classes)
    # A loss near 0 is the difference of two numbers as large as the logits, and rounds like them.
    size = 1 + np.abs(logits).max()
    assert_close(per_sample, expected_losses, call="cross_entropy losses", atol=1e-14 * size)
    assert_close(dlogits, expected_gradient, call="cross_entropy dlogits", atol=1e-14 * size)


@given(cross_entropy_cases(max_classes=5, scales=(1.0, 100.0, 1e4)))
def test_cross_entropy_agrees_with_its_definition_in_50_digits(case):
    logits, classes, labels = case
    per_sample, dlogits = cross_entropy(logits, labels, classes=classes)
    chosen = range(logits.shape[1]) if classes is None else classes
    size = 1 + np.abs(logits).max()
    for n, label in enumerate(labels):
        loss, softmax = exact_cross_entropy(logits[n], label, chosen)
        gradient = np.zeros(logits.shape[1])
        for j, p in softmax.items():
            gradient[j] = (p - (j == label)) / len(labels)
        assert_close(per_sample[n], loss, call="cross_entropy losses", atol=1e-15 * size)
        # exp turns the logits' absolute rounding error into a relative one of the softmax.
        assert_close(dlogits[n], gradient, call="cross_entropy dlogits", rtol=1e-15 * size, atol=1e-15 * size)


@given(cross_entropy_cases())
def test_cross_entropy_gradient_by_finite_differences(case):
    logits, classes, labels = case
    _, dlogits = cross_entropy(logits, labels, classes=classes)
    numeric = finite_difference(lambda: cross_entropy(logits, labels, classes=classes)[0].mean(), logits)
    # epsilon / step = 4e-11 times losses of up to about 50.
    assert_close(dlogits, numeric, call="cross_entropy dlogits", rtol=1e-8, atol=1e-8)


@given(cross_entropy_cases())
def test_single_head_gradient_of_other_classes_is_positive_zero(case):
    logits, classes, labels = case
    _, dlogits = cross_entropy(logits, labels, classes=classes)
    other = np.ones(dlogits.shape, dtype=bool)
    other[:, list(range(logits.shape[1]) if classes is None else classes)] = False
    assert_positive_zero(dlogits, call="dlogits of other classes", where=other)
    # The classes that take part share a total of nothing: what the label gains, the others lose.
    assert np.abs(dlogits.sum(axis=1)).max() <= 1e-15


def test_single_head_zeros_are_looked_at():
    logits = np.array([[3.0, -1.0, 0.5, 2.0]])
    _, dlogits = cross_entropy(logits, np.array([2]), classes=(2, 1))
    other = np.array([[True, False, False, True]])
    assert assert_positive_zero(dlogits, call="dlogits of other classes", where=other) == 2
    assert (dlogits[~other] != 0).all()


@given(cross_entropy_cases())
def test_other_classes_logits_do_not_matter_to_a_single_head(case):
    logits, classes, labels = case
    if classes is None:
        classes = tuple(np.unique(labels))
    changed = np.full_like(logits, np.nan)
    changed[:, list(classes)] = logits[:, list(classes)]
    for got, want in zip(
        cross_entropy(changed, labels, classes=classes), cross_entropy(logits, labels, classes=classes), strict=True
    ):
        assert np.array_equal(got, want)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize(
    ("logits", "label", "classes", "loss", "gradient"),
    [
        ([1e4, -1e4], 0, None, 0.0, [0.0, 0.0]),
        ([1e4, -1e4], 1, None, 2e4, [1.0, -1.0]),
        ([-1e4, -1e4], 0, None, math.log(2), [-0.5, 0.5]),
        ([1e4, 1e4, -1e4], 1, None, math.log(2), [0.5, -0.5, 0.0]),
        ([1e4, 0.0, 0.0], 1, (1, 2), math.log(2), [0.0, -0.5, 0.5]),
        ([5.0, 7.0], 1, (1,), 0.0, [0.0, 0.0]),
    ],
)
def test_cross_entropy_of_extreme_logits(dtype, logits, label, classes, loss, gradient):
    per_sample, dlogits = cross_entropy(np.array([logits], dtype=dtype), np.array([label]), classes=classes)
    # log(2) is rounded to the dtype; everything else is exact.
    assert_close(per_sample, [loss], call="cross_entropy losses", rtol=float(np.finfo(dtype).eps))
    assert np.array_equal(dlogits, [gradient])


def test_order_of_the_classes_is_immaterial():
    rng = np.random.default_rng(0)
    logits, labels = rng.standard_normal((4, 5)), np.array([4, 1, 1, 3])
    first = cross_entropy(logits, labels, classes=(1, 3, 4))
    for classes in ([4, 1, 3], np.array([3, 4, 1], dtype=np.uint8)):
        for got, want in zip(cross_entropy(logits, labels, classes=classes), first, strict=True):
            # Only the order of a sum of three changes.
            assert_close(got, want, call=f"cross_entropy(classes={classes})", rtol=1e-14)


@given(cross_entropy_cases(), strategies.dtypes())
def test_losses_keep_dtype_and_arguments(case, dtype):
    logits, classes, labels = case
    logits = np.asfortranarray(logits.astype(dtype))
    targets = logits[::-1] + dtype(1)
    for array in (logits, labels, targets):
        array.flags.writeable = False
    for outputs in (cross_entropy(logits, labels, classes=classes), mse_logits(logits, targets)):
        per_sample, dlogits = outputs
        assert per_sample.dtype == dlogits.dtype == dtype
        assert per_sample.shape == labels.shape
        assert dlogits.shape == logits.shape


def test_float32_loss_is_as_good_as_float32():
    rng = np.random.default_rng(1)
    logits, labels = 10 * rng.standard_normal((50, 10)), rng.integers(0, 10, 50)
    logits = logits.astype(np.float32).astype(np.float64)
    for got, want in zip(cross_entropy(logits.astype(np.float32), labels), cross_entropy(logits, labels), strict=True):
        # Ten terms, logits of up to about 30: some 30 * 2**-24 of error, in the losses and relative to the softmax.
        assert_close(got, want, call="cross_entropy float32", rtol=5e-6, atol=5e-6)


ONE_ROW = np.zeros((1, 3))
LABEL = np.array([1])


@pytest.mark.parametrize(
    ("logits", "labels", "classes", "error", "message"),
    [
        ([[0.0]], LABEL, None, TypeError, "logits must be .* got list"),
        (np.zeros((1, 3), dtype=int), LABEL, None, TypeError, "logits must be .* got dtype int64"),
        (np.zeros((1, 3), dtype=np.float16), LABEL, None, TypeError, "got dtype float16"),
        (np.zeros(3), LABEL, None, ValueError, r"shape \(N, C\), got \(3,\)"),
        (np.zeros((0, 3)), np.zeros(0, dtype=int), None, ValueError, "must not be empty"),
        (np.zeros((1, 0)), LABEL, None, ValueError, "must not be empty"),
        (ONE_ROW, [1], None, TypeError, "labels must be .* got list"),
        (ONE_ROW, np.array([1.0]), None, TypeError, "labels must be .* got dtype float64"),
        (ONE_ROW, np.array([True]), None, TypeError, "labels must be .* got dtype bool"),
        (ONE_ROW, np.array([1, 1]), None, ValueError, r"labels must have shape \(1,\).* got \(2,\)"),
        (ONE_ROW, np.array([[1]]), None, ValueError, r"labels must have shape \(1,\).* got \(1, 1\)"),
        (ONE_ROW, np.array([3]), None, ValueError, r"must lie in 0\.\.2, got 3\.\.3"),
        (ONE_ROW, np.array([-1]), None, ValueError, r"must lie in 0\.\.2, got -1\.\.-1"),
        (ONE_ROW, np.array([3]), (1, 2), ValueError, r"must lie in 0\.\.2"),
        (ONE_ROW, LABEL, (0, 2), ValueError, r"label 1 is not among the classes \[0, 2\]"),
        (ONE_ROW, LABEL, (), ValueError, "at least one class"),
        (ONE_ROW, LABEL, 1, ValueError, "at least one class"),
        (ONE_ROW, LABEL, (1.0,), TypeError, "classes must be integers"),
        (ONE_ROW, LABEL, (False, True), TypeError, "classes must be integers"),
        (ONE_ROW, LABEL, (1, 1), ValueError, r"distinct and lie in 0\.\.2, got \[1, 1\]"),
        (ONE_ROW, LABEL, (1, 3), ValueError, r"distinct and lie in 0\.\.2, got \[1, 3\]"),
        (ONE_ROW, LABEL, (1, -1), ValueError, r"distinct and lie in 0\.\.2, got \[1, -1\]"),
    ],
)
@pytest.mark.parametrize("function", [cross_entropy, correct])
def test_unfit_input_is_refused(function, logits, labels, classes, error, message):
    with pytest.raises(error, match=f"^{function.__name__}: .*{message}"):
        function(logits, labels, classes=classes)


@st.composite
def logit_pairs(draw):
    shape = draw(strategies.shapes(min_dims=2, max_dims=2))
    scale = st.sampled_from([1.0, 1e4])
    return draw(strategies.normal_arrays(shape, scale=scale)), draw(strategies.normal_arrays(shape, scale=scale))


@given(logit_pairs())
def test_mse_agrees_with_torch_and_brute_force(pair):
    logits, targets = pair
    per_sample, dlogits = mse_logits(logits, targets)
    z = torch.tensor(logits, requires_grad=True)
    torch.nn.functional.mse_loss(z, torch.tensor(targets)).backward()
    assert_close(dlogits, z.grad.numpy(), call="mse_logits dlogits", rtol=1e-14)
    rows = [
        math.fsum((a - b) ** 2 for a, b in zip(z, t, strict=True)) / len(z)
        for z, t in zip(logits.tolist(), targets.tolist(), strict=True)
    ]
    assert_close(per_sample, rows, call="mse_logits losses", rtol=1e-14)


@given(logit_pairs())
def test_mse_gradient_by_finite_differences(pair):
    logits, targets = (array / np.abs(array).max() for array in pair)
    _, dlogits = mse_logits(logits, targets)
    numeric = finite_difference(lambda: mse_logits(logits, targets)[0].mean(), logits)
    assert_close(dlogits, numeric, call="mse_logits dlogits", rtol=1e-8, atol=1e-9)


def test_mse_of_equal_logits_is_zero():
    logits = np.array([[1e4, -3.0], [0.5, 2.0]])
    per_sample, dlogits = mse_logits(logits, logits.copy())
    assert_positive_zero(per_sample, call="mse_logits losses")
    assert_positive_zero(dlogits, call="mse_logits dlogits")


@pytest.mark.parametrize(
    ("logits", "targets", "error", "message"),
    [
        (np.zeros((2, 3), dtype=int), np.zeros((2, 3)), TypeError, "logits must be"),
        (np.zeros((0, 3)), np.zeros((0, 3)), ValueError, "must not be empty"),
        (np.zeros((2, 3)), [[0.0] * 3] * 2, TypeError, "dtype float64, got list"),
        (np.zeros((2, 3)), np.zeros((2, 3), dtype=np.float32), TypeError, "dtype float64, got dtype float32"),
        (np.zeros((2, 3)), np.zeros((1, 3)), ValueError, r"shape \(2, 3\), got \(1, 3\)"),
        (np.zeros((2, 3)), np.zeros(3), ValueError, r"shape \(2, 3\), got \(3,\)"),
    ],
)
def test_mse_refuses_unfit_input(logits, targets, error, message):
    with pytest.raises(error, match=f"^mse_logits: .*{message}"):
        mse_logits(logits, targets)


@given(cross_entropy_cases(), st.sampled_from([1, 100]))
def test_correct_agrees_with_brute_force(case, fineness):
    logits, classes, labels = case
    logits = np.round(logits * fineness)  # coarse logits tie often
    candidates = sorted(range(logits.shape[1]) if classes is None else classes)
    expected = []
    for row, label in zip(logits.tolist(), labels.tolist(), strict=True):
        best = candidates[0]
        for j in candidates[1:]:
            if row[j] > row[best]:
                best = j
        expected.append(best == label)
    got = correct(logits, labels, classes=classes)
    assert got.dtype == np.bool_
    assert got.tolist() == expected


def test_correct_by_hand():
    logits = np.array([[1.0, 1.0, 0.0], [0.0, 1.0, 2.0], [np.nan, 0.0, 0.0], [0.0, np.nan, 5.0]])
    labels = np.array([0, 1, 0, 2])
    assert correct(logits, labels).tolist() == [True, False, False, False]
    # Without class 1's NaN, the last sample is right; the second is, once class 2 is no rival.
    assert correct(logits[[0, 3]], labels[[0, 3]], classes=(2, 0)).tolist() == [True, True]
    assert correct(logits[:2], labels[:2], classes=(1, 0)).tolist() == [True, True]


def test_mean_loss_sums_in_float64():
    # In float32, 2**24 + 1 is 2**24.
    per_sample = np.array([2.0**24, 1.0, 1.0], dtype=np.float32)
    got = mean_loss(per_sample)
    assert isinstance(got, float)
    assert got == (2.0**24 + 2) / 3


def test_mean_loss_of_nothing_is_refused():
    with pytest.raises(ValueError, match="must not be empty"):
        mean_loss(np.zeros(0))
