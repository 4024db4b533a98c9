"""Solutions of the workbook `SparCL from scratch` (../from_scratch.md), in its order. Others are as good."""

from fractions import Fraction
from math import floor

import numpy as np

# A network by hand


def linear_forward(x, weight, bias=None):
    y = x @ weight.T
    return y if bias is None else y + bias


def linear_backward(dy, x, weight):
    return dy @ weight, dy.T @ x, dy.sum(axis=0)


def relu_forward(x):
    return np.maximum(x, 0)


def relu_backward(dy, x):
    return np.where(x > 0, dy, 0)


def cross_entropy(logits, labels):
    rows = np.arange(len(logits))
    shifted = logits - logits.max(axis=1, keepdims=True)
    log_p = shifted - np.log(np.exp(shifted).sum(axis=1, keepdims=True))
    dlogits = np.exp(log_p)
    dlogits[rows, labels] -= 1
    return -log_p[rows, labels], dlogits / len(logits)


def windows(padded, i, j, stride, height, width):
    """What tap (i, j) of the kernel sees: one pixel for each output position."""
    return padded[:, :, i : i + stride * height : stride, j : j + stride * width : stride]


def framed(x, padding):
    return np.pad(x, ((0, 0), (0, 0), (padding, padding), (padding, padding)))


def conv2d_forward(x, weight, bias=None, stride=1, padding=0):
    out, _, kh, kw = weight.shape
    padded = framed(x, padding)
    height = (padded.shape[2] - kh) // stride + 1
    width = (padded.shape[3] - kw) // stride + 1
    y = np.zeros((len(x), out, height, width), x.dtype)
    for i in range(kh):
        for j in range(kw):
            seen = windows(padded, i, j, stride, height, width)
            y += np.einsum("nchw,oc->nohw", seen, weight[:, :, i, j], optimize=True)
    return y if bias is None else y + bias[:, None, None]


def conv2d_backward(dy, x, weight, stride=1, padding=0):
    height, width = dy.shape[2:]
    padded = framed(x, padding)
    dpadded, dweight = np.zeros_like(padded), np.zeros_like(weight)
    for i in range(weight.shape[2]):
        for j in range(weight.shape[3]):
            seen = windows(padded, i, j, stride, height, width)
            dweight[:, :, i, j] = np.einsum("nohw,nchw->oc", dy, seen, optimize=True)
            back = windows(dpadded, i, j, stride, height, width)
            back += np.einsum("nohw,oc->nchw", dy, weight[:, :, i, j], optimize=True)
    rows, columns = x.shape[2:]
    dx = dpadded[:, :, padding : padding + rows, padding : padding + columns]
    return dx, dweight, dy.sum(axis=(0, 2, 3))


CHANNEL = (0, 2, 3)


def batchnorm2d_forward(x, weight, bias, running_mean, running_var, mode="train", momentum=0.1, eps=1e-5):
    if mode == "eval":
        mean, var = running_mean, running_var
    else:
        mean, var = x.mean(axis=CHANNEL), x.var(axis=CHANNEL)
    if mode == "train":
        m = x.size / x.shape[1]
        running_mean = (1 - momentum) * running_mean + momentum * mean
        running_var = (1 - momentum) * running_var + momentum * var * m / (m - 1)
    xhat = (x - mean[:, None, None]) / np.sqrt(var + eps)[:, None, None]
    y = weight[:, None, None] * xhat + bias[:, None, None]
    return y, running_mean, running_var


def batchnorm2d_backward(dy, x, weight, running_mean=None, running_var=None, mode="train", eps=1e-5):
    if mode == "eval":
        mean, var = running_mean, running_var
    else:
        mean, var = x.mean(axis=CHANNEL), x.var(axis=CHANNEL)
    r = 1 / np.sqrt(var + eps)[:, None, None]
    xhat = (x - mean[:, None, None]) * r
    g = weight[:, None, None] * dy
    dx = r * g
    if mode != "eval":
        through_mean = g.mean(axis=CHANNEL, keepdims=True)
        through_var = (g * xhat).mean(axis=CHANNEL, keepdims=True)
        dx = r * (g - through_mean - xhat * through_var)
    return dx, (dy * xhat).sum(axis=CHANNEL), dy.sum(axis=CHANNEL)


# Forgetting and rehearsal


def correct(logits, labels, classes=None):
    allowed = np.arange(logits.shape[1]) if classes is None else np.sort(classes)
    return allowed[logits[:, allowed].argmax(axis=1)] == labels


def forgetting(matrix):
    tasks = matrix.shape[1]
    drops = [matrix[j + 1 : tasks, j].max() - matrix[tasks, j] for j in range(tasks - 1)]
    return np.mean(drops) if drops else None


def reservoir_slot(presented, capacity, draw):
    if presented < capacity:
        return presented
    return draw if draw < capacity else -1


def replay_size(batch_size, presented, capacity):
    return min(batch_size, presented, capacity)


def mse_logits(logits, targets):
    off = logits - targets
    return (off**2).mean(axis=1), 2 * off / off.size


def cross_entropy(logits, labels, classes=None):  # noqa: F811 - the second version, with a single head
    rows = np.arange(len(logits))
    inside = np.full_like(logits, -np.inf)
    taking_part = slice(None) if classes is None else list(classes)
    inside[:, taking_part] = logits[:, taking_part]
    shifted = inside - inside.max(axis=1, keepdims=True)
    log_p = shifted - np.log(np.exp(shifted).sum(axis=1, keepdims=True))
    dlogits = np.exp(log_p)
    dlogits[rows, labels] -= 1
    return -log_p[rows, labels], dlogits / len(logits)


