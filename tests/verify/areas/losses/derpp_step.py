"""A step of DER++: inputs, oracle and wrong implementations."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import torch
from torch import Tensor, nn

from tests.torch_twin.config import Config
from tests.torch_twin.step import Replayed, observe
from tests.verify.areas.losses.cross_entropy import TASK, softmax_loss
from tests.verify.areas.losses.mse_logits import mse
from tests.verify.draws import floats, integers
from tests.verify.spec import Arguments, CaseSpec, Oracle, Result, Tolerance, Wrong
from tests.verify.tensors import array, largest, tensor


def cases() -> Iterator[CaseSpec]:
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
        ("full-head", "regular",
         "one shared draw for both terms; logits stored after the update; old logits taken for targets of the batch",
         {}),
        ("single-head", "regular",
         "full-head loss where single-head is asked; masked logits stored; the single head on replayed samples",
         {"head": "single"}),
        ("coefficients", "regular", "a and b exchanged", {"alpha": 0.75, "beta": 0.25, "lr": 0.125}),
        ("empty-buffer", "edge", "the mean over no sample is NaN; the step goes on with the batch alone", empty),
        ("one-sample", "edge", "means over one sample; draws shorter than the batch, and of different lengths",
         {"dark_draw": np.array([2, 6]), "replay_draw": np.array([2])} | {key: batch[key][:1] for key in ("images",
         "labels")}),
        ("dead-hidden-unit", "edge", "a unit that no sample activates: its weights stay where they are",
         {"b1": np.where(np.arange(hidden) == 3, -16.0, network["b1"])}),
        ("single-head-again", "regular",
         "full-head loss where single-head is asked; masked logits stored; the single head on replayed samples",
         {"head": "single", "labels": np.array([2, 7, 2, 2]), "classes": [2, 7], "alpha": 0.5, "beta": 1.0}),
        ("large-gradients", "adversarial", "gradients clipped at norm 1, 10 or 100: nothing is clipped",
         {"images": batch["images"] * 16, "buffer_images": buffer["buffer_images"] * 16,
          "buffer_logits": buffer["buffer_logits"] * 64, "b1": network["b1"] * 4, "lr": 2.0**-6}),
        ("larger-gradients", "adversarial", "gradients clipped at norm 1, 10 or 100: nothing is clipped",
         {"images": batch["images"] * 64, "b1": network["b1"] * 16, "lr": 2.0**-10, **empty}),
        ("same-draw-twice", "adversarial",
         "the same slots in both draws still make two terms, one against logits and one against labels",
         {"dark_draw": np.array([1, 4]), "replay_draw": np.array([1, 4])}),
        ("no-step", "adversarial", "learning rate 0: logits are those of the pass and nothing moves", {"lr": 0.0}),
    ]:  # fmt: skip
        yield CaseSpec("derpp_step", name, kind, note, {**network, **batch, **buffer, **changed})


# --- oracle -----------------------------------------------------------------------------------------------------------

#: How near to 0 a hidden unit may come in a case, so that float32 sees it on the same side.
KINK = 1e-3


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


ORACLES: dict[str, Oracle] = {"derpp_step": derpp_step}


# --- wrong implementations --------------------------------------------------------------------------------------------


def step(
    w1, b1, w2, b2, images, labels, classes, buffer_images, buffer_labels, buffer_logits, dark_draw, replay_draw, head,
    alpha, beta, lr, *, fault,
):  # fmt: skip
    if fault == "shared draw":
        replay_draw = dark_draw
    if fault == "other head":
        head = "full"
    old = [array.copy() for array in (w1, b1, w2, b2)]
    grads = [np.zeros_like(array) for array in old]

    def one_pass(x):
        hidden = np.maximum(x @ old[0].T + old[1], 0)
        return hidden, hidden @ old[2].T + old[3]

    def descend(x, hidden, dlogits):
        dhidden = (dlogits @ old[2]) * (hidden > 0)
        for grad, part in zip(grads, (dhidden.T @ x, dhidden.sum(0), dlogits.T @ hidden, dlogits.sum(0)), strict=True):
            grad += part
        if fault == "step by step":
            for array, grad in zip(old, grads, strict=True):
                array -= lr * grad
                grad[...] = 0

    hidden, logits = one_pass(images)
    descend(images, hidden, softmax_loss(logits, labels, classes if head == "single" else None)[1])
    x = buffer_images[dark_draw]
    hidden, dark = one_pass(x)
    if len(x):
        targets = dark.copy() if fault == "targets now" else buffer_logits[dark_draw]
        descend(x, hidden, alpha * mse(dark, targets)[1])
    x = buffer_images[replay_draw]
    hidden, again = one_pass(x)
    if len(x):
        descend(x, hidden, beta * softmax_loss(again, buffer_labels[replay_draw])[1])
    if fault.startswith("clipped"):
        limit = float(fault.split()[1])
        norm = np.sqrt(sum((grad**2).sum() for grad in grads))
        grads = [grad * min(1.0, limit / norm) for grad in grads]
    old = [array - lr * grad for array, grad in zip(old, grads, strict=True)]
    if fault == "logits after update":
        logits = one_pass(images)[1]
    if fault == "logits masked" and head == "single":
        logits = np.where(np.isin(np.arange(logits.shape[1]), classes), logits, 0.0)
    return *old, logits


WRONG = (
    Wrong("step-shared-draw", "derpp_step", "one draw serves both replay terms", step, fault="shared draw",
        likely="one shared draw for both replay terms"),
    Wrong("step-logits-later", "derpp_step", "the stored logits are those after the update", step,
        fault="logits after update", likely="logits stored from a pass after the update"),
    Wrong("step-logits-masked", "derpp_step", "the stored logits are those after the head mask", step,
        fault="logits masked", likely="stored logits masked to the task's classes"),
    *(Wrong(f"step-clipped-{norm}", "derpp_step", f"gradients are clipped at norm {norm}", step,
        fault=f"clipped {norm}", likely="the gradient clipped by its norm") for norm in (1, 10, 100)),
    Wrong("step-full-head", "derpp_step", "the current batch is always over the full head", step, fault="other head",
        likely="full-head loss where single-head is asked"),
    Wrong("step-targets-now", "derpp_step", "the replayed logits are compared with themselves", step,
        fault="targets now"),
    Wrong("step-by-step", "derpp_step", "an update after each of the three passes", step, fault="step by step"),
)  # fmt: skip
