"""Rules 1 to 5 of the published code: which weights live."""

from __future__ import annotations

import math
from functools import partial

import numpy as np

from sparcl_ref.masks import budget, exact, shrink
from sparcl_ref.sparcl import released
from sparcl_ref.verify.areas.masks.budgets import SPARSITY
from sparcl_ref.verify.areas.masks.selection import JOINING, random_mask
from sparcl_ref.verify.areas.tdm import DELTA_K, EPOCHS, KINDS, P_INTER, TARGETS, TASK, coded, in_force, tdm_actions
from sparcl_ref.verify.function import Argument, Output, exactly, specify
from sparcl_ref.verify.mistake import Mistake, instead, more, of

WEIGHT = Argument("weight", "float, any shape: dead entries are 0")
LIVING = exactly("mask", "bool, shape of weight")
P_INTRA = Argument("p_intra", "str, a decimal: how far sparsity rises before weights join", "0.01")


def percentile(scores, sparsity):
    return np.percentile(scores, 100 * float(sparsity))


def _initial(size, above, weight, sparsity):
    extreme = released.extreme_initial_mask(weight, sparsity)
    chosen = above(size(weight), percentile(size(weight), sparsity))
    return {"mask": chosen if extreme is None else extreme}


def _initial_budget(weight, sparsity):
    everything = np.ones(weight.shape, dtype=bool)
    return {"mask": shrink(everything, np.abs(weight), budget(weight.size, sparsity))}


def released_tdm_actions(task, epoch, epochs, sparsity, delta_k, p_inter, p_intra):
    settings = {"sparsity": sparsity, "delta_k": delta_k, "p_inter": p_inter, "p_intra": p_intra}
    return coded(released.released_tdm_actions(task, epoch, epochs=epochs, **settings))


def _paper_actions(epochs, **given):
    return dict(zip(("kinds", "targets"), tdm_actions(**given), strict=True))


def _grows_nothing(right, **given):
    """What equal bounds give where growth is not left out."""
    found = right(**given)
    if list(found["kinds"]) != [0] or given["epoch"] - 1 >= given["epochs"] - given["delta_k"] > 0:
        return {}
    return {"kinds": [0, 1], "targets": 2 * list(found["targets"])}


def _no_shrink_first(right, **given):
    found = right(**given)
    return {name: list(values)[1:] for name, values in found.items()} if given["epoch"] == 1 else {}


def released_sparsities(task, epochs, sparsity, delta_k, p_inter, p_intra):
    settings = {"sparsity": sparsity, "delta_k": delta_k, "p_inter": p_inter, "p_intra": p_intra}
    actions = partial(released.released_tdm_actions, task, epochs=epochs, **settings)
    return [float(now) for now in in_force(sparsity, epochs, actions)]


def _shrunk(weight, importance, sparsity, *, living=False, at_least=False, revive=False):
    scores = importance[weight != 0] if living else importance
    threshold = percentile(scores, sparsity)
    above = importance >= threshold if at_least else importance > threshold
    return {"mask": above if revive else above & (weight != 0)}


def _count(rounded, read, weight, sparsity):
    return {"count": max(0, rounded(np.count_nonzero(weight == 0) - read(sparsity) * weight.size))}


def grow_by_value(weight, sparsity, joining):
    return released.grow_by_value(weight, sparsity, joining)


