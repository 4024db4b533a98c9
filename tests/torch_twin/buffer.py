"""Reservoir buffer of section 6; the random j of every presented sample arrives from outside."""

from __future__ import annotations

import numpy as np


def reservoir_slot(i: int, capacity: int, j: int) -> int | None:
    """Slot of the i-th presented sample (i from 0), or None when it is not stored.

    The first `capacity` samples fill the slots in order and need no draw; later ones take slot j, uniform in 0..i, if
    it exists.
    """
    if i < capacity:
        return i
    if not 0 <= j <= i:
        raise ValueError(f"reservoir draw {j} of sample {i} must lie in 0..{i}")
    return j if j < capacity else None


class Buffer:
    """Fixed number of slots holding raw image, label, raw logits and task.

    Attributes
    ----------
    images, labels, logits, tasks : arrays with `capacity` rows, or None before the first sample
    seen : int
        Samples presented so far.
    """

    FIELDS = ("images", "labels", "logits", "tasks")

    def __init__(self, capacity: int) -> None:
        self.capacity = capacity
        self.seen = 0
        self.images = self.labels = self.logits = self.tasks = None

    def __len__(self) -> int:
        return min(self.seen, self.capacity)

    def add(self, images: np.ndarray, labels: np.ndarray, logits: np.ndarray, task: int, draws: np.ndarray) -> None:
        """Present a batch, sample by sample in order.

        Parameters
        ----------
        images : (N, C, H, W), labels : (N,), logits : (N, classes)
        draws : (N,) int
            j of each sample; the entry of a sample that finds a free slot is not read.
        """
        if len(draws) != len(labels):
            raise ValueError(f"{len(labels)} samples presented with {len(draws)} reservoir draws")
        rows = (images, labels, logits, np.full(len(labels), task, dtype=np.int64))
        if self.images is None:
            for field, array in zip(self.FIELDS, rows, strict=True):
                setattr(self, field, np.zeros((self.capacity, *array.shape[1:]), dtype=array.dtype))
        for k, j in enumerate(draws):
            slot = reservoir_slot(self.seen, self.capacity, int(j))
            self.seen += 1
            if slot is not None:
                for field, array in zip(self.FIELDS, rows, strict=True):
                    getattr(self, field)[slot] = array[k]

    def content(self) -> dict:
        """Copies of the filled rows of each field, in slot order, and `seen`."""
        filled = {} if self.images is None else {f: getattr(self, f)[: len(self)].copy() for f in self.FIELDS}
        return {**filled, "seen": self.seen}

    def load(self, content: dict) -> None:
        """Take over what `content` returns."""
        self.seen = int(content["seen"])
        self.images = self.labels = self.logits = self.tasks = None
        if "images" not in content:
            return
        for field in self.FIELDS:
            rows = np.asarray(content[field])
            if len(rows) != len(self):
                raise ValueError(f"buffer field {field} has {len(rows)} rows, expected {len(self)}")
            array = np.zeros((self.capacity, *rows.shape[1:]), dtype=rows.dtype)
            array[: len(rows)] = rows
            setattr(self, field, array)
