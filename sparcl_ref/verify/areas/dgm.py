"""Which gradients are formed: dynamic gradient masking."""

from __future__ import annotations

from fractions import Fraction

import numpy as np

from sparcl_ref.layers import Parameter
from sparcl_ref.masks import budget, exact, shrink
from sparcl_ref.sparcl import dgm
from sparcl_ref.sparcl.dgm import gradient_mask, is_refresh
from sparcl_ref.sparcl.importance import cgi
from sparcl_ref.verify.areas.importance import ALPHA, BETA
from sparcl_ref.verify.areas.masks.budgets import SPARSITY
from sparcl_ref.verify.areas.masks.selection import CHOICES, MASK, kept_by
from sparcl_ref.verify.function import Argument, Function, Output
from sparcl_ref.verify.mistake import Mistake, instead, more, of

_DGM = "SparCL, dynamic gradient masking"


def gradient_sparsity(sparsity, q):
    return float(dgm.gradient_sparsity(sparsity, q))


GRADIENT_SPARSITY = Function(
    "gradient_sparsity", "dgm",
    (SPARSITY, Argument("q", "str, a decimal: fraction of the layer masked beyond s; None for 0.2 (1 - s)", None)),
    (Output("gradient_sparsity", "float: s + q, limited to 0..1"),),
    "a fraction s + q of a layer has no gradient, q = 0.2 (1 - s) unless given: .80 at .75",
    _DGM, gradient_sparsity,
    mistakes=(
        Mistake("q = 0.2 instead of 0.2 (1 - s)",
            lambda sparsity, q: {"gradient_sparsity": min(1.0, float(exact(sparsity) + Fraction(1, 5)))}),
        Mistake("q taken of the living weights instead of the whole layer",
            lambda sparsity, q: {"gradient_sparsity": float(exact(sparsity) + exact(q) * (1 - exact(sparsity)))}),
    ),
)  # fmt: skip


def _gradient_kept(order, candidates=None):
    """`kept_by`, with the budget of gradient masks."""

    def outputs(mask, importance, sparsity):
        count = min(np.count_nonzero(mask), budget(mask.size, sparsity))
        return kept_by(order, candidates)(mask, importance, count)

    return outputs


def _share_of_the_living(mask, importance, sparsity):
    count = budget(int(np.count_nonzero(mask)), sparsity)
    return {"mask": gradient_mask(mask, importance, "0") & shrink(mask, importance, count)}


GRADIENT_MASK = Function(
    "gradient_mask", "dgm",
    (
        MASK,
        Argument("importance", "float, shape of mask: equation (3), read at living entries only"),
        Argument("sparsity", 'str, a decimal: s + q, such as "0.8"'),
    ),
    (Output("mask", "bool, shape of mask", exact=True),),
    "of the living entries the most important keep their gradient, so that a fraction s + q of the whole layer is "
    "masked; where fewer live, all do. Among equals the lower flat index is kept",
    _DGM, gradient_mask,
    mistakes=(
        *(Mistake(sentence, _gradient_kept(order, candidates)) for sentence, order, candidates in CHOICES),
        Mistake("s + q taken of the living weights instead of the whole layer", _share_of_the_living),
    ),
)  # fmt: skip

IS_REFRESH = Function(
    "is_refresh", "dgm",
    (
        Argument("iteration", "int: of the epoch, from 0"),
        Argument("interval", "int: iterations between two refreshes", 30),
    ),
    (Output("refresh", "bool", exact=True),),
    "the gradient mask is chosen anew at iterations 0, interval, 2 interval, ... of each epoch",
    _DGM, is_refresh,
    mistakes=(
        instead("iterations counted from 1", iteration=more("iteration", 1)),
        Mistake("no refresh at iteration 0",
            lambda iteration, interval: {"refresh": iteration > 0 and is_refresh(iteration, interval)}),
    ),
)  # fmt: skip


