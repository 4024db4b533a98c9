"""Which weights live: inputs, oracle and wrong implementations."""

from __future__ import annotations

import math
from collections.abc import Iterator

import numpy as np
import torch

from tests.torch_twin import masks
from tests.verify import draws
from tests.verify.spec import Arguments, CaseSpec, Oracle, Result, Wrong
from tests.verify.tensors import tensor


def cases() -> Iterator[CaseSpec]:
    yield from _random_mask()
    yield from _shrink()
    yield from _grow()


def _random_mask() -> Iterator[CaseSpec]:
    for name, kind, shape, chosen, note in (
        ("conv", "regular", [2, 3, 2, 2], [7, 0, 23, 4, 11, 16], "indices are not sorted"),
        ("matrix", "adversarial", [3, 5], [1, 4, 7, 12], "column-major indices give another mask"),
        ("none", "edge", [3, 4], [], "nothing lives"),
        ("all", "edge", [2, 3], [5, 4, 3, 2, 1, 0], "everything lives"),
        ("vector", "edge", [6], [5], "the last index"),
        ("beyond-16-bits", "adversarial", [70_000], [65_536, 69_999], "indices that 16 bits do not hold"),
    ):
        arguments = {"shape": shape, "active": len(chosen), "chosen": np.array(chosen, dtype=np.int64)}
        yield CaseSpec("random_mask", name, kind, note, arguments, "paper")


def _shrink() -> Iterator[CaseSpec]:
    def case(name: str, kind: str, mask: np.ndarray, importance: np.ndarray, active: int, note: str) -> CaseSpec:
        return CaseSpec("shrink", name, kind, note, {"mask": mask, "importance": importance, "active": active}, "paper")

    shape = (4, 3, 3, 3)
    mask = draws.truths("shrink", shape, count=50)
    apart = draws.distinct("shrink importance", shape)
    yield case("conv", "regular", mask, apart, 20, "the most important of the living stay")
    loud = np.where(mask, apart, apart + 100)
    yield case("dead-and-important", "adversarial", mask, loud, 20, "an important dead weight must not return")
    poison = np.where(mask, apart, np.nan)
    yield case("nan-where-dead", "adversarial", mask, poison, 20, "importance of dead entries is not read")
    tied = draws.integers("shrink ties", shape, low=0, high=3).astype(np.float64)
    yield case("many-ties", "adversarial", mask, tied, 23, "an unstable sort keeps other entries among equals")
    flat = np.ones(12)
    yield case("all-equal", "adversarial", np.ones(12, bool), flat, 5, "ties broken from the other end keep the last")
    half = np.array([True, False] * 6)
    yield case("all-equal-half-dead", "adversarial", half, flat, 3, "dead entries take part in the tie")
    yield case("zero-importance", "edge", half, np.zeros(12), 2, "nothing matters; as many still stay")
    late = np.zeros(70_000)
    late[[65_541, 66_000, 69_999]] = 1.0
    yield case("beyond-16-bits", "adversarial", np.ones(70_000, bool), late, 3, "indices that 16 bits do not hold")
    late = np.zeros(300)
    late[[257, 299]] = 1.0
    yield case("beyond-8-bits", "adversarial", np.ones(300, bool), late, 2, "indices that 8 bits do not hold")
    near = {"mask": mask, "importance": 1 + apart * 2.0**-40, "active": 20}
    note = "importances that differ beyond float32 are not equal"
    yield CaseSpec("shrink", "apart-beyond-float32", "adversarial", note, near, "paper", dtype="float64")
    near = {"mask": mask, "importance": 2.0**20 - apart * 2.0**-12, "active": 7}
    yield CaseSpec("shrink", "apart-beyond-float32-again", "adversarial", note, near, "paper", dtype="float64")
    yield case("conv-to-none", "edge", mask, apart, 0, "all die; a slice from the end would take all")
    small = draws.truths("small", (3, 5), count=9)
    values = draws.distinct("small importance", (3, 5))
    yield case("to-none", "edge", small, values, 0, "all die")
    yield case("nothing-to-do", "edge", small, values, 9, "all living stay")
    yield case("all-dead", "edge", np.zeros((3, 5), bool), values, 0, "nothing lives to begin with")
    rows = small.copy()
    rows[1] = False
    yield case("dead-row", "edge", rows, values, int(rows.sum()) - 2, "a row of the layer is dead throughout")


