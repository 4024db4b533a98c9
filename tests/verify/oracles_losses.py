"""Expected values of the losses: PyTorch's, differentiated by autograd in float64; a whole step by the PyTorch twin."""

from __future__ import annotations

import math

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from tests.torch_twin.config import Config
from tests.torch_twin.step import Replayed, observe
from tests.verify.oracles_layers import Result, array, gradients, largest, tensor
from tests.verify.spec import Arguments, Oracle, Tolerance

#: How near to 0 a hidden unit may come in a case, so that float32 sees it on the same side.
KINK = 1e-3


def _head(logits: Tensor, classes: list[int] | None) -> Tensor:
    """Logits with those of other classes at minus infinity, as the paper writes the single head."""
    if classes is None:
        return logits
    out = torch.ones(logits.shape[1], dtype=torch.bool)
    out[classes] = False
    return logits.masked_fill(out, -math.inf)


def _ce(logits: Tensor, labels: Tensor, classes: list[int] | None = None, reduction: str = "mean") -> Tensor:
    if len(labels) == 0:
        return logits.sum()  # 0, and an empty gradient
    return functional.cross_entropy(_head(logits, classes), labels, reduction=reduction)


def _ce_reach(logits: Tensor, classes: list[int] | None) -> tuple[float, float]:
    """Magnitudes of a sample's loss and of the gradient of their mean.

    The loss is log C and two logits at most, whichever way the maximum is taken out. A probability lies in 0..1; its
    exponent may be off by the size of a logit.
    """
    if len(logits) == 0:
        return 0.0, 0.0
    z = logits if classes is None else logits[:, classes]
    reach = 2 * largest(z) + math.log(z.shape[1])
    return reach, (2 + reach) / len(z)


_CE_REASON = "exponentials over the classes; logits of this size in the exponent"


def cross_entropy(a: Arguments) -> Result:
    """torch.nn.functional.cross_entropy and autograd in float64, classes left out at minus infinity."""
    logits, labels, classes = tensor(a["logits"]), tensor(a["labels"]), a["classes"]
    (dlogits,) = gradients(lambda z: _ce(z, labels, classes), [logits], torch.tensor(1.0, dtype=torch.float64))
    count, samples = logits.shape[1], len(logits)
    loss_reach, gradient_reach = _ce_reach(logits, classes)
    zeros = None
    if classes is not None:
        out = np.ones(logits.shape, dtype=bool)
        out[:, classes] = False
        zeros = out
        dlogits[torch.tensor(out)] = 0.0
    per_sample = _ce(logits, labels, classes, reduction="none")
    tolerances = {
        "per_sample": Tolerance(count + 3, loss_reach, _CE_REASON),
        "dlogits": Tolerance(count + 4 + (samples > 1), gradient_reach, _CE_REASON, zeros),
    }
    return {"per_sample": array(per_sample), "dlogits": array(dlogits)}, tolerances


def _mse(logits: Tensor, targets: Tensor) -> Tensor:
    return functional.mse_loss(logits, targets) if len(logits) else logits.sum()


def mse_logits(a: Arguments) -> Result:
    """torch.nn.functional.mse_loss and autograd in float64."""
    logits, targets = tensor(a["logits"]), tensor(a["targets"])
    (dlogits,) = gradients(lambda z: _mse(z, targets), [logits], torch.tensor(1.0, dtype=torch.float64))
    per_sample = functional.mse_loss(logits, targets, reduction="none").mean(dim=1)
    tolerances = {
        "per_sample": Tolerance(logits.shape[1] + 2, largest(per_sample), "squares over the logits of a sample"),
        "dlogits": Tolerance(3, largest(dlogits), "one difference, scaled"),
    }
    return {"per_sample": array(per_sample), "dlogits": array(dlogits)}, tolerances


def _of_passes(a: Arguments, passes: dict[str, Tensor], loss, reaches: dict[str, tuple[float, float]]) -> Result:
    """Loss and gradients of several passes; ``reaches``: magnitude of loss and gradient of each, with coefficient."""
    inputs = list(passes.values())
    found = gradients(loss, inputs, torch.tensor(1.0, dtype=torch.float64))
    values = {"loss": array(loss(*inputs))} | {f"d{k}": array(g) for k, g in zip(passes, found, strict=True)}
    classes = max(z.shape[1] for z in inputs)
    longest = max(z.numel() for z in inputs)
    total = sum(reach for reach, _ in reaches.values())
    tolerances = {"loss": Tolerance(longest + classes + 6, total, "means over samples of exponentials over classes")}
    for name, (_, reach) in reaches.items():
        tolerances[f"d{name}"] = Tolerance(classes + 6, reach, _CE_REASON)
    return values, tolerances


def _scaled(reach: tuple[float, float], factor: float) -> tuple[float, float]:
    return factor * reach[0], factor * reach[1]


def er_loss(a: Arguments) -> Result:
    """The sum of torch.nn.functional.cross_entropy over both batches, and autograd, in float64."""
    labels, old = tensor(a["labels"]), tensor(a["replay_labels"])
    passes = {name: tensor(a[name]) for name in ("logits", "replay_logits")}
    reaches = {
        "logits": _ce_reach(passes["logits"], a["classes"]),
        "replay_logits": _scaled(_ce_reach(passes["replay_logits"], None), a["weight"]),
    }
    return _of_passes(
        a, passes, lambda z, replayed: _ce(z, labels, a["classes"]) + a["weight"] * _ce(replayed, old), reaches
    )


