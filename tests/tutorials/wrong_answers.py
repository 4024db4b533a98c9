"""Mistakes that learners make in the workbook, each with words of what the kit says of it."""

# ruff: noqa: F811 - many answers to one exercise have one name

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction
from math import floor
from typing import Any

import numpy as np

from sparcl_ref.verify.areas import functions
from sparcl_ref.workbook.parts import Part

#: The reference's functions, which these spoil.
RIGHT = {name: Part(function) for name, function in functions().items()}

#: Function, and words of its diagnosis.
WRONG: list[tuple[Callable[..., Any], str]] = []


def said(words: str) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    def kept(function: Callable[..., Any]) -> Callable[..., Any]:
        WRONG.append((function, words))
        return function

    return kept


@said("the weight not transposed")
def linear_forward(x, weight, bias=None):
    y = x @ (weight if weight.shape[0] == weight.shape[1] else weight.T)
    return y if bias is None else y + bias


@said("the bias left out")
def linear_forward(x, weight, bias=None):
    return x @ weight.T


@said("mismatch in its core dimension")
def linear_forward(x, weight, bias=None):
    return x @ weight


@said("bias gradient averaged over the batch")
def linear_backward(dy, x, weight):
    return dy @ weight, dy.T @ x, dy.mean(axis=0)


@said("parameter gradients averaged over the batch")
def linear_backward(dy, x, weight):
    return dy @ weight, dy.T @ x / len(x), dy.sum(axis=0) / len(x)


@said("dweight is transposed")
def linear_backward(dy, x, weight):
    return dy @ weight, x.T @ dy, dy.sum(axis=0)


@said("NaN turned into 0")
def relu_forward(x):
    return np.where(x > 0, x, 0)


@said("x multiplied by x > 0, which makes NaN of an infinity")
def relu_forward(x):
    return x * (x > 0)


@said("a leak of 0.01 below 0")
def relu_forward(x):
    return np.where(x > 0, x, 0.01 * x)


@said("an absolute value")
def relu_forward(x):
    return np.abs(x)


@said("the derivative at 0 taken as 1: >= instead of >")
def relu_backward(dy, x):
    return np.where(x >= 0, dy, 0)


@said("the derivative taken from the output with >=, which lets everything through")
def relu_backward(dy, x):
    return np.where(np.maximum(x, 0) >= 0, dy, 0)


@said("the sign of dy looked at instead of x")
def relu_backward(dy, x):
    return np.maximum(dy, 0)


@said("the derivative itself: not multiplied by dy")
def relu_backward(dy, x):
    return np.where(x > 0, 1.0, 0.0)


@said("the gradient of the sum over samples instead of their mean")
def cross_entropy(logits, labels):
    per_sample, dlogits = RIGHT["cross_entropy"](logits, labels, classes=None)
    return per_sample, dlogits * len(logits)


@said("exponentials that overflow: the largest logit is not subtracted first")
def cross_entropy(logits, labels):
    p = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    rows = np.arange(len(logits))
    dlogits = p.copy()
    dlogits[rows, labels] -= 1
    return -np.log(p[rows, labels]), dlogits / len(logits)


@said("the logarithm of a probability that is rounded to 0")
def cross_entropy(logits, labels):
    shifted = np.exp(logits - logits.max(axis=1, keepdims=True))
    p = shifted / shifted.sum(axis=1, keepdims=True)
    rows = np.arange(len(logits))
    dlogits = p.copy()
    dlogits[rows, labels] -= 1
    return -np.log(p[rows, labels]), dlogits / len(logits)


@said("the mean loss given to every sample")
def cross_entropy(logits, labels):
    per_sample, dlogits = RIGHT["cross_entropy"](logits, labels, classes=None)
    return np.full(len(logits), per_sample.mean()), dlogits


@said("per_sample has shape (), expected")
def cross_entropy(logits, labels):
    per_sample, dlogits = RIGHT["cross_entropy"](logits, labels, classes=None)
    return per_sample.mean(), dlogits


