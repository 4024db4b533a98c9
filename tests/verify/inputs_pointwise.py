"""Inputs of the layers without weights: ReLU, pooling, dropout."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from tests.verify.draws import floats, integers, truths
from tests.verify.spec import CaseSpec


def cases() -> Iterator[CaseSpec]:
    yield from _relu()
    yield from _pools()
    yield from _global_pool()
    yield from _dropout()


def _relu() -> Iterator[CaseSpec]:
    images = floats("relu x", (2, 3, 2, 2))
    zeros = np.array([0.0, -0.0, 1.0, -1.0, 0.0])
    smallest = np.array([2.0**-126, -(2.0**-126), 2.0**127, -(2.0**127)])
    for name, kind, note, x in [
        ("images", "regular", "a leak below zero; an absolute value", images),
        ("zeros", "edge", "the derivative at 0 taken as 1, as with y >= 0 or x >= 0", zeros),
        ("smallest-and-largest", "edge", "a threshold that is not 0: however small, x > 0 passes", smallest),
        ("one-value", "edge", "an axis of length 1 that is dropped", np.array([[3.5]])),
    ]:
        yield CaseSpec("relu_forward", name, kind, note, {"x": x})
        dy = floats(f"relu dy {name}", x.shape, low=0.5, high=2.0) * np.where(
            integers(name, x.shape, low=0, high=2), 1, -1
        )
        yield CaseSpec("relu_backward", name, kind, note, {"dy": dy, "x": x})
    yield CaseSpec(
        "relu_forward",
        "not-a-number",
        "adversarial",
        "a comparison that turns NaN into 0 and hides a diverged run",
        {"x": np.array([np.nan, -1.0, np.inf, -np.inf])},
    )
    yield CaseSpec(
        "relu_backward",
        "negative-upstream",
        "adversarial",
        "the upstream gradient cut instead of the input: negative dy passes where x > 0",
        {"dy": np.array([-1.5, -2.5, 3.0, -0.5]), "x": np.array([0.5, -0.5, -4.0, 2.0])},
    )


def _pools() -> Iterator[CaseSpec]:
    #: name, kind, note on max pooling, note on average pooling (None: no case), image, arguments
    variants: list[tuple[str, str, str, str | None, np.ndarray, dict[str, Any], tuple[int, int]]] = [
        (
            "touching",
            "regular",
            "a stride that defaults to 1 instead of the kernel size",
            "a stride that defaults to 1 instead of the kernel size; a sum instead of a mean",
            floats("pool touching", (2, 2, 4, 6)),
            {"kernel_size": 2},
            (2, 3),
        ),
        (
            "overlapping",
            "regular",
            "an entry that wins several windows and keeps the last gradient only",
            "an entry of several windows that keeps the last gradient only",
            floats("pool overlapping", (1, 2, 5, 5)),
            {"kernel_size": 3, "stride": 1},
            (3, 3),
        ),
        (
            "odd-size",
            "edge",
            "a last window that does not fit: left out, its pixels get gradient 0",
            "a last window that does not fit: left out, its pixels get gradient 0",
            floats("pool odd", (1, 2, 5, 7)),
            {"kernel_size": 2},
            (2, 3),
        ),
        (
            "unequal-rows-and-columns",
            "edge",
            "pairs read as (columns, rows)",
            "pairs read as (columns, rows)",
            floats("pool pairs", (1, 2, 6, 5)),
            {"kernel_size": [3, 2], "stride": [1, 2], "padding": [1, 0]},
            (6, 2),
        ),
        (
            "padding",
            "adversarial",
            "padding with 0 wins where all entries are negative",
            "padded zeros left out of the divisor",
            floats("pool negative", (1, 2, 4, 4), low=-3.0, high=-1.0),
            {"kernel_size": 3, "stride": 2, "padding": 1},
            (2, 2),
        ),
        (
            "ties",
            "adversarial",
            "ties broken from the other end, or the gradient given to every winner or shared among them",
            None,
            integers("pool ties", (2, 2, 4, 4), low=0, high=2).astype(np.float64),
            {"kernel_size": 2},
            (2, 2),
        ),
        (
            "all-zero",
            "adversarial",
            "windows of zeros, as after a ReLU: the gradient goes to their first entry",
            None,
            np.zeros((1, 1, 4, 4)),
            {"kernel_size": 3, "stride": 1},
            (2, 2),
        ),
    ]
    for name, kind, max_note, mean_note, x, window, out in variants:
        dy = floats(f"pool dy {name}", (*x.shape[:2], *out))
        for layer, note in [("max_pool2d", max_note), ("avg_pool2d", mean_note)]:
            if note is not None:
                yield CaseSpec(f"{layer}_forward", name, kind, note, {"x": x, **window})
                yield CaseSpec(f"{layer}_backward", name, kind, note, {"dy": dy, "x": x, **window})


def _global_pool() -> Iterator[CaseSpec]:
    for name, kind, note, shape in [
        ("images", "regular", "a mean over channels; a sum; a division by the wrong size", (2, 3, 4, 5)),
        ("one-sample", "edge", "an axis of length 1 that is dropped", (1, 3, 2, 2)),
        ("one-pixel", "edge", "spatial axes that are kept: the result has shape (N, C)", (2, 3, 1, 1)),
        ("long-sum", "adversarial", "pixels summed in float32 in a float64 run", (1, 2, 16, 17)),
    ]:
        x = floats(f"global x {name}", shape)
        yield CaseSpec("global_avg_pool2d_forward", name, kind, note, {"x": x})
        dy = floats(f"global dy {name}", shape[:2])
        yield CaseSpec("global_avg_pool2d_backward", name, kind, note, {"dy": dy, "x": x})


def _dropout() -> Iterator[CaseSpec]:
    shape = (3, 8)
    half = truths("dropout keep", shape, count=13)
    for name, kind, note, keep, p in [
        ("half", "regular", "values not divided by 1 - p", half, 0.5),
        ("quarter", "regular", "p taken for the probability of keeping: 1/p instead of 1/(1 - p)", half, 0.25),
        ("nothing-kept", "edge", "a division by the number of kept entries", np.zeros(shape, dtype=bool), 0.5),
        (
            "everything-kept",
            "edge",
            "no division where nothing happened to be dropped",
            np.ones(shape, dtype=bool),
            0.5,
        ),
        ("p-zero", "edge", "p = 0 changes nothing", np.ones(shape, dtype=bool), 0.0),
        ("p-near-one", "adversarial", "1 / (1 - p) rounded or clipped", half, 0.984375),
    ]:
        yield CaseSpec(
            "dropout_forward", name, kind, note, {"x": floats(f"dropout {name}", shape), "keep": keep, "p": p}
        )
        dy = floats(f"dropout dy {name}", shape)
        yield CaseSpec("dropout_backward", name, kind, note, {"dy": dy, "keep": keep, "p": p})
