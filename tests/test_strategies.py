"""The strategies keep what they promise, and reach the corners that tests rely on."""

from __future__ import annotations

import os
import subprocess
import sys
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import find, given, settings
from hypothesis import strategies as st

from tests import hypothesis_profile, strategies


def reaches(strategy, condition) -> bool:
    """Whether some example fulfils the condition; `find` raises if none of 2000 does."""
    find(strategy, condition, settings=settings(max_examples=2000, database=None, derandomize=True))
    return True


def test_profile_is_current():
    current = settings()
    assert current.deadline is None
    assert current.print_blob
    assert current.max_examples == 50
    assert current.derandomize == hypothesis_profile.runs_in_ci()


@pytest.mark.parametrize(("ci", "expected"), [("true", "True"), ("TRUE", "True"), ("false", "False"), ("", "False")])
def test_profile_derandomizes_in_ci_only(ci, expected):
    code = (
        "from tests import hypothesis_profile as p; p.register(); from hypothesis import settings; "
        "print(settings().derandomize, settings().deadline, settings().print_blob, settings().max_examples)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], env={**os.environ, "CI": ci}, capture_output=True, text=True, check=True
    )
    assert done.stdout.split() == [expected, "None", "True", "50"]


@given(strategies.shapes(min_dims=2, max_dims=3, min_side=2, max_side=4))
def test_shapes_stay_in_bounds(shape):
    assert 2 <= len(shape) <= 3
    assert all(2 <= side <= 4 for side in shape)


@given(strategies.dtypes().flatmap(lambda d: st.tuples(st.just(d), strategies.normal_arrays((3, 4), dtype=d))))
def test_normal_arrays_have_shape_and_dtype(case):
    dtype, array = case
    assert array.shape == (3, 4)
    assert array.dtype == dtype
    assert np.isfinite(array).all()


@given(strategies.normal_arrays((20_000,), scale=3.0))
@settings(max_examples=10)
def test_normal_arrays_are_normal(array):
    # The mean of 20,000 draws deviates by 3 / sqrt(20000) = 0.02, their standard deviation by 0.015: six of each.
    assert abs(array.mean()) < 0.13
    assert abs(array.std() - 3.0) < 0.09


@given(strategies.generators())
def test_generators_are_generators(rng):
    assert isinstance(rng, np.random.Generator)


def test_a_failing_example_prints_the_seed_of_its_generator():
    @given(strategies.generators())
    @settings(database=None)
    def fails(rng):
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError) as caught:
        fails()
    assert any("rng=default_rng(0)" in note for note in caught.value.__notes__)


def output_positions(size, kernel, stride, padding, dilation):
    """Count windows by sliding one: the oracle of the closed form."""
    starts = range(-padding, size + padding, stride)
    return sum(start + dilation * (kernel - 1) < size + padding for start in starts)


