"""Inputs of the losses and of the whole DER++ step."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from tests.verify.draws import floats, integers
from tests.verify.spec import CaseSpec

#: Classes of a current task that are neither sorted nor the first ones, in a head of 8.
TASK = [6, 1, 4]


def cases() -> Iterator[CaseSpec]:
    yield from _cross_entropy()
    yield from _mse()
    yield from _replay_losses()
    yield from _steps()


def _cross_entropy() -> Iterator[CaseSpec]:
    logits = floats("ce logits", (4, 8), low=-3.0, high=3.0)
    labels = np.array([1, 6, 4, 6])
    outsider = logits.copy()
    outsider[:, [0, 7]] = [2.0**20, 30.0]
    for name, kind, note, z, y, classes in [
        ("full-head", "regular", "the gradient of the sum instead of the mean", logits, labels, None),
        (
            "single-head-unsorted",
            "regular",
            "full-head loss where single-head is asked; labels taken as positions in a sorted list of classes",
            logits,
            labels,
            TASK,
        ),
        ("one-sample", "edge", "an axis of length 1 that is dropped", logits[:1], labels[:1], None),
        ("one-class", "edge", "a head of a single class: loss 0 and gradient 0", logits[:2], np.array([4, 4]), [4]),
        ("equal-logits", "edge", "loss log C in nats, not bits", np.zeros((2, 8)), labels[:2], None),
        (
            "huge-logits",
            "adversarial",
            "exp overflows without subtracting the maximum; log of a probability that is rounded to 0",
            np.array([[1e3, -1e3, 0.0, 12.5], [-2e3, -2e3, -1999.5, -2e3], [800.0, 801.0, 799.0, 800.0]]),
            np.array([1, 2, 1]),
            None,
        ),
        (
            "huge-logit-outside-the-head",
            "adversarial",
            "the maximum over all logits subtracted before those of other classes are left out: everything underflows",
            outsider,
            labels,
            TASK,
        ),
        (
            "many-classes",
            "adversarial",
            "exponentials summed in float32 in a float64 run",
            floats("ce wide", (2, 200)),
            np.array([199, 3]),
            None,
        ),
    ]:
        yield CaseSpec("cross_entropy", name, kind, note, {"logits": z, "labels": y, "classes": classes})


def _mse() -> Iterator[CaseSpec]:
    for name, kind, note, shape in [
        ("four-samples", "regular", "the mean over samples alone, or the sum; a factor 2 missing", (4, 3)),
        ("one-sample", "edge", "an axis of length 1 that is dropped", (1, 5)),
        ("one-logit", "edge", "an axis of length 1 that is dropped", (5, 1)),
        ("many-logits", "adversarial", "squares summed in float32 in a float64 run", (2, 200)),
    ]:
        pair = {"logits": floats(f"mse z {name}", shape), "targets": floats(f"mse t {name}", shape)}
        yield CaseSpec("mse_logits", name, kind, note, pair)
    same = floats("mse same", (2, 4))
    yield CaseSpec(
        "mse_logits", "no-difference", "edge", "a distance instead of its square: its derivative is undefined here",
        {"logits": same, "targets": same},
    )  # fmt: skip
    yield CaseSpec(
        "mse_logits",
        "near-and-huge",
        "adversarial",
        "(a - b)^2 taken apart into squares and a product, which cancel in float32",
        {"logits": np.array([[4096.25, -(2.0**20)]]), "targets": np.array([[4096.0, -(2.0**20) + 0.5]])},
    )


def _replay_losses() -> Iterator[CaseSpec]:
    current = {"logits": floats("replay z", (4, 8)), "labels": np.array([6, 1, 4, 6])}
    dark = {"dark_logits": floats("dark z", (3, 8)), "dark_targets": floats("dark t", (3, 8))}
    replay = {"replay_logits": floats("old z", (2, 8)), "replay_labels": np.array([0, 7])}
    no_dark = {name: np.zeros((0, 8)) for name in dark}
    no_replay = {"replay_logits": np.zeros((0, 8)), "replay_labels": np.zeros(0, dtype=np.int64)}
    huge = {
        "logits": np.array([[1e3, 0.0, -1e3], [2e3, 2e3, 0.0]]),
        "labels": np.array([2, 0]),
        "replay_logits": np.array([[-1e3, 1e3, 0.0]]),
        "replay_labels": np.array([0]),
    }
    variants: list[tuple[str, str, str, dict[str, Any], dict[str, Any], dict[str, Any]]] = [
        ("full-head", "regular", "one mean over all samples instead of one for each batch", current, dark, replay),
        (
            "single-head",
            "regular",
            "full-head loss where single-head is asked; the single head on replayed samples, whose labels lie outside",
            {**current, "classes": TASK},
            dark,
            replay,
        ),
        (
            "one-sample-each",
            "edge",
            "an axis of length 1 that is dropped",
            {"logits": current["logits"][:1], "labels": current["labels"][:1]},
            {name: values[:1] for name, values in dark.items()},
            {name: values[:1] for name, values in replay.items()},
        ),
        ("empty-buffer", "edge", "the mean over no replayed sample is NaN: it adds 0", current, no_dark, no_replay),
        (
            "huge-logits",
            "adversarial",
            "exp overflows without subtracting the maximum",
            {name: huge[name] for name in ("logits", "labels")},
            {"dark_logits": np.array([[1e3, 0.0, 1.0]]), "dark_targets": np.array([[-1e3, 0.5, 1.0]])},
            {name: huge[name] for name in ("replay_logits", "replay_labels")},
        ),
    ]
    for name, kind, note, batch, darks, olds in variants:
        yield CaseSpec("er_loss", name, kind, note, {**batch, **olds})
        yield CaseSpec("derpp_loss", name, kind, note, {**batch, **darks, **olds})
    yield CaseSpec(
        "er_loss", "weight", "regular", "the weight on the wrong term, or missing in the gradient",
        {**current, **replay, "weight": 0.375},
    )  # fmt: skip
    yield CaseSpec(
        "derpp_loss",
        "coefficients",
        "regular",
        "a and b exchanged; a coefficient in the loss that the gradient lacks",
        {**current, **dark, **replay, "alpha": 0.75, "beta": 0.25},
    )
    yield CaseSpec(
        "derpp_loss",
        "der",
        "edge",
        "DER is DER++ without labels: nothing of an empty second draw may enter",
        {**current, **dark, **no_replay, "alpha": 0.3, "beta": 0.0},
    )


def _steps() -> Iterator[CaseSpec]:
    inputs, hidden, head, filled = 5, 6, 8, 7
    network = {
        "w1": floats("step w1", (hidden, inputs), low=-1, high=1),
        "b1": floats("step b1", hidden, low=-1, high=1),
        "w2": floats("step w2", (head, hidden), low=-1, high=1),
        "b2": floats("step b2", head, low=-1, high=1),
    }
    batch = {"images": floats("step x", (4, inputs)), "labels": np.array([6, 1, 4, 6]), "classes": TASK}
    buffer = {
        "buffer_images": floats("step buffer", (filled, inputs)),
        "buffer_labels": integers("step buffer labels", filled, low=0, high=head),
        "buffer_logits": floats("step stored", (filled, head)),
        "dark_draw": np.array([5, 0, 3, 2]),
        "replay_draw": np.array([4, 3, 1, 6]),
    }
    nothing = np.zeros(0, dtype=np.int64)
    empty = {
        "buffer_images": np.zeros((0, inputs)),
        "buffer_labels": nothing,
        "buffer_logits": np.zeros((0, head)),
        "dark_draw": nothing,
        "replay_draw": nothing,
    }
    narrow = {
        "w1": np.array([[0.5, -1.25]]),
        "b1": np.array([0.25]),
        "w2": np.array([[1.5], [-0.75]]),
        "b2": np.array([-0.5, 0.125]),
        "images": np.array([[1.75, -0.5], [0.375, 1.25], [-1.0, -1.5]]),
        "labels": np.array([1, 0, 1]),
        "classes": [1, 0],
        "buffer_images": np.array([[1.0, -1.0], [2.0, 0.25]]),
        "buffer_labels": np.array([0, 1]),
        "buffer_logits": np.array([[0.5, -0.25], [1.0, 1.5]]),
        "dark_draw": np.array([1]),
        "replay_draw": np.array([0, 1]),
    }
    for name, kind, note, changed in [
        ("one-hidden-unit", "edge", "an axis of length 1 that is dropped or broadcast", narrow),
        (
            "full-head",
            "regular",
            "one shared draw for both terms; logits stored after the update; old logits taken for targets of the batch",
            {},
        ),
        (
            "single-head",
            "regular",
            "full-head loss where single-head is asked; masked logits stored; the single head on replayed samples",
            {"head": "single"},
        ),
        ("coefficients", "regular", "a and b exchanged", {"alpha": 0.75, "beta": 0.25, "lr": 0.125}),
        ("empty-buffer", "edge", "the mean over no sample is NaN; the step goes on with the batch alone", empty),
        (
            "one-sample",
            "edge",
            "means over one sample; draws shorter than the batch, and of different lengths",
            {"dark_draw": np.array([2, 6]), "replay_draw": np.array([2])}
            | {key: batch[key][:1] for key in ("images", "labels")},
        ),
        (
            "dead-hidden-unit",
            "edge",
            "a unit that no sample activates: its weights stay where they are",
            {"b1": np.where(np.arange(hidden) == 3, -16.0, network["b1"])},
        ),
        (
            "same-draw-twice",
            "adversarial",
            "the same slots in both draws still make two terms, one against logits and one against labels",
            {"dark_draw": np.array([1, 4]), "replay_draw": np.array([1, 4])},
        ),
        ("no-step", "adversarial", "learning rate 0: logits are those of the pass and nothing moves", {"lr": 0.0}),
    ]:
        yield CaseSpec("derpp_step", name, kind, note, {**network, **batch, **buffer, **changed})
