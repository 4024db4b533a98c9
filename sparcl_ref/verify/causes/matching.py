"""Whether numbers are those that a mistake gives."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from sparcl_ref.verify.adapter import Returned
from sparcl_ref.verify.cases import Case, Tolerance
from sparcl_ref.verify.compare import compare_arrays


def matches(name: str, got: np.ndarray, wanted: np.ndarray, case: Case, dtype: str, *, strict: bool = False) -> bool:
    """Whether an output agrees with some numbers, within the case's tolerance widened to the size of these numbers.

    Parameters
    ----------
    name : str
        Of the output.
    got, wanted : ndarray
    case : Case
    dtype : {"float64", "float32"}
    strict : bool
        The case's tolerance as it is.
    """
    if got.shape != wanted.shape or name not in case.expected:
        return False
    tolerance = case.tolerance.get(name)
    if tolerance is not None and not strict:
        finite = np.abs(wanted[np.isfinite(wanted)], dtype=np.float64)
        magnitude = max(tolerance.magnitude, float(finite.max(initial=0.0)))
        # A mistake may add a few operations of its own.
        tolerance = Tolerance(tolerance.terms + 8, magnitude, tolerance.reason)
    return compare_arrays(name, got, wanted, tolerance, dtype=dtype) is None


def wrong_arrays(case: Case, outputs: Mapping[str, Returned], dtype: str) -> dict[str, np.ndarray]:
    """The outputs with numbers that are not as expected, by name."""
    got = {name: outputs[name].array for name in sorted(case.expected) if outputs[name].array is not None}
    return {
        name: array
        for name, array in got.items()
        if not matches(name, array, case.expected[name], case, dtype, strict=True)
    }
