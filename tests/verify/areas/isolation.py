"""Who owns which weight: inputs, oracle and wrong implementations."""

from __future__ import annotations

import math
from collections.abc import Iterator
from fractions import Fraction

import numpy as np

from tests.verify import draws
from tests.verify.spec import Arguments, CaseSpec, Oracle, Result, Wrong


def cases() -> Iterator[CaseSpec]:
    def case(name: str, kind: str, weight, owner, note: str, *, dtype: str = "", **others) -> CaseSpec:
        arguments = {"weight": weight, "owner": owner} | {"task": 2, "fraction": "0.5", "ties": "exact"} | others
        return CaseSpec("packnet_partition", name, kind, note, arguments, dtype=dtype)

    shape = (4, 3, 3, 3)
    owner = draws.integers("packnet owner", shape, low=0, high=4)
    signs = np.where(draws.truths("packnet signs", shape, count=50), 1.0, -1.0)
    apart = draws.distinct("packnet", shape) * signs
    yield case("conv", "regular", apart, owner, "the smallest magnitudes of the task's own, whatever their signs")
    yield case("conv-source", "regular", apart, owner, "the same where no two are equal", ties="source")
    yield case("three-quarters", "regular", apart, owner, "what is kept is not what is freed", fraction="0.75", task=3)
    loud = np.where(owner == 2, apart + 10 * signs, apart / 64)
    yield case("others-are-small", "adversarial", loud, owner, "other tasks' weights and free ones do not compete")
    few = np.where(draws.truths("packnet few", shape, count=9), 2, 1)
    yield case("few-of-many", "adversarial", apart, few, "a fraction of the task's own, not of the layer")
    yield case("earlier-stay", "adversarial", apart, few, "task 1 has most weights and loses none", fraction="0.9")
    flat = np.ones(11)
    all_its_own = np.full(11, 2)
    yield case("all-equal", "adversarial", flat, all_its_own, "the lower indices are kept")
    yield case("all-equal-source", "adversarial", -flat, all_its_own, "all equal ones go", ties="source")
    tied = draws.integers("packnet ties", shape, low=-3, high=4).astype(np.float64)
    yield case("ties", "adversarial", tied, owner, "of equal magnitudes, with either sign, the lower index is kept")
    yield case("ties-source", "adversarial", tied, owner, "equal ones go together", ties="source")
    zeros = np.array([0.0, -0.0, 1.0, -0.0, 0.0, 2.0, 0.0])
    yield case("signed-zeros", "adversarial", zeros, np.full(7, 2), "0 and -0 are equal", fraction="0.3")
    line = draws.distinct("packnet line", 45) * np.where(draws.truths("packnet line signs", 45, count=20), 1.0, -1.0)
    for number, count in (("half-up", 5), ("half-up-again", 9)):
        own = np.where(np.arange(45) < count, 2, 1)
        yield case(number, "adversarial", line, own, f"half of {count} rounds up")
        yield case(f"{number}-source", "adversarial", line, own, f"half of {count} rounds to even", ties="source")
    note = "0.7 of 45 is 31.5: binary numbers make it less"
    yield case("decimal", "adversarial", line, np.full(45, 2), note, fraction="0.7")
    own = np.where(np.arange(45) < 15, 2, 3)
    yield case("decimal-again", "adversarial", line, own, "0.3 of 15 is 4.5", fraction="0.3")
    many = np.where(draws.truths("packnet many", 300, count=40), 300, 44)
    wide = draws.distinct("packnet wide", 300)
    yield case("beyond-8-bits", "adversarial", wide, many, "owners that 8 bits do not hold", task=300)
    late = np.full(300, 1)
    late[280:] = 2
    yield case("late", "adversarial", 400 - np.arange(300.0), late, "indices that 8 bits do not hold")
    near, note = 1 + draws.distinct("packnet near", 20) * 2.0**-40, "magnitudes that differ are not equal"
    yield case("apart-beyond-float32", "adversarial", near, np.full(20, 2), note, dtype="float64")
    yield case("nothing-freed", "edge", apart, owner, "a fraction of 0 frees nothing", fraction="0")
    yield case("nothing-freed-source", "edge", apart, owner, "there is no 0-th smallest", fraction="0", ties="source")
    yield case("nothing-owned", "edge", apart, np.where(owner == 2, 0, owner), "a task without weights here")
    yield case("one", "edge", np.array([3.0]), np.array([2]), "half of one is one")
    yield case("one-source", "edge", np.array([3.0]), np.array([2]), "half of one is none", ties="source")
    yield case("alone", "edge", line, np.full(45, 2), "the task owns the whole layer", fraction="0.9")


