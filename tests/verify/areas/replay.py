"""The reservoir buffer: inputs, oracle and wrong implementations."""

from __future__ import annotations

import math
from collections.abc import Iterator
from fractions import Fraction

import numpy as np

from tests.torch_twin import buffer
from tests.verify import draws
from tests.verify.spec import Arguments, CaseSpec, Oracle, Result, Wrong


def cases() -> Iterator[CaseSpec]:
    yield from _reservoir()
    yield from _other_settings()


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
        ("draw-is-capacity-again", "adversarial", 30, 8, 8, "slots end at capacity - 1"),
        ("just-full-again", "adversarial", 8, 8, 2, "the first sample that needs its draw"),
        ("draw-beyond-8-bits", "adversarial", 300, 5, 258, "a draw that 8 bits do not hold is no slot"),
        ("rank-beyond-8-bits", "adversarial", 260, 9, 200, "a rank that 8 bits do not hold: nothing is free"),
        ("draw-beyond-16-bits", "adversarial", 70_000, 200, 65_540, "a draw that 16 bits do not hold is no slot"),
        ("rank-beyond-16-bits", "adversarial", 65_540, 200, 60_000, "a rank that 16 bits do not hold"),
        ("slot-beyond-16-bits", "adversarial", 66_000, 70_000, 3, "a buffer of more slots than 16 bits count"),
        ("draw-beyond-32-bits", "adversarial", 2**33, 200, 2**32 + 7, "a draw that 32 bits do not hold is no slot"),
        ("rank-beyond-32-bits", "adversarial", 2**32 + 3, 200, 5000, "a rank that 32 bits do not hold"),
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
        ("across-full-again", "adversarial", 1, 3, [1, 0, 3, 2, 5], "the buffer becomes full within the batch"),
        ("across-8-bits", "adversarial", 254, 6, [3, 250, 256, 257], "ranks that 8 bits do not hold"),
        ("beyond-16-bits", "adversarial", 131_071, 4, [65_537, 131_072, 2], "ranks that 16 bits do not hold"),
        ("across-16-bits", "adversarial", 65_534, 6, [5, 65_000, 65_536, 65_537], "ranks that 16 bits do not hold"),
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
        ("small-buffer-again", "adversarial", 64, 500, 20, "presented is not stored"),
        ("beyond-8-bits", "adversarial", 32, 260, 200, "a count that 8 bits do not hold"),
        ("beyond-16-bits", "adversarial", 32, 65_539, 200, "a count that 16 bits do not hold"),
        ("beyond-16-bits-again", "adversarial", 8, 131_072, 50, "a count that 16 bits do not hold"),
    ):
        arguments = {"batch_size": batch_size, "presented": presented, "capacity": capacity}
        yield CaseSpec("replay_size", name, kind, note, arguments)


def _other_settings() -> Iterator[CaseSpec]:
    """Another value where the other cases have always the same: none of it may stand in code."""
    yield CaseSpec(
        "replay_size", "small-batch", "edge", "a replay batch of fixed size",
        {"batch_size": 5, "presented": 1000, "capacity": 200},
    )  # fmt: skip


# --- oracle -----------------------------------------------------------------------------------------------------------

NOT_STORED = -1


def reservoir_slot(a: Arguments) -> Result:
    """The PyTorch twin."""
    slot = buffer.reservoir_slot(a["presented"], a["capacity"], a["draw"])
    return {"slot": NOT_STORED if slot is None else slot}, {}


def reservoir_add(a: Arguments) -> Result:
    """The PyTorch twin, sample by sample."""
    found = [buffer.reservoir_slot(a["presented"] + k, a["capacity"], int(j)) for k, j in enumerate(a["draws"])]
    slots = np.array([NOT_STORED if slot is None else slot for slot in found], dtype=np.int64)
    return {"slots": slots, "presented": a["presented"] + len(slots)}, {}


def reservoir_fill(a: Arguments) -> Result:
    """The PyTorch twin's buffer, given each sample's number for its label."""
    holds = buffer.Buffer(a["capacity"])
    for size in a["batch_sizes"]:
        start = holds.seen
        numbers = np.arange(start, start + size)
        blank = np.zeros((size, 1))
        drawn = [math.floor(Fraction(a["uniforms"][rank]) * (int(rank) + 1)) for rank in numbers]
        holds.add(blank, numbers, blank, 1, np.array(drawn, dtype=np.int64))
    holding = np.full(a["capacity"], NOT_STORED, dtype=np.int64)
    if len(holds):
        holding[: len(holds)] = holds.content()["labels"]
    return {"holding": holding}, {}


