"""Which weights live: drawing, shrinking, growing."""

from __future__ import annotations

import math
from functools import partial

import numpy as np

from sparcl_ref import masks
from sparcl_ref.masks import shrink
from sparcl_ref.verify.function import Argument, drawn, exactly, specify
from sparcl_ref.verify.mistake import Mistake, instead

MASK = Argument("mask", "bool, any shape: True where a weight lives")
IMPORTANCE = Argument(
    "importance", "float, shape of mask, never negative where a weight lives, as a sum of sizes is; not read elsewhere"
)
JOINING = drawn("joining", "int (k,): flat (C-order) indices of the dead entries drawn to join")
ALGORITHM = "SparCL, Algorithm 1"


def random_mask(shape, active, chosen):
    return masks.random_mask(tuple(shape), active, chosen)


def _fortran(shape, flat):
    mask = np.zeros(math.prod(shape), dtype=bool)
    mask[flat] = True
    return mask.reshape(shape, order="F")


def kept_by(order, candidates, mask, importance, active):
    """A selection with another order, or from other candidates."""
    among = candidates(mask)
    kept = np.zeros(mask.size, dtype=bool)
    kept[among[order(importance.reshape(-1)[among])[:active]]] = True
    return {"mask": kept.reshape(mask.shape)}


def falling(scores):
    return np.argsort(-scores, kind="stable")


def last_first(scores):
    return len(scores) - 1 - np.argsort(-scores[::-1], kind="stable")


def rising(scores):
    return np.argsort(scores, kind="stable")


def _everywhere(mask):
    return np.arange(mask.size)


FROM_THE_END = "a slice [-k:] that takes everything for k = 0"
CHOICES = (
    ("ties broken from the other end", last_first, np.flatnonzero),
    ("the least important kept instead of the most important", rising, np.flatnonzero),
    ("dead entries compete and return", falling, _everywhere),
    ("ranked in float32 or less, where importances that differ are equal",
        lambda scores: falling(scores.astype(np.float32)), np.flatnonzero),
)  # fmt: skip


def grow(mask, active, joining):
    return masks.grow(mask, active, joining)


def _among_the_dead(mask, active, joining):
    dead = np.flatnonzero(~mask)
    return {"mask": mask | random_mask(mask.shape, len(joining), dead[joining])}


FUNCTIONS = (
    specify("random_mask", "masks", random_mask, f"{ALGORITHM}, initial mask",
        "a random mask has exactly the drawn entries alive; indices are flat and in C order",
        Argument("shape", "list of int"), Argument("active", "int: living entries"),
        drawn("chosen", "int (active,): flat (C-order) indices drawn to live, in any order"),
        exactly("mask", "bool, the given shape"),
        Mistake("flat indices in Fortran order", lambda shape, active, chosen: {"mask": _fortran(shape, chosen)}),
    ),
    specify("shrink", "masks", shrink, f"{ALGORITHM}, shrink",
        "the given number of most important living entries stays; among equals the lower flat index is kept, and a "
        "dead entry never returns, however important",
        MASK, IMPORTANCE,
        Argument("active", "int: entries that stay alive"),
        exactly("mask", "bool, shape of mask"),
        *(Mistake(sentence, partial(kept_by, order, candidates)) for sentence, order, candidates in CHOICES),
        instead(FROM_THE_END, active=lambda given: given["active"] or np.count_nonzero(given["mask"])),
    ),
    specify("grow", "masks", grow, f"{ALGORITHM}, expand",
        "the living stay and the drawn dead entries join them",
        MASK, Argument("active", "int: living entries afterwards"), JOINING, exactly("mask", "bool, shape of mask"),
        Mistake("flat indices in Fortran order",
            lambda mask, active, joining: {"mask": mask | _fortran(mask.shape, joining)}),
        Mistake("the entries that join alone, without those that live",
            lambda mask, active, joining: {"mask": random_mask(mask.shape, len(joining), joining)}),
        Mistake("indices taken for places among the dead entries", _among_the_dead),
    ),
)  # fmt: skip
