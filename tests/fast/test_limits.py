"""What the machine may lack, and what would not fit: said in words, or done without."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from scipy.linalg import cython_blas
from threadpoolctl import threadpool_info, threadpool_limits

from sparcl_ref.fast import products, threads
from sparcl_ref.fast.geometry import Kernel, forward_window
from sparcl_ref.fast.layout import Layout
from sparcl_ref.fast.products import MatrixProducts
from sparcl_ref.fast.shifted_sums import build_shifted_sums

KERNEL = Kernel(32, 32)
#: Numbers in a channel of each, for a batch of one: as many as a 32-bit integer can count, and more.
FITTING, TOO_LARGE = (Layout(32, 1 << 15, columns) for columns in ((1 << 16) - 1, 1 << 16))


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_a_blas_of_other_integers_is_refused(dtype, monkeypatch):
    dtype = np.dtype(dtype)
    assert products.gemm_address(dtype) > 0
    name = products.NAMES[dtype]
    wide = {name: '<capsule object "void (char *, char *, blas_int *, blas_int *, blas_int *, ...)">'}
    monkeypatch.setattr(cython_blas, "__pyx_capi__", wide)
    with pytest.raises(RuntimeError, match=rf"{name} does not take 32-bit integers; use the numpy engine"):
        products.gemm_address.__wrapped__(dtype)


def test_channels_too_large_for_blas_are_refused():
    def window(layout):
        return forward_window(KERNEL, layout, layout, 1, np.arange(1))

    MatrixProducts(KERNEL, window(FITTING), backward=False, plane=FITTING.plane(1))
    with pytest.raises(ValueError, match=r"fewer than 2\*\*31 numbers; use smaller batches"):
        MatrixProducts(KERNEL, window(TOO_LARGE), backward=False, plane=TOO_LARGE.plane(1))
    narrow = dataclasses.replace(window(FITTING), place=window(TOO_LARGE).place)
    with pytest.raises(ValueError, match=r"fewer than 2\*\*31 numbers"):
        MatrixProducts(KERNEL, narrow, backward=False, plane=FITTING.plane(1))


def test_shifts_too_large_for_32_bits_are_refused():
    flat = np.array([0, 1])  # the second weight reads the second channel, which begins behind 2**31 numbers
    near, far = (forward_window(KERNEL, TOO_LARGE, TOO_LARGE, 1, flat[:count]) for count in (1, 2))
    assert build_shifted_sums(near, flat, channels=32, reads=32, seen_bytes=64).offs.tolist() == [0]
    with pytest.raises(ValueError, match=r"fewer than 2\*\*31 numbers; use smaller batches"):
        build_shifted_sums(far, flat, channels=32, reads=32, seen_bytes=64)


def threads_of_blas():
    return [library["num_threads"] for library in threadpool_info() if library["user_api"] == "blas"]


def test_blas_is_given_its_threads_back():
    with threadpool_limits(2):
        before = threads_of_blas()
        with threads.single_threaded(), threads.single_threaded():
            assert set(threads_of_blas()) == {1}
        assert threads_of_blas() == before
        with pytest.raises(ZeroDivisionError), threads.single_threaded():
            _ = 1 // 0
        assert threads_of_blas() == before
