"""Inputs of the layers with large weights: convolution and linear."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from tests.verify.draws import floats, truths
from tests.verify.spec import CaseSpec


def cases() -> Iterator[CaseSpec]:
    yield from _convolutions()
    yield from _linear_layers()


#: name, kind, what both directions tell apart, image (N, C, H, W), out channels, kernel, further arguments.
CONVOLUTIONS: list[tuple[str, str, str, tuple[int, int, int, int], int, tuple[int, int], dict[str, Any]]] = [
    (
        "padded-3x3",
        "regular",
        "a kernel flipped as in the convolution of signal processing; rows and columns swapped",
        (2, 3, 5, 6),
        4,
        (3, 3),
        {"padding": 1},
    ),
    (
        "stride-2-odd",
        "regular",
        "an output size rounded up where the last window does not fit; padding on one side only",
        (2, 2, 6, 7),
        3,
        (3, 3),
        {"stride": 2, "padding": 1},
    ),
    (
        "shortcut-1x1",
        "regular",
        "a strided 1x1 shortcut that averages or takes the wrong pixel; input pixels never read get gradient 0",
        (2, 3, 5, 4),
        2,
        (1, 1),
        {"stride": 2},
    ),
    (
        "unequal-rows-and-columns",
        "edge",
        "pairs read as (columns, rows); dilation taken for stride",
        (1, 2, 6, 9),
        3,
        (2, 3),
        {"stride": [2, 1], "padding": [0, 2], "dilation": [1, 2]},
    ),
    (
        "groups",
        "edge",
        "channels dealt to groups in turn instead of in blocks",
        (2, 6, 4, 4),
        4,
        (3, 3),
        {"padding": 1, "groups": 2},
    ),
    (
        "depthwise",
        "edge",
        "one group per channel, two output channels each: the order of output channels",
        (1, 3, 4, 5),
        6,
        (3, 3),
        {"groups": 3},
    ),
    (
        "kernel-larger-than-image",
        "edge",
        "taps that only ever see padding: they must read 0, and their weights get gradient 0",
        (1, 2, 2, 2),
        2,
        (5, 5),
        {"padding": 2},
    ),
    (
        "long-sum",
        "adversarial",
        "products summed in float32 in a float64 run",
        (1, 32, 4, 4),
        2,
        (3, 3),
        {"padding": 1},
    ),
]


def _convolutions() -> Iterator[CaseSpec]:
    for name, kind, note, image, out_channels, kernel, options in CONVOLUTIONS:
        x, weight = _conv_arrays(name, image, out_channels, kernel, options)
        bias = floats(f"conv bias {name}", out_channels) if kind == "regular" else None
        yield CaseSpec("conv2d_forward", name, kind, note, {"x": x, "weight": weight, "bias": bias, **options})
        dy = floats(f"conv dy {name}", _conv_output(image, weight, **options))
        yield CaseSpec("conv2d_backward", name, kind, note, {"dy": dy, "x": x, "weight": weight, **options})

    image, options = (2, 3, 5, 5), {"padding": 1}
    x, weight = _conv_arrays("masked", image, 4, (3, 3), options)
    living = truths("conv mask", weight.shape, count=weight.size // 4)
    living[2] = False
    sparse = np.where(living, weight, 0.0)
    dy = floats("conv masked dy", (2, 4, 5, 5))
    yield CaseSpec(
        "conv2d_forward",
        "all-dead-filter",
        "edge",
        "a sparse kernel that shifts when an output channel has no weights: that channel is its bias alone",
        {"x": x, "weight": sparse, "bias": floats("conv masked bias", 4), **options},
    )
    masked = {"dy": dy, "x": x, "weight": sparse, **options}
    yield CaseSpec(
        "conv2d_backward",
        "gradient-mask",
        "regular",
        "a gradient mask that also cuts dx or dbias; -0.0 from multiplying by it",
        {**masked, "grad_mask": living & truths("conv grad mask", weight.shape, count=weight.size // 2)},
    )
    yield CaseSpec(
        "conv2d_backward",
        "gradient-mask-all-dead",
        "edge",
        "an empty list of gradients; dx must still be formed",
        {**masked, "grad_mask": np.zeros(weight.shape, dtype=bool)},
    )
    yield CaseSpec(
        "conv2d_backward",
        "infinite-input-under-a-dead-gradient",
        "adversarial",
        "a gradient mask applied by multiplying: 0 * infinity is NaN, dead gradients are assigned 0",
        {
            "dy": floats("conv infinite dy", (1, 2, 1, 1)),
            "x": np.array([[[[np.inf, 1.0]], [[2.0, -1.0]]]]),
            "weight": floats("conv infinite weight", (2, 2, 1, 2)),
            "grad_mask": np.array([[[[False, True]], [[True, True]]], [[[False, False]], [[True, False]]]]),
        },
    )
    yield CaseSpec(
        "conv2d_backward",
        "zero-upstream",
        "edge",
        "a gradient divided by its norm or by a count of non-zeros",
        {**masked, "dy": np.zeros_like(dy)},
    )


def _conv_arrays(name: str, image, out_channels: int, kernel, options: dict) -> tuple[np.ndarray, np.ndarray]:
    shape = (out_channels, image[1] // options.get("groups", 1), *kernel)
    return floats(f"conv x {name}", image), floats(f"conv weight {name}", shape)


def _conv_output(image, weight: np.ndarray, *, stride=1, padding=0, dilation=1, groups=1) -> tuple[int, ...]:
    def pair(value):
        return value if isinstance(value, list) else [value, value]

    axes = zip(image[2:], weight.shape[2:], pair(stride), pair(padding), pair(dilation), strict=True)
    return image[0], len(weight), *((n + 2 * p - d * (k - 1) - 1) // s + 1 for n, k, s, p, d in axes)


def _linear_layers() -> Iterator[CaseSpec]:
    for name, kind, note, (samples, features, outputs) in [
        ("three-samples", "regular", "the weight not transposed; gradients averaged over the batch", (3, 5, 4)),
        ("square", "regular", "the weight transposed, which shapes do not reveal when it is square", (4, 4, 4)),
        ("one-sample", "edge", "an axis of length 1 that is dropped or broadcast", (1, 6, 3)),
        ("one-output", "edge", "a column treated as a vector", (4, 3, 1)),
        ("long-sum", "adversarial", "products summed in float32 in a float64 run", (2, 257, 3)),
        ("many-samples", "adversarial", "samples summed in float32 in a float64 run", (129, 2, 3)),
    ]:
        x, weight = floats(f"linear x {name}", (samples, features)), floats(f"linear w {name}", (outputs, features))
        bias = None if name == "one-sample" else floats(f"linear b {name}", outputs)
        yield CaseSpec("linear_forward", name, kind, note, {"x": x, "weight": weight, "bias": bias})
        dy = floats(f"linear dy {name}", (samples, outputs))
        yield CaseSpec("linear_backward", name, kind, note, {"dy": dy, "x": x, "weight": weight})

    x, dy = floats("linear masked x", (5, 6)), floats("linear masked dy", (5, 4))
    living = truths("linear mask", (4, 6), count=9)
    living[1] = False
    sparse = np.where(living, floats("linear masked w", (4, 6)), 0.0)
    yield CaseSpec(
        "linear_forward",
        "all-dead-row",
        "edge",
        "a sparse product that skips an output without weights: it is its bias",
        {"x": x, "weight": sparse, "bias": floats("linear masked b", 4)},
    )
    masked = {"dy": dy, "x": x, "weight": sparse}
    yield CaseSpec(
        "linear_backward",
        "gradient-mask",
        "regular",
        "a gradient mask that also cuts dx or dbias; -0.0 from multiplying by it",
        {**masked, "grad_mask": living & truths("linear grad mask", (4, 6), count=14)},
    )
    yield CaseSpec(
        "linear_backward",
        "gradient-mask-all-dead",
        "edge",
        "an empty list of gradients; dx must still be formed",
        {**masked, "grad_mask": np.zeros((4, 6), dtype=bool)},
    )
    yield CaseSpec(
        "linear_backward",
        "infinite-input-under-a-dead-gradient",
        "adversarial",
        "a gradient mask applied by multiplying: 0 * infinity is NaN, dead gradients are assigned 0",
        {
            "dy": floats("linear infinite dy", (2, 2)),
            "x": np.array([[np.inf, 1.0], [0.5, -3.0]]),
            "weight": floats("linear infinite w", (2, 2)),
            "grad_mask": np.array([[False, True], [False, False]]),
        },
    )
