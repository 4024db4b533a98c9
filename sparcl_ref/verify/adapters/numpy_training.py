"""Losses, a whole step of DER++, the optimiser and the metrics of the reference engine under the protocol's names."""

from __future__ import annotations

import numpy as np

from sparcl_ref import layers, losses, optimizers
from sparcl_ref.layers import Parameter
from sparcl_ref.losses import correct, cross_entropy, mse_logits
from sparcl_ref.methods import Batch, DERpp
from sparcl_ref.metrics import average_accuracy, backward_transfer, forgetting, forward_transfer, learning_accuracy
from sparcl_ref.models import Network
from sparcl_ref.optimizers import learning_rate
from sparcl_ref.replay import ReservoirBuffer

__all__ = [
    "average_accuracy",
    "backward_transfer",
    "correct",
    "cross_entropy",
    "derpp_loss",
    "derpp_step",
    "er_loss",
    "forgetting",
    "forward_transfer",
    "learning_accuracy",
    "learning_rate",
    "mse_logits",
    "sgd_step",
]


def er_loss(logits, labels, replay_logits, replay_labels, classes, weight):
    current, dlogits = cross_entropy(logits, labels, classes=classes)
    replay, dreplay = _replayed(cross_entropy, replay_logits, replay_labels, weight)
    return losses.mean_loss(current) + replay, dlogits, dreplay


def derpp_loss(
    logits, labels, dark_logits, dark_targets, replay_logits, replay_labels, classes, alpha, beta
):  # fmt: skip
    current, dlogits = cross_entropy(logits, labels, classes=classes)
    dark, ddark = _replayed(mse_logits, dark_logits, dark_targets, alpha)
    replay, dreplay = _replayed(cross_entropy, replay_logits, replay_labels, beta)
    return losses.mean_loss(current) + dark + replay, dlogits, ddark, dreplay


def _replayed(loss, logits, targets, weight):
    """Weighted mean loss and gradient of a replayed batch; nothing for an empty one."""
    if not len(logits):
        return 0.0, np.zeros_like(logits)
    per_sample, dlogits = loss(logits, targets)
    return weight * losses.mean_loss(per_sample), weight * dlogits


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


def sgd_step(value, grad, velocity, mask, grad_mask, lr, momentum, nesterov, weight_decay, *, engine=optimizers.SGD):
    """One step of a parameter with its masks; ``engine`` is the optimiser's class."""
    parameter = Parameter("weight", value)
    parameter.slots["momentum"] = velocity
    parameter.set_mask(mask)
    parameter.set_grad_mask(grad_mask)
    parameter.add_grad(grad)
    engine([parameter], momentum=momentum, nesterov=nesterov, weight_decay=weight_decay).step(lr)
    return parameter.value, parameter.slots["momentum"]
