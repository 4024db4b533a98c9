"""Joint training: the upper bound. All tasks at once, nothing to forget."""

from __future__ import annotations

from sparcl_ref.methods.fine_tuning import FineTuning


class Joint(FineTuning):
    """L = CE(B), each batch drawn from the data of all tasks."""

    title = "Joint"
    joint = True
