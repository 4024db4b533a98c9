"""Work of a layer: inputs, oracle and wrong implementations."""

from __future__ import annotations

import math
from collections.abc import Iterator
from fractions import Fraction

import numpy as np
import torch

from tests.verify.spec import Arguments, CaseSpec, Oracle, Result, Wrong


def cases() -> Iterator[CaseSpec]:
    yield from _conv2d_flops()
    yield from _linear_flops()
    yield from _other_settings()


def _conv2d_flops() -> Iterator[CaseSpec]:
    shape = {"in_channels": 16, "out_channels": 32, "kernel": [3, 3], "size": [8, 8], "stride": 1, "padding": 1}
    shape |= {"groups": 1, "batch": 1, "active": None, "grad_active": None, "need_dx": True}
    for name, kind, changes, note in (
        ("dense", "regular", {}, "a multiply-add is two FLOPs; dX and dW each cost as much as the forward pass"),
        ("batch", "regular", {"batch": 32}, "every sample costs the same"),
        ("sparse", "regular", {"active": 1152}, "dead weights cost nothing in any pass"),
        ("gradient-mask", "regular", {"active": 1152, "grad_active": 922}, "a gradient mask spares dW alone"),
        ("first-layer", "adversarial", {"in_channels": 3, "need_dx": False}, "nobody needs the image's gradient"),
        ("odd-stride", "adversarial", {"size": [7, 10], "stride": 2}, "output sizes round down"),
        ("no-padding", "adversarial", {"size": [5, 6], "padding": 0}, "the output is smaller than the input"),
        ("wide-padding", "adversarial", {"padding": 3}, "positions on the padding count"),
        ("oblong", "adversarial", {"kernel": [1, 5], "size": [6, 11]}, "rows and columns differ in kernel and image"),
        ("groups", "adversarial", {"groups": 4}, "a filter sees the channels of its group only"),
        ("stride-3", "adversarial", {"size": [11, 8], "stride": 3}, "output sizes round down"),
        ("groups-again", "adversarial", {"groups": 8, "size": [5, 9]}, "a filter sees the channels of its group only"),
        ("first-layer-again", "adversarial", {"need_dx": False, "batch": 8, "active": 500}, "no gradient of the image"),
        ("odd-beyond-float32", "adversarial",
         {"size": [7, 7], "batch": 333, "active": 1153, "grad_active": 1151}, "a count that float32 does not hold"),
        ("odd-beyond-float64", "adversarial",
         {"size": [101, 103], "batch": 2**30 + 1, "active": 1153, "grad_active": 1151},
         "a count that float64 does not hold: FLOPs are whole numbers"),
        ("odd-beyond-float64-again", "adversarial",
         {"kernel": [1, 3], "size": [33, 35], "batch": 2**40 + 1, "active": 1021, "need_dx": False},
         "a count that float64 does not hold: FLOPs are whole numbers"),
        ("one-position", "edge", {"size": [3, 3], "padding": 0}, "the kernel fits once"),
        ("all-dead", "edge", {"active": 0}, "a layer without living weights"),
        ("no-gradient", "edge", {"active": 1152, "grad_active": 0}, "dW is not formed at all"),
        ("large", "edge", {"in_channels": 512, "out_channels": 512, "batch": 100_000}, "more than 32 bits hold"),
    ):  # fmt: skip
        yield CaseSpec("conv2d_flops", name, kind, note, shape | changes)


def _linear_flops() -> Iterator[CaseSpec]:
    shape = {"in_features": 512, "out_features": 10, "batch": 1, "active": None, "grad_active": None, "need_dx": True}
    for name, kind, changes, note in (
        ("dense", "regular", {}, "two FLOPs a weight; biases are not counted"),
        ("batch", "regular", {"batch": 32}, "every sample costs the same"),
        ("sparse", "regular", {"batch": 4, "active": 1280, "grad_active": 1024}, "a gradient mask spares dW alone"),
        ("first-layer", "adversarial", {"need_dx": False}, "no input gradient"),
        ("all-dead", "edge", {"active": 0}, "a layer without living weights"),
        ("no-samples", "edge", {"batch": 0}, "an empty buffer costs nothing"),
        ("first-layer-again", "adversarial", {"need_dx": False, "batch": 16, "active": 999, "grad_active": 700},
         "no input gradient"),
        ("odd-beyond-float32", "adversarial", {"batch": 40_003, "active": 1281, "grad_active": 1025},
         "a count that float32 does not hold"),
        ("odd-beyond-float64", "adversarial",
         {"in_features": 2**20 + 1, "out_features": 2**20 + 3, "batch": 2**14 + 1, "need_dx": False},
         "a count that float64 does not hold: FLOPs are whole numbers"),
        ("odd-beyond-float64-again", "adversarial",
         {"in_features": 2**27 + 1, "out_features": 2**27 + 5, "active": 2**53 + 3, "grad_active": 2**53 + 1},
         "a count that float64 does not hold: FLOPs are whole numbers"),
    ):  # fmt: skip
        yield CaseSpec("linear_flops", name, kind, note, shape | changes)


