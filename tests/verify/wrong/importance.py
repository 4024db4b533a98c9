"""Wrong importance."""

from __future__ import annotations

from functools import partial

import numpy as np

from tests.verify.wrong.entry import Wrong
from tests.verify.wrong.losses import softmax_loss

AXES = (0, 2, 3)


def normalised(x, gamma, beta, eps, mean, var):
    mean, var, gamma, beta = (array.reshape(1, -1, 1, 1) for array in (mean, var, gamma, beta))
    return (gamma * (x - mean) / np.sqrt(var + eps) + beta).reshape(len(x), -1)


def probe(x, labels, classes, weight, bias, gamma, beta, batch_size, eps, *, fault):
    total = np.zeros_like(weight)
    starts = range(0, len(x), batch_size)
    for start in starts:
        part, wanted = x[start : start + batch_size], labels[start : start + batch_size]
        if fault == "drop last" and len(part) < batch_size:
            continue
        source = x if fault == "whole batch" else part
        mean, var = source.mean(axis=AXES), source.var(axis=AXES)
        if fault == "running":
            mean, var = np.zeros_like(mean), np.ones_like(var)
        features = normalised(part, gamma, beta, eps, mean, var)
        dlogits = softmax_loss(features @ weight.T + bias, wanted, None if fault == "full head" else classes)[1]
        share = {"equal chunks": 1 / len(starts), "sum": len(part)}.get(fault, len(part) / len(x))
        part_gradient = dlogits.T @ features * total.dtype.type(share)
        total += np.abs(part_gradient) if fault == "sizes of chunks" else part_gradient
        if fault == "first chunk":
            return total * total.dtype.type(len(x) / len(part))
    return total


def entry(name, mistake, fault):
    return Wrong(name, "importance", "probe_gradient", mistake, partial(probe, fault=fault))


WRONG = (
    Wrong(
        "cwi-weights-thrice",
        "importance",
        "cwi",
        "the weights stand in for the gradients",
        lambda weight, alpha, beta, **_: (1 + alpha + beta) * np.abs(weight),
    ),
    Wrong("cwi-weights-twice", "importance", "cwi", "|w| twice, no gradients", lambda weight, **_: 2 * np.abs(weight)),
    Wrong("cwi-magnitude", "importance", "cwi", "importance without gradients", lambda weight, **_: np.abs(weight)),
    Wrong(
        "cwi-no-weight",
        "importance",
        "cwi",
        "importance without weights",
        lambda weight, grad_current, grad_buffer, alpha, beta: (
            alpha * np.abs(grad_current) + beta * np.abs(grad_buffer)
        ),
    ),
    Wrong(
        "cwi-signed",
        "importance",
        "cwi",
        "the sign of the weight counts",
        lambda weight, grad_current, grad_buffer, alpha, beta: (
            weight + alpha * np.abs(grad_current) + beta * np.abs(grad_buffer)
        ),
    ),
    Wrong(
        "cwi-product",
        "importance",
        "cwi",
        "weight times gradient instead of their sum",
        lambda weight, grad_current, grad_buffer, alpha, beta: np.abs(
            weight * (alpha * grad_current + beta * grad_buffer)
        ),
    ),
    Wrong(
        "cgi-size-of-sum",
        "importance",
        "cgi",
        "the size of the summed gradient",
        lambda grad_current, grad_buffer, alpha, beta: np.abs(alpha * grad_current + beta * grad_buffer),
    ),
    Wrong(
        "cgi-swapped",
        "importance",
        "cgi",
        "alpha and beta are swapped",
        lambda grad_current, grad_buffer, alpha, beta: beta * np.abs(grad_current) + alpha * np.abs(grad_buffer),
    ),
    Wrong(
        "cgi-one-coefficient",
        "importance",
        "cgi",
        "one coefficient of 0.5 for both gradients",
        lambda grad_current, grad_buffer, **_: (np.abs(grad_current) + np.abs(grad_buffer)) / 2,
    ),
    Wrong(
        "cgi-current-only",
        "importance",
        "cgi",
        "the buffer is forgotten",
        lambda grad_current, alpha, **_: alpha * np.abs(grad_current),
    ),
    Wrong(
        "cgi-squared",
        "importance",
        "cgi",
        "squares instead of sizes",
        lambda grad_current, grad_buffer, alpha, beta: alpha * grad_current**2 + beta * grad_buffer**2,
    ),
    Wrong(
        "cgi-float32",
        "importance",
        "cgi",
        "sums in float32 in a float64 case",
        lambda grad_current, grad_buffer, alpha, beta: (
            np.float32(alpha) * np.abs(grad_current.astype(np.float32))
            + np.float32(beta) * np.abs(grad_buffer.astype(np.float32))
        ).astype(grad_current.dtype),
    ),
    entry("probe-whole-batch", "batch-norm uses the statistics of all samples", "whole batch"),
    entry("probe-running", "batch-norm uses its running statistics", "running"),
    entry("probe-equal-chunks", "a short last chunk weighs as much as the others", "equal chunks"),
    entry("probe-sizes", "sizes of chunk gradients are added, not gradients", "sizes of chunks"),
    entry("probe-sum", "the gradient of the summed loss", "sum"),
    entry("probe-drop-last", "a short last chunk is left out", "drop last"),
    entry("probe-first-chunk", "only the first chunk is read", "first chunk"),
    entry("probe-full-head", "the loss is over the full head", "full head"),
)