def _grow() -> Iterator[CaseSpec]:
    def case(name: str, kind: str, mask: np.ndarray, joining: list[int], note: str) -> CaseSpec:
        arguments = {"mask": mask, "active": int(mask.sum()) + len(joining), "joining": np.array(joining, np.int64)}
        return CaseSpec("grow", name, kind, note, arguments, "paper")

    mask = draws.truths("grow", (3, 2, 2, 2), count=10)
    dead = np.flatnonzero(~mask).tolist()
    yield case("conv", "regular", mask, [dead[k] for k in (9, 2, 5)], "drawn dead entries join, in any order")
    matrix = draws.truths("grow matrix", (3, 5), count=6)
    dead = np.flatnonzero(~matrix).tolist()
    yield case("matrix", "adversarial", matrix, dead[1:4], "column-major indices join elsewhere")
    wide = draws.truths("grow wide", (4, 7), count=9)
    dead = np.flatnonzero(~wide).tolist()
    yield case("wide-matrix", "adversarial", wide, [dead[k] for k in (11, 0, 6, 3)], "indices are no places")
    long = np.zeros(70_000, bool)
    yield case("beyond-16-bits", "adversarial", long, [65_536, 3, 69_999], "indices that 16 bits do not hold")
    dead = np.flatnonzero(~matrix).tolist()
    yield case("none", "edge", matrix, [], "no entry joins")
    yield case("to-all", "edge", matrix, dead[::-1], "every entry lives afterwards")
    yield case("from-none", "edge", np.zeros((2, 4), bool), [6, 1], "nothing lived before")


# --- oracle -----------------------------------------------------------------------------------------------------------


def random_mask(a: Arguments) -> Result:
    """The PyTorch twin: growth from an empty mask."""
    empty = torch.zeros(math.prod(a["shape"]), dtype=torch.bool)
    return {"mask": masks.grow(empty, tensor(a["chosen"]), a["active"]).reshape(a["shape"]).numpy()}, {}


def shrink(a: Arguments) -> Result:
    """The PyTorch twin: a stable descending sort of the living."""
    kept, _ = masks.shrink(tensor(a["importance"]).reshape(-1), tensor(a["mask"]).reshape(-1), a["active"])
    return {"mask": kept.reshape(a["mask"].shape).numpy()}, {}


def grow(a: Arguments) -> Result:
    """The PyTorch twin."""
    grown = masks.grow(tensor(a["mask"]).reshape(-1), tensor(a["joining"]), a["active"])
    return {"mask": grown.reshape(a["mask"].shape).numpy()}, {}


ORACLES: dict[str, Oracle] = {oracle.__name__: oracle for oracle in (random_mask, shrink, grow)}


# --- wrong implementations --------------------------------------------------------------------------------------------


def kept(mask, scores, active, *, living_only=True):
    """The living of greatest score; equal ones in the order of the scores' stable sort."""
    flat = np.where(mask, scores, -np.inf).reshape(-1) if living_only else scores.reshape(-1)
    chosen = np.zeros(mask.size, bool)
    chosen[np.argsort(-flat, kind="stable")[:active]] = True
    return chosen.reshape(mask.shape)


def higher_index(mask, importance, active):
    turned = kept(mask.reshape(-1)[::-1], importance.reshape(-1)[::-1], active)
    return turned[::-1].reshape(mask.shape)


def dead_return(mask, importance, active):
    return kept(mask, np.nan_to_num(importance), active, living_only=False)


def lowest_kept(mask, importance, active):
    return kept(mask, np.where(mask, -importance, 0.0), active)


def all_at_threshold(mask, importance, active):
    if not active:
        return np.zeros_like(mask)
    threshold = np.sort(importance[mask])[::-1][active - 1]
    return mask & (importance >= threshold)


