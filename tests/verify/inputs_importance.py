"""Inputs for importance."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from tests.verify import draws
from tests.verify.spec import CaseSpec


def cases() -> Iterator[CaseSpec]:
    yield from _cgi_and_cwi()
    yield from _probe()


def _cgi_and_cwi() -> Iterator[CaseSpec]:
    shape = (5, 3, 3, 3)
    weight, current, buffer = (draws.floats(f"importance {what}", shape) for what in ("w", "current", "buffer"))
    published = {"alpha": 0.5, "beta": 1.0}
    for name, kind, gradients, coefficients, note in (
        ("conv", "regular", (current, buffer), published, "the default coefficients"),
        ("coefficients", "regular", (current, buffer), {"alpha": 1.5, "beta": 0.25}, "the two coefficients swapped"),
        ("opposite", "adversarial", (current, -current), published, "the size of the sum is not the sum of the sizes"),
        ("empty-buffer", "edge", (current, np.zeros(shape)), published, "an empty buffer contributes 0"),
        ("zero-gradients", "edge", (np.zeros(shape), np.zeros(shape)), published, "weights counted in their place"),
        ("small-beside-large", "adversarial", (current * 2.0**-20, buffer * 2.0**10), published, "lost in float32"),
    ):
        arguments = {"grad_current": gradients[0], "grad_buffer": gradients[1], **coefficients}
        yield CaseSpec("cgi", name, kind, note, arguments, "paper")
        yield CaseSpec("cwi", name, kind, note, {"weight": weight, **arguments}, "paper")
    dead = {"grad_current": current, "grad_buffer": buffer, **published}
    yield CaseSpec(
        "cwi", "zero-weights", "edge", "a weight of 0 counts by its gradients", {"weight": 0 * weight, **dead}, "paper"
    )


def _probe() -> Iterator[CaseSpec]:
    def case(name: str, kind: str, samples: int, batch_size: int, note: str, *, scale=1.0, **changes) -> CaseSpec:
        arguments = {
            "x": draws.floats("probe x", (samples, 2, 2, 2)) + np.array([1.0, -3.0]).reshape(1, 2, 1, 1),
            "labels": np.array([1, 4])[draws.integers("probe labels", samples, low=0, high=2)].reshape(samples),
            "classes": [1, 4],
            "weight": draws.floats("probe weight", (6, 8)) * scale,
            "bias": draws.floats("probe bias", 6) * scale,
            "gamma": draws.floats("probe gamma", 2, low=0.5, high=2.0),
            "beta": draws.floats("probe beta", 2),
            "batch_size": batch_size,
            "eps": 1e-5,
        }
        arguments["x"] = arguments["x"].astype(np.float32).astype(np.float64)
        return CaseSpec("probe_gradient", name, kind, note, arguments | changes, "paper")

    yield case("chunks", "regular", 12, 4, "each chunk has its own batch-norm statistics")
    yield case("one-chunk", "regular", 8, 8, "batch statistics, not running ones")
    yield case("full-head", "regular", 8, 4, "over all logits where no classes are given", classes=None)
    yield case("partial-chunk", "adversarial", 7, 3, "a short last chunk weighs less than the others")
    yield case(
        "unsorted-classes", "adversarial", 9, 4, "positions among the classes are not class numbers", classes=[4, 1]
    )
    yield case("huge-logits", "adversarial", 8, 4, "the softmax must not overflow", scale=512.0)
    yield case("larger-batch", "edge", 5, 32, "fewer samples than a batch")
    yield case("one-sample", "edge", 1, 4, "statistics over one image")
    yield case("no-samples", "edge", 0, 4, "an empty buffer contributes 0")