FUNCTIONS = (
    specify("magnitude_initial_mask", "released", released.magnitude_initial_mask, "SparCL's published code, rule 1",
        "initial weights live where |w| is greater than its linearly interpolated percentile 100 s; but all at s = 0, "
        "and none from s = 0.999 on",
        Argument("weight", "float, any shape: the dense initial value"), SPARSITY, LIVING,
        Mistake("the weight at the threshold lives: >= instead of >", partial(_initial, np.abs, np.greater_equal)),
        Mistake("signs kept: no absolute values", partial(_initial, np.asarray, np.greater)),
        Mistake("an exact budget instead of a percentile", _initial_budget),
        Mistake("a percentile at s = 0 and from s = 0.999 on, too",
            lambda weight, sparsity: {"mask": np.abs(weight) > percentile(np.abs(weight), sparsity)}),
    ),
    specify("released_tdm_actions", "released", released_tdm_actions, "SparCL's published code, rule 2",
        "counted from 0, masks change at epochs that delta_k divides: at epoch 0 they shrink to s and expand to "
        "s - p_inter, from delta_k on they shrink to s + p_intra and expand to s, from epochs - delta_k on they shrink "
        "to s; where the two targets are equal nothing expands",
        TASK, Argument("epoch", "int: counted from 1"), EPOCHS, SPARSITY, DELTA_K, P_INTER, P_INTRA,
        KINDS, TARGETS,
        Mistake("the paper's schedule instead of the published code's", _paper_actions),
        instead("epochs counted from 0", epoch=more("epoch", 1)),
        instead("p_inter and p_intra exchanged", p_inter=of("p_intra"), p_intra=of("p_inter")),
        Mistake("an expansion to the sparsity just shrunk to", _grows_nothing, of_right=True),
        Mistake("the first epoch of a task expands without shrinking before", _no_shrink_first, of_right=True),
    ),
    specify("released_sparsities", "released", released_sparsities, "SparCL's published code, rule 2",
        "the first delta_k epochs of every task, the first included, train at s - p_inter, all others at s",
        TASK, EPOCHS, SPARSITY, DELTA_K, P_INTER, P_INTRA,
        Output("sparsities", "float (epochs,): nominal sparsity while each epoch trains"),
    ),
    specify("shrink_above_percentile", "released", released.shrink_above_percentile,
        "SparCL's published code, rules 3 and 5",
        "weights live where the importance is greater than its percentile over all entries of the layer, dead ones "
        "included, and the value is not 0; ties at the threshold all die",
        WEIGHT, Argument("importance", "float, shape of weight"), SPARSITY, LIVING,
        Mistake("percentile over the living weights instead of all entries", partial(_shrunk, living=True)),
        Mistake("weights at the threshold live: >= instead of >", partial(_shrunk, at_least=True)),
        Mistake("weights that are exactly 0 live on", partial(_shrunk, revive=True)),
    ),
    specify("last_gradient_importance", "released", released.last_gradient_importance,
        "SparCL's published code, rule 4",
        "importance is |w| + 0.5 |g|, with one coefficient for the one gradient of the whole loss",
        WEIGHT, Argument("last_grad", "float, shape of weight: left from the last minibatch, gradient-masked"),
        Output("importance", "float, shape of weight"),
        Mistake("the gradient left out", lambda weight, last_grad: {"importance": np.abs(weight)}),
        Mistake("coefficient 1 instead of 0.5",
            lambda weight, last_grad: {"importance": np.abs(weight) + np.abs(last_grad)}),
        Mistake("|w| counted twice with zero gradients",
            lambda weight, last_grad: {"importance": 1.5 * np.abs(weight)}),
    ),
    specify("grow_count_by_value", "released", released.grow_count_by_value, "SparCL's published code, rule 5",
        "int(zeros - s n) weights join, in double precision, zeros counted by value, and never fewer than none",
        WEIGHT, SPARSITY, exactly("count", "int: weights that join"),
        Mistake("an exact product of decimals instead of one in double precision", partial(_count, math.floor, exact)),
        Mistake("rounded to the nearest instead of truncated", partial(_count, round, float)),
        Mistake("half up instead of truncated", partial(_count, lambda number: int(number + 0.5), float)),
    ),
    specify("grow_by_value", "released", grow_by_value, "SparCL's published code, rule 5",
        "every weight that is not exactly 0 lives, and the drawn zeros join",
        WEIGHT, SPARSITY, JOINING, LIVING,
        Mistake("the zeros that join alone",
            lambda weight, sparsity, joining: {"mask": random_mask(weight.shape, len(joining), joining)}),
    ),
)  # fmt: skip
