"""The buffer around two functions of the protocol: which slot a sample takes, and how many a replay draws."""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

import numpy as np

from sparcl_ref.streams import Dataset
from sparcl_ref.workbook.parts import Parts


class Recalled(NamedTuple):
    """Samples from the buffer: images as stored, labels, and the logits stored with them."""

    images: np.ndarray
    labels: np.ndarray
    logits: np.ndarray


class Buffer:
    """Samples in slots, and how many have been presented so far."""

    def __init__(self, parts: Parts, capacity: int, data: Dataset):
        self.parts, self.capacity = parts, capacity
        self.presented = 0
        self._none = Recalled(data.train_x[:0], data.train_y[:0], np.zeros((0, data.classes)))
        self._slots: list[tuple[np.ndarray, int, np.ndarray]] = []

    def present(self, images: np.ndarray, labels: np.ndarray, logits: np.ndarray, rng: np.random.Generator) -> None:
        """Show a batch to the reservoir, sample by sample."""
        draws = rng.integers(0, self.presented + np.arange(len(images)) + 1)
        for image, label, stored, draw in zip(images, labels, logits, draws, strict=True):
            slot = int(self.parts.reservoir_slot(self.presented, self.capacity, int(draw)))
            if slot == len(self._slots):
                self._slots.append((image, label, stored))
            elif slot >= 0:
                self._slots[slot] = (image, label, stored)
            self.presented += 1

    def draws(self, batch_size: int, rng: np.random.Generator, *, times: int) -> list[Recalled]:
        """Independent draws of different samples, each of none while the buffer is empty."""
        count = int(self.parts.replay_size(batch_size, self.presented, self.capacity))
        filled = len(self._slots)
        return [self._at(rng.choice(filled, size=count, replace=False) if count else ()) for _ in range(times)]

    def content(self) -> Recalled:
        """All that it holds, in the order of slots."""
        return self._at(range(len(self._slots)))

    def _at(self, slots: Iterable[int]) -> Recalled:
        found = [self._slots[slot] for slot in slots]
        return Recalled(*(np.array(column) for column in zip(*found, strict=True))) if found else self._none
