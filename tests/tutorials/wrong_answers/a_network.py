"""Of layers and the loss."""

# ruff: noqa: F811 - many answers to one exercise have one name

from __future__ import annotations

import numpy as np

from tests.tutorials.wrong_answers.common import RIGHT, said


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
