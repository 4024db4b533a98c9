"""Gradient masks: inputs, oracle and wrong implementations."""

from __future__ import annotations

from collections.abc import Iterator
from fractions import Fraction

import numpy as np
import torch

from tests import exact
from tests.torch_twin import dgm, importance
from tests.torch_twin.config import Config
from tests.verify import draws
from tests.verify.areas.masks.budgets import count
from tests.verify.areas.masks.exchange import cleared
from tests.verify.areas.masks.selection import kept
from tests.verify.areas.tdm import DECIMALS, limited
from tests.verify.spec import Arguments, CaseSpec, Oracle, Result, Tolerance, Wrong
from tests.verify.tensors import tensor


def cases() -> Iterator[CaseSpec]:
    yield from _gradient_sparsity()
    yield from _gradient_mask()
    yield from _is_refresh()
    yield from _dgm_step()
    yield from _other_settings()


def _gradient_sparsity() -> Iterator[CaseSpec]:
    for name, kind, sparsity, q, note in (
        ("published", "regular", "0.75", None, ".80 at .75"),
        ("very-sparse", "adversarial", "0.95", None, ".96: q shrinks with 1 - s, it is not .05 everywhere"),
        ("given", "regular", "0.9", "0.05", "a q that is given is not scaled"),
        ("given-zero", "adversarial", "0.9", "0", "a q of 0 is not a missing q"),
        ("above-one", "edge", "0.9", "0.2", "limited to 1"),
        ("dense", "edge", "0", None, ".2 of a dense layer"),
        ("empty", "edge", "1", None, "nothing to mask"),
        ("given-zero-again", "adversarial", "0.5", "0", "a q of 0 is not a missing q"),
        ("above-one-again", "edge", "0.99", "0.05", "limited to 1"),
    ):
        yield CaseSpec("gradient_sparsity", name, kind, note, {"sparsity": sparsity, "q": q}, "paper")


def _gradient_mask() -> Iterator[CaseSpec]:
    def case(name: str, kind: str, mask, importance, sparsity: str, note: str) -> CaseSpec:
        arguments = {"mask": mask, "importance": importance, "sparsity": sparsity}
        return CaseSpec("gradient_mask", name, kind, note, arguments, "paper")

    shape = (5, 2, 2, 2)
    mask = draws.truths("dgm", shape, count=20)
    apart = draws.distinct("dgm importance", shape)
    yield case("conv", "regular", mask, apart, "0.8", "a fraction of the layer, not of the living weights")
    loud = np.where(mask, apart, apart + 100)
    yield case("dead-and-important", "adversarial", mask, loud, "0.7", "ranked among the living only")
    yield case("ties", "adversarial", mask, np.ones(shape), "0.8", "the lower flat index is kept")
    yield case("half-up", "adversarial", mask, apart, "0.9625", "1.5 gradients round to 2")
    tied = draws.integers("dgm ties", shape, low=0, high=2).astype(np.float64)
    yield case("zeros-tie", "adversarial", mask, tied, "0.6", "gradients of 0 fill the number")
    few = draws.integers("dgm few ties", shape, low=0, high=4) // 3 * 1.0
    yield case("mostly-zeros", "adversarial", mask, few, "0.65", "gradients of 0 fill the number")
    near = {"mask": mask, "importance": 1 + apart * 2.0**-40, "sparsity": "0.8"}
    note = "importances that differ beyond float32 are not equal"
    yield CaseSpec("gradient_mask", "apart-beyond-float32", "adversarial", note, near, "paper", dtype="float64")
    near |= {"importance": 3 - apart * 2.0**-45, "sparsity": "0.7"}
    yield CaseSpec("gradient_mask", "apart-beyond-float32-again", "adversarial", note, near, "paper", dtype="float64")
    yield case("none-of-few", "edge", draws.truths("dgm few", shape, count=5), apart, "0.999", "no gradient at all")
    yield case("fewer-live", "edge", mask, apart, "0.25", "30 wanted, 20 live: all keep their gradient")
    yield case("none", "edge", mask, apart, "1", "no gradient at all")
    yield case("all-dead", "edge", np.zeros(shape, bool), apart, "0.8", "nothing lives")


def _is_refresh() -> Iterator[CaseSpec]:
    for name, kind, iteration, interval, note in (
        ("first", "edge", 0, 30, "the first iteration of every epoch"),
        ("second", "regular", 30, 30, "the interval later"),
        ("before", "adversarial", 29, 30, "iterations counted from 1 would refresh here"),
        ("between", "regular", 45, 30, "no refresh"),
        ("each", "edge", 7, 1, "every iteration"),
        ("other-interval", "adversarial", 30, 7, "the interval is a parameter"),
        ("first-of-seven", "edge", 0, 7, "the first iteration of every epoch"),
        ("beyond-8-bits", "adversarial", 300, 30, "an iteration that 8 bits do not hold"),
        ("beyond-16-bits", "adversarial", 65_550, 30, "an iteration that 16 bits do not hold"),
        ("beyond-16-bits-again", "adversarial", 65_536, 30, "an iteration that 16 bits do not hold"),
    ):
        arguments = {"iteration": iteration, "interval": interval}
        yield CaseSpec("is_refresh", name, kind, note, arguments, "paper")


