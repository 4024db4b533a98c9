"""Importance: inputs, oracle and wrong implementations."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import torch
from torch import nn

from tests.torch_twin import importance, losses
from tests.verify import draws
from tests.verify.areas.losses.cross_entropy import softmax_loss
from tests.verify.spec import Arguments, CaseSpec, Oracle, Result, Tolerance, Wrong
from tests.verify.tensors import tensor


def cases() -> Iterator[CaseSpec]:
    yield from _cgi_and_cwi()
    yield from _probe()
    yield from _other_settings()


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
        ("alpha-zero", "edge", (current, buffer), {"alpha": 0.0, "beta": 1.0}, "an alpha of 0 is not a missing alpha"),
        ("beta-zero", "edge", (current, buffer), {"alpha": 0.5, "beta": 0.0}, "a beta of 0 is not a missing beta"),
        ("zero-both", "edge", (current, buffer), {"alpha": 0.0, "beta": 0.0}, "neither 0 is missing"),
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
    yield case("last-chunk-of-one", "adversarial", 10, 3, "a chunk of one sample counts like any other")
    yield case("large-scale", "adversarial", 6, 3, "a gradient that is clipped", gamma=np.array([96.0, 160.0]))
    yield case("no-samples", "edge", 0, 4, "an empty buffer contributes 0")


def _other_settings() -> Iterator[CaseSpec]:
    """Another value where the other cases have always the same: none of it may stand in code."""
    yield CaseSpec(
        "probe_gradient", "other-norm", "adversarial",
        "scale and offset of the normalisation left out; an eps that is fixed in the code",
        {
            "x": draws.floats("probe norm x", (5, 2, 2, 1)),
            "labels": np.array([2, 0, 0, 2, 1]),
            "classes": [2, 0, 1],
            "weight": draws.floats("probe norm w", (3, 4)),
            "bias": draws.floats("probe norm b", 3),
            "gamma": np.array([-0.5, 3.0]),
            "beta": np.array([1.5, 0.0]),
            "batch_size": 2,
            "eps": 0.25,
        },
        "paper",
    )  # fmt: skip


# --- oracle -----------------------------------------------------------------------------------------------------------


def _terms(values: torch.Tensor, terms: int) -> Result:
    tolerance = Tolerance(terms, float(values.max()), f"{terms} terms, none of them negative")
    return {"importance": values.numpy()}, {"importance": tolerance}


def cgi(a: Arguments) -> Result:
    """The PyTorch twin, equation (3) in float64."""
    parts = tensor(a["grad_current"]), tensor(a["grad_buffer"])
    return _terms(importance.cgi(*parts, alpha=a["alpha"], beta=a["beta"]), 2)


def cwi(a: Arguments) -> Result:
    """The PyTorch twin, equation (1) in float64."""
    parts = tensor(a["weight"]), tensor(a["grad_current"]), tensor(a["grad_buffer"])
    return _terms(importance.cwi(*parts, alpha=a["alpha"], beta=a["beta"]), 3)


def probe_gradient(a: Arguments) -> Result:
    """The PyTorch twin: autograd in float64, chunk by chunk."""
    channels, features = a["x"].shape[1], a["weight"].shape[1]
    norm, linear = nn.BatchNorm2d(channels, eps=a["eps"]), nn.Linear(features, len(a["bias"]))
    model = nn.Sequential(norm, nn.Flatten(), linear).double()
    values = {"0.weight": "gamma", "0.bias": "beta", "2.weight": "weight", "2.bias": "bias"}
    model.load_state_dict({name: tensor(a[given]) for name, given in values.items()}, strict=False)
    found = importance.probe_gradients(
        model,
        ["2.weight"],
        tensor(a["x"]),
        tensor(a["labels"]),
        chunk=a["batch_size"],
        loss=lambda logits, labels: losses.cross_entropy(logits, labels, a["classes"]),
    )
    return {"dweight": found["2.weight"].numpy()}, {"dweight": _probe_tolerance(a)}


def _probe_tolerance(a: Arguments) -> Tolerance:
    """Sums of softmax minus one-hot times normalised inputs, both of which are rounded sums themselves.

    A normalised input errs by gamma (|x| + |mean|) / spread + |beta|, a logit by the sum of |weight| times that, and
    softmax by p_k ((1 - p_k) error_k + the sum of p_j error_j over the other classes), all in units of rounding.
    """
    samples, size = len(a["x"]), a["batch_size"]
    columns = list(range(len(a["bias"]))) if a["classes"] is None else a["classes"]
    weight, bias = a["weight"][columns], a["bias"][columns]
    total = np.zeros(weight.shape)
    for start in range(0, samples, size):
        x = a["x"][start : start + size]
        mean, spread = x.mean(axis=(0, 2, 3)), np.sqrt(x.var(axis=(0, 2, 3)) + a["eps"])
        per_channel = [v.reshape(1, -1, 1, 1) for v in (a["gamma"] / spread, mean, a["beta"])]
        scale, mean, shift = per_channel
        y = (scale * (x - mean) + shift).reshape(len(x), -1)
        y_error = (scale * (np.abs(x) + np.abs(mean)) + np.abs(shift)).reshape(len(x), -1)
        logits, error = y @ weight.T + bias, y_error @ np.abs(weight).T + np.abs(bias)
        p = np.exp(logits - logits.max(axis=1, keepdims=True))
        p /= p.sum(axis=1, keepdims=True)
        others = (p * error).sum(axis=1, keepdims=True) - p * error
        p_error = p * ((1 - p) * error + others)
        labels = a["labels"][start : start + size]
        dlogits = np.abs(p - (np.array(columns) == labels[:, None]))
        total += (dlogits.T @ y_error + (p + p_error).T @ np.abs(y)) / samples
    terms = a["weight"].shape[1] + samples + a["x"][:size, 0].size
    return Tolerance(
        terms, float(total.max()), "softmax minus one-hot times normalised inputs, with the errors of both"
    )


ORACLES: dict[str, Oracle] = {oracle.__name__: oracle for oracle in (cgi, cwi, probe_gradient)}


# --- wrong implementations --------------------------------------------------------------------------------------------

AXES = (0, 2, 3)


def cgi_by_hand(grad_current, grad_buffer, alpha, beta):
    return alpha * np.abs(grad_current) + beta * np.abs(grad_buffer)


def cwi_by_hand(weight, **rest):
    return np.abs(weight) + cgi_by_hand(**rest)


def normalised(x, gamma, beta, eps, mean, var):
    mean, var, gamma, beta = (array.reshape(1, -1, 1, 1) for array in (mean, var, gamma, beta))
    return (gamma * (x - mean) / np.sqrt(var + eps) + beta).reshape(len(x), -1)


def probe(x, labels, classes, weight, bias, gamma, beta, batch_size, eps, *, fault):
    total = np.zeros_like(weight)
    starts = range(0, len(x), batch_size)
    for start in starts:
        part, wanted = x[start : start + batch_size], labels[start : start + batch_size]
        if fault == "lonely" and len(part) == 1:
            continue
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


WRONG = (
    Wrong("cgi-size-of-sum", "cgi", "the size of the summed gradient",
        lambda grad_current, grad_buffer, alpha, beta: np.abs(alpha * grad_current + beta * grad_buffer),
        likely="the size of the gradients' sum instead of the sum of their sizes"),
    Wrong("cgi-swapped", "cgi", "alpha and beta are swapped",
        lambda grad_current, grad_buffer, alpha, beta: beta * np.abs(grad_current) + alpha * np.abs(grad_buffer),
        likely="alpha and beta exchanged"),
    Wrong("cgi-one-coefficient", "cgi", "one coefficient of 0.5 for both gradients",
        lambda grad_current, grad_buffer, **_: (np.abs(grad_current) + np.abs(grad_buffer)) / 2,
        likely="one coefficient for both gradients, as in the published code"),
    Wrong("cgi-current-only", "cgi", "the buffer is forgotten",
        lambda grad_current, alpha, **_: alpha * np.abs(grad_current), likely="the gradient on the buffer left out"),
    Wrong("cgi-squared", "cgi", "squares instead of sizes",
        lambda grad_current, grad_buffer, alpha, beta: alpha * grad_current**2 + beta * grad_buffer**2,
        likely="squares instead of absolute values"),
    Wrong("cgi-float32", "cgi", "sums in float32 in a float64 case",
        lambda grad_current, grad_buffer, alpha, beta: (
            np.float32(alpha) * np.abs(grad_current.astype(np.float32))
            + np.float32(beta) * np.abs(grad_buffer.astype(np.float32))
        ).astype(grad_current.dtype),
        likely="right to the precision of float32: something on the way is float32"),
    *(Wrong(f"{name}-{argument}-or-default", name, f"an {argument} of 0 is taken for none given",
        lambda argument=argument, default=default, function=function, **given:
            function(**given | {argument: given[argument] or default}),
        likely=f"{argument} = 0 taken for the default")
        for name, function in (("cgi", cgi_by_hand), ("cwi", cwi_by_hand))
        for argument, default in (("alpha", 0.5), ("beta", 1.0))),
    Wrong("cwi-weights-thrice", "cwi", "the weights stand in for the gradients",
        lambda weight, alpha, beta, **_: (1 + alpha + beta) * np.abs(weight),
        likely="the weights in place of their gradients: |w| + alpha |w| + beta |w|"),
    Wrong("cwi-weights-twice", "cwi", "|w| twice, no gradients", lambda weight, **_: 2 * np.abs(weight),
        likely="|w| counted twice with zero gradients"),
    Wrong("cwi-magnitude", "cwi", "importance without gradients", lambda weight, **_: np.abs(weight),
        likely="plain magnitude: the gradients are left out, or zero"),
    Wrong("cwi-no-weight", "cwi", "importance without weights",
        lambda weight, grad_current, grad_buffer, alpha, beta:
            alpha * np.abs(grad_current) + beta * np.abs(grad_buffer),
        likely="gradient importance (equation 3) without the weight's size"),
    Wrong("cwi-signed", "cwi", "the sign of the weight counts",
        lambda weight, grad_current, grad_buffer, alpha, beta:
            weight + alpha * np.abs(grad_current) + beta * np.abs(grad_buffer),
        likely="the sign of the weight kept"),
    Wrong("cwi-product", "cwi", "weight times gradient instead of their sum",
        lambda weight, grad_current, grad_buffer, alpha, beta:
            np.abs(weight * (alpha * grad_current + beta * grad_buffer)),
        likely="weight times gradient instead of their sum"),
    Wrong("probe-whole-batch", "probe_gradient", "batch-norm uses the statistics of all samples", probe,
        fault="whole batch", likely="batch statistics over all samples instead of each chunk's"),
    Wrong("probe-running", "probe_gradient", "batch-norm uses its running statistics", probe, fault="running"),
    Wrong("probe-equal-chunks", "probe_gradient", "a short last chunk weighs as much as the others", probe,
        fault="equal chunks", likely="chunks weighted equally instead of by their samples"),
    Wrong("probe-sizes", "probe_gradient", "sizes of chunk gradients are added, not gradients", probe,
        fault="sizes of chunks"),
    Wrong("probe-sum", "probe_gradient", "the gradient of the summed loss", probe, fault="sum",
        likely="the gradient of the summed loss instead of its mean"),
    Wrong("probe-drop-last", "probe_gradient", "a short last chunk is left out", probe, fault="drop last",
        likely="a short last chunk left out"),
    Wrong("probe-lonely", "probe_gradient", "a chunk of one sample is skipped", probe, fault="lonely",
        likely="a chunk of one sample left out"),
    Wrong("probe-first-chunk", "probe_gradient", "only the first chunk is read", probe, fault="first chunk",
        likely="only the first chunk read"),
    Wrong("probe-full-head", "probe_gradient", "the loss is over the full head", probe, fault="full head",
        likely="full-head loss where single-head is asked"),
)  # fmt: skip
