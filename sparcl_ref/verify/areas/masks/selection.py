"""Which weights live: drawing, shrinking, growing."""

from __future__ import annotations

import math

import numpy as np

from sparcl_ref import masks
from sparcl_ref.masks import shrink
from sparcl_ref.verify.function import Argument, Function, Output
from sparcl_ref.verify.mistake import Mistake

MASK = Argument("mask", "bool, any shape: True where a weight lives")
JOINING = Argument("joining", "int (k,): flat (C-order) indices of the dead entries drawn to join")
ALGORITHM = "SparCL, Algorithm 1"


def random_mask(shape, active, chosen):
    return masks.random_mask(tuple(shape), active, chosen)


def _fortran(shape, flat):
    mask = np.zeros(math.prod(shape), dtype=bool)
    mask[flat] = True
    return mask.reshape(shape, order="F")


RANDOM_MASK = Function(
    "random_mask", "masks",
    (
        Argument("shape", "list of int"),
        Argument("active", "int: living entries"),
        Argument("chosen", "int (active,): flat (C-order) indices drawn to live, in any order"),
    ),
    (Output("mask", "bool, the given shape", exact=True),),
    "a random mask has exactly the drawn entries alive; indices are flat and in C order",
    f"{ALGORITHM}, initial mask", random_mask,
    mistakes=(
        Mistake("flat indices in Fortran order", lambda shape, active, chosen: {"mask": _fortran(shape, chosen)}),
    ),
)  # fmt: skip


def kept_by(order, candidates=None):
    """A selection with another order, or from other candidates."""

    def outputs(mask, importance, active):
        among = np.flatnonzero(mask) if candidates is None else candidates(mask)
        kept = np.zeros(mask.size, dtype=bool)
        kept[among[order(importance.reshape(-1)[among])[:active]]] = True
        return {"mask": kept.reshape(mask.shape)}

    return outputs


def falling(scores):
    return np.argsort(-scores, kind="stable")


def last_first(scores):
    return len(scores) - 1 - np.argsort(-scores[::-1], kind="stable")


def rising(scores):
    return np.argsort(scores, kind="stable")


def _everywhere(mask):
    return np.arange(mask.size)


CHOICES = (
    ("ties broken from the other end", last_first, None),
    ("the least important kept instead of the most important", rising, None),
    ("dead entries compete and return", falling, _everywhere),
)

SHRINK = Function(
    "shrink", "masks",
    (
        MASK,
        Argument("importance", "float, shape of mask: read at living entries only"),
        Argument("active", "int: entries that stay alive"),
    ),
    (Output("mask", "bool, shape of mask", exact=True),),
    "the given number of most important living entries stays; among equals the lower flat index is kept, and a dead "
    "entry never returns, however important",
    f"{ALGORITHM}, shrink", shrink,
    mistakes=(*(Mistake(sentence, kept_by(order, candidates)) for sentence, order, candidates in CHOICES),),
)  # fmt: skip


def grow(mask, active, joining):
    return masks.grow(mask, active, joining)


def _among_the_dead(mask, active, joining):
    dead = np.flatnonzero(~mask)
    return {"mask": mask | random_mask(mask.shape, len(joining), dead[joining])}


GROW = Function(
    "grow", "masks", (MASK, Argument("active", "int: living entries afterwards"), JOINING),
    (Output("mask", "bool, shape of mask", exact=True),),
    "the living stay and the drawn dead entries join them",
    f"{ALGORITHM}, expand", grow,
    mistakes=(
        Mistake("flat indices in Fortran order",
            lambda mask, active, joining: {"mask": mask | _fortran(mask.shape, joining)}),
        Mistake("the entries that join alone, without those that live",
            lambda mask, active, joining: {"mask": random_mask(mask.shape, len(joining), joining)}),
        Mistake("indices taken for places among the dead entries", _among_the_dead),
    ),
)  # fmt: skip

FUNCTIONS = (RANDOM_MASK, SHRINK, GROW)
