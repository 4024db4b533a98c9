"""What a mask does to a parameter: inputs, oracle and wrong implementations."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from tests.torch_twin import masks
from tests.verify import draws
from tests.verify.areas.masks.selection import grown, higher_index, kept
from tests.verify.spec import Arguments, CaseSpec, Oracle, Result, Wrong
from tests.verify.tensors import tensor


def cases() -> Iterator[CaseSpec]:
    yield from _apply_mask()
    yield from _exchange()
    yield from _other_settings()


def _apply_mask() -> Iterator[CaseSpec]:
    def case(name: str, kind: str, value, grad, velocity, mask, note: str) -> CaseSpec:
        arguments = {"value": value, "grad": grad, "velocity": velocity, "mask": mask}
        return CaseSpec("apply_mask", name, kind, note, arguments)

    shape = (3, 4)
    arrays = [draws.floats(f"apply {what}", shape) for what in ("value", "grad", "velocity")]
    mask = draws.truths("apply", shape, count=7)
    yield case("matrix", "regular", *arrays, mask, "momentum of dead weights goes too")
    negative = [-np.abs(array) for array in arrays]
    yield case("negative", "adversarial", *negative, mask, "a product with the mask leaves -0.0")
    poison = [np.where(mask, array, bad) for array, bad in zip(arrays, (np.nan, np.inf, -np.inf), strict=True)]
    yield case("not-finite", "adversarial", *poison, mask, "a product with the mask leaves NaN")
    yield case("none-dead", "edge", *arrays, np.ones(shape, bool), "nothing changes")
    yield case("all-dead", "edge", *negative, np.zeros(shape, bool), "+0.0 everywhere")
    living_zero = arrays[0].copy()
    living_zero[mask] = 0.0
    yield case("living-zeros", "edge", living_zero, *arrays[1:], mask, "a weight of value 0 lives if its mask is set")


def _exchange() -> Iterator[CaseSpec]:
    def case(name: str, kind: str, mask, importance, keep: int, joining: list[int], note: str) -> CaseSpec:
        value, velocity = (np.where(mask, draws.floats(f"exchange {what}", mask.shape), 0.0) for what in ("w", "v"))
        arguments = {"value": value, "velocity": velocity, "mask": mask, "importance": importance, "keep": keep}
        arguments |= {"active": keep + len(joining), "joining": np.array(joining, np.int64)}
        return CaseSpec("exchange", name, kind, note, arguments, "paper")

    mask = draws.truths("exchange", (4, 2, 3), count=12)
    importance = draws.distinct("exchange importance", (4, 2, 3))
    living, dead = np.flatnonzero(mask), np.flatnonzero(~mask).tolist()
    removed = living[np.argsort(importance.reshape(-1)[living])[:3]].tolist()
    yield case("conv", "regular", mask, importance, 9, dead[2:5], "new weights join, old ones keep value and velocity")
    redrawn = [removed[1], dead[0], removed[2]]
    yield case("redrawn", "adversarial", mask, importance, 9, redrawn, "a weight removed and drawn again restarts at 0")
    ties = np.ones((4, 2, 3))
    last = living[-3:].tolist()
    yield case("ties", "adversarial", mask, ties, 9, last, "the highest living indices go, and come back at 0")
    yield case("only-shrink", "edge", mask, importance, 9, [], "nothing joins")
    yield case("only-grow", "edge", mask, importance, 12, dead[:2], "nothing leaves")
    yield case("through-none", "edge", mask, importance, 0, [*removed, dead[1]], "all leave before some join")


def _other_settings() -> Iterator[CaseSpec]:
    """Another value where the other cases have always the same: none of it may stand in code."""
    mask = np.array([[True, False, True], [False, True, True]])
    yield CaseSpec(
        "exchange", "matrix", "adversarial", "of two equals the later goes, and a weight that stays keeps its velocity",
        {
            "value": np.where(mask, draws.floats("exchange matrix w", mask.shape), 0.0),
            "velocity": np.where(mask, draws.floats("exchange matrix v", mask.shape), 0.0),
            "mask": mask,
            "importance": np.array([[0.5, 9.0, 0.25], [9.0, 0.25, 0.75]]),
            "keep": 3,
            "active": 4,
            "joining": np.array([3]),
        },
        "paper",
    )  # fmt: skip


# --- oracle -----------------------------------------------------------------------------------------------------------


def cleared(array: np.ndarray, mask: np.ndarray) -> np.ndarray:
    """Entry by entry: the number where the mask is set, +0.0 elsewhere."""
    pairs = zip(array.reshape(-1).tolist(), mask.reshape(-1).tolist(), strict=True)
    return np.array([number if alive else 0.0 for number, alive in pairs]).reshape(array.shape)


def apply_mask(a: Arguments) -> Result:
    """Entry by entry: the number where the mask is set, +0.0 elsewhere."""
    return {name: cleared(a[name], a["mask"]) for name in ("value", "grad", "velocity")}, {}


def exchange(a: Arguments) -> Result:
    """The PyTorch twin for the masks; values live on where an entry lived throughout."""
    mask = tensor(a["mask"]).reshape(-1)
    kept, _ = masks.shrink(tensor(a["importance"]).reshape(-1), mask, a["keep"])
    grown = masks.grow(kept, tensor(a["joining"]), a["active"]).reshape(a["mask"].shape).numpy()
    stayed = kept.reshape(a["mask"].shape).numpy()
    return {"value": cleared(a["value"], stayed), "velocity": cleared(a["velocity"], stayed), "mask": grown}, {}


ORACLES: dict[str, Oracle] = {"apply_mask": apply_mask, "exchange": exchange}


# --- wrong implementations --------------------------------------------------------------------------------------------


def zeroed(array, mask):
    return np.where(mask, array, 0.0)


def multiplied(value, grad, velocity, mask):
    with np.errstate(invalid="ignore"):
        return value * mask, grad * mask, velocity * mask


def exchanged(value, velocity, mask, importance, keep, active, joining, *, fault):
    after = kept(mask, importance, keep)
    alive = grown(after, joining)
    if fault == "other end":
        after = higher_index(mask, importance, keep)
        alive = grown(after, joining)
    if fault == "shrink again":
        alive = kept(alive, importance, keep)
    old_value, old_velocity = zeroed(value, after), zeroed(velocity, after)
    if fault == "value lives":
        old_value = zeroed(value, alive)
    if fault == "velocity lives":
        old_velocity = zeroed(velocity, alive)
    if fault == "velocity of removed":
        old_velocity = velocity.copy()
    return old_value, old_velocity, alive


WRONG = (
    Wrong("apply-product", "apply_mask", "the mask is multiplied, which leaves -0.0 and NaN", multiplied,
        likely="multiplied by the mask, which leaves -0.0 and NaN"),
    Wrong("apply-not-velocity", "apply_mask", "momentum of dead weights lives on",
        lambda value, grad, velocity, mask: (zeroed(value, mask), zeroed(grad, mask), velocity),
        likely="mask not applied to the velocity"),
    Wrong("apply-not-grad", "apply_mask", "gradients of dead weights stay",
        lambda value, grad, velocity, mask: (zeroed(value, mask), grad, zeroed(velocity, mask)),
        likely="mask not applied to the gradient"),
    Wrong("exchange-ties", "exchange", "ties are broken from the other end", exchanged, fault="other end"),
    Wrong("exchange-value", "exchange", "regrown weights are not zeroed", exchanged, fault="value lives",
        likely="value of redrawn weights not zeroed"),
    Wrong("exchange-velocity", "exchange", "regrown weights keep their momentum", exchanged, fault="velocity lives",
        likely="velocity of redrawn weights not zeroed"),
    Wrong("exchange-removed", "exchange", "removed weights keep their momentum", exchanged, fault="velocity of removed",
        likely="removed weights keep their velocity"),
    Wrong("exchange-shrink-last", "exchange", "weights join before others leave", exchanged, fault="shrink again"),
)  # fmt: skip
