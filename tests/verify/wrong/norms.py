"""Wrong batch-norm, each as one changed line of the same function."""

from __future__ import annotations

from functools import partial

import numpy as np

from tests.verify.wrong.entry import Wrong

AXES = (0, 2, 3)


def per_channel(array):
    return array.reshape(1, -1, 1, 1)


def forward(x, weight, bias, running_mean, running_var, mode, momentum, eps, *, fault):
    ddof = 1 if fault == "unbiased" and x[:, 0].size > 1 else 0
    mean, var = x.mean(axis=AXES), x.var(axis=AXES, ddof=ddof)
    if fault == "two moments":
        var = np.maximum((x**2).mean(axis=AXES) - mean**2, 0)
    new_mean, new_var = running_mean, running_var
    if mode == "train" or (mode == "probe" and fault == "probe moves"):
        count = x[:, 0].size
        kept = momentum if fault == "momentum" else 1 - momentum
        correction = 1 if fault == "biased running" else count / max(count - 1, 1)
        new_mean = kept * running_mean + (1 - kept) * mean
        new_var = kept * running_var + (1 - kept) * x.var(axis=AXES) * correction
        if fault == "eps stored":
            new_var = new_var + (1 - kept) * eps
    if mode == "eval" and fault != "eval by batch":
        mean, var = running_mean, running_var
    if fault == "new running" and mode == "train":
        mean, var = new_mean, new_var
    scale = np.sqrt(var) + eps if fault == "eps outside" else np.sqrt(var + eps)
    y = per_channel(weight) * (x - per_channel(mean)) / per_channel(scale) + per_channel(bias)
    return y, new_mean, new_var


def backward(dy, x, weight, running_mean, running_var, mode, eps, *, fault):
    frozen = mode == "eval"
    mean, var = (running_mean, running_var) if frozen else (x.mean(axis=AXES), x.var(axis=AXES))
    scale = np.sqrt(var + eps)
    xhat = (x - per_channel(mean)) / per_channel(scale)
    dbias, dweight = dy.sum(axis=AXES), (dy * xhat).sum(axis=AXES)
    centred = dy
    if fault == "eval through statistics" or (not frozen and fault != "constant"):
        count = len(x) if fault == "samples counted" else x[:, 0].size
        centred = dy - per_channel(dbias) / count
        if fault != "variance constant":
            centred = centred - xhat * per_channel(dweight) / count
    dx = per_channel(weight / scale) * centred
    if fault == "raw dweight":
        dweight = (dy * (x - per_channel(mean))).sum(axis=AXES)
    return dx, dweight, dbias


def entry(name, function, mistake, fault):
    broken = {"batchnorm2d_forward": forward, "batchnorm2d_backward": backward}[function]
    return Wrong(name, "layers", function, mistake, partial(broken, fault=fault))


WRONG = (
    entry("norm-unbiased", "batchnorm2d_forward", "the batch is normalised with the unbiased variance", "unbiased"),
    entry("norm-biased-running", "batchnorm2d_forward", "the running variance is biased", "biased running"),
    entry("norm-momentum", "batchnorm2d_forward", "momentum weighs the old estimate, not the new batch", "momentum"),
    entry("norm-eps-outside", "batchnorm2d_forward", "eps is added to the standard deviation", "eps outside"),
    entry("norm-probe-moves", "batchnorm2d_forward", "a probe moves the running statistics", "probe moves"),
    entry("norm-eval-by-batch", "batchnorm2d_forward", "evaluation uses the batch's statistics", "eval by batch"),
    entry("norm-new-running", "batchnorm2d_forward", "training normalises with running statistics", "new running"),
    entry("norm-two-moments", "batchnorm2d_forward", "the variance is E[x^2] - E[x]^2, which cancels", "two moments"),
    entry("norm-eps-stored", "batchnorm2d_forward", "eps goes into the running variance", "eps stored"),
    entry("norm-samples", "batchnorm2d_backward", "means are over samples without positions", "samples counted"),
    entry("norm-constant", "batchnorm2d_backward", "mean and variance are taken for constants", "constant"),
    entry("norm-variance", "batchnorm2d_backward", "the variance is taken for a constant", "variance constant"),
    entry(
        "norm-eval-gradient", "batchnorm2d_backward", "evaluation has training's gradient", "eval through statistics"
    ),
    entry("norm-raw-dweight", "batchnorm2d_backward", "dweight sums dy (x - mean), not normalised", "raw dweight"),
)
