"""Inputs of batch normalisation."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from tests.verify.draws import floats
from tests.verify.spec import CaseSpec


def cases() -> Iterator[CaseSpec]:
    spread = floats("norm x", (3, 4, 3, 2))
    #: name, kind, note, x, further arguments
    variants: list[tuple[str, str, str, np.ndarray, dict[str, Any]]] = [
        ("train", "regular", "statistics over the wrong axes; biased running variance; momentum reversed", spread, {}),
        ("eval", "regular", "batch statistics used, or running ones moved, in eval mode", spread, {"mode": "eval"}),
        ("probe", "regular", "running statistics used or moved by the probe of importances", spread, {"mode": "probe"}),
        (
            "one-sample",
            "edge",
            "statistics over samples alone: one sample of several pixels has a variance",
            floats("norm one", (1, 4, 2, 3)),
            {},
        ),
        (
            "two-values",
            "edge",
            "biased running variance: with two values per channel the unbiased one is twice as large",
            np.concatenate([floats("norm low", (1, 4, 1, 1), high=-1.0), floats("norm high", (1, 4, 1, 1), low=1.0)]),
            {},
        ),
        (
            "silent-channel",
            "edge",
            "a division by zero where a channel is 0 everywhere: y is the bias, and only eps keeps dx finite",
            np.concatenate([np.zeros((2, 1, 2, 2)), floats("norm silent", (2, 3, 2, 2))], axis=1),
            {},
        ),
        (
            "tiny-variance",
            "edge",
            "eps added to the standard deviation, or left out: here it is as large as the variance",
            floats("norm tiny", (2, 4, 2, 3), low=-(2.0**-8), high=2.0**-8),
            {},
        ),
        ("large-eps", "edge", "an eps that is fixed in the code", spread, {"eps": 0.25}),
        (
            "large-offset",
            "adversarial",
            "variance as mean of squares minus squared mean, which cancels when the mean is large",
            floats("norm offset", (2, 4, 1, 3)) // 2.0**-8 * 2.0**-8 + 2.0**12,
            {},
        ),
    ]
    affine = {
        "weight": np.array([1.5, -0.75, 0.0, 0.3125]),
        "bias": np.array([0.5, -1.25, 2.0, 0.0]),
        "running_mean": np.array([0.25, -0.5, 1.0, -2.0]),
        "running_var": np.array([1.75, 0.5, 3.0, 0.0625]),
    }
    untrained = {key: np.full(4, value) for key, value in zip(affine, (1.0, 0.0, 0.0, 1.0), strict=True)}
    for name, kind, note, x, options in variants:
        state = untrained if name in ("one-sample", "large-eps") else affine
        yield CaseSpec("batchnorm2d_forward", name, kind, note, {"x": x, **state, **options})
        running = {k: affine[k] if name == "eval" else None for k in ("running_mean", "running_var")}
        arguments = {"dy": floats(f"norm dy {name}", x.shape), "x": x, "weight": state["weight"], **running, **options}
        yield CaseSpec("batchnorm2d_backward", name, kind, note, arguments)
    for name, momentum in [("momentum-one", 1.0), ("momentum-zero", 0.0), ("momentum-quarter", 0.25)]:
        yield CaseSpec(
            "batchnorm2d_forward",
            name,
            "edge",
            "momentum taken as the weight of the old estimate, or fixed in the code",
            {"x": spread, **affine, "momentum": momentum},
        )
    yield CaseSpec(
        "batchnorm2d_backward",
        "constant-upstream",
        "adversarial",
        "mean and variance treated as constants: an upstream that is the same everywhere must leave dx at 0",
        {"dy": np.full(spread.shape, 1.25), "x": spread, "weight": affine["weight"]},
    )