def replay_size(a: Arguments) -> Result:
    """The smallest of three numbers."""
    return {"count": sorted((a["batch_size"], a["presented"], a["capacity"]))[0]}, {}


ORACLES: dict[str, Oracle] = {
    oracle.__name__: oracle for oracle in (reservoir_slot, reservoir_add, reservoir_fill, replay_size)
}


# --- wrong implementations --------------------------------------------------------------------------------------------


def slot(presented, capacity, draw):
    """Right."""
    if presented < capacity:
        return presented
    return draw if draw < capacity else -1


def bits(fault):
    return int(fault) if fault != "none" else 63


def narrow_slot(presented, capacity, draw, *, fault):
    """The slot of a rank and a draw that are kept in few bits."""
    limit = 2 ** bits(fault)
    return slot(presented % limit, capacity, draw % limit)


def narrow_size(batch_size, presented, capacity, *, fault):
    return min(batch_size, presented % 2 ** bits(fault), capacity)


def added(presented, capacity, draws, *, fault):
    if fault.isdecimal():
        ranks = range(presented, presented + len(draws))
        slots = [narrow_slot(rank, capacity, draw, fault=fault) for rank, draw in zip(ranks, draws, strict=True)]
        return slots, (presented + len(draws)) % 2 ** int(fault)
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
    Wrong("slot-capacity", "reservoir_slot", "a draw equal to the capacity is stored",
        lambda presented, capacity, draw: presented if presented < capacity else draw if draw <= capacity else -1,
        likely="<= instead of <"),
    Wrong("slot-drawn-early", "reservoir_slot", "the draw counts while slots are free",
        lambda presented, capacity, draw: draw if draw < capacity else -1, likely="the draw used while a slot is free"),
    Wrong("slot-full-late", "reservoir_slot", "the buffer is full one sample late",
        lambda presented, capacity, draw:
            min(presented, capacity - 1) if presented <= capacity else slot(presented, capacity, draw)),
    Wrong("slot-always", "reservoir_slot", "every sample is stored, at the draw modulo the capacity",
        lambda presented, capacity, draw: presented if presented < capacity else draw % capacity),
    *(Wrong(f"slot-{width}-bits", "reservoir_slot", f"ranks and draws have {width} bits", narrow_slot, fault=width,
        likely=f"ranks and draws that wrap around: kept in {width} bits") for width in ("8", "16", "32")),
    *(Wrong(f"add-{width}-bits", "reservoir_add", f"ranks and draws have {width} bits", added, fault=width,
        likely=f"ranks and draws that wrap around: kept in {width} bits") for width in ("8", "16")),
    *(Wrong(f"draw-{width}-bits", "replay_size", f"presentations are counted in {width} bits", narrow_size, fault=width,
        likely=f"presentations counted in {width} bits") for width in ("8", "16")),
    Wrong("add-stored-only", "reservoir_add", "presentations that are not stored are not counted", added,
        fault="stored only", likely="presentations that are not stored are not counted"),
    Wrong("add-batches", "reservoir_add", "batches are counted, not samples", added, fault="batches"),
    Wrong("fill-stored-only", "reservoir_fill", "presentations that are not stored are not counted", filled,
        fault="stored only", likely="presentations that are not stored are not counted"),
    Wrong("fill-first-wins", "reservoir_fill", "within a batch the first sample keeps a slot", filled,
        fault="first wins", likely="within a batch the earlier sample keeps its slot"),
    Wrong("fill-each-batch", "reservoir_fill", "the count starts anew with each batch", filled, fault="each batch anew",
        likely="the count of presentations starts anew with each batch"),
    Wrong("fill-one-short", "reservoir_fill", "j is drawn in 0..i - 1", filled, fault="one short",
        likely="the draw in 0..i - 1 instead of 0..i"),
    Wrong("fill-newest", "reservoir_fill", "the oldest sample is replaced", newest),
    Wrong("draw-unlimited", "replay_size", "as many as the batch, whatever is stored",
        lambda batch_size, **_: batch_size, likely="the batch size whatever the buffer holds"),
    Wrong("draw-presented", "replay_size", "presented samples are taken for stored ones",
        lambda batch_size, presented, **_: min(batch_size, presented)),
)  # fmt: skip