@said("the softmax alone as gradient: 1 is not subtracted at the label")
def cross_entropy(logits, labels):
    per_sample, dlogits = RIGHT["cross_entropy"](logits, labels, classes=None)
    dlogits[np.arange(len(labels)), labels] += 1 / len(labels)
    return per_sample, dlogits


def convolution(**given):
    return RIGHT["conv2d_forward"](**given)


def convolution_backward(**given):
    return RIGHT["conv2d_backward"](**given)


@said("the kernel flipped: a convolution instead of a cross-correlation")
def conv2d_forward(x, weight, bias=None, stride=1, padding=0):
    return convolution(x=x, weight=weight[:, :, ::-1, ::-1], bias=bias, stride=stride, padding=padding)


@said("stride left out")
def conv2d_forward(x, weight, bias=None, stride=1, padding=0):
    return convolution(x=x, weight=weight, bias=bias, stride=1, padding=padding)


@said("padding left out")
def conv2d_forward(x, weight, bias=None, stride=1, padding=0):
    return convolution(x=x, weight=weight, bias=bias, stride=stride, padding=0)


@said("the bias left out")
def conv2d_forward(x, weight, bias=None, stride=1, padding=0):
    return convolution(x=x, weight=weight, stride=stride, padding=padding)


@said("dx through the kernel that is flipped, or not flipped, once too often")
def conv2d_backward(dy, x, weight, stride=1, padding=0):
    _, dweight, dbias = convolution_backward(dy=dy, x=x, weight=weight, stride=stride, padding=padding)
    flipped = weight[:, :, ::-1, ::-1]
    dx, _, _ = convolution_backward(dy=dy, x=x, weight=flipped, stride=stride, padding=padding)
    return dx, dweight, dbias


@said("dx has shape (2, 3, 0, 0), expected (2, 3, 5, 4)")
def conv2d_backward(dy, x, weight, stride=1, padding=0):
    dx, dweight, dbias = convolution_backward(dy=dy, x=x, weight=weight, stride=stride, padding=padding)
    dpadded = np.pad(dx, ((0, 0), (0, 0), (padding, padding), (padding, padding)))
    return dpadded[:, :, padding:-padding, padding:-padding], dweight, dbias


@said("bias gradient averaged over positions")
def conv2d_backward(dy, x, weight, stride=1, padding=0):
    dx, dweight, _ = convolution_backward(dy=dy, x=x, weight=weight, stride=stride, padding=padding)
    return dx, dweight, dy.mean(axis=(2, 3)).sum(axis=0)


@said("from one window alone: assigned instead of added up")
def conv2d_backward(dy, x, weight, stride=1, padding=0):
    _, dweight, dbias = convolution_backward(dy=dy, x=x, weight=weight, stride=stride, padding=padding)
    dpadded = np.pad(np.zeros_like(x), ((0, 0), (0, 0), (padding, padding), (padding, padding)))
    height, width = dy.shape[2:]
    for i in range(weight.shape[2]):
        for j in range(weight.shape[3]):
            rows, columns = slice(i, i + stride * height, stride), slice(j, j + stride * width, stride)
            dpadded[:, :, rows, columns] = np.einsum("nohw,oc->nchw", dy, weight[:, :, i, j])
    inside = dpadded[:, :, padding : padding + x.shape[2], padding : padding + x.shape[3]]
    return inside, dweight, dbias


def normalised(x, mean, var, weight, bias, eps):
    xhat = (x - mean[:, None, None]) / np.sqrt(var + eps)[:, None, None]
    return weight[:, None, None] * xhat + bias[:, None, None]


def norm(x, weight, bias, running_mean, running_var, mode, momentum, eps):
    return RIGHT["batchnorm2d_forward"](x, weight, bias, running_mean, running_var, mode, momentum, eps)


