"""A-GEM: the projection of a gradient that points against the past's."""

from __future__ import annotations

from functools import partial

import numpy as np

from sparcl_ref.methods.agem import project
from sparcl_ref.verify.function import Argument, Output, specify
from sparcl_ref.verify.mistake import Mistake

#: Numbers that are added to r.r so that nothing is divided by 0.
SMALL = (1e-12, 1e-10, 1e-8, 1e-7, 1e-6)


def agem_project(weight_grad, bias_grad, weight_reference, bias_reference):
    return tuple(project([weight_grad, bias_grad], [weight_reference, bias_reference]))


# --- mistakes ---------------------------------------------------------------------------------------------------------


def _dot(one, other, dtype=np.float64):
    return sum(dtype(np.vdot(a.astype(dtype), b.astype(dtype))) for a, b in zip(one, other, strict=True))


def _otherwise(weight_grad, bias_grad, weight_reference, bias_reference, *, share):
    """g - share r, with a function of g and r, each a list of both arrays, that gives the share."""
    g, r = [weight_grad, bias_grad], [weight_reference, bias_reference]
    found = share(g, r)
    return {"weight_grad": g[0] - found * r[0], "bias_grad": g[1] - found * r[1]}


def _where_against(share, g, r):
    return share(g, r) if _dot(g, r) < 0 else 0.0


def _against(sentence, share):
    """A mistake where g points against r; else g stays."""
    return Mistake(sentence, partial(_otherwise, share=partial(_where_against, share)))


def _each_alone(weight_grad, bias_grad, weight_reference, bias_reference):
    pairs = {"weight_grad": (weight_grad, weight_reference), "bias_grad": (bias_grad, bias_reference)}
    shares = {name: min(0.0, _dot([g], [r])) / (_dot([r], [r]) or 1.0) for name, (g, r) in pairs.items()}
    return {name: g - shares[name] * r for name, (g, r) in pairs.items()}


def _weights_alone(weight_grad, bias_grad, weight_reference, bias_reference):
    """Biases take no part, neither in the products nor in what is subtracted."""
    product = _dot([weight_grad], [weight_reference])
    share = min(0.0, product) / (_dot([weight_reference], [weight_reference]) or 1.0)
    return {"weight_grad": weight_grad - share * weight_reference, "bias_grad": bias_grad}


def _narrow(joined, g, r):
    """The share by sums in float32, over each array or over both as one."""
    g, r = ([np.concatenate([part.ravel() for part in each])] if joined else each for each in (g, r))
    product = _dot(g, r, np.float32)
    return product / _dot(r, r, np.float32) if product < 0 else 0.0


def _over_length(g, r):
    return _dot(g, r) / np.sqrt(_dot(r, r))


FUNCTIONS = (
    specify("agem_project", "rivals", agem_project, "Chaudhry et al., 2019, equation (11)",
        "with g and r each one vector over all parameters: g - (g.r / r.r) r if g.r < 0, else g to the bit, also "
        "where r is 0; the length of r does not matter; sums in float64 whatever the type of the gradients",
        Argument("weight_grad", "float, any shape: g, the part of the weights"),
        Argument("bias_grad", "float, any shape: g, the part of the biases"),
        Argument("weight_reference", "float, shape of weight_grad: r, the gradient on samples of earlier tasks"),
        Argument("bias_reference", "float, shape of bias_grad"),
        Output("weight_grad", "float, projected"), Output("bias_grad", "float, projected"),
        Mistake("each parameter projected by itself instead of all as one vector", _each_alone),
        Mistake("biases left out of the vector", _weights_alone),
        Mistake("projected although both gradients agree",
            partial(_otherwise, share=lambda g, r: _dot(g, r) / (_dot(r, r) or 1.0))),
        Mistake("nothing projected", partial(_otherwise, share=lambda g, r: 0.0)),
        Mistake("projected where g.r = 0, too, so that 0 is divided by 0 where r is 0",
            partial(_otherwise, share=lambda g, r: _dot(g, r) / np.float64(_dot(r, r)) if _dot(g, r) <= 0 else 0.0)),
        _against("divided by the length of r instead of its square", _over_length),
        _against("divided by g.g instead of r.r", lambda g, r: _dot(g, r) / _dot(g, g)),
        _against("the part along r added instead of taken away", lambda g, r: -_dot(g, r) / _dot(r, r)),
        *(_against("a small number added to r.r", lambda g, r, small=small: _dot(g, r) / (_dot(r, r) + small))
            for small in SMALL),
        *(Mistake("sums in float32", partial(_otherwise, share=partial(_narrow, joined))) for joined in (False, True)),
    ),
)  # fmt: skip