def _dgm_step() -> Iterator[CaseSpec]:
    shape = (4, 5)
    mask = draws.truths("dgm step", shape, count=12)
    current = draws.distinct("dgm current", shape) * np.where(draws.truths("dgm signs", shape, count=9), -1, 1)
    replay = draws.distinct("dgm replay", shape) * 32
    quiet = (np.abs(current) * 0.5 + np.abs(replay)).argsort(axis=None)
    old = np.zeros(mask.size, bool)
    old[[k for k in quiet if mask.reshape(-1)[k]][:3]] = True
    step = {"mask": mask, "grad_mask": old.reshape(shape), "grad_current": current, "grad_replay": replay}
    step |= {"sparsity": "0.8", "alpha": 0.5, "beta": 1.0, "interval": 30}
    poison = np.where(mask, current, np.nan)
    near = {"mask": np.ones(shape, bool), "grad_current": draws.floats("dgm near current", shape),
            "grad_replay": draws.floats("dgm near replay", shape), "sparsity": "0.55"}  # fmt: skip
    for name, kind, iteration, changes, note in (
        ("refresh", "adversarial", 30, {}, "gradients that the old mask silences would never come back"),
        ("reuse", "regular", 31, {}, "between refreshes the old mask stays"),
        ("start-of-epoch", "regular", 0, {"grad_mask": mask}, "after a mask change every living weight had a gradient"),
        ("cancelling", "adversarial", 0, {"grad_replay": -current}, "parts that cancel are important all the same"),
        ("coefficients", "adversarial", 60, {"alpha": 64.0, "beta": 0.25}, "alpha belongs to the current batch"),
        (
            "other-coefficients",
            "adversarial",
            0,
            {"alpha": 0.125, "beta": 48.0, "grad_replay": replay / 64},
            "beta belongs to the buffer",
        ),
        ("comparable", "regular", 0, {"grad_replay": replay / 32, "sparsity": "0.7"}, "both parts decide, as weighted"),
        ("comparable-again", "regular", 0, near | {"alpha": 0.25, "beta": 0.75}, "both parts decide, as weighted"),
        ("ties", "adversarial", 0, {"grad_current": np.ones(shape), "grad_replay": -np.ones(shape)}, "the lower index"),
        ("poison-where-dead", "adversarial", 0, {"grad_current": poison}, "a dead weight's gradient is not read"),
        ("empty-buffer", "edge", 0, {"grad_replay": np.zeros(shape)}, "nothing is replayed yet"),
        ("all-dead", "edge", 0, {"mask": np.zeros(shape, bool), "grad_mask": np.zeros(shape, bool)}, "no gradient"),
        ("dense", "edge", 0, {"mask": np.ones(shape, bool), "sparsity": "0"}, "every gradient"),
    ):
        yield CaseSpec("dgm_step", name, kind, note, {"iteration": iteration} | step | changes, "paper")

    near = {"iteration": 0} | step | {"grad_current": 1 + current * 2.0**-40, "grad_replay": np.full(shape, 2.0)}
    note = "gradients that differ beyond float32 are not equally important"
    yield CaseSpec("dgm_step", "apart-beyond-float32", "adversarial", note, near, "paper", dtype="float64")
    near |= {"grad_current": np.full(shape, 64.0), "grad_replay": 1 - replay * 2.0**-40, "sparsity": "0.7"}
    yield CaseSpec("dgm_step", "apart-beyond-float32-again", "adversarial", note, near, "paper", dtype="float64")


def _other_settings() -> Iterator[CaseSpec]:
    """Another value where the other cases have always the same: none of it may stand in code."""
    living = draws.truths("dgm interval", (3, 4), count=8)
    yield CaseSpec(
        "dgm_step", "other-interval", "edge", "an interval that is fixed in the code: iteration 30 is none of every 7",
        {
            "mask": living, "grad_mask": living & draws.truths("dgm interval old", (3, 4), count=5),
            "grad_current": draws.distinct("dgm interval current", (3, 4)),
            "grad_replay": -draws.distinct("dgm interval replay", (3, 4)),
            "sparsity": "0.6", "alpha": 0.5, "beta": 1.0, "iteration": 30, "interval": 7,
        },
        "paper",
    )  # fmt: skip


# --- oracle -----------------------------------------------------------------------------------------------------------


