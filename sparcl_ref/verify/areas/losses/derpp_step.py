"""A whole training step of DER++ on a perceptron."""

from __future__ import annotations

import math
from functools import partial

import numpy as np

from sparcl_ref import layers, optimizers
from sparcl_ref.methods import Batch, DERpp
from sparcl_ref.models import Network
from sparcl_ref.replay import ReservoirBuffer
from sparcl_ref.verify.areas.losses.cross_entropy import LABELS
from sparcl_ref.verify.areas.losses.mse_logits import BUZZEGA
from sparcl_ref.verify.function import Argument, Output, drawn, specify
from sparcl_ref.verify.mistake import Mistake, instead, of


def derpp_step(
    w1, b1, w2, b2, images, labels, classes, buffer_images, buffer_labels, buffer_logits, dark_draw, replay_draw,
    head, alpha, beta, lr,
):  # fmt: skip
    dtype, features, outputs = w1.dtype, w1.shape[1], len(w2)
    first = layers.Linear(features, len(w1), dtype=dtype)
    second = layers.Linear(len(w1), outputs, dtype=dtype)
    body = layers.Sequential([layers.Flatten(), first, layers.ReLU(), second])
    model = Network("perceptron", body, input_shape=(features, 1, 1), classes=outputs)
    for parameter, value in zip(model.parameters(), (w1, b1, w2, b2), strict=True):
        parameter.value[...] = value

    shape = (features, 1, 1)
    filled = len(buffer_images)
    buffer = ReservoirBuffer(max(1, filled), image_shape=shape, image_dtype=dtype, classes=outputs, logits_dtype=dtype)
    # The first samples of a reservoir fill its slots in order, whatever the draws.
    unread = np.zeros(filled, dtype=np.int64)
    buffer.add(buffer_images.reshape(filled, *shape), buffer_labels, buffer_logits, task=1, rng=unread)

    method = DERpp(
        model, buffer=buffer, prepare=lambda raw: raw, rng=np.random.default_rng(0), head=head, alpha=alpha, beta=beta
    )
    x = images.reshape(len(images), *shape)
    step = method.observe(Batch(x, x, labels, tuple(classes), task=2), draws=(dark_draw, replay_draw))
    optimizers.SGD(model.parameters()).step(lr)
    return *(parameter.value for parameter in model.parameters()), step.logits


def _later_logits(right, **given):
    stepped = right(**given)
    hidden = np.maximum(given["images"] @ stepped["w1"].T + stepped["b1"], 0)
    return stepped | {"logits": hidden @ stepped["w2"].T + stepped["b2"]}


def _clipped(norm, right, **given):
    """The step with gradients of a norm of at most so much over all parameters."""
    names = ("w1", "b1", "w2", "b2")
    steps = {name: right(**given | {"lr": 1.0})[name] - given[name] for name in names}
    size = math.sqrt(sum(float((step**2).sum()) for step in steps.values()))
    scale = given["lr"] * min(1.0, norm / size) if size else 0.0
    return {name: given[name] + scale * step for name, step in steps.items()}


def _head_masked_logits(fill, always, right, **given):
    logits = right(**given)["logits"]
    logits[:, np.setdiff1d(np.arange(logits.shape[1]), given["classes"])] = fill
    return {"logits": logits} if given["head"] == "single" or always else {}


FUNCTIONS = (
    specify("derpp_step", "losses", derpp_step, f"{BUZZEGA}; method, losses and reservoir buffer",
        "every parameter moves by -lr times the gradient of CE~(B) + a MSE(B') + b CE(B'') at the old parameters; "
        "the buffer stores the raw logits of the training pass, before the update and before any head mask",
        Argument("w1", "float (H, D): first layer of the perceptron logits = relu(images w1^T + b1) w2^T + b2"),
        Argument("b1", "float (H,)"), Argument("w2", "float (C, H)"), Argument("b2", "float (C,)"),
        Argument("images", "float (N, D): the current batch"), LABELS,
        Argument("classes", "list of int: the current task's classes"),
        Argument("buffer_images", "float (F, D): the filled slots of the buffer; F may be 0"),
        Argument("buffer_labels", "int (F,)"), Argument("buffer_logits", "float (F, C): the logits stored with them"),
        drawn("dark_draw", "int (K,): slots replayed with their stored logits, B'"),
        drawn("replay_draw", "int (M,): slots replayed with their labels, B''"),
        Argument("head", '"full" or "single": over which logits the loss on the current batch is', "full"),
        Argument("alpha", "float: a", 0.1), Argument("beta", "float: b", 0.5),
        Argument("lr", "float: learning rate of plain gradient descent", 0.03),
        Output("w1", "float (H, D): after the step"), Output("b1", "float (H,): after the step"),
        Output("w2", "float (C, H): after the step"), Output("b2", "float (C,): after the step"),
        Output("logits", "float (N, C): what the buffer stores with the batch"),
        instead("one shared draw for both replay terms", replay_draw=of("dark_draw")),
        instead("one shared draw for both replay terms", dark_draw=of("replay_draw")),
        instead("the two draws exchanged", dark_draw=of("replay_draw"), replay_draw=of("dark_draw")),
        instead("full-head loss where single-head is asked", head="full"),
        instead("single-head loss where full-head is asked", head="single"),
        instead("alpha and beta exchanged", alpha=of("beta"), beta=of("alpha")),
        *(Mistake("the gradient clipped by its norm", partial(_clipped, norm), of_right=True) for norm in (1, 10, 100)),
        Mistake("logits stored from a pass after the update", _later_logits, of_right=True),
        *(Mistake("stored logits masked to the task's classes",
            partial(_head_masked_logits, fill, always), of_right=True)
            for fill in (0.0, -np.inf) for always in (False, True)),
        uses=("relu_forward", "relu_backward", "derpp_loss", "mse_logits", "cross_entropy", "linear_forward",
            "linear_backward"),
    ),
)  # fmt: skip
