"""GDumb's memory: inputs, oracle and wrong implementations."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterator
from fractions import Fraction

import numpy as np

from tests.verify import draws
from tests.verify.spec import Arguments, CaseSpec, Oracle, Result, Wrong


def cases() -> Iterator[CaseSpec]:
    for name, kind, capacity, held, offered, note in (
        ("second-task", "regular", 8, [0, 1, 0, 1, 0, 1, 0, 1], [2, 3, 2, 3, 2, 3, 2, 3],
         "the largest class gives way; a drawn sample of it leaves"),
        ("first-task", "regular", 6, [], [1, 0, 1, 1, 1, 0, 0, 0, 1], "a class may not exceed its share"),
        ("uneven-share", "adversarial", 7, [0, 0, 0, 1, 1, 1], [1, 0, 2, 2, 2, 0, 1],
         "the share is 7 / 2, not 3, and 7 / 3, not 2"),
        ("three-tasks", "adversarial", 11, [3, 3, 0, 0, 0, 3, 1, 1, 1, 3], [5, 4, 4, 5, 1, 4, 5, 5, 4, 0],
         "classes that come in no order"),
        ("ties", "adversarial", 6, [4, 4, 2, 2, 9, 9], [1, 1, 0, 0], "among equal classes the lowest gives way"),
        ("room-left", "edge", 20, [0, 1], [2, 0, 1, 1, 2], "nothing leaves while there is room"),
        ("empty-offer", "edge", 3, [1, 0, 1], [], "nothing is offered"),
        ("one-slot", "edge", 1, [], [0, 0, 1, 2, 1], "a memory of one"),
        ("more-classes-than-slots", "adversarial", 3, [0, 1, 2], [3, 4, 5, 3, 0],
         "a class that has lost all its samples counts as seen"),
        ("one-class", "edge", 4, [], [7, 7, 7, 7, 7, 7], "one class may have all"),
        ("unbalanced", "adversarial", 9, [0] * 9, [1, 1, 0, 1, 1, 1, 0, 2, 2, 2, 2],
         "the share shrinks as classes come: those that have more give way one by one"),
        ("again-the-same-class", "adversarial", 8, [0] * 5 + [1] * 3, [1, 1, 0, 1],
         "the largest class gives way, not the sample's own"),
        ("many", "regular", 25, draws.integers("gdumb held", 25, low=0, high=4).tolist(),
         draws.integers("gdumb offered", 60, low=2, high=9).tolist(), "a long stream"),
    ):  # fmt: skip
        # Odd multiples of 1/2048: times a whole number they are exact in float32, and none meets a whole number.
        odd = 2 * draws.integers(f"gdumb {name}", len(offered), low=0, high=1024) + 1
        given = {"held": np.array(held, dtype=np.int64), "offered": np.array(offered, dtype=np.int64)}
        yield CaseSpec("balanced_memory", name, kind, note, {**given, "capacity": capacity, "uniforms": odd / 2048})


# --- oracle -----------------------------------------------------------------------------------------------------------


def balanced_memory(a: Arguments) -> Result:
    """One sample after the other, by counting, with exact fractions."""
    labels = [*a["held"].tolist(), *a["offered"].tolist()]
    kept = list(range(len(a["held"])))
    uniforms = [Fraction(u) for u in a["uniforms"].tolist()]
    for position in range(len(kept), len(labels)):
        counts = Counter(labels[one] for one in kept)
        share = Fraction(a["capacity"], len(set(labels[: position + 1])))
        if counts[labels[position]] >= share:
            continue
        if len(kept) == a["capacity"]:
            most = max(counts.values())
            members = [one for one in kept if labels[one] == min(c for c, n in counts.items() if n == most)]
            del kept[kept.index(members[math.floor(uniforms.pop(0) * len(members))])]
        kept.append(position)
    return {"kept": np.array(kept, dtype=np.int64)}, {}


ORACLES: dict[str, Oracle] = {"balanced_memory": balanced_memory}


# --- wrong implementations --------------------------------------------------------------------------------------------


def memory(held, offered, capacity, uniforms, *, fault):
    """Lists of positions by class."""
    lists, used, total = {}, 0, 0
    seen = set()

    def put(label, position):
        lists.setdefault(label, []).append(position)

    def everything():
        return sorted(position for of in lists.values() for position in of)

    for position, label in enumerate(held.tolist()):
        put(label, position)
        seen.add(label)
        total += 1
    for position, label in enumerate(offered.tolist(), start=len(held)):
        seen.add(label)
        share = capacity // len(seen) if fault == "rounded" else capacity / len(seen)
        count = len(lists.get(label, ()))
        full = {"exceeds": count > share, "no share": False, "first come": total >= capacity}
        if full.get(fault, count >= share):
            continue
        if total == capacity:
            if fault == "closed":
                continue
            filled = {c: len(of) for c, of in lists.items() if of}
            bound = min(filled.values()) if fault == "smallest" else max(filled.values())
            among = sorted(c for c, n in filled.items() if n == bound)
            chosen = among[-1] if fault == "highest" else among[0]
            chosen = label if fault == "own" and count else chosen
            pool = everything() if fault == "any" else lists[chosen]
            place = {"oldest": 0, "newest": len(pool) - 1}.get(fault)
            if place is None:
                place = int(uniforms[used] * len(pool))
                used += 1
            leaves = pool[place]
            for of in lists.values():
                if leaves in of:
                    of.remove(leaves)
            total -= 1
        put(label, position)
        total += 1
    return np.array(everything(), dtype=np.int64)


def _wrong(name, mistake, fault, likely):
    return Wrong(f"gdumb-{name}", "balanced_memory", mistake, memory, fault=fault, likely=likely)


WRONG = (
    _wrong("exceeds", "<= for <", "exceeds", "a class may exceed its share by one"),
    _wrong("rounded", "whole shares", "rounded", "the share rounded down"),
    _wrong("no-share", "everything is taken", "no share", "no share at all"),
    _wrong("smallest", "the wrong end", "smallest", "the smallest class gives way"),
    _wrong("highest", "ties from the other end", "highest", "the highest class gives way among equals"),
    _wrong("oldest", "first in, first out", "oldest", "the oldest sample of the largest class leaves"),
    _wrong("newest", "pop from the end", "newest", "the newest sample of the largest class leaves"),
    _wrong("any", "any slot is overwritten", "any", "any sample leaves"),
    _wrong("own", "a class replaces its own", "own", "a sample of the same class leaves"),
    _wrong("closed", "full is full", "closed", "nothing is taken once there is no room"),
    _wrong("first-come", "no balance at all", "first come", "the first samples, whatever their classes"),
)  # fmt: skip