@said("variance is biased where the running estimate moves")
def batchnorm2d_forward(x, weight, bias, running_mean, running_var, mode="train", momentum=0.1, eps=1e-5):
    y, mean, var = norm(x, weight, bias, running_mean, running_var, mode, momentum, eps)
    if mode == "train":
        var = (1 - momentum) * running_var + momentum * x.var(axis=(0, 2, 3))
    return y, mean, var


@said("eps added to the standard deviation instead of the variance")
def batchnorm2d_forward(x, weight, bias, running_mean, running_var, mode="train", momentum=0.1, eps=1e-5):
    _, mean, var = norm(x, weight, bias, running_mean, running_var, mode, momentum, eps)
    m, v = (running_mean, running_var) if mode == "eval" else (x.mean(axis=(0, 2, 3)), x.var(axis=(0, 2, 3)))
    return normalised(x, m, (np.sqrt(v) + eps) ** 2, weight, bias, 0), mean, var


@said("momentum the other way round")
def batchnorm2d_forward(x, weight, bias, running_mean, running_var, mode="train", momentum=0.1, eps=1e-5):
    return norm(x, weight, bias, running_mean, running_var, mode, 1 - momentum, eps)


@said("running statistics moved in probe mode, which must not move them")
def batchnorm2d_forward(x, weight, bias, running_mean, running_var, mode="train", momentum=0.1, eps=1e-5):
    mode = "train" if mode == "probe" else mode
    return norm(x, weight, bias, running_mean, running_var, mode, momentum, eps)


@said("mean and variance taken for constants")
def batchnorm2d_backward(dy, x, weight, running_mean=None, running_var=None, mode="train", eps=1e-5):
    _, dweight, dbias = RIGHT["batchnorm2d_backward"](dy, x, weight, running_mean, running_var, mode, eps)
    var = running_var if mode == "eval" else x.var(axis=(0, 2, 3))
    return (weight / np.sqrt(var + eps))[:, None, None] * dy, dweight, dbias


@said("the term through the variance is missing")
def batchnorm2d_backward(dy, x, weight, running_mean=None, running_var=None, mode="train", eps=1e-5):
    dx, dweight, dbias = RIGHT["batchnorm2d_backward"](dy, x, weight, running_mean, running_var, mode, eps)
    if mode != "eval":
        r = 1 / np.sqrt(x.var(axis=(0, 2, 3)) + eps)[:, None, None]
        g = weight[:, None, None] * dy
        dx = r * (g - g.mean(axis=(0, 2, 3), keepdims=True))
    return dx, dweight, dbias


@said("the whole head decides where the task's classes are asked")
def correct(logits, labels, classes=None):
    return logits.argmax(axis=1) == labels


@said("places among the task's classes taken for classes")
def correct(logits, labels, classes=None):
    if classes is None:
        return logits.argmax(axis=1) == labels
    return logits[:, classes].argmax(axis=1) == labels


@said("among equals the class listed first wins")
def correct(logits, labels, classes=None):
    allowed = np.arange(logits.shape[1]) if classes is None else np.array(classes)
    return allowed[logits[:, allowed].argmax(axis=1)] == labels


@said("the last row")
def forgetting(matrix):
    tasks = matrix.shape[1]
    drops = [matrix[j + 1 :, j].max() - matrix[tasks, j] for j in range(tasks - 1)]
    return np.mean(drops) if drops else None


@said("backward transfer with the other sign")
def forgetting(matrix):
    tasks = matrix.shape[1]
    drops = [matrix[j + 1, j] - matrix[tasks, j] for j in range(tasks - 1)]
    return np.mean(drops) if drops else None


@said("before a task was learned are candidates")
def forgetting(matrix):
    tasks = matrix.shape[1]
    drops = [matrix[:tasks, j].max() - matrix[tasks, j] for j in range(tasks - 1)]
    return np.mean(drops) if drops else None