def gradient_sparsity(a: Arguments) -> Result:
    """The PyTorch twin's settings, in exact fractions."""
    found = Config(sparsity=Fraction(a["sparsity"]), dgm_q=None if a["q"] is None else Fraction(a["q"]))
    return {"gradient_sparsity": float(found.gradient_sparsity)}, {"gradient_sparsity": DECIMALS}


def silenced_by(values: torch.Tensor, mask: torch.Tensor, sparsity: str) -> torch.Tensor:
    count = exact.living(mask.numel(), sparsity)
    return dgm.gradient_mask(values, mask, count)[0]


def gradient_mask(a: Arguments) -> Result:
    """The PyTorch twin, with a count by integer arithmetic."""
    return {"mask": silenced_by(tensor(a["importance"]), tensor(a["mask"]), a["sparsity"]).numpy()}, {}


def is_refresh(a: Arguments) -> Result:
    """The PyTorch twin."""
    return {"refresh": dgm.refresh_due(a["iteration"], a["interval"])}, {}


def dgm_step(a: Arguments) -> Result:
    """The PyTorch twin's equation (3) and selection; the sum of the gradients entry by entry."""
    grad_mask = a["grad_mask"]
    if dgm.refresh_due(a["iteration"], a["interval"]):
        parts = tensor(a["grad_current"]), tensor(a["grad_replay"])
        values = importance.cgi(*parts, alpha=a["alpha"], beta=a["beta"])
        grad_mask = silenced_by(values, tensor(a["mask"]), a["sparsity"]).numpy()
    total = cleared(a["grad_current"] + a["grad_replay"], grad_mask)
    sizes = cleared(np.abs(a["grad_current"]) + np.abs(a["grad_replay"]), grad_mask)
    tolerance = Tolerance(2, float(sizes.max()), "current and replay part", zeros=~grad_mask)
    return {"grad_mask": grad_mask, "grad": total}, {"grad": tolerance}


_ORACLES = (gradient_sparsity, gradient_mask, is_refresh, dgm_step)
ORACLES: dict[str, Oracle] = {oracle.__name__: oracle for oracle in _ORACLES}


# --- wrong implementations --------------------------------------------------------------------------------------------


def masked_fraction(sparsity, q, *, fault):
    s = Fraction(sparsity)
    if fault == "fixed":
        return limited(s + (Fraction(1, 20) if q is None else Fraction(q)))
    if fault == "zero is none":
        return limited(s + (Fraction(q) if q is not None and Fraction(q) else (1 - s) / 5))
    if fault == "scaled":
        return limited(s + (1 - s) * (Fraction(1, 5) if q is None else Fraction(q)))
    total = s + ((1 - s) / 5 if q is None else Fraction(q))
    return float(total) if fault == "unlimited" else limited(total)


def silence(mask, importance, sparsity, *, fault):
    wanted = count(mask.size, sparsity)
    living = int(mask.sum())
    if fault == "float32":
        importance = importance.astype(np.float32)
    if fault == "of the living":
        return kept(mask, importance, count(living, sparsity))
    if fault == "percentile":
        scores = np.nan_to_num(importance)
        return mask & (scores >= np.percentile(scores, 100 * float(sparsity)))
    if fault in ("all entries", "dead too"):
        everywhere = kept(np.ones_like(mask), np.nan_to_num(importance), wanted)
        return everywhere & mask if fault == "all entries" else everywhere
    if fault == "nonzero only":
        return kept(mask, importance, min(wanted, living)) & (importance != 0)
    wanted = wanted or living if fault == "from the end" else wanted
    if fault == "other end":
        turned = kept(mask.reshape(-1)[::-1], importance.reshape(-1)[::-1], min(wanted, living))
        return turned[::-1].reshape(mask.shape)
    return kept(mask, importance, min(wanted, living))


def step(iteration, interval, mask, grad_mask, grad_current, grad_replay, sparsity, alpha, beta, *, fault):
    total = grad_current + grad_replay
    if iteration % interval == (1 if fault == "late" else 0):
        current, replay = grad_current, grad_replay
        if fault == "already masked":
            current, replay = (np.where(grad_mask, part, 0.0) for part in (current, replay))
        sizes = np.abs(current), np.abs(replay)
        scores = {
            "of the total": np.abs(total), "current only": sizes[0], "one coefficient": sum(sizes),
            "swapped": beta * sizes[0] + alpha * sizes[1], "squares": alpha * current**2 + beta * replay**2,
        }.get(fault, alpha * sizes[0] + beta * sizes[1])  # fmt: skip
        scores = scores.astype(np.float32) if fault == "float32" else scores
        before = grad_mask
        grad_mask = kept(mask, scores, min(int(mask.sum()), count(mask.size, sparsity)))
        if fault == "narrows":
            grad_mask = grad_mask & before
    elif fault == "no mask between":
        grad_mask = mask
    if fault == "lifted" and iteration % interval == 0:
        return grad_mask, np.where(mask, total, 0.0)
    if fault == "replay heard":
        return grad_mask, np.where(grad_mask, grad_current, 0.0) + np.where(mask, grad_replay, 0.0)
    return grad_mask, total * grad_mask if fault == "product" else np.where(grad_mask, total, 0.0)


