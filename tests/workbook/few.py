"""A small part of the digits."""

from __future__ import annotations

from sparcl_ref import Dataset, load_dataset


def few_digits() -> Dataset:
    """Every seventh of them: three or four batches of 16 a task."""
    whole = load_dataset("digits")
    parts = (part[::7] for part in (whole.train_x, whole.train_y, whole.test_x, whole.test_y))
    return Dataset(*parts, classes=10)
