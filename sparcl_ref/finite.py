"""What is said of numbers that are not finite, where nothing has been computed from them yet, or all has."""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import numpy as np


def check_scores(scores: Mapping[str, np.ndarray], what: str) -> None:
    """Raise a FloatingPointError if numbers by which entries are to be ranked are NaN or infinite, naming whose."""
    for name, array in scores.items():
        if bad := np.count_nonzero(~np.isfinite(array)):
            raise FloatingPointError(
                f"{name}: {bad} of {array.size} {what} are NaN or infinite; the training diverged: lower the learning "
                "rate or check the data"
            )


@contextmanager
def told_once() -> Iterator[None]:
    """NumPy's remarks on overflow and the like are told afterwards, once each, and not beside a FloatingPointError."""
    noted: list[str] = []
    kinds: Any = {kind: "call" for kind, mode in np.geterr().items() if mode == "warn"}
    with np.errstate(**kinds, call=lambda kind, flag: noted.append(kind)):
        yield
    for kind in dict.fromkeys(noted):
        warnings.warn(
            f"{kind} encountered in a run, although its losses and gradients stayed finite", RuntimeWarning, 3
        )
