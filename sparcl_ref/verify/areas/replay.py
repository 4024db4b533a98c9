"""The reservoir buffer."""

from __future__ import annotations

from functools import partial

import numpy as np

from sparcl_ref.replay import ReservoirBuffer, reservoir_slot
from sparcl_ref.verify.function import Argument, drawn, exactly, specify
from sparcl_ref.verify.mistake import Mistake, instead, more

CAPACITY = Argument("capacity", "int: slots of the buffer")
PRESENTED = Argument("presented", "int: samples presented before this one, stored or not")
_RESERVOIR = "Vitter, 1985, algorithm R"


def reservoir_add(presented, capacity, draws):
    buffer = _buffer(capacity)
    buffer.presented = presented
    return _present(buffer, draws), buffer.presented


def _buffer(capacity) -> ReservoirBuffer:
    return ReservoirBuffer(capacity, image_shape=(1, 1, 1), image_dtype=np.uint8, classes=1, logits_dtype=np.float64)


def _present(buffer, draws):
    """Present as many samples as there are draws, each with the number of its presentation for a logit."""
    count = len(draws)
    images, labels = np.zeros((count, 1, 1, 1), np.uint8), np.zeros(count, np.int64)
    logits = (buffer.presented + np.arange(count, dtype=np.float64))[:, None]
    return buffer.add(images, labels, logits, task=1, rng=draws)


def _slot(presented, capacity, draw):
    """`reservoir_slot` of draws that a wrong count makes too large."""
    return presented if presented < capacity else draw if draw < capacity else -1


def _forgets_unstored(presented, capacity, draws):
    slots = []
    for draw in draws:
        slots.append(_slot(presented, capacity, draw))
        presented += slots[-1] >= 0
    return {"slots": slots, "presented": presented}


def _few_bits(bits):
    """Ranks and draws of a reservoir in so few bits that they begin again at 0."""

    def outputs(presented, capacity, draw=None, draws=()):
        limit = 2**bits
        if draw is not None:
            return {"slot": _slot(presented % limit, capacity, draw % limit)}
        ranks = range(presented, presented + len(draws))
        slots = [_slot(rank % limit, capacity, one % limit) for rank, one in zip(ranks, draws, strict=True)]
        return {"slots": slots, "presented": (presented + len(draws)) % limit}

    return Mistake(f"ranks and draws that wrap around: kept in {bits} bits", outputs)


def reservoir_fill(capacity, batch_sizes, uniforms):
    buffer, start = _buffer(capacity), 0
    for size in batch_sizes:
        ranks = buffer.presented + np.arange(size)
        _present(buffer, np.floor(uniforms[start : start + size] * (ranks + 1)).astype(np.int64))
        start += size
    holding = np.full(capacity, -1)
    holding[: len(buffer)] = buffer.content().logits[:, 0]
    return holding


def _fill(capacity, batch_sizes, uniforms, *, restart=False, first_wins=False, stored_only=False, highest=1):
    """Content when presentations are counted, or draws made, in another way: draws lie in 0..i - 1 + highest."""
    holding, number, place = np.full(capacity, -1), 0, 0
    for size in batch_sizes:
        number, fresh = (0 if restart else number), set()
        for _ in range(size):
            slot = number if number < capacity else int(uniforms[place] * (number + highest))
            if slot < capacity and not (first_wins and slot in fresh):
                holding[slot] = place
                fresh.add(slot)
            number, place = number + (slot < capacity or not stored_only), place + 1
    return {"holding": holding}


def replay_size(batch_size, presented, capacity):
    buffer = _buffer(capacity)
    buffer.presented = presented
    return len(buffer.draw(batch_size, np.random.default_rng(0)))


FUNCTIONS = (
    specify("reservoir_slot", "replay", reservoir_slot, _RESERVOIR,
        "the i-th presented sample, i from 0, takes slot i while one is free, else slot j if j is less than the "
        "capacity",
        PRESENTED, CAPACITY, drawn("draw", "int: j, drawn in 0..presented; not read while a slot is free"),
        exactly("slot", "int: -1 if the sample is not stored"),
        instead("presentations counted from 1", presented=more("presented", 1)),
        Mistake("the draw used while a slot is free",
            lambda presented, capacity, draw: {"slot": draw if draw < capacity else -1}),
        Mistake("a draw equal to the capacity stored, in a slot that there is not: <= instead of <",
            lambda presented, capacity, draw: {
                "slot": presented if presented < capacity else draw if draw <= capacity else -1}),
        *(_few_bits(bits) for bits in (8, 16, 32)),
    ),
    specify("reservoir_add", "replay", reservoir_add, _RESERVOIR,
        "the samples of a batch are presented one by one, and each counts, whether it is stored or not",
        PRESENTED, CAPACITY, drawn("draws", "int (N,): j of each sample of the batch"),
        exactly("slots", "int (N,): -1 where a sample is not stored"), exactly("presented", "int: afterwards"),
        Mistake("presentations that are not stored are not counted", _forgets_unstored),
        Mistake("the count stands still within a batch", lambda presented, capacity, draws: {
            "slots": [_slot(presented, capacity, draw) for draw in draws]}),
        *(_few_bits(bits) for bits in (8, 16)),
        uses=("reservoir_slot",),
    ),
    specify("reservoir_fill", "replay", reservoir_fill, _RESERVOIR,
        "the count of presentations runs on over batches; within a batch a later sample replaces an earlier in its "
        "slot",
        CAPACITY, Argument("batch_sizes", "list of int: batches presented one after the other to an empty buffer"),
        drawn("uniforms", "float (sum of batch_sizes,): u in 0..1; the i-th sample draws j = floor(u (i + 1))"),
        exactly("holding", "int (capacity,): which presentation, from 0, each slot holds; -1 if empty"),
        Mistake("the count of presentations starts anew with each batch", partial(_fill, restart=True)),
        Mistake("within a batch the earlier sample keeps its slot", partial(_fill, first_wins=True)),
        Mistake("presentations that are not stored are not counted", partial(_fill, stored_only=True)),
        Mistake("the draw in 0..i - 1 instead of 0..i", partial(_fill, highest=0)),
        uses=("reservoir_add", "reservoir_slot"),
    ),
    specify("replay_size", "replay", replay_size, "SparCL, experience replay",
        "a replay draw has min(batch size, filled slots) samples, all different",
        Argument("batch_size", "int: samples wanted"), PRESENTED, CAPACITY, exactly("count", "int: samples drawn"),
        Mistake("the batch size whatever the buffer holds", lambda batch_size, **_: {"count": batch_size}),
        Mistake("the capacity taken for what is filled",
            lambda batch_size, capacity, **_: {"count": min(batch_size, capacity)}),
        *(instead(f"presentations counted in {bits} bits",
            presented=lambda given, bits=bits: given["presented"] % 2**bits) for bits in (8, 16)),
    ),
)  # fmt: skip
