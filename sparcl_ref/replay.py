"""The rehearsal buffer: reservoir sampling, so that every sample ever presented is equally likely to be inside."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import DTypeLike

from sparcl_ref.memory import require_memory

EMPTY = -1


def reservoir_slot(presented: int, capacity: int, draw: int) -> int:
    """Where the next presented sample goes, or -1 if it is not stored (Vitter 1985, algorithm R).

    The i-th sample, i from 0, fills slot i while i < capacity. After that a number j is drawn uniformly in 0..i, and
    the sample replaces slot j if j < capacity. By induction every sample so far is inside with probability
    capacity / (i + 1): the new one by the draw, an older one with capacity / i times the chance 1 - 1 / (i + 1) of
    surviving it.

    Parameters
    ----------
    presented : int
        i, how many samples were presented before this one.
    capacity : int
    draw : int
        j in 0..i; read only once the buffer is full.

    Raises
    ------
    ValueError
        If the buffer is full and ``draw`` is not in 0..presented.
    """
    if presented < capacity:
        return presented
    if not 0 <= draw <= presented:
        raise ValueError(f"reservoir_slot: the draw must lie in 0..{presented}, got {draw}")
    return draw if draw < capacity else EMPTY


class Samples(NamedTuple):
    """Buffer content for a list of slots: raw images, labels, stored logits and task numbers."""

    images: np.ndarray
    labels: np.ndarray
    logits: np.ndarray
    tasks: np.ndarray


def slot_dtype(
    image_shape: tuple[int, ...], image_dtype: DTypeLike, classes: int, logits_dtype: DTypeLike
) -> np.dtype[Any]:
    """What the buffer keeps of a sample, as a structured dtype: its ``itemsize`` is known before there is a buffer."""
    return np.dtype(
        [
            ("images", image_dtype, image_shape),
            ("labels", np.int64),
            ("logits", logits_dtype, (classes,)),
            ("tasks", np.int64),
        ]
    )


class ReservoirBuffer:
    """A fixed number of samples, each kept as it was before normalisation and augmentation.

    Parameters
    ----------
    capacity : int
        Number of slots, at least 1.
    image_shape : tuple of int
        ``(C, H, W)``.
    image_dtype, logits_dtype : numpy dtype
    classes : int
        Width of the head.

    Attributes
    ----------
    nbytes : int
        Bytes that the buffer takes, filled or not.

    Raises
    ------
    ValueError
        If the capacity is below 1, or more than fits into memory.
    """

    def __init__(
        self,
        capacity: int,
        *,
        image_shape: tuple[int, ...],
        image_dtype: DTypeLike,
        classes: int,
        logits_dtype: DTypeLike,
    ):
        if not isinstance(capacity, int | np.integer) or capacity < 1:
            raise ValueError(f"the buffer must hold at least 1 sample, got a size of {capacity!r}")
        slot = slot_dtype(image_shape, image_dtype, classes, logits_dtype)
        self.nbytes = capacity * slot.itemsize
        require_memory(f"a buffer of {capacity} samples", self.nbytes)
        self.capacity = capacity
        self.presented = 0
        self._kept = Samples(*(np.zeros(capacity, slot[name]) for name in Samples._fields))

    def __len__(self) -> int:
        """Number of filled slots."""
        return min(self.presented, self.capacity)

    def add(
        self,
        images: np.ndarray,
        labels: np.ndarray,
        logits: np.ndarray,
        *,
        task: int,
        rng: np.random.Generator | np.ndarray,
    ) -> np.ndarray:
        """Present a batch; each sample counts, whether it is stored or not, in every epoch.

        Parameters
        ----------
        images : ndarray, shape (N, C, H, W)
            Before normalisation and augmentation.
        labels : ndarray of int, shape (N,)
            Each 0 .. classes-1.
        logits : ndarray, shape (N, classes)
            Raw logits (before any head mask) of the training pass that presented the batch.
        task : int
        rng : numpy.random.Generator or ndarray of int, shape (N,)
            The stream named "reservoir", or the draws themselves: for the sample presented as number i a j in 0..i.

        Returns
        -------
        ndarray of int, shape (N,)
            Slot of each sample, -1 where it was not stored.

        Raises
        ------
        ValueError
            If a shape does not fit the buffer or the number of images, a label the head, or a given draw cannot come
            up; nothing is stored then.
        TypeError
            If images or logits do not have the buffer's dtype (storing would convert them, a normalised image to a
            black one), or labels or draws are not integers.
        """
        count, kept = len(images), self._kept
        _expect("images", images, (count, *kept.images.shape[1:]), kept.images.dtype)
        _expect("labels", labels, (count,), np.integer)
        _expect("logits", logits, (count, kept.logits.shape[1]), kept.logits.dtype)
        self._check_labels(labels)
        ranks = self.ranks(count)
        draws = rng.integers(0, ranks + 1) if isinstance(rng, np.random.Generator) else np.asarray(rng)
        _expect("draws", draws, (count,), np.integer)
        # All slots before the first is written: a draw that is refused leaves the buffer as it was.
        slots = [reservoir_slot(int(rank), self.capacity, int(draw)) for rank, draw in zip(ranks, draws, strict=True)]
        for row, slot in enumerate(slots):
            if slot != EMPTY:
                kept.images[slot] = images[row]
                kept.labels[slot] = labels[row]
                kept.logits[slot] = logits[row]
                kept.tasks[slot] = task
        self.presented += count
        return np.array(slots, dtype=np.int64)

    def ranks(self, count: int) -> np.ndarray:
        """How many samples were presented before each of the next ``count``."""
        return self.presented + np.arange(count, dtype=np.int64)

    def draw(self, count: int, rng: np.random.Generator) -> np.ndarray:
        """Slots of min(count, filled) distinct samples, uniformly at random."""
        return rng.choice(len(self), size=min(count, len(self)), replace=False)

    def get(self, slots: np.ndarray) -> Samples:
        """Copies of the samples in the given filled slots.

        Raises
        ------
        ValueError
            If a slot is empty or does not exist.
        TypeError
            If the slots are not integers.
        """
        slots = np.asarray(slots)
        _expect("slots", slots, slots.shape, np.integer)
        slots = slots.astype(np.int64)
        if slots.size and not len(self):
            raise ValueError(f"the buffer is empty; there is no slot {slots.flat[0]}")
        if slots.size and not (slots.min() >= 0 and slots.max() < len(self)):
            raise ValueError(f"buffer slots must lie in 0..{len(self) - 1}, got {slots.min()}..{slots.max()}")
        return Samples(*(array[slots] for array in self._kept))

    def content(self) -> Samples:
        """All filled slots in slot order."""
        return self.get(np.arange(len(self)))

    def hold(self, samples: Samples) -> None:
        """Hold exactly these samples, in this order, instead of what was there; they count as all that were presented.

        Raises
        ------
        ValueError, TypeError
            If there are more than the capacity, or as in `load_state`; the buffer is as it was then.
        """
        count = len(samples.labels)
        if count > self.capacity:
            raise ValueError(f"a buffer of {self.capacity} slots cannot hold {count} samples")
        state: dict[str, Any] = {"presented": count}
        for name, given, kept in zip(Samples._fields, samples, self._kept, strict=True):
            _expect(name, given, (count, *kept.shape[1:]), kept.dtype)
            state[name] = np.zeros_like(kept)
            state[name][:count] = given
        self.load_state(state)

    def state(self) -> dict[str, Any]:
        """Presented count and copies of the arrays."""
        copies = {name: array.copy() for name, array in self._kept._asdict().items()}
        return {"presented": self.presented, **copies}

    def load_state(self, state: dict[str, Any]) -> None:
        """Take over what `state` returned; all of it, or nothing where it is refused.

        Raises
        ------
        ValueError
            If it belongs to a buffer of another capacity or other shapes, lacks a part, or cannot be a buffer's state.
        TypeError
            If it belongs to a buffer of other dtypes.
        """
        lacking = [name for name in ("presented", *Samples._fields) if name not in state]
        if lacking:
            raise ValueError(f"buffer: the state lacks {', '.join(lacking)}")
        if len(state["labels"]) != self.capacity:
            raise ValueError(f"the state holds {len(state['labels'])} slots, this buffer has {self.capacity}")
        for name, kept in self._kept._asdict().items():
            _expect(name, state[name], kept.shape, kept.dtype)
        self._check_labels(state["labels"])
        if state["presented"] < 0:
            raise ValueError(f"buffer: the state says that {state['presented']} samples were presented")
        self.presented = int(state["presented"])
        for name, kept in self._kept._asdict().items():
            kept[...] = state[name]

    def _check_labels(self, labels: np.ndarray) -> None:
        classes = self._kept.logits.shape[1]
        outside = labels[(labels < 0) | (labels >= classes)]
        if outside.size:
            raise ValueError(f"buffer: labels must lie in 0..{classes - 1}, the classes of the head, got {outside[0]}")


def _expect(what: str, array: np.ndarray, shape: tuple[int, ...], dtype: DTypeLike) -> None:
    if array.shape != shape:
        raise ValueError(f"buffer: {what} must have shape {shape}, got {array.shape}")
    if array.size and not np.issubdtype(array.dtype, dtype):
        wanted = "be integers" if dtype is np.integer else f"have the buffer's dtype {dtype}"
        raise TypeError(f"buffer: {what} must {wanted}, got dtype {array.dtype}")