@said("presentations counted from 1")
def reservoir_slot(presented, capacity, draw):
    if presented + 1 < capacity:
        return presented + 1
    return draw if draw < capacity else -1


@said("the draw used while a slot is free")
def reservoir_slot(presented, capacity, draw):
    return draw if draw < capacity else -1


@said("<= instead of <")
def reservoir_slot(presented, capacity, draw):
    if presented < capacity:
        return presented
    return draw if draw <= capacity else -1


@said("the batch size whatever the buffer holds")
def replay_size(batch_size, presented, capacity):
    return batch_size


@said("the capacity taken for what is filled")
def replay_size(batch_size, presented, capacity):
    return min(batch_size, capacity)


@said("the factor 2 of the square's derivative missing")
def mse_logits(logits, targets):
    off = logits - targets
    return (off**2).mean(axis=1), off / off.size


@said("dlogits has the wrong sign")
def mse_logits(logits, targets):
    off = logits - targets
    return (off**2).mean(axis=1), -2 * off / off.size


@said("mean over samples instead of over samples and logits")
def mse_logits(logits, targets):
    off = logits - targets
    return (off**2).sum(axis=1), 2 * off / len(off)


@said("full-head loss where single-head is asked")
def cross_entropy(logits, labels, classes=None):
    return RIGHT["cross_entropy"](logits, labels, classes=None)


@said("logits outside the task set to 0 instead of minus infinity")
def cross_entropy(logits, labels, classes=None):
    inside = np.zeros_like(logits)
    taking_part = slice(None) if classes is None else classes
    inside[:, taking_part] = logits[:, taking_part]
    per_sample, dlogits = RIGHT["cross_entropy"](inside, labels, classes=None)
    return per_sample, dlogits


@said("another number instead of minus infinity for classes left out")
def cross_entropy(logits, labels, classes=None):
    inside = np.full_like(logits, -1e9)
    taking_part = slice(None) if classes is None else classes
    inside[:, taking_part] = logits[:, taking_part]
    return RIGHT["cross_entropy"](inside, labels, classes=None)


def derpp(given, **changes):
    return RIGHT["derpp_loss"](**given | changes)


@said("full-head loss where single-head is asked")
def derpp_loss(
    logits, labels, dark_logits, dark_targets, replay_logits, replay_labels, classes=None, alpha=0.1, beta=0.5
):
    return derpp(locals(), classes=None)


@said("alpha and beta exchanged")
def derpp_loss(
    logits, labels, dark_logits, dark_targets, replay_logits, replay_labels, classes=None, alpha=0.1, beta=0.5
):
    return derpp(locals(), alpha=beta, beta=alpha)


@said("gradients of replayed samples without their weights")
def derpp_loss(
    logits, labels, dark_logits, dark_targets, replay_logits, replay_labels, classes=None, alpha=0.1, beta=0.5
):
    given = locals()
    (loss, dlogits, *_), (*_, ddark, dreplay) = derpp(given), derpp(given, alpha=1.0, beta=1.0)
    return loss, dlogits, ddark, dreplay


@said("the mean over no replayed sample is NaN: it adds 0")
def derpp_loss(
    logits, labels, dark_logits, dark_targets, replay_logits, replay_labels, classes=None, alpha=0.1, beta=0.5
):
    loss, *gradients = derpp(locals())
    loss *= len(dark_logits) // len(dark_logits)
    return loss, *gradients


@said("multiplied by the mask, which leaves -0.0 and NaN")
def apply_mask(value, grad, velocity, mask):
    return value * mask, grad * mask, velocity * mask


@said("mask not applied to the velocity")
def apply_mask(value, grad, velocity, mask):
    return np.where(mask, value, 0.0), np.where(mask, grad, 0.0), velocity


@said("binary floating point instead of the decimal as written")
def budget(n, sparsity):
    return floor((1 - min(max(float(sparsity), 0), 1)) * n + 0.5)


