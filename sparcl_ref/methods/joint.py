"""Joint training: the upper bound. All tasks at once, nothing to forget."""

from __future__ import annotations

from sparcl_ref.methods.sgd import SGD


class Joint(SGD):
    """L = CE(B), each batch drawn from the data of all tasks."""

    title = "Joint"
    joint = True