# --- oracle -----------------------------------------------------------------------------------------------------------


def packnet_partition(a: Arguments) -> Result:
    """Python's sort of pairs of magnitude and place, and fractions."""
    weight, owner = a["weight"].reshape(-1).tolist(), a["owner"].reshape(-1).tolist()
    own = sorted((abs(weight[place]), -place) for place in range(len(owner)) if owner[place] == a["task"])
    share = Fraction(a["fraction"]) * len(own)
    if a["ties"] == "source":
        rank = round(share)
        gone = [pair for pair in own if rank and pair[0] <= own[rank - 1][0]]
    else:
        gone = own[: math.floor(share + Fraction(1, 2))]
    for _, place in gone:
        owner[-place] = 0
    return {"owner": np.array(owner, dtype=np.int64).reshape(a["owner"].shape)}, {}


ORACLES: dict[str, Oracle] = {"packnet_partition": packnet_partition}


# --- wrong implementations --------------------------------------------------------------------------------------------


def divide(weight, owner, task, fraction, ties, *, fault):
    """PackNet's pruning as one writes it down, with one fault."""
    w, owners = np.asarray(weight).reshape(-1), np.asarray(owner).reshape(-1)
    mine = owners == task
    if fault == "8 bits":
        mine = owners.astype(np.uint8) == np.uint8(task % 256)
    if fault == "earlier too":
        mine = (owners > 0) & (owners <= task)
    size = w if fault == "signed" else np.abs(w)
    if fault == "largest":
        size = -size
    if fault == "float32":
        size = size.astype(np.float32)
    n = len(w) if fault == "of the layer" else int(mine.sum())
    share = Fraction(fraction) * n
    share = n - share if fault == "kept" else share
    count = round(share) if ties == "source" else math.floor(share + Fraction(1, 2))
    count = {
        "down": math.floor(share), "even": round(share), "up": math.floor(share + Fraction(1, 2)),
        "binary": round(float(fraction) * n) if ties == "source" else int(float(fraction) * n + 0.5),
    }.get(fault, count)  # fmt: skip
    candidates = np.arange(len(w)) if fault == "all compete" else np.flatnonzero(mine)
    among = size[candidates]
    last_first = candidates[::-1][np.argsort(among[::-1], kind="stable")]
    gone = (candidates[np.argsort(among, kind="stable")] if fault == "lower first" else last_first)[:count]
    if len(gone) and ((ties == "source" and fault != "exact number") or fault == "together"):
        gone = candidates[among <= size[gone].max()]
    after = owners.copy()
    after[gone[mine[gone]]] = 0
    if fault == "handed on":
        after[gone] = task + 1
    if fault == "survivors only":
        after[owners != task] = 0
    return after.reshape(owner.shape)


WRONG = tuple(
    Wrong(f"partition-{name}", "packnet_partition", mistake, divide, fault=fault, likely=likely)
    for name, mistake, fault, likely in (
        ("signed", "negative weights become free first", "signed", "signed weights ranked instead of magnitudes"),
        ("largest", "the largest become free", "largest", "the largest magnitudes become free instead of the smallest"),
        ("lower-first", "of equal ones the lower index becomes free", "lower first", "ties broken from the other end"),
        ("together", "equal ones go together", "together",
            "equal ones go together where an exact number is asked for"),
        ("exact-number", "equal ones are told apart in the authors' code", "exact number",
            "an exact number goes where equal ones are to go together"),
        ("down", "rounded down", "down", "rounded down"),
        ("even", "halves to even", "even", "halves rounded to even"),
        ("up", "halves up", "up", "halves rounded up"),
        ("binary", "the number in binary floating point", "binary", "the number computed in binary floating point"),
        ("of-the-layer", "a fraction of the layer", "of the layer",
            "a fraction of the whole layer instead of the task's own weights"),
        ("kept", "the fraction is kept", "kept", "the fraction is kept instead of becoming free"),
        ("all-compete", "ranked among all weights", "all compete", "ranked among all weights: others compete"),
        ("earlier-too", "earlier tasks are pruned again", "earlier too", "earlier tasks' weights become free, too"),
        ("float32", "magnitudes in float32", "float32",
            "ranked in float32 or less, where magnitudes that differ are equal"),
        ("8-bits", "owners in 8 bits", "8 bits", ""),
        ("handed-on", "freed weights are the next task's at once", "handed on", ""),
        ("survivors-only", "owners of other tasks are lost", "survivors only", ""),
    )
)  # fmt: skip
