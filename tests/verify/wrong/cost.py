"""Wrong FLOPs and memory."""

from __future__ import annotations

import math
from fractions import Fraction
from functools import partial

from tests.verify.wrong.entry import Wrong


def conv(
    in_channels, out_channels, kernel, size, stride, padding, groups, batch, active, grad_active, need_dx, *, fault=""
):
    frame = 0 if fault == "padding" else 2 * padding
    rounded = math.ceil if fault == "rounded up" else math.floor
    sides = [rounded(Fraction(n + frame - k, stride)) + 1 for n, k in zip(size, kernel, strict=True)]
    if fault == "input positions":
        sides = size
    weights = in_channels * out_channels * math.prod(kernel) // (1 if fault == "groups" else groups)
    living = weights if active is None or fault == "dense" else active
    trained = living if grad_active is None or fault == "dW of the living" else grad_active
    visits = (1 if fault == "macs" else 2) * math.prod(sides) * batch
    if fault == "one sample":
        visits //= max(batch, 1)
    dx = visits * (trained if fault == "dX of the trained" else living) if need_dx or fault == "first dX" else 0
    return visits * living, dx, visits * trained


def linear(in_features, out_features, batch, active, grad_active, need_dx, *, fault=""):
    weights = in_features * out_features
    living = weights if active is None else active
    trained = living if grad_active is None else grad_active
    visits = (1 if fault == "macs" else 2) * batch
    forward = visits * living + (batch * out_features if fault == "bias" else 0)
    dw = visits * (weights if fault == "dense dW" else trained)
    return forward, visits * living if need_dx else 0, dw


def trained(samples, epochs, delta_k, rho, cutoff, *, fault):
    total, left = 0, samples
    for epoch in range(1, epochs + 1):
        stage, rest = divmod(epoch, delta_k)
        before, share = left, Fraction(rho) * (1 if fault == "at once" else Fraction(stage, cutoff))
        if rest == 0 and (stage <= cutoff or fault == "beyond the cutoff"):
            left = max(0, samples - math.floor(share * samples + Fraction(1, 2)))
        total += left if fault == "before the epoch" else before
    return samples * epochs if fault == "never" else total


def density(sparsity, forward_macs, prunable_macs):
    return 1 - Fraction(sparsity) * Fraction(prunable_macs, forward_macs)


def train(method, forward_macs, prunable_macs, trained_samples, sparsity, gradient_sparsity, reading, *, fault):
    prunable_macs = forward_macs if fault == "everything prunable" else prunable_macs
    weights = density(sparsity or "0", forward_macs, prunable_macs)
    dx = dw = weights
    if gradient_sparsity is not None and fault != "gradient mask ignored":
        gradients = density(gradient_sparsity, forward_macs, prunable_macs)
        dx, dw = {
            "half_of_dw": (weights, gradients if fault == "density by default" else weights / 2),
            "dw_at_gradient_density": (weights, gradients),
            "both_at_gradient_density": (gradients, gradients),
        }[reading]
    batches = {"sgd": 1, "er": 2, "der": 3 if fault == "two draws" else 2, "derpp": 3}[method]
    backward = batches if fault == "replay backward" else 1
    unit = (1 if fault == "macs" else 2) * forward_macs * trained_samples
    return float(unit * (batches * weights + backward * (dx + dw)))


def memory(parameters, conv_outputs, batch_size, sparsity, gradient_sparsity, *, fault):
    activations = (1 if fault == "once" else 2) * conv_outputs * (1 if fault == "one sample" else batch_size)
    gradients = Fraction(sparsity if fault == "one sparsity" else gradient_sparsity)
    weights = (1 - Fraction(sparsity)) * parameters
    return float((8 if fault == "eight bytes" else 4) * (activations + weights + (1 - gradients) * parameters))


def entry(name, function, mistake, broken, fault):
    return Wrong(name, "cost", function, mistake, partial(broken, fault=fault))


WRONG = (
    entry("conv-macs", "conv2d_flops", "MACs reported as FLOPs", conv, "macs"),
    entry("conv-padding", "conv2d_flops", "positions on the padding are not there", conv, "padding"),
    entry("conv-rounded-up", "conv2d_flops", "output sizes are rounded up", conv, "rounded up"),
    entry("conv-input-positions", "conv2d_flops", "input positions are counted", conv, "input positions"),
    entry("conv-groups", "conv2d_flops", "groups are ignored", conv, "groups"),
    entry("conv-dense", "conv2d_flops", "dead weights are charged", conv, "dense"),
    entry("conv-dw-of-living", "conv2d_flops", "the gradient mask spares nothing", conv, "dW of the living"),
    entry("conv-dx-of-trained", "conv2d_flops", "the gradient mask spares dX too", conv, "dX of the trained"),
    entry("conv-first-dx", "conv2d_flops", "the first layer's dX is charged", conv, "first dX"),
    entry("conv-one-sample", "conv2d_flops", "the batch is forgotten", conv, "one sample"),
    entry("linear-macs", "linear_flops", "MACs reported as FLOPs", linear, "macs"),
    entry("linear-bias", "linear_flops", "biases are counted", linear, "bias"),
    entry("linear-dense-dw", "linear_flops", "dW is charged densely", linear, "dense dW"),
    entry(
        "samples-before",
        "trained_samples",
        "data leave before the epoch that ends a stage",
        trained,
        "before the epoch",
    ),
    entry("samples-cutoff", "trained_samples", "data leave beyond the cutoff", trained, "beyond the cutoff"),
    entry("samples-at-once", "trained_samples", "all that goes goes after the first stage", trained, "at once"),
    entry("samples-never", "trained_samples", "data removal is not charged", trained, "never"),
    Wrong(
        "density-everything",
        "cost",
        "paper_density",
        "every layer is prunable",
        lambda sparsity, **_: 1 - float(sparsity),
    ),
    Wrong(
        "density-swapped",
        "cost",
        "paper_density",
        "sparsity is taken for density",
        lambda sparsity, **macs: float(density(1 - Fraction(sparsity), **macs)),
    ),
    entry("train-macs", "paper_train_flops", "MACs reported as FLOPs", train, "macs"),
    entry(
        "train-replay-backward", "paper_train_flops", "backward passes of replay are charged", train, "replay backward"
    ),
    entry("train-density", "paper_train_flops", "dW at gradient density by default", train, "density by default"),
    entry("train-no-mask", "paper_train_flops", "gradient masks spare nothing", train, "gradient mask ignored"),
    entry("train-two-draws", "paper_train_flops", "DER draws twice", train, "two draws"),
    entry("train-everything", "paper_train_flops", "every layer is prunable", train, "everything prunable"),
    entry("memory-once", "paper_memory_bytes", "activations are kept once", memory, "once"),
    entry("memory-one-sample", "paper_memory_bytes", "activations of one sample", memory, "one sample"),
    entry("memory-one-sparsity", "paper_memory_bytes", "gradients are as sparse as weights", memory, "one sparsity"),
    entry("memory-eight", "paper_memory_bytes", "eight bytes a number", memory, "eight bytes"),
    Wrong(
        "weights-no-index",
        "cost",
        "sparse_weight_bytes",
        "indices take no space",
        lambda living, dense, value_bytes, **_: (living + dense) * value_bytes,
    ),
    Wrong(
        "weights-dense-index",
        "cost",
        "sparse_weight_bytes",
        "dense parameters have indices too",
        lambda living, dense, value_bytes, index_bytes: (living + dense) * (value_bytes + index_bytes),
    ),
)
