"""The comparison of one tensor: the first entry beyond its tolerance, and nothing within."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from sparcl_ref.verify.difference import BLOCK
from sparcl_ref.verify.trace import compare_tensor
from sparcl_ref.verify.traces.archive import Name
from sparcl_ref.verify.traces.rules import rule_book

RULES = rule_book()
NAME = Name("task1.epoch1.step0", "current", "conv1", "output")
FLOATS = hnp.arrays(
    np.float64,
    hnp.array_shapes(min_dims=0, max_dims=3, max_side=5),
    elements=st.floats(-1e6, 1e6, allow_nan=False),
)


@given(expected=FLOATS, data=st.data(), tolerance=st.floats(1e-9, 1.0))
def test_compare_finds_the_first_entry_beyond_the_tolerance(expected, data, tolerance):
    rule, options = RULES["output/ReLU"], {"tolerance": tolerance, "eps": 2.0**-52}
    signs = data.draw(hnp.arrays(np.float64, expected.shape, elements=st.sampled_from([-1.0, 0.0, 1.0])))
    # Half the tolerance is beyond doubt within, twice the tolerance beyond: the sums round by up to 1e-10.
    within = np.asarray(expected + 0.5 * tolerance * signs)
    assert compare_tensor(NAME, within, expected, rule=rule, **options) is None
    if expected.size:
        flat = data.draw(st.integers(0, expected.size - 1))
        wrong = within.copy()
        wrong.reshape(-1)[flat:] += data.draw(st.sampled_from([3 * tolerance, -3 * tolerance, np.nan, np.inf]))
        found = compare_tensor(NAME, wrong, expected, rule=rule, **options)
        assert found.index == tuple(int(i) for i in np.unravel_index(flat, expected.shape))
        assert found.bad == expected.size - flat


@given(expected=hnp.arrays(np.int64, 7, elements=st.integers(-(2**62), 2**62)), place=st.integers(0, 6))
def test_compare_is_exact_where_the_rule_is(expected, place):
    rule = RULES["remaining"]
    assert compare_tensor(NAME, expected.copy(), expected, rule=rule, tolerance=None, eps=2.0**-52) is None
    wrong = expected.copy()
    wrong[place] += 1
    found = compare_tensor(NAME, wrong, expected, rule=rule, tolerance=None, eps=2.0**-52)
    assert (found.index, found.bad, found.ulp) == ((place,), 1, None)


def test_compare_finds_a_fault_beyond_the_first_block():
    expected = np.zeros(3 * BLOCK)
    wrong = expected.copy()
    wrong[[BLOCK + 5, -1]] = 1.0, 2.0
    found = compare_tensor(NAME, wrong, expected, rule=RULES["output/ReLU"], tolerance=0.5, eps=2.0**-52)
    assert (found.index, found.bad, found.worst) == ((BLOCK + 5,), 2, 2.0)


def test_only_rules_about_dead_weights_want_exact_zeros():
    wrong = np.array([1.0, 1e-30])
    expected = np.array([1.0, 0.0])
    options = {"tolerance": 1e-12, "eps": 2.0**-52}
    assert compare_tensor(NAME, wrong, expected, rule=RULES["output/ReLU"], **options) is None
    assert compare_tensor(NAME, wrong, expected, rule=RULES["value"], **options).index == (1,)
    assert compare_tensor(NAME, np.array([1.0, -0.0]), expected, rule=RULES["value"], **options) is None