@given(strategies.conv_geometries())
def test_conv_geometries_are_valid(g):
    assert g.in_channels % g.groups == 0
    assert g.out_channels % g.groups == 0
    assert g.weight_shape == (g.out_channels, g.in_channels // g.groups, *g.kernel_size)
    expected = tuple(
        output_positions(*axis)
        for axis in zip(g.input_shape[2:], g.kernel_size, g.stride, g.padding, g.dilation, strict=True)
    )
    assert g.output_shape == (g.batch, g.out_channels, *expected)
    assert min(expected) >= 1


@given(strategies.pool_geometries())
def test_pool_geometries_are_valid(g):
    expected = tuple(
        output_positions(*axis, 1) for axis in zip(g.input_shape[2:], g.kernel_size, g.stride, g.padding, strict=True)
    )
    assert g.output_shape == (g.batch, g.channels, *expected)
    assert min(expected) >= 1
    assert all(2 * pad <= kernel for pad, kernel in zip(g.padding, g.kernel_size, strict=True))


@given(strategies.shapes().flatmap(strategies.masks))
def test_masks_are_boolean(mask):
    assert mask.dtype == np.bool_


@given(st.integers(0, 12).flatmap(lambda n: st.tuples(st.just(n), strategies.masks((3, 4), count=n))))
def test_masks_have_the_count_asked_for(case):
    count, mask = case
    assert mask.shape == (3, 4)
    assert np.count_nonzero(mask) == count


@given(strategies.nested_masks((4, 5)))
def test_nested_masks_are_nested(pair):
    mask, grad_mask = pair
    assert not np.any(grad_mask & ~mask)


@given(strategies.importances((5, 4), dtype=strategies.dtypes()))
def test_importances_are_non_negative(scores):
    assert scores.shape == (5, 4)
    assert scores.dtype in (np.float32, np.float64)
    assert (scores >= 0).all()


@given(strategies.sparsities())
def test_sparsities_are_short_decimals(sparsity):
    assert 0 <= sparsity < 1
    assert (Fraction(str(sparsity)) * 1000).denominator == 1


@given(strategies.sparsities(min_value=0.76, max_value=0.8))
def test_sparsities_stay_in_bounds(sparsity):
    assert 0.76 <= sparsity <= 0.8


@given(strategies.labels(st.integers(1, 9), 4), strategies.labels(5, (7, 2)))
def test_labels_are_of_the_classes(by_number, by_list):
    assert by_number.dtype == np.int64
    assert set(by_number) <= {0, 1, 2, 3}
    assert by_list.shape == (5,)
    assert set(by_list) <= {7, 2}


@given(strategies.class_orders(6))
def test_class_orders_are_permutations(order):
    assert sorted(order) == list(range(6))


@given(strategies.class_subsets(6))
def test_class_subsets_are_distinct_classes(subset):
    assert 1 <= len(subset) == len(set(subset)) <= 6
    assert set(subset) <= set(range(6))


@given(strategies.accuracy_matrices())
def test_accuracy_matrices_are_fractions(matrix):
    tasks = matrix.shape[1]
    assert matrix.shape == (tasks + 1, tasks)
    assert ((matrix >= 0) & (matrix <= 1)).all()


@given(strategies.run_configs(batch_size=7, momentum=0.5), strategies.task_sizes(max_tasks=2, max_samples=9))
def test_run_configs_and_task_sizes_keep_to_what_is_asked(config, sizes):
    # That the settings are valid is what building the Config checks.
    assert (config.batch_size, config.momentum) == (7, 0.5)
    assert 1 <= len(sizes) <= 2
    assert all(1 <= size <= 9 for size in sizes)


@pytest.mark.parametrize(
    ("strategy", "condition"),
    [
        (strategies.sparsities(), lambda s: s == 0),
        (strategies.sparsities(), lambda s: s == 0.999),
        (strategies.sparsities(), lambda s: s == 0.95),
        (strategies.sparsities(), lambda s: len(str(s)) == 5 and s < 0.5),
        (strategies.masks((6,)), lambda m: not m.any()),
        (strategies.masks((6,)), lambda m: m.all()),
        (strategies.nested_masks((6,)), lambda p: p[1].any() and p[1].sum() < p[0].sum()),
        (strategies.importances((9,)), lambda a: np.unique(a).size == 1),
        (strategies.importances((9,)), lambda a: np.unique(a).size == 9),
        (strategies.importances((9,)), lambda a: np.unique(a).size == 3),
        (strategies.importances((9,)), lambda a: (a == 0).any()),
        (strategies.conv_geometries(), lambda g: g.groups > 1 and g.out_channels > g.groups),
        (strategies.conv_geometries(), lambda g: g.padding[0] != g.padding[1] and g.stride[0] != g.stride[1]),
        (strategies.conv_geometries(), lambda g: g.dilation == (2, 2) and g.kernel_size == (3, 3)),
        (strategies.conv_geometries(), lambda g: g.padding == (0, 0) and g.output_shape[2] > 3),
        # The last input columns belong to no window: their gradient is zero, an easy thing to get wrong.
        (strategies.conv_geometries(), lambda g: (g.width + 2 * g.padding[1] - g.kernel_size[1]) % g.stride[1] > 0),
        (strategies.pool_geometries(), lambda g: g.stride[0] < g.kernel_size[0] and g.padding[0] > 0),
        (strategies.pool_geometries(), lambda g: g.stride[0] > g.kernel_size[0]),
        (strategies.accuracy_matrices(), lambda r: r.shape == (2, 1)),
        (strategies.accuracy_matrices(), lambda r: r.shape[1] > 3 and r[-1].min() == 1),
        (strategies.run_configs(), lambda c: c.sparsity is None and c.method == "joint"),
        (strategies.run_configs(), lambda c: c.sparsity is not None and c.policy == "static" and not (c.ddr or c.dgm)),
        (strategies.run_configs(), lambda c: c.sparsity is not None and c.policy == "tdm" and c.ddr and c.dgm),
        (strategies.class_subsets(5), lambda c: len(c) == 1),
        (strategies.class_subsets(5), lambda c: len(c) == 5 and list(c) != sorted(c)),
    ],
)
def test_corners_are_reached(strategy, condition):
    assert reaches(strategy, condition)
