"""Which gradients are formed: dynamic gradient masking."""

from __future__ import annotations

from fractions import Fraction
from functools import partial

import numpy as np

from sparcl_ref.layers import Parameter
from sparcl_ref.masks import budget, exact, shrink
from sparcl_ref.sparcl import dgm
from sparcl_ref.sparcl.dgm import gradient_mask, is_refresh
from sparcl_ref.sparcl.importance import cgi
from sparcl_ref.verify.areas.importance import ALPHA, BETA
from sparcl_ref.verify.areas.masks.budgets import SPARSITY
from sparcl_ref.verify.areas.masks.selection import CHOICES, FROM_THE_END, IMPORTANCE, MASK, falling, kept_by
from sparcl_ref.verify.function import Argument, Output, exactly, specify
from sparcl_ref.verify.mistake import Mistake, instead, more, of

_DGM = "SparCL, dynamic gradient masking"


def gradient_sparsity(sparsity, q):
    return float(dgm.gradient_sparsity(sparsity, q))


def _gradient_kept(order, candidates, mask, importance, sparsity):
    """`kept_by`, with the budget of gradient masks."""
    return kept_by(order, candidates, mask, importance, min(np.count_nonzero(mask), budget(mask.size, sparsity)))


def _share_of_the_living(mask, importance, sparsity):
    count = budget(int(np.count_nonzero(mask)), sparsity)
    return {"mask": gradient_mask(mask, importance, "0") & shrink(mask, importance, count)}


def dgm_step(iteration, interval, mask, grad_mask, grad_current, grad_replay, sparsity, alpha, beta):
    if is_refresh(iteration, interval):
        scores = cgi(grad_current, grad_replay, alpha=alpha, beta=beta)
        grad_mask = gradient_mask(mask, scores, sparsity)
    parameter = Parameter("weight", np.zeros_like(grad_current))
    parameter.set_mask(mask)
    parameter.set_grad_mask(grad_mask)
    parameter.add_grad(grad_current + grad_replay)
    return parameter.grad_mask, parameter.grad


def _ranked(score, **given):
    """A step of dynamic gradient masking that ranks other gradients, which it makes of its arguments."""
    mask = dgm_step(**given | dict(zip(("grad_current", "grad_replay"), score(given), strict=True)))[0]
    return {"grad_mask": mask, **_grad(mask, given)}


def _refreshed(due):
    """A step that refreshes its mask in other iterations, or in none."""
    return lambda **given: _ranked(_unchanged, **given | {"iteration": int(not due(given)), "interval": 2})


def _grad(mask, given):
    return {"grad": np.where(mask, given["grad_current"] + given["grad_replay"], 0.0)}


def _unchanged(given):
    return given["grad_current"], given["grad_replay"]


def _silenced(given):
    return [np.where(given["grad_mask"], grad, 0.0) for grad in _unchanged(given)]


def _summed(given):
    return sum(_unchanged(given)), np.zeros_like(given["grad_current"])


def _no_mask_between(**given):
    return {} if is_refresh(given["iteration"], given["interval"]) else _grad(given["mask"], given)


def _lifted(**given):
    return _grad(given["mask"], given) if is_refresh(given["iteration"], given["interval"]) else {}


def _replay_heard(right, **given):
    heard = right(**given)["grad_mask"]
    replay = np.where(given["mask"], given["grad_replay"], 0.0)
    return {"grad": np.where(heard, given["grad_current"], 0.0) + replay}


def _ranked_in_float32(iteration, interval, mask, sparsity, alpha, beta, **given):
    if not is_refresh(iteration, interval):
        return {}
    scores = cgi(given["grad_current"], given["grad_replay"], alpha=alpha, beta=beta).astype(np.float32)
    chosen = _gradient_kept(falling, np.flatnonzero, mask, scores, sparsity)["mask"]
    return {"grad_mask": chosen, **_grad(chosen, given)}


