"""What is set aside: a share of every class, by a generator, and neither none nor all."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sparcl_ref.streams.stratified import set_aside
from tests import strategies

counts = st.lists(st.integers(2, 60), min_size=1, max_size=6)
fractions = st.floats(0, 1, exclude_min=True, exclude_max=True)


def shuffled(counts, seed):
    return np.random.default_rng(seed).permutation(np.repeat(np.arange(len(counts)), counts))


@given(counts, fractions, strategies.seeds())
def test_each_class_gives_the_whole_number_nearest_to_its_share(counts, fraction, seed):
    labels = shuffled(counts, seed)
    drawn = set_aside(labels, fraction, np.random.default_rng(seed))
    assert drawn.dtype == np.int64
    assert drawn.tolist() == sorted(set(drawn.tolist()))
    for label, count in enumerate(counts):
        got = int((labels[drawn] == label).sum())
        share = min(max(Fraction(fraction) * count, 1), count - 1)
        assert abs(got - share) <= Fraction(1, 2) + Fraction(1, 10**9)  # the product is rounded before it is
        assert 1 <= got <= count - 1


@given(counts, fractions, strategies.seeds(), strategies.seeds())
def test_the_generator_decides_which_but_not_how_many(counts, fraction, seed, other):
    labels = shuffled(counts, seed)
    one, again, another = (set_aside(labels, fraction, np.random.default_rng(s)) for s in (seed, seed, other))
    assert one.tolist() == again.tolist()
    assert sorted(labels[one]) == sorted(labels[another])


def test_every_sample_can_be_drawn_alike():
    labels, rng = np.arange(20) % 2, np.random.default_rng(0)
    times = sum(np.bincount(set_aside(labels, 0.3, rng), minlength=20) for _ in range(4000))
    # Each is drawn with probability 0.3: 1200 times, with a deviation of 29; five of them.
    assert abs(times - 1200).max() < 145


def test_what_cannot_be_is_refused():
    with pytest.raises(ValueError, match=r"^class 1 has 1 sample\(s\), of which none can be set aside"):
        set_aside(np.array([0, 0, 1]), 0.5, np.random.default_rng(0))
    for fraction in (0.0, 1.0, -0.1, float("nan")):
        with pytest.raises(ValueError, match=r"^the fraction to set aside must be above 0 and below 1, got"):
            set_aside(np.array([0, 0]), fraction, np.random.default_rng(0))
