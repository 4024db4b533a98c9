"""Living weights in the published code: inputs, oracle and wrong implementations."""

from __future__ import annotations

import math
from collections.abc import Iterator
from fractions import Fraction
from functools import partial

import numpy as np

from tests.torch_twin import masks, released
from tests.verify import draws
from tests.verify.areas.tdm import DECIMALS, EXPAND, SHRINK, limited, listed
from tests.verify.spec import Arguments, CaseSpec, Oracle, Result, Tolerance, Wrong
from tests.verify.tensors import tensor


def cases() -> Iterator[CaseSpec]:
    yield from _magnitude_initial_mask()
    yield from _schedule()
    yield from _shrink_above_percentile()
    yield from _last_gradient_importance()
    yield from _grow_by_value()


SCHEDULE = {"sparsity": "0.75", "delta_k": 5, "p_inter": "0.01", "p_intra": "0.01"}


def published(function: str, name: str, kind: str, note: str, **arguments: object) -> CaseSpec:
    return CaseSpec(function, name, kind, note, arguments, "released")


def signed(label: str, shape: tuple[int, ...]) -> np.ndarray:
    """Numbers whose sizes are well apart, half of them negative."""
    sizes = draws.distinct(label, shape)
    return np.where(draws.truths(f"{label} sign", shape, count=sizes.size // 2), -sizes, sizes)


def _magnitude_initial_mask() -> Iterator[CaseSpec]:
    case = partial(published, "magnitude_initial_mask")
    weight = signed("initial", (3, 2, 3, 3))
    yield case("conv", "regular", "sizes, not signs", weight=weight, sparsity="0.75")
    five = np.array([1.0, -2.0, 2.0, -2.0, 3.0])
    yield case("ties", "adversarial", "strict: ties at the threshold die", weight=five, sparsity="0.5")
    yield case("dense", "adversarial", "at s = 0 even the smallest lives", weight=weight, sparsity="0")
    yield case("dense-ties", "edge", "at s = 0 ties live", weight=-np.ones((2, 3)), sparsity="0")
    yield case("empty", "edge", "nothing is above the largest", weight=weight, sparsity="1")
    yield case("all-equal", "edge", "all are ties", weight=-np.ones((2, 3)), sparsity="0.5")
    yield case("one-weight", "edge", "its own threshold", weight=np.ones((1, 1)), sparsity="0.5")
    row = signed("initial row", (11,))
    yield case("on-an-entry", "adversarial", "the threshold is an entry: it dies", weight=row, sparsity="0.5")
    yield case("nearly-empty", "adversarial", "from s = .999 on nothing lives", weight=weight, sparsity="0.999")
    yield case("just-below", "edge", "below .999 the largest lives", weight=weight, sparsity="0.9989")


def _schedule() -> Iterator[CaseSpec]:
    for name, kind, task, epoch, epochs, changes, note in (
        ("first-exchange", "regular", 1, 6, 50, {}, "counted from 0 this is epoch delta_k"),
        ("quiet-epoch", "regular", 2, 8, 50, {}, "nothing happens"),
        ("paper-epoch", "adversarial", 2, 5, 50, {}, "the paper would act here: it counts from 1"),
        ("last-exchange", "edge", 2, 41, 50, {}, "the last epoch after which weights join"),
        ("final-shrink", "adversarial", 2, 46, 50, {}, "shrink to s, nothing joins"),
        ("after-the-end", "edge", 1, 50, 50, {}, "the last epoch"),
        ("short-task", "edge", 1, 6, 10, {}, "with two stages the second is the last"),
        ("up-to-one", "edge", 1, 6, 50, {"sparsity": "0.98", "p_intra": "0.02"}, "a target of 1 is still allowed"),
        ("first-epoch", "regular", 2, 1, 50, {}, "shrink to s before weights join"),
        ("first-epoch-of-all", "adversarial", 1, 1, 50, {}, "weights join at the start of the first task too"),
        ("equal-at-the-start", "adversarial", 2, 1, 50, {"p_inter": "0"}, "both bounds are s: nothing joins"),
        ("equal-exchange", "adversarial", 2, 6, 50, {"p_intra": "0"}, "both bounds are s: nothing joins"),
        ("below-zero", "edge", 1, 1, 50, {"sparsity": "0.005"}, "a target below 0 is 0"),
        ("other-steps", "adversarial", 3, 10, 30, {"delta_k": 3, "p_inter": "0.05", "p_intra": "0.02"},
         "p_intra rules"),
    ):  # fmt: skip
        arguments = {"task": task, "epoch": epoch, "epochs": epochs} | SCHEDULE | changes
        yield published("released_tdm_actions", name, kind, note, **arguments)
    for name, kind, task, epochs, changes, note in (
        ("first-task", "adversarial", 1, 50, {}, "weights join at the start of the first task too"),
        ("second-task", "regular", 2, 20, {}, "delta_k epochs are expanded: one more than in the paper"),
        ("other-steps", "regular", 2, 12, {"delta_k": 3, "p_inter": "0.05", "p_intra": "0.02"}, "p_inter rules"),
        ("dense", "edge", 1, 12, {"sparsity": "0"}, "limited to 0"),
        ("nearly-dense", "edge", 1, 12, {"sparsity": "0.005"}, "limited to 0 for a while"),
        ("equal-bounds", "adversarial", 2, 12, {"p_inter": "0"}, "never denser than s"),
    ):
        arguments = {"task": task, "epochs": epochs} | SCHEDULE | changes
        yield published("released_sparsities", name, kind, note, **arguments)


def _shrink_above_percentile() -> Iterator[CaseSpec]:
    case = partial(published, "shrink_above_percentile")
    alive = draws.truths("percentile", (4, 2, 3, 3), count=24)
    weight = np.where(alive, signed("percentile weight", alive.shape), 0.0)
    importance = np.where(alive, draws.distinct("percentile importance", alive.shape), 0.0)
    given = {"weight": weight, "importance": importance}
    yield case("conv", "regular", "the percentile is over all entries, dead ones too", **given, sparsity="0.8")
    yield case("lower", "adversarial", "most entries are dead: the threshold is 0", **given, sparsity="0.5")
    loud = {"weight": weight, "importance": draws.distinct("percentile importance", alive.shape)}
    yield case("dead-and-important", "adversarial", "a value of 0 is dead", **loud, sparsity="0.5")
    five = {"weight": np.ones(5), "importance": np.array([1.0, 2.0, 2.0, 2.0, 3.0])}
    yield case("ties", "adversarial", "ties at the threshold all die", **five, sparsity="0.5")
    yield case("all-equal", "edge", "all are ties", weight=np.ones((2, 3)), importance=np.ones((2, 3)), sparsity="0.5")
    yield case("empty", "edge", "nothing is above the largest", **given, sparsity="1")
    three = np.array([0.0] * 7 + [1.0, 2.0, 3.0])
    note = "fewer live than s asks for, and where nothing grows it stays so"
    yield case("too-few", "adversarial", note, weight=three, importance=three, sparsity="0.5")
    nothing = np.zeros((3, 3))
    yield case("all-dead", "edge", "nothing to shrink", weight=nothing, importance=nothing, sparsity="0.75")


def _last_gradient_importance() -> Iterator[CaseSpec]:
    case = partial(published, "last_gradient_importance")
    weight, grad = draws.floats("last weight", (4, 3, 3)), draws.floats("last grad", (4, 3, 3))
    masked = np.where(draws.truths("last mask", weight.shape, count=12), grad, 0.0)
    yield case("conv", "regular", "one coefficient of 0.5", weight=weight, last_grad=grad)
    yield case("masked", "adversarial", "silenced weights count by size alone", weight=weight, last_grad=masked)
    yield case("first-update", "edge", "no gradient yet: |w|", weight=weight, last_grad=0 * grad)
    yield case("zero-weights", "edge", "0.5 |g|", weight=0 * weight, last_grad=grad)


def _grow_by_value() -> Iterator[CaseSpec]:
    def zeros(count: int, *shape: int) -> np.ndarray:
        return np.where(draws.truths(f"zeros {count}", shape, count=count), 0.0, signed("values", shape))

    for name, kind, weight, sparsity, note in (
        ("conv", "regular", zeros(60, 4, 2, 3, 3), "0.75", "60 - 54 zeros join"),
        ("rounded-down", "adversarial", zeros(60, 4, 2, 3, 3), "0.8", "60 - 57.6: int cuts off"),
        ("product-below", "adversarial", zeros(30, 10, 10), "0.29", "0.29 * 100 is a little less than 29: still 1"),
        ("product-above", "adversarial", zeros(10, 10, 10), "0.07", "0.07 * 100 is a little more than 7: 2, not 3"),
        ("negative", "edge", zeros(3, 3, 4), "0.75", "fewer zeros than wanted: none joins"),
        ("all-zero", "edge", np.zeros((3, 4)), "0.5", "half of the layer joins"),
        ("to-dense", "edge", zeros(5, 3, 4), "0", "all zeros join"),
        ("negative-zero", "adversarial", -np.zeros(8), "0.5", "-0.0 is zero"),
        ("fraction-above-half", "regular", zeros(7, 10), "0.42", "a fraction of 0.8 is cut off, not rounded up"),
    ):
        yield published("grow_count_by_value", name, kind, note, weight=weight, sparsity=sparsity)
    for name, kind, weight, sparsity, joining, note in (
        ("conv", "regular", zeros(14, 3, 2, 3), "0.5", (9, 3, 7, 1, 12), "zeros join, in any order"),
        ("none", "edge", zeros(3, 3, 4), "0.75", (), "none joins: life is read from values"),
        ("all-zero", "edge", np.zeros((2, 4)), "0.5", (7, 0, 2, 5), "nothing lived before"),
        ("negative-zero", "adversarial", np.array([1.0, -0.0, 0.0, -2.0]), "0.25", (1,), "-0.0 is dead"),
        ("matrix", "adversarial", zeros(11, 3, 5), "0.6", (2, 10), "column-major indices join elsewhere"),
    ):
        places = np.flatnonzero(weight == 0)[list(joining)]
        yield published("grow_by_value", name, kind, note, weight=weight, sparsity=sparsity, joining=places)


# --- oracle -----------------------------------------------------------------------------------------------------------


def magnitude_initial_mask(a: Arguments) -> Result:
    """The PyTorch twin."""
    return {"mask": released.initial_mask(tensor(a["weight"]), Fraction(a["sparsity"])).numpy()}, {}


def released_tdm_actions(a: Arguments) -> Result:
    """The PyTorch twin, in exact fractions."""
    names = ("epochs", "delta_k", "sparsity", "p_inter", "p_intra")
    return listed(released.mask_actions(a["epoch"] - 1, **{name: a[name] for name in names}))


def released_sparsities(a: Arguments) -> Result:
    """The PyTorch twin's actions, one epoch after the other: each epoch has the target of the last."""
    found = [float(a["sparsity"])]
    for epoch in range(1, a["epochs"] + 1):
        outputs, _ = released_tdm_actions(a | {"epoch": epoch})
        found.append(outputs["targets"][-1] if len(outputs["targets"]) else found[-1])
    return {"sparsities": np.array(found[1:])}, {"sparsities": DECIMALS}


def shrink_above_percentile(a: Arguments) -> Result:
    """The PyTorch twin."""
    above = released.above_threshold(tensor(a["importance"]), float(a["sparsity"]))
    return {"mask": (above & released.alive(tensor(a["weight"]))).numpy()}, {}


def last_gradient_importance(a: Arguments) -> Result:
    """The PyTorch twin."""
    values = released.importance(tensor(a["weight"]), tensor(a["last_grad"]), 0.5)
    return {"importance": values.numpy()}, {"importance": Tolerance(2, float(values.max()), "two terms, not negative")}


def grow_count_by_value(a: Arguments) -> Result:
    """The PyTorch twin."""
    return {"count": released.growth_count(tensor(a["weight"]), float(a["sparsity"]))}, {}


def grow_by_value(a: Arguments) -> Result:
    """The PyTorch twin."""
    alive = released.alive(tensor(a["weight"])).reshape(-1)
    count = int(alive.sum()) + grow_count_by_value(a)[0]["count"]
    return {"mask": masks.grow(alive, tensor(a["joining"]), count).reshape(a["weight"].shape).numpy()}, {}


_ORACLES = (
    magnitude_initial_mask, released_tdm_actions, released_sparsities, shrink_above_percentile,
    last_gradient_importance, grow_count_by_value, grow_by_value,
)  # fmt: skip
ORACLES: dict[str, Oracle] = {oracle.__name__: oracle for oracle in _ORACLES}


# --- wrong implementations --------------------------------------------------------------------------------------------


def percentile(scores, sparsity):
    return np.percentile(scores, 100 * min(max(float(sparsity), 0.0), 1.0))


def initial(weight, sparsity, *, fault):
    size = weight if fault == "signed" else np.abs(weight)
    threshold = percentile(size, sparsity)
    if float(sparsity) == 0 and fault != "no special cases":
        return np.ones(weight.shape, bool)
    if float(sparsity) >= 0.999 and fault not in ("no special cases", "counted"):
        return np.zeros(weight.shape, bool)
    if fault == "counted":
        live = math.floor((1 - Fraction(sparsity)) * weight.size + Fraction(1, 2))
        alive = np.zeros(weight.size, bool)
        alive[np.argsort(-size.reshape(-1), kind="stable")[:live]] = True
        return alive.reshape(weight.shape)
    return size >= threshold if fault == "at the threshold" else size > threshold


def shrunk(weight, importance, sparsity, *, fault):
    ranked = importance[weight != 0] if fault == "of the living" and weight.any() else importance
    threshold = percentile(ranked, sparsity)
    above = importance >= threshold if fault == "at the threshold" else importance > threshold
    return above if fault == "zeros live" else above & (weight != 0)


def actions(task, epoch, epochs, sparsity, delta_k, p_inter, p_intra, *, fault):
    s, intra = Fraction(sparsity), Fraction(p_inter if fault == "p_inter" else p_intra)
    inter = Fraction(p_intra if fault == "p_inter" else p_inter)
    now = epoch if fault == "from one" else epoch - 1
    if now % delta_k:
        return [], []
    low, high = s, s
    if now < delta_k and not (fault == "second task" and task == 1):
        low, high = s, s - inter
    elif now < epochs - delta_k or fault == "grows to the end":
        low, high = s + intra, s
    elif fault == "final overshoot":
        low = high = s + intra
    kinds, targets = [SHRINK], [limited(low)]
    if low != high or (fault == "equal bounds" and now < epochs - delta_k):
        kinds, targets = [SHRINK, EXPAND], [limited(low), limited(high)]
    first = now == 0 and fault == "growth alone"
    return (kinds[1:], targets[1:]) if first else (kinds, targets)


def sparsities(task, epochs, sparsity, delta_k, p_inter, p_intra, *, fault):
    s, start = Fraction(sparsity), Fraction(sparsity) - Fraction(p_inter)
    last = delta_k - 1 if fault == "paper" else delta_k
    expanded = task > 1 if fault == "second task" else True
    return [limited(start if expanded and epoch <= last else s) for epoch in range(1, epochs + 1)]


def joined(weight, joining, *, zero):
    alive = ~zero(weight).reshape(-1)
    alive[joining] = True
    return alive.reshape(weight.shape)


def growing(weight, sparsity, *, fault):
    zeros = int((weight == 0).sum())
    if fault == "exact":
        return max(0, math.floor(zeros - Fraction(sparsity) * weight.size))
    if fault == "rounded":
        return max(0, round(zeros - float(sparsity) * weight.size))
    if fault == "negative":
        return int(zeros - float(sparsity) * weight.size)
    if fault == "signed zero":
        zeros = int(((weight == 0) & ~np.signbit(weight)).sum())
    target = float(sparsity) * weight.size
    return max(0, int(zeros - (int(target) if fault == "target" else target)))


WRONG = (
    Wrong("initial-threshold", "magnitude_initial_mask", "ties at the threshold live", initial,
        fault="at the threshold", likely="the weight at the threshold lives: >= instead of >"),
    Wrong("initial-signed", "magnitude_initial_mask", "signed weights are ranked", initial, fault="signed",
        likely="signs kept: no absolute values"),
    Wrong("initial-counted", "magnitude_initial_mask", "an exact number lives", initial, fault="counted",
        likely="an exact budget instead of a percentile"),
    Wrong("initial-ordinary", "magnitude_initial_mask", "s = 0 and s >= .999 are as any other", initial,
        fault="no special cases", likely="a percentile at s = 0 and from s = 0.999 on, too"),
    Wrong("actions-from-one", "released_tdm_actions", "epochs are counted from 1", actions, fault="from one",
        likely="epochs counted from 0"),
    Wrong("actions-to-the-end", "released_tdm_actions", "weights join to the end", actions, fault="grows to the end"),
    Wrong("actions-overshoot", "released_tdm_actions", "the last shrink is to s + p_intra", actions,
        fault="final overshoot"),
    Wrong("actions-p-inter", "released_tdm_actions", "the shrink is by p_inter", actions, fault="p_inter",
        likely="p_inter and p_intra exchanged"),
    Wrong("actions-equal-bounds", "released_tdm_actions", "weights join where both bounds are equal", actions,
        fault="equal bounds", likely="an expansion to the sparsity just shrunk to"),
    Wrong("actions-growth-alone", "released_tdm_actions", "a task starts with growth alone", actions,
        fault="growth alone", likely="the first epoch of a task expands without shrinking before"),
    Wrong("actions-second-task", "released_tdm_actions", "the first task does not expand", actions,
        fault="second task"),
    Wrong("sparsities-second", "released_sparsities", "the first task does not expand", sparsities,
        fault="second task"),
    Wrong("sparsities-paper", "released_sparsities", "one epoch less, as in the paper", sparsities, fault="paper"),
    Wrong("shrunk-threshold", "shrink_above_percentile", "ties at the threshold live", shrunk, fault="at the threshold",
        likely="weights at the threshold live: >= instead of >"),
    Wrong("shrunk-living", "shrink_above_percentile", "the percentile is over the living", shrunk,
        fault="of the living", likely="percentile over the living weights instead of all entries"),
    Wrong("shrunk-zeros", "shrink_above_percentile", "weights of value 0 live", shrunk, fault="zeros live",
        likely="weights that are exactly 0 live on"),
    Wrong("last-one", "last_gradient_importance", "a coefficient of 1",
        lambda weight, last_grad: np.abs(weight) + np.abs(last_grad), likely="coefficient 1 instead of 0.5"),
    Wrong("last-signed", "last_gradient_importance", "the size of weight plus gradient",
        lambda weight, last_grad: np.abs(weight + last_grad / 2)),
    Wrong("growing-exact", "grow_count_by_value", "an exact product", growing, fault="exact",
        likely="an exact product of decimals instead of one in double precision"),
    Wrong("growing-rounded", "grow_count_by_value", "rounded to the nearest", growing, fault="rounded",
        likely="rounded to the nearest instead of truncated"),
    Wrong("growing-negative", "grow_count_by_value", "a negative count", growing, fault="negative"),
    Wrong("growing-signed-zero", "grow_count_by_value", "-0.0 is not zero", growing, fault="signed zero"),
    Wrong("growing-target", "grow_count_by_value", "the target is cut off before the difference", growing,
        fault="target"),
    Wrong("joined-signed-zero", "grow_by_value", "-0.0 is alive",
        lambda weight, joining, **_: joined(weight, joining, zero=lambda w: (w == 0) & ~np.signbit(w))),
    Wrong("joined-nonzero-only", "grow_by_value", "weights that join stay dead until they have a value",
        lambda weight, **_: weight != 0),
)  # fmt: skip