WRONG = (
    Wrong("dgm-fixed", "gradient_sparsity", "q is 0.05 at every sparsity", masked_fraction, fault="fixed"),
    Wrong("dgm-zero-is-none", "gradient_sparsity", "a q of 0 is taken for none", masked_fraction, fault="zero is none",
        likely="q = 0 taken for none given"),
    Wrong("dgm-scaled", "gradient_sparsity", "a given q is scaled by 1 - s", masked_fraction, fault="scaled",
        likely="q taken of the living weights instead of the whole layer"),
    Wrong("dgm-unlimited", "gradient_sparsity", "s + q is not limited to 1", masked_fraction, fault="unlimited",
        likely="s + q not limited to 1"),
    Wrong("silence-living", "gradient_mask", "a fraction of the living weights", silence, fault="of the living",
        likely="s + q taken of the living weights instead of the whole layer"),
    Wrong("silence-all", "gradient_mask", "ranked among all entries, the dead too", silence, fault="all entries"),
    Wrong("silence-percentile", "gradient_mask", "a percentile over all, not the living", silence, fault="percentile"),
    Wrong("silence-dead", "gradient_mask", "dead weights get gradients", silence, fault="dead too",
        likely="dead entries compete and return"),
    Wrong("silence-nonzero", "gradient_mask", "gradients of importance 0 are left out", silence, fault="nonzero only"),
    Wrong("silence-from-the-end", "gradient_mask", "a slice [-k:], which is everything for 0", silence,
        fault="from the end", likely="a slice [-k:] that takes everything for k = 0"),
    Wrong("silence-ties", "gradient_mask", "ties are broken from the other end", silence, fault="other end",
        likely="ties broken from the other end"),
    Wrong("refresh-from-one", "is_refresh", "iterations are counted from 1",
        lambda iteration, interval: (iteration + 1) % interval == 0, likely="iterations counted from 1"),
    Wrong("refresh-not-first", "is_refresh", "the first iteration does not refresh",
        lambda iteration, interval: iteration > 0 and iteration % interval == 0, likely="no refresh at iteration 0"),
    *(Wrong(f"refresh-{bits}-bits", "is_refresh", f"iterations are counted in {bits} bits",
        lambda iteration, interval, limit=2**bits: iteration % limit % interval == 0) for bits in (8, 16)),
    Wrong("step-already-masked", "dgm_step", "importance of already masked gradients", step, fault="already masked",
        likely="importance of gradients that the mask in force has already silenced"),
    Wrong("step-of-total", "dgm_step", "importance of the summed gradient", step, fault="of the total",
        likely="the size of the gradients' sum instead of the sum of their sizes"),
    Wrong("step-current-only", "dgm_step", "importance of the current batch alone", step, fault="current only",
        likely="importance of the current batch's gradient alone"),
    Wrong("step-swapped", "dgm_step", "alpha and beta are swapped", step, fault="swapped",
        likely="alpha and beta exchanged"),
    *(Wrong(f"{function}-float32", function, "importances are ranked in float32", broken, fault="float32",
        likely="ranked in float32 or less, where importances that differ are equal")
        for function, broken in (("gradient_mask", silence), ("dgm_step", step))),
    Wrong("step-lifted", "dgm_step", "the mask is lifted in the step that chooses it", step, fault="lifted",
        likely="the gradient mask lifted where it is chosen: it silences from the next iteration on"),
    Wrong("step-replay-heard", "dgm_step", "the replayed gradient is not silenced", step, fault="replay heard",
        likely="the gradient of the replayed samples not silenced"),
    Wrong("step-one-coefficient", "dgm_step", "both parts weigh the same", step, fault="one coefficient"),
    Wrong("step-squares", "dgm_step", "squares instead of sizes", step, fault="squares"),
    Wrong("step-narrows", "dgm_step", "a refresh only narrows the mask in force", step, fault="narrows"),
    Wrong("step-late", "dgm_step", "refreshed one iteration late", step, fault="late",
        likely="refreshed one iteration late"),
    Wrong("step-no-mask", "dgm_step", "no mask between refreshes", step, fault="no mask between",
        likely="no gradient mask between refreshes"),
    Wrong("step-product", "dgm_step", "the mask is multiplied, which leaves -0.0 and NaN", step, fault="product"),
)  # fmt: skip