@said("a half rounded to the even neighbour")
def budget(n, sparsity):
    return round((1 - min(max(Fraction(sparsity), 0), 1)) * n)


@said("floor without the half")
def budget(n, sparsity):
    return floor((1 - min(max(Fraction(sparsity), 0), 1)) * n)


@said("the dead counted instead of the living")
def budget(n, sparsity):
    return floor(min(max(Fraction(sparsity), 0), 1) * n + Fraction(1, 2))


@said("has true and false exchanged")
def random_mask(shape, active, chosen):
    mask = np.ones(shape, dtype=bool)
    mask.flat[chosen] = False
    return mask


@said("flat indices in Fortran order")
def random_mask(shape, active, chosen):
    mask = np.zeros(int(np.prod(shape)), dtype=bool)
    mask[chosen] = True
    return mask.reshape(shape, order="F")


@said("indices are not sorted")
def random_mask(shape, active, chosen):
    mask = np.zeros(shape, dtype=bool)
    mask.flat[:active] = True
    return mask


@said("dead entries compete and return")
def shrink(mask, importance, active):
    kept = np.zeros_like(mask)
    kept.flat[np.argsort(-importance, axis=None, kind="stable")[:active]] = True
    return kept


@said("ties broken from the other end")
def shrink(mask, importance, active):
    living = np.flatnonzero(mask)
    kept = np.zeros_like(mask)
    order = np.argsort(importance.flat[living], kind="stable")
    kept.flat[living[order[len(living) - active :]]] = True
    return kept


@said("the least important kept instead of the most important")
def shrink(mask, importance, active):
    living = np.flatnonzero(mask)
    kept = np.zeros_like(mask)
    kept.flat[living[np.argsort(importance.flat[living], kind="stable")[:active]]] = True
    return kept


@said("indices taken for places among the dead entries")
def grow(mask, active, joining):
    grown = mask.copy()
    dead = np.flatnonzero(~mask)
    grown.flat[dead[joining]] = True
    return grown


@said("the entries that join alone, without those that live")
def grow(mask, active, joining):
    grown = np.zeros_like(mask)
    grown.flat[joining] = True
    return grown


@said("plain magnitude: the gradients are left out, or zero")
def cwi(weight, grad_current, grad_buffer, alpha=0.5, beta=1.0):
    return np.abs(weight)


@said("the size of the gradients' sum instead of the sum of their sizes")
def cwi(weight, grad_current, grad_buffer, alpha=0.5, beta=1.0):
    return np.abs(weight) + np.abs(alpha * grad_current + beta * grad_buffer)


@said("alpha and beta exchanged")
def cwi(weight, grad_current, grad_buffer, alpha=0.5, beta=1.0):
    return np.abs(weight) + beta * np.abs(grad_current) + alpha * np.abs(grad_buffer)


def actions(task, epoch, sparsity, delta_k, p_inter, p_intra):
    return RIGHT["tdm_actions"](task, epoch, sparsity, delta_k, p_inter, p_intra)


@said("an expansion before the first task, too")
def tdm_actions(task, epoch, sparsity, delta_k=5, p_inter="0.01", p_intra="0.005"):
    return actions(max(task, 2), epoch, sparsity, delta_k, p_inter, p_intra)


@said("nothing joins after a shrink")
def tdm_actions(task, epoch, sparsity, delta_k=5, p_inter="0.01", p_intra="0.005"):
    kinds, targets = actions(task, epoch, sparsity, delta_k, p_inter, p_intra)
    count = 1 if epoch % delta_k == 0 else len(kinds)
    return kinds[:count], targets[:count]


@said("epochs counted from 0")
def tdm_actions(task, epoch, sparsity, delta_k=5, p_inter="0.01", p_intra="0.005"):
    return actions(task, epoch + 1, sparsity, delta_k, p_inter, p_intra)


