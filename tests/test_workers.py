"""Worker processes keep to the threads they are given."""

from __future__ import annotations

import multiprocessing

import numba
import pytest

from sparcl_ref import extensions
from sparcl_ref.workers import _start_worker


@pytest.mark.parametrize("threads", [1, 2])
def test_a_worker_has_its_own_number_of_compiled_threads(threads):
    """Without it every worker would start a thread per core, and workers would wait for one another's."""
    context = multiprocessing.get_context("spawn")
    with context.Pool(1, initializer=_start_worker, initargs=(threads, extensions.added())) as pool:
        assert pool.apply(numba.get_num_threads) == threads
