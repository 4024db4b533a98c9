"""Max pooling where windows have several largest entries: the first in row-major order gets the gradient."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from sparcl_ref import fast
from sparcl_ref.layers import Flatten, Linear, MaxPool2d, Sequential
from sparcl_ref.models import Network
from tests import strategies


@given(
    strategies.generators(),
    st.tuples(st.integers(1, 3), st.integers(1, 3)),
    st.tuples(st.integers(1, 2), st.integers(1, 2)),
    st.booleans(),
)
def test_ties_fall_as_in_the_reference(rng, kernel, stride, padded) -> None:
    pool = MaxPool2d(kernel, stride=stride, padding=tuple(side // 2 for side in kernel) if padded else 0)
    shape = (2, 5, 4)
    features = int(np.prod(pool.output_shape(shape)))
    head = Linear(features, 3, dtype=np.float64)
    head.weight.value[...] = rng.standard_normal((3, features))
    network = Network("pooled", Sequential([pool, Flatten(), head]), input_shape=shape, classes=3)
    # Three values, -0.0 beside 0.0 among them: nearly every window has ties.
    x = rng.choice([-1.0, -0.0, 0.0, 1.0], (3, *shape))
    dy = rng.standard_normal((3, 3))
    found = []
    for engine in (network, fast.compile(network)):
        engine.forward(x, mode="train")
        found.append(engine.backward(dy))
    # Sums of at most nine windows' gradients, each a sum of three products.
    np.testing.assert_allclose(found[1], found[0], rtol=0, atol=1e-13)
