"""Results do not depend on scheduling, and without matrix products not on the number of threads either."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest


def digests(density: float, threads: int) -> str:
    """What `tests.fast.step_digest` prints with so many threads, more than cores if need be."""
    environment = {**os.environ, "NUMBA_NUM_THREADS": str(threads)}
    command = [sys.executable, "-m", "tests.fast.step_digest", str(density)]
    return subprocess.run(command, env=environment, check=True, capture_output=True, text=True).stdout


def test_sums_over_living_weights_have_the_same_bits_with_any_number_of_threads():
    expected = digests(0.1, 1)
    assert len(set(expected.split())) == 2
    assert digests(0.1, 2) == digests(0.1, 3) == expected


@pytest.mark.slow
def test_matrix_products_have_the_same_bits_with_the_same_number_of_threads():
    assert digests(1.0, 3) == digests(1.0, 3)
