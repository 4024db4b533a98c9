"""Comparing the two engines."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import pytest

from sparcl_ref.fast import network

#: Numbers before and after each guarded buffer: more than the widest tile.
MARGIN = 512


def tolerance(dtype: type, terms: int) -> float:
    """Largest difference of two sums in different order, relative to the sum of magnitudes.

    Each of n additions rounds by at most half an ulp of a partial sum: n * eps bounds the difference of two orders.
    """
    return terms * float(np.finfo(dtype).eps)


def assert_near(got: np.ndarray, expected: np.ndarray, what: str, bound: np.ndarray | float) -> None:
    """Compare entry by entry against an absolute bound, naming the first entry that is off."""
    assert got.shape == expected.shape, f"{what}: shape {got.shape}, expected {expected.shape}"
    assert got.dtype == expected.dtype, f"{what}: dtype {got.dtype}, expected {expected.dtype}"
    off = ~(np.abs(got - expected) <= bound)
    if off.any():
        place = tuple(int(i) for i in np.argwhere(off)[0])
        raise AssertionError(
            f"{what}[{place}]: got {got[place]!r}, expected {expected[place]!r}, {off.sum()} of {off.size} entries off"
        )


class GuardedPool:
    """In place of the engine's pool: buffers whose every number that nobody may touch or read is NaN.

    Margins must stay NaN, gaps between channels NaN (or become zero with the whole), and frames zero. Images are NaN
    until they are written, so that what is read before shows in the results.
    """

    def __init__(self, dtype):
        self.dtype = dtype
        self.taken = []

    def take(self, layout, batch):
        whole = np.full(layout.size(batch) + 2 * MARGIN, np.nan, dtype=self.dtype)
        buffer = whole[MARGIN : MARGIN + layout.size(batch)]
        padded_size = layout.padded[0] * layout.padded[1] * batch
        buffer.reshape(layout.channels, -1)[:, :padded_size] = 0
        layout.write(buffer, batch, np.array(np.nan))
        self.taken.append((whole, layout, batch, ~np.isnan(whole)))
        return buffer

    def give(self, buffer, layout, batch):
        assert any(buffer.base is whole and layout == of for whole, of, _, _ in self.taken), "not from this pool"

    def check(self):
        """Fail if anything but images has been written."""
        assert self.taken
        for whole, layout, batch, frame in self.taken:
            gaps = ~frame
            gaps[:MARGIN] = gaps[-MARGIN:] = False
            layout.write(gaps[MARGIN:-MARGIN], batch, np.array(False))
            assert not whole[frame].any(), f"written into the frame of {layout}"
            assert np.isnan([whole[:MARGIN], whole[-MARGIN:]]).all(), f"written outside of {layout}"
            assert (np.isnan(whole[gaps]) | (whole[gaps] == 0)).all(), f"written between channels of {layout}"


@contextmanager
def guarded() -> Iterator[None]:
    """Every network compiled inside works in guarded buffers, which are checked at the end."""
    pools = []

    def new_pool(dtype):
        pools.append(GuardedPool(dtype))
        return pools[-1]

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(network, "Pool", new_pool)
        yield
    assert pools
    for pool in pools:
        pool.check()