@said("targets that are not limited to 0..1")
def tdm_actions(task, epoch, sparsity, delta_k=5, p_inter="0.01", p_intra="0.005"):
    kinds, _ = actions(task, epoch, sparsity, delta_k, p_inter, p_intra)
    s = Fraction(sparsity)
    if epoch % delta_k == 0:
        return kinds, np.array([float(s + Fraction(p_intra)), float(s)])
    return kinds, np.full(len(kinds), float(s - Fraction(p_inter)))


@said("+= through an index array")
def misclassification_counts(samples, positions, correct):
    counts = np.zeros(samples, dtype=int)
    counts[positions] += ~correct
    return counts


@said("correct presentations counted instead of wrong ones")
def misclassification_counts(samples, positions, correct):
    return np.bincount(positions[correct], minlength=samples)


@said("has shape")
def misclassification_counts(samples, positions, correct):
    return np.bincount(positions[~correct])


@said("a fraction of what is left instead of the task's size")
def ddr_sizes(samples, rho="0.3", cutoff=4):
    sizes = [samples]
    for _ in range(cutoff):
        sizes.append(sizes[-1] - floor(Fraction(rho) * sizes[-1] / cutoff + Fraction(1, 2)))
    return sizes


@said("each stage rounded by itself instead of the total")
def ddr_sizes(samples, rho="0.3", cutoff=4):
    each = floor(Fraction(rho) * samples / cutoff + Fraction(1, 2))
    return [samples - each * stage for stage in range(cutoff + 1)]


@said("binary floating point instead of the decimal as written")
def ddr_sizes(samples, rho="0.3", cutoff=4):
    return [samples - floor(float(rho) * samples * stage / cutoff + 0.5) for stage in range(cutoff + 1)]


@said("has shape")
def ddr_sizes(samples, rho="0.3", cutoff=4):
    return RIGHT["ddr_sizes"](samples, rho=rho, cutoff=cutoff)[1:]


@said("a stage that the task ends with removes data, too")
def completed_stage(epoch, epochs, delta_k=5, cutoff=4):
    stage, rest = divmod(epoch, delta_k)
    return stage if rest == 0 and stage <= cutoff else -1


@said("the cutoff ignored")
def completed_stage(epoch, epochs, delta_k=5, cutoff=4):
    stage, rest = divmod(epoch, delta_k)
    return stage if rest == 0 and epoch < epochs else -1


@said("a slice [-k:] that takes everything for k = 0")
def ddr_keep(counts, keep):
    return np.sort(np.argsort(counts, kind="stable")[-keep:])


@said("positions by count instead of ascending")
def ddr_keep(counts, keep):
    return np.argsort(counts, kind="stable")[len(counts) - keep :]


@said("the samples misclassified least kept")
def ddr_keep(counts, keep):
    return np.sort(np.argsort(counts, kind="stable")[:keep])


@said("the size of the gradients' sum instead of the sum of their sizes")
def cgi(grad_current, grad_buffer, alpha=0.5, beta=1.0):
    return np.abs(alpha * grad_current + beta * grad_buffer)


@said("alpha and beta exchanged")
def cgi(grad_current, grad_buffer, alpha=0.5, beta=1.0):
    return beta * np.abs(grad_current) + alpha * np.abs(grad_buffer)


@said("q = 0.2 instead of 0.2 (1 - s)")
def gradient_sparsity(sparsity, q=None):
    return min(float(sparsity) + (0.2 if q is None else float(q)), 1.0)


@said("q = 0 taken for none given")
def gradient_sparsity(sparsity, q=None):
    s = Fraction(sparsity)
    return float(min(s + (Fraction(q or 0) or (1 - s) / 5), 1))


@said("s + q not limited to 1")
def gradient_sparsity(sparsity, q=None):
    s = Fraction(sparsity)
    return float(s + ((1 - s) / 5 if q is None else Fraction(q)))


