"""Deliberately wrong implementations, which the conformance kit must catch: `python -m tests.verify.wrong`.

Written apart from the package, and from its list of likely causes.
"""

from __future__ import annotations

from tests.verify.wrong import (
    budgets,
    cost,
    importance,
    layers,
    losses,
    masks,
    metrics,
    norms,
    optimizer,
    pooling,
    released,
    replay,
    schedules,
)
from tests.verify.wrong.entry import Wrong

__all__ = ["WRONG", "Wrong"]

_MODULES = (
    layers,
    norms,
    pooling,
    losses,
    optimizer,
    budgets,
    masks,
    importance,
    schedules,
    replay,
    metrics,
    cost,
    released,
)
WRONG = tuple(entry for module in _MODULES for entry in module.WRONG)