def _other_settings() -> Iterator[CaseSpec]:
    """Another value where the other cases have always the same: none of it may stand in code."""
    yield CaseSpec(
        "linear_flops", "hidden-layer", "regular", "inputs and outputs that are no constants of one classifier",
        {"in_features": 100, "out_features": 64, "batch": 3, "active": 640, "grad_active": 512},
    )  # fmt: skip


# --- oracle -----------------------------------------------------------------------------------------------------------

OPERATIONS = 2  # a product and a sum


def conv2d_flops(a: Arguments) -> Result:
    """PyTorch runs the convolution without data for its output shape; the rest is integer arithmetic."""
    layer = torch.nn.Conv2d(
        a["in_channels"],
        a["out_channels"],
        a["kernel"],
        stride=a["stride"],
        padding=a["padding"],
        groups=a["groups"],
        device="meta",
    )
    image = torch.empty(1, a["in_channels"], *a["size"], device="meta")
    return passes(a, layer.weight.numel(), positions=layer(image)[0, 0].numel())


def linear_flops(a: Arguments) -> Result:
    """Integer arithmetic."""
    return passes(a, a["in_features"] * a["out_features"], positions=1)


def passes(a: Arguments, weights: int, *, positions: int) -> Result:
    visits = OPERATIONS * positions * a["batch"]
    living = weights if a["active"] is None else a["active"]
    trained = living if a["grad_active"] is None else a["grad_active"]
    return {"forward": visits * living, "dx": visits * living if a["need_dx"] else 0, "dw": visits * trained}, {}


ORACLES: dict[str, Oracle] = {"conv2d_flops": conv2d_flops, "linear_flops": linear_flops}


# --- wrong implementations --------------------------------------------------------------------------------------------


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


def in_floats(function, dtype):
    """The count in numbers of a floating type."""
    return lambda **given: tuple(dtype(flops) for flops in function(**given))


def in_bits(function, bits):
    """The count in whole numbers of so many bits."""
    return lambda **given: tuple(flops % 2**bits for flops in function(**given))


WRONG = (
    *(Wrong(f"{layer}-in-{dtype.__name__}", f"{layer}_flops", f"FLOPs are counted in {dtype.__name__}",
        in_floats(function, dtype), likely="FLOPs counted in floating point: from some size on not every one")
        for layer, function in (("conv2d", conv), ("linear", linear)) for dtype in (np.float32, np.float64)),
    *(Wrong(f"{layer}-in-32-bits", f"{layer}_flops", "FLOPs are counted in 32 bits", in_bits(function, 32))
        for layer, function in (("conv2d", conv), ("linear", linear))),
    Wrong("conv-macs", "conv2d_flops", "MACs reported as FLOPs", conv, fault="macs", likely="MACs reported as FLOPs"),
    Wrong("conv-padding", "conv2d_flops", "positions on the padding are not there", conv, fault="padding",
        likely="positions on the padding not counted"),
    Wrong("conv-rounded-up", "conv2d_flops", "output sizes are rounded up", conv, fault="rounded up"),
    Wrong("conv-input-positions", "conv2d_flops", "input positions are counted", conv, fault="input positions",
        likely="the input's size instead of the output's"),
    Wrong("conv-groups", "conv2d_flops", "groups are ignored", conv, fault="groups", likely="groups ignored"),
    Wrong("conv-dense", "conv2d_flops", "dead weights are charged", conv, fault="dense",
        likely="a dense count: dead weights counted as well"),
    Wrong("conv-dw-of-living", "conv2d_flops", "the gradient mask spares nothing", conv, fault="dW of the living",
        likely="the weight gradient counted for all living weights"),
    Wrong("conv-dx-of-trained", "conv2d_flops", "the gradient mask spares dX too", conv, fault="dX of the trained",
        likely="the input gradient counted for weights with a gradient only"),
    Wrong("conv-first-dx", "conv2d_flops", "the first layer's dX is charged", conv, fault="first dX",
        likely="the input gradient of the first layer counted"),
    Wrong("conv-one-sample", "conv2d_flops", "the batch is forgotten", conv, fault="one sample",
        likely="one sample instead of the batch"),
    Wrong("linear-macs", "linear_flops", "MACs reported as FLOPs", linear, fault="macs",
        likely="MACs reported as FLOPs"),
    Wrong("linear-bias", "linear_flops", "biases are counted", linear, fault="bias", likely="biases counted"),
    Wrong("linear-dense-dw", "linear_flops", "dW is charged densely", linear, fault="dense dW"),
)  # fmt: skip