@said("s + q taken of the living weights instead of the whole layer")
def gradient_mask(mask, importance, sparsity):
    living = np.count_nonzero(mask)
    return RIGHT["shrink"](mask, importance, RIGHT["budget"](living, sparsity))


@said("cannot keep")
def gradient_mask(mask, importance, sparsity):
    return RIGHT["shrink"](mask, importance, RIGHT["budget"](mask.size, sparsity))


def sgd(given, **changes):
    return RIGHT["sgd_step"](**given | changes)


def _both(mask, grad_mask, shape):
    mask = np.ones(shape, dtype=bool) if mask is None else mask
    return mask, mask if grad_mask is None else grad_mask


@said("velocity not masked: it lives on at dead entries")
def sgd_step(value, grad, velocity, mask=None, grad_mask=None, lr=0.03, momentum=0.0, nesterov=False, weight_decay=0.0):
    mask, formed = _both(mask, grad_mask, value.shape)
    g = np.where(formed, grad, 0.0) + weight_decay * value
    velocity = momentum * velocity + g
    step = g + momentum * velocity if nesterov else velocity
    return np.where(mask, value - lr * step, 0.0), velocity


@said("the gradient mask stops momentum and weight decay as well")
def sgd_step(value, grad, velocity, mask=None, grad_mask=None, lr=0.03, momentum=0.0, nesterov=False, weight_decay=0.0):
    new, moved = sgd(locals())
    mask, formed = _both(mask, grad_mask, value.shape)
    return np.where(mask & ~formed, value, new), np.where(mask & ~formed, velocity, moved)


@said("as a product with a mask leaves it")
def sgd_step(value, grad, velocity, mask=None, grad_mask=None, lr=0.03, momentum=0.0, nesterov=False, weight_decay=0.0):
    mask, formed = _both(mask, grad_mask, value.shape)
    g = np.where(formed, grad, 0.0) + weight_decay * value
    velocity = momentum * velocity + g
    step = g + momentum * velocity if nesterov else velocity
    return (value - lr * step) * mask, velocity * mask


@said("the gradient mask ignored")
def sgd_step(value, grad, velocity, mask=None, grad_mask=None, lr=0.03, momentum=0.0, nesterov=False, weight_decay=0.0):
    return sgd(locals(), grad_mask=None)


def flops(name, given, **changes):
    return RIGHT[name](**given | changes)


@said("MACs reported as FLOPs")
def conv2d_flops(
    in_channels, out_channels, kernel, size, stride=1, padding=0, batch=1, active=None, grad_active=None, need_dx=True
):
    return [count // 2 for count in flops("conv2d_flops", locals())]


@said("the weight gradient counted for all living weights")
def conv2d_flops(
    in_channels, out_channels, kernel, size, stride=1, padding=0, batch=1, active=None, grad_active=None, need_dx=True
):
    return flops("conv2d_flops", locals(), grad_active=None)


@said("the input's size instead of the output's")
def conv2d_flops(
    in_channels, out_channels, kernel, size, stride=1, padding=0, batch=1, active=None, grad_active=None, need_dx=True
):
    active = in_channels * out_channels * kernel[0] * kernel[1] if active is None else active
    grad_active = active if grad_active is None else grad_active
    places = 2 * batch * size[0] * size[1]
    return places * active, places * active * need_dx, places * grad_active


@said("MACs reported as FLOPs")
def linear_flops(in_features, out_features, batch=1, active=None, grad_active=None, need_dx=True):
    return [count // 2 for count in flops("linear_flops", locals())]


@said("biases counted")
def linear_flops(in_features, out_features, batch=1, active=None, grad_active=None, need_dx=True):
    forward, dx, dw = flops("linear_flops", locals())
    return forward + 2 * batch * out_features, dx, dw


@said("a dense count: dead weights counted as well")
def linear_flops(in_features, out_features, batch=1, active=None, grad_active=None, need_dx=True):
    return flops("linear_flops", locals(), active=None, grad_active=None)
