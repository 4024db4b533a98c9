"""The rules of the method under the protocol's names."""

from __future__ import annotations

import numpy as np

from sparcl_ref import layers, losses, masks
from sparcl_ref.layers import Parameter
from sparcl_ref.masks import budget, shrink
from sparcl_ref.models import Network
from sparcl_ref.replay import ReservoirBuffer, reservoir_slot
from sparcl_ref.sparcl import ddr, dgm, importance, tdm
from sparcl_ref.sparcl.ddr import ddr_keep, ddr_sizes
from sparcl_ref.sparcl.dgm import gradient_mask, is_refresh
from sparcl_ref.sparcl.importance import cgi, cwi

__all__ = [
    "apply_mask",
    "budget",
    "budgets",
    "cgi",
    "completed_stage",
    "cwi",
    "ddr_keep",
    "ddr_sizes",
    "dgm_step",
    "erk_densities",
    "exchange",
    "gradient_mask",
    "gradient_sparsity",
    "grow",
    "is_refresh",
    "misclassification_counts",
    "probe_gradient",
    "random_mask",
    "replay_size",
    "reservoir_add",
    "reservoir_fill",
    "reservoir_slot",
    "shrink",
    "tdm_actions",
    "tdm_active_counts",
]


def budgets(shapes, sparsity, kind):
    return masks.budgets([tuple(shape) for shape in shapes], sparsity, kind)


def erk_densities(shapes, sparsity):
    return [float(density) for density in masks.erk_densities([tuple(shape) for shape in shapes], sparsity)]


def random_mask(shape, active, chosen):
    return masks.random_mask(tuple(shape), active, chosen)


def grow(mask, active, joining):
    return masks.grow(mask, active, joining)


def apply_mask(value, grad, velocity, mask):
    parameter = _parameter(value, velocity)
    parameter.grad[...] = grad
    parameter.set_mask(mask)
    return parameter.value, parameter.grad, parameter.slots["momentum"]


def exchange(value, velocity, mask, importance, keep, active, joining):
    parameter = _parameter(value, velocity)
    parameter.set_mask(mask)
    parameter.set_mask(masks.shrink(parameter.mask, importance, keep))
    parameter.set_mask(masks.grow(parameter.mask, active, joining))
    return parameter.value, parameter.slots["momentum"], parameter.mask


def _parameter(value, velocity) -> Parameter:
    parameter = Parameter("weight", value)
    parameter.slots["momentum"] = velocity
    return parameter


def probe_gradient(x, labels, classes, weight, bias, gamma, beta, batch_size, eps):
    norm = layers.BatchNorm2d(len(gamma), eps=eps, dtype=x.dtype)
    linear = layers.Linear(weight.shape[1], len(weight), dtype=x.dtype)
    body = layers.Sequential([norm, layers.Flatten(), linear])
    model = Network("probed", body, input_shape=x.shape[1:], classes=len(weight))
    for parameter, value in zip(model.parameters(), (gamma, beta, weight, bias), strict=True):
        parameter.value[...] = value

    def loss(logits, wanted):
        return losses.cross_entropy(logits, wanted, classes=classes)

    return importance.probe_gradients(model, [linear.weight], x, labels, loss, batch_size=batch_size)[0]


def coded(actions):
    """Kinds as 0 for shrink and 1 for expand, and targets as numbers."""
    kinds = np.array([action.kind == "expand" for action in actions], dtype=np.int64)
    return kinds, np.array([float(action.sparsity) for action in actions])


def tdm_actions(task, epoch, sparsity, delta_k, p_inter, p_intra):
    settings = {"sparsity": sparsity, "delta_k": delta_k, "p_inter": p_inter, "p_intra": p_intra}
    return coded(tdm.tdm_actions(task, epoch, **settings))


def tdm_active_counts(n, task, epochs, sparsity, delta_k, p_inter, p_intra):
    settings = {"sparsity": sparsity, "delta_k": delta_k, "p_inter": p_inter, "p_intra": p_intra}
    now, counts = masks.exact(sparsity), []
    for epoch in range(1, epochs + 1):
        for action in tdm.tdm_actions(task, epoch, **settings):
            now = action.sparsity
        counts.append(budget(n, now))
    return counts


def misclassification_counts(samples, positions, correct):
    return stage(samples, positions, correct).wrong


def stage(samples, positions, correct) -> ddr.StageStatistics:
    """Statistics after presentations one by one: a batch holds a sample once, a stage may hold it often."""
    statistics = ddr.StageStatistics(samples)
    for place in range(len(positions)):
        statistics.add(positions[place : place + 1], correct[place : place + 1])
    return statistics


def completed_stage(epoch, epochs, delta_k, cutoff):
    found = ddr.completed_stage(epoch, epochs=epochs, delta_k=delta_k, cutoff=cutoff)
    return -1 if found is None else found


def gradient_sparsity(sparsity, q):
    return float(dgm.gradient_sparsity(sparsity, q))


def dgm_step(iteration, interval, mask, grad_mask, grad_current, grad_replay, sparsity, alpha, beta):
    if is_refresh(iteration, interval):
        scores = cgi(grad_current, grad_replay, alpha=alpha, beta=beta)
        grad_mask = gradient_mask(mask, scores, sparsity)
    parameter = Parameter("weight", np.zeros_like(grad_current))
    parameter.set_mask(mask)
    parameter.set_grad_mask(grad_mask)
    parameter.add_grad(grad_current + grad_replay)
    return parameter.grad_mask, parameter.grad


def reservoir_add(presented, capacity, draws):
    buffer = _buffer(capacity)
    buffer.presented = presented
    return _present(buffer, draws), buffer.presented


def reservoir_fill(capacity, batch_sizes, uniforms):
    buffer, start = _buffer(capacity), 0
    for size in batch_sizes:
        ranks = buffer.presented + np.arange(size)
        _present(buffer, np.floor(uniforms[start : start + size] * (ranks + 1)).astype(np.int64))
        start += size
    holding = np.full(capacity, -1)
    holding[: len(buffer)] = buffer.content().logits[:, 0]
    return holding


def replay_size(batch_size, presented, capacity):
    buffer = _buffer(capacity)
    buffer.presented = presented
    return len(buffer.draw(batch_size, np.random.default_rng(0)))


def _buffer(capacity) -> ReservoirBuffer:
    return ReservoirBuffer(capacity, image_shape=(1, 1, 1), image_dtype=np.uint8, classes=1, logits_dtype=np.float64)


def _present(buffer, draws):
    """Present as many samples as there are draws, each with the number of its presentation for a logit."""
    count = len(draws)
    images, labels = np.zeros((count, 1, 1, 1), np.uint8), np.zeros(count, np.int64)
    logits = (buffer.presented + np.arange(count, dtype=np.float64))[:, None]
    return buffer.add(images, labels, logits, task=1, rng=draws)
