"""Inputs for the rehearsal buffer."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from tests.verify import draws
from tests.verify.spec import CaseSpec


def cases() -> Iterator[CaseSpec]:
    yield from _reservoir()


def _reservoir() -> Iterator[CaseSpec]:
    for name, kind, presented, capacity, draw, note in (
        ("free-slot", "regular", 3, 5, 0, "slots fill in order; the draw is not read"),
        ("replace", "regular", 20, 5, 2, "slot j is replaced"),
        ("not-stored", "regular", 20, 5, 17, "j is no slot"),
        ("first", "edge", 0, 5, 0, "the first sample of all"),
        ("last-free-slot", "edge", 4, 5, 1, "one slot is free"),
        ("just-full", "adversarial", 5, 5, 3, "the first sample that needs its draw"),
        ("draw-is-capacity", "adversarial", 9, 5, 5, "slots end at capacity - 1"),
        ("draw-is-presented", "edge", 9, 5, 9, "the largest draw"),
        ("one-slot", "edge", 3, 1, 0, "a buffer of one"),
    ):
        arguments = {"presented": presented, "capacity": capacity, "draw": draw}
        yield CaseSpec("reservoir_slot", name, kind, note, arguments)
    for name, kind, presented, capacity, drawn, note in (
        ("full", "regular", 12, 4, [3, 12, 0, 7, 1], "some are stored, all count"),
        ("across-full", "adversarial", 2, 4, [0, 0, 1, 4, 2], "the buffer becomes full within the batch"),
        ("none-stored", "adversarial", 8, 4, [8, 5, 10], "samples that are not stored count too"),
        ("empty-batch", "edge", 8, 4, [], "nothing is presented"),
        ("one-sample", "edge", 0, 1, [0], "the first sample fills a buffer of one"),
        ("same-slot", "adversarial", 6, 3, [1, 1, 1], "each replaces the one before"),
    ):
        arguments = {"presented": presented, "capacity": capacity, "draws": np.array(drawn, np.int64)}
        yield CaseSpec("reservoir_add", name, kind, note, arguments)
    for name, kind, capacity, sizes, note in (
        ("several-batches", "regular", 6, [4, 4, 4, 4], "the count runs on over batches"),
        ("many-batches", "adversarial", 5, [3] * 12, "most samples are not stored and count all the same"),
        ("never-full", "edge", 20, [4, 4], "the rest of the buffer is empty"),
        ("one-slot", "edge", 1, [1, 1, 1, 1, 1, 1], "a buffer of one"),
        ("nothing", "edge", 3, [], "no batch at all"),
    ):
        # Odd multiples of 1/2048: times a whole number they are exact in float32, and none meets a whole number.
        odd = 2 * draws.integers(f"reservoir {name}", sum(sizes), low=0, high=1024) + 1
        arguments = {"capacity": capacity, "batch_sizes": sizes, "uniforms": odd / 2048}
        yield CaseSpec("reservoir_fill", name, kind, note, arguments)
    # From the third sample on each draws slot 1: u (i + 1) lies about half-way between 1 and 2.
    ones = {"capacity": 2, "batch_sizes": [4, 4], "uniforms": np.array([1, 1, 1025, 769, 615, 513, 439, 385]) / 2048}
    yield CaseSpec("reservoir_fill", "same-slot", "adversarial", "within a batch the last sample keeps a slot", ones)
    for name, kind, batch_size, presented, capacity, note in (
        ("full", "regular", 32, 1000, 200, "as many as the batch"),
        ("filling", "regular", 32, 20, 200, "no more than there are"),
        ("small-buffer", "adversarial", 32, 1000, 10, "presented is not stored"),
        ("empty", "edge", 32, 0, 200, "nothing to replay"),
    ):
        arguments = {"batch_size": batch_size, "presented": presented, "capacity": capacity}
        yield CaseSpec("replay_size", name, kind, note, arguments)