def dgm_step(iteration, interval, mask, grad_mask, grad_current, grad_replay, sparsity, alpha, beta):
    if is_refresh(iteration, interval):
        scores = cgi(grad_current, grad_replay, alpha=alpha, beta=beta)
        grad_mask = gradient_mask(mask, scores, sparsity)
    parameter = Parameter("weight", np.zeros_like(grad_current))
    parameter.set_mask(mask)
    parameter.set_grad_mask(grad_mask)
    parameter.add_grad(grad_current + grad_replay)
    return parameter.grad_mask, parameter.grad


def _dgm_of(refresh, score=None):
    """A step of dynamic gradient masking with another refresh or another importance."""

    def outputs(**given):
        fixed = given | {"iteration": 0 if refresh(given) else 1, "interval": 2}
        if score is not None:
            first, second = score(given)
            mask = dgm_step(**fixed | {"grad_current": first, "grad_replay": second})[0]
        else:
            mask = dgm_step(**fixed)[0]
        return {"grad_mask": mask, "grad": np.where(mask, given["grad_current"] + given["grad_replay"], 0.0)}

    return outputs


def _no_mask_between(**given):
    if _as_asked(given):
        raise ValueError("a refresh")
    return {"grad": np.where(given["mask"], given["grad_current"] + given["grad_replay"], 0.0)}


def _late(given):
    return given["iteration"] % given["interval"] == 1


def _as_asked(given):
    return is_refresh(given["iteration"], given["interval"])


def _silenced(given):
    return tuple(np.where(given["grad_mask"], given[name], 0.0) for name in ("grad_current", "grad_replay"))


def _summed(given):
    return given["grad_current"] + given["grad_replay"], np.zeros_like(given["grad_current"])


DGM_STEP = Function(
    "dgm_step", "dgm",
    (
        Argument("iteration", "int: of the epoch, from 0"),
        Argument("interval", "int: iterations between two refreshes", 30),
        MASK,
        Argument("grad_mask", "bool, shape of mask: in force until now, a subset of mask"),
        Argument("grad_current", "float, shape of mask: of the current batch's loss, at every entry"),
        Argument("grad_replay", "float, shape of mask: of the whole replay term with its coefficients"),
        Argument("sparsity", "str, a decimal: s + q"),
        ALPHA, BETA,
    ),
    (
        Output("grad_mask", "bool, shape of mask: in force from now", exact=True),
        Output("grad", "float, shape of mask: what the optimiser sees"),
    ),
    "a refresh ranks the living weights by equation (3) of this step's gradients, which the mask in force has not "
    "silenced; between refreshes it stays. The update sees current + replay where the mask is set, 0 elsewhere",
    f"{_DGM}; equation (3)", dgm_step,
    mistakes=(
        Mistake("importance of gradients that the mask in force has already silenced", _dgm_of(_as_asked, _silenced)),
        Mistake("the size of the gradients' sum instead of the sum of their sizes", _dgm_of(_as_asked, _summed)),
        Mistake("importance of the current batch's gradient alone",
            _dgm_of(_as_asked, lambda given: (given["grad_current"], np.zeros_like(given["grad_replay"])))),
        Mistake("a refresh in every iteration", _dgm_of(lambda given: True)),
        Mistake("no refresh where one is due", _dgm_of(lambda given: False)),
        Mistake("refreshed one iteration late", _dgm_of(_late)),
        instead("alpha and beta exchanged", alpha=of("beta"), beta=of("alpha")),
        Mistake("no gradient mask between refreshes", _no_mask_between),
        Mistake("the update sees gradients where the gradient mask is not set",
            lambda **given: {"grad": np.where(given["mask"], given["grad_current"] + given["grad_replay"], 0.0)}),
    ),
)  # fmt: skip

FUNCTIONS = (GRADIENT_SPARSITY, GRADIENT_MASK, IS_REFRESH, DGM_STEP)
