"""Wrong reservoirs."""

from __future__ import annotations

from functools import partial

import numpy as np

from tests.verify.wrong.entry import Wrong


def slot(presented, capacity, draw):
    """Right."""
    if presented < capacity:
        return presented
    return draw if draw < capacity else -1


def added(presented, capacity, draws, *, fault):
    slots = []
    for draw in draws.tolist():
        slots.append(slot(presented, capacity, draw))
        presented += slots[-1] >= 0 if fault == "stored only" else 1
    if fault == "batches":
        presented += 1 - len(slots)
    return slots, presented


def filled(capacity, batch_sizes, uniforms, *, fault):
    holding = np.full(capacity, -1)
    number = presented = 0
    for size in batch_sizes:
        taken = set()
        for _ in range(size):
            highest = presented if fault == "one short" else presented + 1
            place = slot(presented, capacity, int(uniforms[number] * highest))
            if place >= 0 and not (fault == "first wins" and place in taken and holding[place] >= 0):
                holding[place] = number
                taken.add(place)
            if fault != "stored only" or place >= 0:
                presented += 1
            number += 1
        if fault == "each batch anew":
            presented = 0
    return holding


def newest(capacity, batch_sizes, uniforms):
    """A ring: the oldest sample is replaced."""
    holding = np.full(capacity, -1)
    for number in range(sum(batch_sizes)):
        holding[number % capacity] = number
    return holding


WRONG = (
    Wrong(
        "slot-capacity",
        "replay",
        "reservoir_slot",
        "a draw equal to the capacity is stored",
        lambda presented, capacity, draw: presented if presented < capacity else draw if draw <= capacity else -1,
    ),
    Wrong(
        "slot-drawn-early",
        "replay",
        "reservoir_slot",
        "the draw counts while slots are free",
        lambda presented, capacity, draw: draw if draw < capacity else -1,
    ),
    Wrong(
        "slot-full-late",
        "replay",
        "reservoir_slot",
        "the buffer is full one sample late",
        lambda presented, capacity, draw: (
            min(presented, capacity - 1) if presented <= capacity else slot(presented, capacity, draw)
        ),
    ),
    Wrong(
        "slot-always",
        "replay",
        "reservoir_slot",
        "every sample is stored, at the draw modulo the capacity",
        lambda presented, capacity, draw: presented if presented < capacity else draw % capacity,
    ),
    Wrong(
        "add-stored-only",
        "replay",
        "reservoir_add",
        "presentations that are not stored are not counted",
        partial(added, fault="stored only"),
    ),
    Wrong(
        "add-batches", "replay", "reservoir_add", "batches are counted, not samples", partial(added, fault="batches")
    ),
    Wrong(
        "fill-stored-only",
        "replay",
        "reservoir_fill",
        "presentations that are not stored are not counted",
        partial(filled, fault="stored only"),
    ),
    Wrong(
        "fill-first-wins",
        "replay",
        "reservoir_fill",
        "within a batch the first sample keeps a slot",
        partial(filled, fault="first wins"),
    ),
    Wrong(
        "fill-each-batch",
        "replay",
        "reservoir_fill",
        "the count starts anew with each batch",
        partial(filled, fault="each batch anew"),
    ),
    Wrong("fill-one-short", "replay", "reservoir_fill", "j is drawn in 0..i - 1", partial(filled, fault="one short")),
    Wrong("fill-newest", "replay", "reservoir_fill", "the oldest sample is replaced", newest),
    Wrong(
        "draw-unlimited",
        "replay",
        "replay_size",
        "as many as the batch, whatever is stored",
        lambda batch_size, **_: batch_size,
    ),
    Wrong(
        "draw-presented",
        "replay",
        "replay_size",
        "presented samples are taken for stored ones",
        lambda batch_size, presented, **_: min(batch_size, presented),
    ),
)