def none_at_threshold(mask, importance, active):
    living = np.sort(importance[mask])[::-1]
    return mask.copy() if active >= len(living) else mask & (importance > living[active])


def by_percentile(mask, importance, active):
    """What lies above a percentile over all entries, the dead included."""
    scores = np.nan_to_num(importance)
    return mask & (scores > np.percentile(scores, 100 * (1 - active / mask.size)))


def unstable(mask, importance, active):
    flat = np.where(mask, importance, -np.inf).reshape(-1)
    chosen = np.zeros(mask.size, bool)
    chosen[np.argpartition(flat, mask.size - active)[mask.size - active :] if active else []] = True
    return chosen.reshape(mask.shape)


def column_major(shape, active, chosen):
    mask = np.zeros(math.prod(shape), bool)
    mask[chosen] = True
    return mask.reshape(shape, order="F")


def grown(mask, joining):
    flat = mask.reshape(-1).copy()
    flat[joining] = True
    return flat.reshape(mask.shape)


def wrapped(mask, importance, active, *, fault):
    """Indices of the kept entries are stored in few bits."""
    chosen = np.zeros(mask.size, bool)
    chosen[np.flatnonzero(kept(mask, importance, active)).astype(fault if fault != "none" else int)] = True
    return chosen.reshape(mask.shape)


def last_of_sorted(mask, importance, active):
    """Python's ``[-k:]``, which takes everything for a k of 0."""
    living = np.flatnonzero(mask)
    order = living[np.lexsort((-living, importance.reshape(-1)[living]))]
    chosen = np.zeros(mask.size, bool)
    chosen[order[-active:]] = True
    return chosen.reshape(mask.shape)


def grow_among_dead(mask, active, joining):
    """The indices are taken for places among the dead entries."""
    dead = np.flatnonzero(~mask)
    return grown(mask, dead[joining % max(len(dead), 1)])


def grow_replaces(mask, active, joining):
    return grown(np.zeros_like(mask), joining)


WRONG = (
    Wrong("random-column-major", "random_mask", "flat indices in column-major order", column_major,
        likely="flat indices in Fortran order"),
    Wrong("shrink-ties", "shrink", "ties are broken from the other end", higher_index,
        likely="ties broken from the other end"),
    Wrong("shrink-dead-return", "shrink", "important dead weights return", dead_return,
        likely="dead entries compete and return"),
    Wrong("shrink-lowest", "shrink", "the least important are kept", lowest_kept,
        likely="the least important kept instead of the most important"),
    Wrong("shrink-threshold", "shrink", "all ties at the threshold are kept", all_at_threshold),
    Wrong("shrink-percentile", "shrink", "a percentile over all entries, not the living", by_percentile),
    Wrong("shrink-unstable", "shrink", "an unstable selection among equals", unstable),
    Wrong("shrink-strict", "shrink", "all ties at the threshold die", none_at_threshold),
    Wrong("shrink-float32", "shrink", "importances are ranked in float32",
        lambda mask, importance, active: kept(mask, importance.astype(np.float32), active),
        likely="ranked in float32 or less, where importances that differ are equal"),
    Wrong("shrink-uint8", "shrink", "indices are bytes", wrapped, fault="uint8"),
    Wrong("shrink-uint16", "shrink", "indices have 16 bits", wrapped, fault="uint16"),
    Wrong("shrink-minus-zero", "shrink", "the last k of a sorted list, which are all for k = 0", last_of_sorted,
        likely="a slice [-k:] that takes everything for k = 0"),
    Wrong("random-uint16", "random_mask", "indices have 16 bits",
        lambda shape, active, chosen: grown(np.zeros(shape, bool), chosen.astype(np.uint16))),
    Wrong("grow-uint16", "grow", "indices have 16 bits",
        lambda mask, active, joining: grown(mask, joining.astype(np.uint16))),
    Wrong("grow-among-dead", "grow", "indices are taken for places among the dead", grow_among_dead),
    Wrong("grow-replaces", "grow", "only the drawn entries live afterwards", grow_replaces,
        likely="the entries that join alone, without those that live"),
)  # fmt: skip
