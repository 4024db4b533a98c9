"""The reservoir buffer."""

from __future__ import annotations

import numpy as np

from sparcl_ref.replay import ReservoirBuffer, reservoir_slot
from sparcl_ref.verify.function import Argument, Function, Output
from sparcl_ref.verify.mistake import Mistake, instead, more

CAPACITY = Argument("capacity", "int: slots of the buffer")
PRESENTED = Argument("presented", "int: samples presented before this one, stored or not")
_RESERVOIR = "Vitter, 1985, algorithm R"

RESERVOIR_SLOT = Function(
    "reservoir_slot", "replay",
    (PRESENTED, CAPACITY, Argument("draw", "int: j, drawn in 0..presented; not read while a slot is free")),
    (Output("slot", "int: -1 if the sample is not stored", exact=True),),
    "the i-th presented sample, i from 0, takes slot i while one is free, else slot j if j is less than the capacity",
    _RESERVOIR, reservoir_slot,
    mistakes=(
        instead("presentations counted from 1", presented=more("presented", 1)),
        Mistake("the draw used while a slot is free",
            lambda presented, capacity, draw: {"slot": draw if draw < capacity else -1}),
    ),
)  # fmt: skip


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


def _forgets_unstored(presented, capacity, draws):
    slots = []
    for draw in draws:
        slots.append(presented if presented < capacity else draw if draw < capacity else -1)
        presented += slots[-1] >= 0
    return {"slots": slots, "presented": presented}


def _frozen_count(presented, capacity, draws):
    slots = [presented if presented < capacity else draw if draw < capacity else -1 for draw in draws]
    return {"slots": slots}


RESERVOIR_ADD = Function(
    "reservoir_add", "replay", (PRESENTED, CAPACITY, Argument("draws", "int (N,): j of each sample of the batch")),
    (
        Output("slots", "int (N,): -1 where a sample is not stored", exact=True),
        Output("presented", "int: afterwards", exact=True),
    ),
    "the samples of a batch are presented one by one, and each counts, whether it is stored or not",
    _RESERVOIR, reservoir_add,
    mistakes=(
        Mistake("presentations that are not stored are not counted", _forgets_unstored),
        Mistake("the count stands still within a batch", _frozen_count),
    ),
)  # fmt: skip


def reservoir_fill(capacity, batch_sizes, uniforms):
    buffer, start = _buffer(capacity), 0
    for size in batch_sizes:
        ranks = buffer.presented + np.arange(size)
        _present(buffer, np.floor(uniforms[start : start + size] * (ranks + 1)).astype(np.int64))
        start += size
    holding = np.full(capacity, -1)
    holding[: len(buffer)] = buffer.content().logits[:, 0]
    return holding


def _fill(*, restart=False, first_wins=False, stored_only=False, highest=1):
    """Content when presentations are counted, or draws made, in another way: draws lie in 0..i - 1 + highest."""

    def outputs(capacity, batch_sizes, uniforms):
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

    return outputs


RESERVOIR_FILL = Function(
    "reservoir_fill", "replay",
    (
        CAPACITY,
        Argument("batch_sizes", "list of int: batches presented one after the other to an empty buffer"),
        Argument("uniforms", "float (sum of batch_sizes,): u in 0..1; the i-th sample draws j = floor(u (i + 1))"),
    ),
    (Output("holding", "int (capacity,): which presentation, from 0, each slot holds; -1 if empty", exact=True),),
    "the count of presentations runs on over batches; within a batch a later sample replaces an earlier in its slot",
    _RESERVOIR, reservoir_fill,
    mistakes=(
        Mistake("the count of presentations starts anew with each batch", _fill(restart=True)),
        Mistake("within a batch the earlier sample keeps its slot", _fill(first_wins=True)),
        Mistake("presentations that are not stored are not counted", _fill(stored_only=True)),
        Mistake("the draw in 0..i - 1 instead of 0..i", _fill(highest=0)),
    ),
)  # fmt: skip


def replay_size(batch_size, presented, capacity):
    buffer = _buffer(capacity)
    buffer.presented = presented
    return len(buffer.draw(batch_size, np.random.default_rng(0)))


REPLAY_SIZE = Function(
    "replay_size", "replay", (Argument("batch_size", "int: samples wanted"), PRESENTED, CAPACITY),
    (Output("count", "int: samples drawn", exact=True),),
    "a replay draw has min(batch size, filled slots) samples, all different",
    "SparCL, experience replay", replay_size,
    mistakes=(
        Mistake("the batch size whatever the buffer holds", lambda batch_size, **_: {"count": batch_size}),
        Mistake("the capacity taken for what is filled",
            lambda batch_size, capacity, **_: {"count": min(batch_size, capacity)}),
    ),
)  # fmt: skip

FUNCTIONS = (RESERVOIR_SLOT, RESERVOIR_ADD, RESERVOIR_FILL, REPLAY_SIZE)
