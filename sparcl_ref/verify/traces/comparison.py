"""One tensor of a trace against the expected one, block by block."""

from __future__ import annotations

import numpy as np

from sparcl_ref.verify.traces.archive import Name
from sparcl_ref.verify.traces.divergence import Divergence
from sparcl_ref.verify.traces.rules import Rule

#: Entries compared at once: what a comparison needs beside the two tensors.
BLOCK = 1 << 14


def compare(
    name: Name, got: np.ndarray, expected: np.ndarray, *, rule: Rule, tolerance: float | None, eps: float
) -> Divergence | None:
    """Hold one tensor against the expected one.

    Parameters
    ----------
    name : Name
    got, expected : ndarray
    rule : Rule
        Exact rules allow no difference; rules with ``zeros`` want exactly 0 where the expectation is 0.
    tolerance : float or None
        Largest absolute difference; it grows with the epsilon of ``got`` where that is coarser.
    eps : float
        Epsilon of the reference.

    Returns
    -------
    Divergence or None
    """
    if got.shape != expected.shape:
        return Divergence(name, rule, problem=f"has shape {got.shape}, expected {expected.shape}")
    if (got.dtype.kind == "b") != (expected.dtype.kind == "b") and not _is_binary(got):
        return Divergence(name, rule, problem=f"has dtype {got.dtype}, expected {expected.dtype}")
    coarser = max(1.0, float(np.finfo(got.dtype).eps) / eps) if got.dtype.kind == "f" else 1.0
    allowed = 0.0 if rule.exact or tolerance is None else tolerance * coarser
    found = Divergence(name, rule, problem="differs", tolerance=allowed, size=expected.size)
    flat_got, flat = got.reshape(-1), expected.reshape(-1)
    for start in range(0, flat.size, BLOCK):
        part, wanted = flat_got[start : start + BLOCK], flat[start : start + BLOCK]
        if part.dtype.kind == wanted.dtype.kind == "f" and rule.exact:
            wanted = wanted.astype(part.dtype)  # what is given may be held in a coarser type
        one, other = part.astype(np.float64), wanted.astype(np.float64)
        with np.errstate(all="ignore"):
            error = np.abs(one - other)
        # Not "error > allowed": a NaN must count as wrong.
        bad = part != wanted if rule.exact else ~(error <= allowed)
        if rule.zeros:
            bad |= (other == 0) & (one != 0)
        found.largest = max(found.largest, float(np.max(np.abs(other))))
        if not bad.any():
            continue
        if found.wrong == 0:
            at = start + int(np.argmax(bad))
            found.point_at(np.unravel_index(at, expected.shape), flat_got[at], flat[at])
        found.wrong += int(np.count_nonzero(bad))
        worst = error[bad]
        found.worst = max(found.worst, float(np.max(np.where(np.isfinite(worst), worst, np.inf))))
    return found if found.wrong else None


def _is_binary(array: np.ndarray) -> bool:
    """Whether an array that is not boolean can stand for one."""
    return array.dtype.kind == "b" or bool(np.isin(array, (0, 1)).all())
