"""EWC and online EWC: how Fisher information adds up over tasks, and the penalty."""

from __future__ import annotations

import numpy as np

from sparcl_ref.methods.ewc import Anchor, fisher_penalty
from sparcl_ref.methods.oewc import faded
from sparcl_ref.verify.areas.rivals.fisher import FORM, KIRKPATRICK, SCHWARZ
from sparcl_ref.verify.function import Argument, Output, specify
from sparcl_ref.verify.mistake import Mistake, instead, scaled


def accumulated_fisher(old, new, gamma):
    return faded([old], [new], gamma)[0]


def ewc_penalty(weight, bias, weight_anchor, bias_anchor, weight_fisher, bias_fisher, strength, form):
    anchor = Anchor([weight_fisher, bias_fisher], [weight_anchor, bias_anchor])
    loss, pull = fisher_penalty([weight, bias], anchor, 2 * strength if form == "mammoth" else strength)
    return loss, *pull


_GRADIENTS = ("weight_gradient", "bias_gradient")


def _pulls(factor):
    return dict.fromkeys(_GRADIENTS, factor)


FUNCTIONS = (
    specify("accumulated_fisher", "rivals", accumulated_fisher, SCHWARZ,
        "F <- gamma F + F_t: the old information fades, the new one counts whole",
        Argument("old", "float, any shape: F after the tasks before"), Argument("new", "float, shape of old: F_t"),
        Argument("gamma", "float in 0..1", 1.0), Output("fisher", "float, shape of old"),
        Mistake("a moving average: the new information weighs 1 - gamma",
            lambda old, new, gamma: {"fisher": gamma * old + (1 - gamma) * new}),
        Mistake("the new information fades instead of the old", lambda old, new, gamma: {"fisher": old + gamma * new}),
        Mistake("both fade", lambda old, new, gamma: {"fisher": gamma * (old + new)}),
        Mistake("the mean of both, as if each task weighed the same",
            lambda old, new, gamma: {"fisher": (gamma * old + new) / 2}),
        Mistake("the larger of both", lambda old, new, gamma: {"fisher": np.maximum(gamma * old, new)}),
        instead("nothing fades", gamma=1.0),
        instead("gamma = 0 taken for the default", gamma=lambda given: given["gamma"] or 1.0),
        instead("the last task alone", gamma=0.0),
    ),
    specify("ewc_penalty", "rivals", ewc_penalty, f"{KIRKPATRICK}, equation (3); mammoth's code",
        "lambda / 2 sum over all parameters of F (w - w*)^2, with the gradient lambda F (w - w*); mammoth leaves out "
        "the 1/2 in both; both are 0 at w = w*",
        Argument("weight", "float, any shape: w, the part of the weights"),
        Argument("bias", "float, any shape: w, the part of the biases"),
        Argument("weight_anchor", "float, shape of weight: w*, where the weights were after a task"),
        Argument("bias_anchor", "float, shape of bias"), Argument("weight_fisher", "float, shape of weight: F"),
        Argument("bias_fisher", "float, shape of bias"), Argument("strength", "float: lambda", 10.0), FORM,
        Output("loss", "float"), Output("weight_gradient", "float, shape of weight"),
        Output("bias_gradient", "float, shape of bias"),
        instead("lambda without the 1/2, which is mammoth's form", form="mammoth"),
        instead("lambda / 2 where mammoth has lambda", form="paper"),
        scaled("lambda instead of lambda / 2 in the loss alone", loss=lambda given: 2.0),
        scaled("the factor 2 of the square's derivative missing", **_pulls(0.5)),
        scaled("the gradient of lambda times the square where the loss is half of it", **_pulls(2.0)),
        instead("weights not measured from their anchors", weight_anchor=lambda given: 0 * given["weight"],
            bias_anchor=lambda given: 0 * given["bias"]),
        instead("the Fisher information left out: plain L2 distance",
            weight_fisher=lambda given: np.ones_like(given["weight"]),
            bias_fisher=lambda given: np.ones_like(given["bias"])),
        instead("the square root of the Fisher information, as of a norm",
            weight_fisher=lambda given: np.sqrt(given["weight_fisher"]),
            bias_fisher=lambda given: np.sqrt(given["bias_fisher"])),
        scaled("the mean over parameters instead of their sum",
            loss=lambda given: 1 / (given["weight"].size + given["bias"].size),
            **_pulls(lambda given: 1 / (given["weight"].size + given["bias"].size))),
        instead("biases left out", bias_fisher=lambda given: 0 * given["bias"]),
        scaled("a gradient with the wrong sign", **_pulls(-1.0)),
        instead("strength = 0 taken for the default", strength=lambda given: given["strength"] or 10.0),
        instead("the default strength fixed in the code", strength=10.0),
    ),
)  # fmt: skip