def derpp_loss(
    logits, labels, dark_logits, dark_targets, replay_logits, replay_labels,
    classes=None, alpha=0.1, beta=0.5,
):  # fmt: skip
    per_sample, dlogits = cross_entropy(logits, labels, classes)
    loss = per_sample.mean()
    ddark, dreplay = np.zeros_like(dark_logits), np.zeros_like(replay_logits)
    if len(dark_logits):
        per_sample, gradient = mse_logits(dark_logits, dark_targets)
        loss, ddark = loss + alpha * per_sample.mean(), alpha * gradient
    if len(replay_logits):
        per_sample, gradient = cross_entropy(replay_logits, replay_labels)
        loss, dreplay = loss + beta * per_sample.mean(), beta * gradient
    return loss, dlogits, ddark, dreplay


# Weights that may live


def apply_mask(value, grad, velocity, mask):
    return tuple(np.where(mask, array, 0.0) for array in (value, grad, velocity))


def budget(n, sparsity):
    s = min(max(Fraction(sparsity), Fraction(0)), Fraction(1))
    return floor((1 - s) * n + Fraction(1, 2))


def random_mask(shape, active, chosen):
    mask = np.zeros(shape, dtype=bool)
    mask.flat[chosen] = True
    return mask


def shrink(mask, importance, active):
    living = np.flatnonzero(mask)
    best = living[np.argsort(-importance.flat[living], kind="stable")[:active]]
    kept = np.zeros_like(mask)
    kept.flat[best] = True
    return kept


def grow(mask, active, joining):
    grown = mask.copy()
    grown.flat[joining] = True
    return grown


def cwi(weight, grad_current, grad_buffer, alpha=0.5, beta=1.0):
    return np.abs(weight) + alpha * np.abs(grad_current) + beta * np.abs(grad_buffer)


SHRINK, EXPAND = 0, 1


def tdm_actions(task, epoch, sparsity, delta_k=5, p_inter="0.01", p_intra="0.005"):
    s, inter = Fraction(sparsity), Fraction(p_inter)
    actions = []
    if s > 0 and task > 1 and epoch == 1 and inter > 0:
        actions += [(EXPAND, s - inter)]
    if s > 0 and epoch % delta_k == 0:
        actions += [(SHRINK, s + Fraction(p_intra)), (EXPAND, s)]
    kinds = np.array([kind for kind, _ in actions], dtype=int)
    targets = np.array([float(min(max(target, 0), 1)) for _, target in actions])
    return kinds, targets


# Data worth keeping


def misclassification_counts(samples, positions, correct):
    return np.bincount(positions[~correct], minlength=samples)


def ddr_sizes(samples, rho="0.3", cutoff=4):
    share = Fraction(rho)
    return [samples - floor(share * samples * stage / cutoff + Fraction(1, 2)) for stage in range(cutoff + 1)]


def completed_stage(epoch, epochs, delta_k=5, cutoff=4):
    stage, rest = divmod(epoch, delta_k)
    return stage if rest == 0 and stage <= cutoff and epoch < epochs else -1


def ddr_keep(counts, keep):
    order = np.argsort(counts, kind="stable")
    return np.sort(order[len(counts) - keep :])


# Gradients worth applying


def cgi(grad_current, grad_buffer, alpha=0.5, beta=1.0):
    return alpha * np.abs(grad_current) + beta * np.abs(grad_buffer)


def gradient_sparsity(sparsity, q=None):
    s = Fraction(sparsity)
    q = (1 - s) / 5 if q is None else Fraction(q)
    return float(min(s + q, 1))


def gradient_mask(mask, importance, sparsity):
    count = min(budget(mask.size, sparsity), np.count_nonzero(mask))
    return shrink(mask, importance, count)


def sgd_step(
    value, grad, velocity, mask=None, grad_mask=None, lr=0.03, momentum=0.0,
    nesterov=False, weight_decay=0.0,
):  # fmt: skip
    everything = np.ones(value.shape, dtype=bool)
    mask = everything if mask is None else mask
    formed = mask if grad_mask is None else grad_mask
    g = np.where(formed, grad, 0.0) + weight_decay * value
    velocity = momentum * velocity + g
    step = g + momentum * velocity if nesterov else velocity
    return np.where(mask, value - lr * step, 0.0), np.where(mask, velocity, 0.0)


# Counting


def conv2d_flops(
    in_channels, out_channels, kernel, size, stride=1, padding=0, batch=1,
    active=None, grad_active=None, need_dx=True,
):  # fmt: skip
    across = [(n + 2 * padding - k) // stride + 1 for n, k in zip(size, kernel, strict=True)]
    per_weight = 2 * across[0] * across[1] * batch
    active = out_channels * in_channels * kernel[0] * kernel[1] if active is None else active
    grad_active = active if grad_active is None else grad_active
    forward = per_weight * active
    return forward, forward if need_dx else 0, per_weight * grad_active


def linear_flops(in_features, out_features, batch=1, active=None, grad_active=None, need_dx=True):
    active = out_features * in_features if active is None else active
    grad_active = active if grad_active is None else grad_active
    forward = 2 * batch * active
    return forward, forward if need_dx else 0, 2 * batch * grad_active