def derpp_loss(a: Arguments) -> Result:
    """The weighted sum of PyTorch's cross_entropy and mse_loss over three batches, and autograd, in float64."""
    labels, old, targets = (tensor(a[name]) for name in ("labels", "replay_labels", "dark_targets"))
    passes = {name: tensor(a[name]) for name in ("logits", "dark_logits", "replay_logits")}
    dark = passes["dark_logits"]
    differences = dark - targets
    mean = float((differences**2).mean()) if len(dark) else 0.0
    slope = 2 * largest(differences) / max(1, dark.numel())
    reaches = {
        "logits": _ce_reach(passes["logits"], a["classes"]),
        "dark_logits": _scaled((mean, slope), a["alpha"]),
        "replay_logits": _scaled(_ce_reach(passes["replay_logits"], None), a["beta"]),
    }

    def loss(z: Tensor, dark_z: Tensor, old_z: Tensor) -> Tensor:
        return _ce(z, labels, a["classes"]) + a["alpha"] * _mse(dark_z, targets) + a["beta"] * _ce(old_z, old)

    return _of_passes(a, passes, loss, reaches)


def derpp_step(a: Arguments) -> Result:
    """The passes of the PyTorch twin (autograd, float64), then torch.optim.SGD."""
    names = ("w1", "b1", "w2", "b2")
    hidden, inputs = a["w1"].shape
    model = nn.Sequential(nn.Linear(inputs, hidden), nn.ReLU(), nn.Linear(hidden, len(a["b2"]))).double()
    with torch.no_grad():
        for parameter, name in zip(model.parameters(), names, strict=True):
            parameter.copy_(tensor(a[name]))
    images, labels, buffer = (tensor(a[key]) for key in ("images", "labels", "buffer_images"))
    draws = [tensor(a[key]) for key in ("dark_draw", "replay_draw")]
    stored = tensor(a["buffer_labels"]), tensor(a["buffer_logits"])
    near = model[0](torch.cat([images, buffer])).abs().min()
    if near < KINK:
        raise ValueError(f"a hidden unit is within {KINK} of the kink of ReLU: float32 may see it on the other side")
    replayed = [Replayed(buffer[draw], stored[0][draw], stored[1][draw]) for draw in draws if len(buffer)]
    config = Config(method="derpp", head=a["head"], sparsity=None, alpha=a["alpha"], beta=a["beta"])
    step = observe(model, config, images, labels, a["classes"], replayed)
    for name, parameter in model.named_parameters():
        parameter.grad = step.current[name] + step.replay[name]
    torch.optim.SGD(model.parameters(), lr=a["lr"]).step()
    outputs = {name: array(p) for name, p in zip(names, model.parameters(), strict=True)}
    return outputs | {"logits": array(step.logits)}, _step_tolerances(a, draws)


def _step_tolerances(a: Arguments, draws: list[Tensor]) -> dict[str, Tolerance]:
    """The step on absolute values: every product and sum counts with its largest possible size."""
    w1, b1, w2, b2, images, buffer = (tensor(a[k]).abs() for k in ("w1", "b1", "w2", "b2", "images", "buffer_images"))

    def logits(x: Tensor) -> tuple[Tensor, Tensor]:
        h = x @ w1.T + b1
        return h, h @ w2.T + b2

    h, z = logits(images)
    batches = [(images, h, (2 + z) / len(z))]
    if len(buffer):
        stored = tensor(a["buffer_logits"]).abs()
        for draw, coefficient, dark in zip(draws, (a["alpha"], a["beta"]), (True, False), strict=True):
            old_h, old_z = logits(buffer[draw])
            slope = 2 * (old_z + stored[draw]) / old_z.numel() if dark else (2 + old_z) / len(old_z)
            batches.append((buffer[draw], old_h, coefficient * slope))
    steps = {
        "w2": sum(dz.T @ h for _, h, dz in batches),
        "b2": sum(dz.sum(dim=0) for _, _, dz in batches),
        "w1": sum((dz @ w2).T @ x for x, _, dz in batches),
        "b1": sum((dz @ w2).sum(dim=0) for _, _, dz in batches),
    }
    (hidden, inputs), samples = w1.shape, sum(len(x) for x, _, _ in batches)
    terms = inputs + hidden + 2 * len(b2) + samples + 10
    old = {"w1": w1, "b1": b1, "w2": w2, "b2": b2}
    reason = "two layers forward, softmax, two layers backward, samples of three batches"
    tolerances = {name: Tolerance(terms, largest(old[name] + a["lr"] * steps[name]), reason) for name in old}
    return tolerances | {"logits": Tolerance(inputs + hidden + 2, largest(z), "two layers forward")}


ORACLES: dict[str, Oracle] = {
    oracle.__name__: oracle for oracle in (cross_entropy, mse_logits, er_loss, derpp_loss, derpp_step)
}