FUNCTIONS = (
    specify("gradient_sparsity", "dgm", gradient_sparsity, _DGM,
        "a fraction s + q of a layer has no gradient, q = 0.2 (1 - s) unless given: .80 at .75",
        SPARSITY, Argument("q", "str, a decimal: fraction of the layer masked beyond s; None for 0.2 (1 - s)", None),
        Output("gradient_sparsity", "float: s + q, limited to 0..1"),
        Mistake("q = 0.2 instead of 0.2 (1 - s)",
            lambda sparsity, q: {"gradient_sparsity": min(1.0, float(exact(sparsity) + Fraction(1, 5)))}),
        Mistake("q = 0.2 instead of 0.2 (1 - s)", lambda sparsity, q: {"gradient_sparsity":
            min(1.0, float(exact(sparsity) + (Fraction(1, 5) if q is None else exact(q))))}),
        Mistake("q taken of the living weights instead of the whole layer",
            lambda sparsity, q: {"gradient_sparsity": float(exact(sparsity) + exact(q) * (1 - exact(sparsity)))}),
        instead("q = 0 taken for none given", q=lambda given: given["q"] if exact(given["q"] or 0) else None),
        Mistake("s + q not limited to 1", lambda right, sparsity, q: {"gradient_sparsity":
            right(sparsity=sparsity, q=q)["gradient_sparsity"] if q is None else float(exact(sparsity) + exact(q))},
            of_right=True),
    ),
    specify("gradient_mask", "dgm", gradient_mask, _DGM,
        "of the living entries the most important keep their gradient, so that a fraction s + q of the whole layer "
        "is masked; where fewer live, all do. Among equals the lower flat index is kept",
        MASK, IMPORTANCE,
        Argument("sparsity", 'str, a decimal: s + q, such as "0.8"'),
        exactly("mask", "bool, shape of mask"),
        *(Mistake(sentence, partial(_gradient_kept, order, candidates)) for sentence, order, candidates in CHOICES),
        Mistake("s + q taken of the living weights instead of the whole layer", _share_of_the_living),
        Mistake(FROM_THE_END, lambda right, mask, **given: {"mask": kept if (
            kept := right(mask=mask, **given)["mask"]).any() else mask}, of_right=True),
        uses=("budget", "shrink"),
    ),
    specify("is_refresh", "dgm", is_refresh, _DGM,
        "the gradient mask is chosen anew at iterations 0, interval, 2 interval, ... of each epoch",
        Argument("iteration", "int: of the epoch, from 0"),
        Argument("interval", "int: iterations between two refreshes", 30),
        exactly("refresh", "bool"),
        instead("iterations counted from 1", iteration=more("iteration", 1)),
        Mistake("no refresh at iteration 0",
            lambda iteration, interval: {"refresh": iteration > 0 and is_refresh(iteration, interval)}),
    ),
    specify("dgm_step", "dgm", dgm_step, f"{_DGM}; equation (3)",
        "a refresh ranks the living weights by equation (3) of this step's gradients, which the mask in force has not "
        "silenced; between refreshes it stays. The update sees current + replay where the mask is set, 0 elsewhere",
        Argument("iteration", "int: of the epoch, from 0"),
        Argument("interval", "int: iterations between two refreshes", 30), MASK,
        Argument("grad_mask", "bool, shape of mask: in force until now, a subset of mask"),
        Argument("grad_current", "float, shape of mask: of the current batch's loss, at every entry"),
        Argument("grad_replay", "float, shape of mask: of the whole replay term with its coefficients"),
        Argument("sparsity", "str, a decimal: s + q"), ALPHA, BETA,
        exactly("grad_mask", "bool, shape of mask: in force from now"),
        Output("grad", "float, shape of mask: what the optimiser sees"),
        Mistake("importance of gradients that the mask in force has already silenced", partial(_ranked, _silenced)),
        Mistake("the size of the gradients' sum instead of the sum of their sizes", partial(_ranked, _summed)),
        Mistake("importance of the current batch's gradient alone",
            partial(_ranked, lambda given: (given["grad_current"], np.zeros_like(given["grad_replay"])))),
        Mistake("a refresh in every iteration", _refreshed(lambda given: True)),
        Mistake("no refresh where one is due", _refreshed(lambda given: False)),
        Mistake("refreshed one iteration late", _refreshed(lambda given: given["iteration"] % given["interval"] == 1)),
        instead("alpha and beta exchanged", alpha=of("beta"), beta=of("alpha")),
        Mistake("no gradient mask between refreshes", _no_mask_between),
        Mistake("the gradient mask lifted where it is chosen: it silences from the next iteration on", _lifted),
        Mistake("the gradient of the replayed samples not silenced", _replay_heard, of_right=True),
        Mistake("ranked in float32 or less, where importances that differ are equal", _ranked_in_float32),
        Mistake("the update sees gradients where the gradient mask is not set",
            lambda **given: _grad(given["mask"], given)),
        uses=("gradient_mask", "cgi", "is_refresh"),
    ),
)  # fmt: skip
