"""The optimiser and learning rates: inputs, oracle and wrong implementations."""

from __future__ import annotations

import math
from collections.abc import Iterator
from functools import partial
from typing import Any

import numpy as np
import torch

from tests.verify.draws import floats, truths
from tests.verify.spec import Arguments, CaseSpec, Oracle, Result, Tolerance, Wrong
from tests.verify.tensors import array, largest, tensor


def cases() -> Iterator[CaseSpec]:
    yield from _optimizer()
    yield from _schedules()


def _optimizer() -> Iterator[CaseSpec]:
    shape = (4, 5)
    value, grad, velocity = (floats(f"sgd {name}", shape) for name in ("value", "grad", "velocity"))
    mask = truths("sgd mask", shape, count=11)
    grad_mask = mask & truths("sgd grad mask", shape, count=12)
    dense = {"value": value, "grad": grad, "velocity": velocity}
    masked = {
        "value": np.where(mask, value, 0.0),
        "grad": grad,
        "velocity": np.where(mask, velocity, 0.0),
        "mask": mask,
    }
    start = np.zeros(shape)
    poisoned = np.where(mask, grad, np.resize([np.nan, np.inf, -np.inf], shape))
    everything = {"momentum": 0.875, "nesterov": True, "weight_decay": 0.25}
    variants: list[tuple[str, str, str, dict[str, Any], dict[str, Any]]] = [
        ("plain", "regular", "the sign of the step; a velocity that lingers without momentum", dense, {"lr": 0.03}),
        ("momentum", "regular", "dampening (1 - momentum) on the gradient; a learning rate inside the velocity", dense,
         {"lr": 0.03, "momentum": 0.9}),
        ("first-step", "regular", "dampening at the first step, where the velocity becomes the gradient itself",
         {**dense, "velocity": start}, {"lr": 0.03, "momentum": 0.9}),
        ("nesterov", "regular", "the look-ahead with the old velocity instead of the new one", dense,
         {"lr": 0.5, "momentum": 0.875, "nesterov": True}),
        ("weight-decay", "regular", "decay decoupled from the velocity, or divided by 2", dense,
         {"lr": 0.125, "momentum": 0.5, "weight_decay": 0.25}),
        ("masked", "regular", "mask applied to weights but not to momentum: dead velocity gathers gradients", masked,
         {"lr": 0.125, **everything}),
        ("gradient-mask", "regular", "a gradient mask that also stops momentum and weight decay of living weights",
         {**masked, "grad_mask": grad_mask}, {"lr": 0.125, **everything}),
        ("gradient-mask-plain", "edge", "silenced weights must keep their values to the bit without momentum and decay",
         {**masked, "grad_mask": grad_mask}, {"lr": 0.03}),
        ("gradient-mask-all-dead", "edge",
         "a layer whose gradients are all silenced skips its update: momentum and decay go on",
         {**masked, "grad_mask": np.zeros(shape, dtype=bool)}, {"lr": 0.125, **everything}),
        ("mask-all-dead", "edge", "a layer without living weights: everything becomes +0.0",
         {**dense, "mask": np.zeros(shape, dtype=bool)}, {"lr": 0.125, **everything}),
        ("negative-zeros", "adversarial", "dead entries multiplied by the mask: negative ones leave -0.0",
         {"value": -np.abs(value), "grad": np.abs(grad), "velocity": -np.abs(velocity), "mask": mask},
         {"lr": 0.125, "momentum": 0.5}),
        ("poisoned-dead-gradients", "adversarial", "dead entries multiplied by the mask: NaN and infinity stay NaN",
         {**masked, "grad": poisoned}, {"lr": 0.125, **everything}),
        ("poisoned-silenced-gradients", "adversarial",
         "a gradient multiplied by its mask: NaN of a silenced living weight stays NaN",
         {**masked, "grad": np.where(grad_mask, grad, np.nan), "grad_mask": grad_mask}, {"lr": 0.125, **everything}),
        ("zero-learning-rate", "adversarial", "a step of 0 still moves the velocity and still clears what is dead",
         {**dense, "mask": mask}, {"lr": 0.0, "momentum": 0.5}),
        ("large-gradient", "adversarial", "a gradient clipped at norm 1, 10 or 100: nothing is clipped",
         {**dense, "grad": grad * 256}, {"lr": 2.0**-8}),
        ("large-gradient-masked", "adversarial", "a gradient clipped by value or norm, before momentum and decay",
         {**masked, "grad": grad * 256, "grad_mask": grad_mask}, {"lr": 2.0**-8, **everything}),
        ("nesterov-decay", "regular", "a look-ahead with the bare gradient: decay is part of it", dense,
         {"lr": 0.125, "momentum": 0.5, "nesterov": True, "weight_decay": 0.5}),
        ("zero-gradient", "edge", "momentum goes on without a gradient", {**dense, "grad": start},
         {"lr": 1.0, "momentum": 0.5}),
    ]  # fmt: skip
    for name, kind, note, arrays, settings in variants:
        yield CaseSpec("sgd_step", name, kind, note, {**arrays, **settings})


def _schedules() -> Iterator[CaseSpec]:
    for name, kind, note, arguments in [
        ("constant-last", "regular", "a rate that falls although it is constant", ("constant", 0.03, 50, 50)),
        ("cosine-first", "edge", "epochs counted from 0: the first epoch has the full rate", ("cosine", 0.1, 1, 10)),
        ("cosine-middle", "regular", "a cosine over epochs - 1", ("cosine", 0.1, 4, 10)),
        ("cosine-last", "edge", "a last epoch with rate 0", ("cosine", 0.1, 10, 10)),
        ("cosine-one-epoch", "edge", "a division by epochs - 1", ("cosine", 0.1, 1, 1)),
        ("step-at-milestone", "edge", "the rate falls after epoch 5, not at its start", ("step", 0.1, 5, 10)),
        ("step-after-milestone", "regular", "the default factor 0.1, once", ("step", 0.1, 6, 10)),
        ("step-odd-epochs", "adversarial", "halves rounded down: of 7 epochs, 4 have the full rate",
         ("step", 0.1, 4, 7)),
        ("step-three-quarters", "adversarial", "three quarters of 7 epochs round up to 6", ("step", 0.1, 6, 7)),
        ("step-given", "regular", "given milestones and factor ignored", ("step", 0.5, 9, 10, [2, 3, 8], 0.5)),
        ("step-no-milestones-late", "adversarial", "an empty list taken for the default",
         ("step", 0.25, 20, 20, [], 0.5)),
        ("step-no-milestones", "adversarial", "an empty list taken for the default", ("step", 0.5, 9, 10, [], 0.5)),
    ]:  # fmt: skip
        names = ("schedule", "base", "epoch", "epochs", "milestones", "gamma")
        yield CaseSpec("learning_rate", name, kind, note, dict(zip(names, arguments, strict=False)))


# --- oracle -----------------------------------------------------------------------------------------------------------


def sgd_step(a: Arguments) -> Result:
    """torch.optim.SGD in float64 on the silenced gradient; dead entries assigned +0.0 afterwards."""
    living = a["mask"] if a["mask"] is not None else np.ones(a["value"].shape, dtype=bool)
    counted = living if a["grad_mask"] is None else a["grad_mask"]
    parameter = torch.nn.Parameter(tensor(np.where(living, a["value"], 0.0)))
    parameter.grad = tensor(np.where(counted, a["grad"], 0.0))
    velocity = tensor(np.where(living, a["velocity"], 0.0))
    settings = {key: a[key] for key in ("lr", "momentum", "nesterov", "weight_decay")}
    optimizer = torch.optim.SGD([parameter], **settings)
    if a["momentum"]:
        optimizer.state[parameter]["momentum_buffer"] = velocity.clone()

    g = parameter.grad.abs() + a["weight_decay"] * parameter.detach().abs()
    v = a["momentum"] * velocity.abs() + g
    moved = g + a["momentum"] * v if a["nesterov"] else v
    reach = {"value": parameter.detach().abs() + a["lr"] * moved, "velocity": v}

    optimizer.step()
    values = {"value": array(parameter).copy()}
    if a["momentum"]:
        values["velocity"] = array(optimizer.state[parameter]["momentum_buffer"])
    for each in values.values():
        each[~living] = 0.0
    reason = "gradient, decay, velocity and step, entry by entry, and rounded settings"
    return values, {name: Tolerance(8, largest(reach[name]), reason, ~living) for name in values}


def learning_rate(a: Arguments) -> Result:
    """torch.optim.lr_scheduler, stepped once after each epoch before this one."""
    optimizer = torch.optim.SGD([torch.zeros(1)], lr=a["base"])
    milestones = a["milestones"]
    if milestones is None:
        milestones = [-(-a["epochs"] // 2), -(-3 * a["epochs"] // 4)]
    schedules = torch.optim.lr_scheduler
    schedule = {
        "constant": lambda: schedules.ConstantLR(optimizer, factor=1.0),
        "cosine": lambda: schedules.CosineAnnealingLR(optimizer, T_max=a["epochs"]),
        "step": lambda: schedules.MultiStepLR(optimizer, milestones, gamma=a["gamma"]),
    }[a["schedule"]]()
    for _ in range(a["epoch"] - 1):
        optimizer.step()
        schedule.step()
    rate = np.array(optimizer.param_groups[0]["lr"])
    return {"rate": rate}, {"rate": Tolerance(a["epoch"] + 4, a["base"], "a cosine, or a product of factors")}


ORACLES: dict[str, Oracle] = {"sgd_step": sgd_step, "learning_rate": learning_rate}


# --- wrong implementations --------------------------------------------------------------------------------------------


def step(value, grad, velocity, mask, grad_mask, lr, momentum, nesterov, weight_decay, *, fault=""):
    mask = np.ones(value.shape, bool) if mask is None else mask
    grad_mask = mask if grad_mask is None else grad_mask
    g = np.where(grad_mask, grad, 0.0) if fault != "gradient mask ignored" else np.where(mask, grad, 0.0)
    if fault.startswith("clipped"):
        g = g * min(1.0, float(fault.split()[1]) / max(np.sqrt((g**2).sum()), 1e-300))
    bare = g
    if fault != "decoupled":
        g = g + weight_decay * value
    if fault == "mask stops decay":
        g = np.where(grad_mask, g, 0.0)
    v = momentum * velocity + (lr * g if fault == "rate inside" else g)
    if fault == "dampened":
        v = momentum * velocity + (1 - momentum) * g
    if fault == "mask stops momentum":
        v = np.where(grad_mask, v, 0.0)
    move = (lr * g if fault == "rate inside" else g) + momentum * v if nesterov else v
    if fault == "nesterov bare" and nesterov:
        move = bare + momentum * v
    if fault == "nesterov ignored":
        move = v
    if fault == "old velocity":
        move = g + momentum * velocity if nesterov else v
    new = value - (move if fault == "rate inside" else lr * move)
    if fault == "decoupled":
        new = new - lr * weight_decay * value
    if fault == "product":
        return new * mask, v * mask
    return np.where(mask, new, 0.0), v if fault == "momentum unmasked" else np.where(mask, v, 0.0)


def rate(schedule, base, epoch, epochs, milestones, gamma, *, shift=0, inclusive=False, floor=False):
    if schedule == "constant":
        return base
    if schedule == "cosine":
        return base * (1 + math.cos(math.pi * (epoch - 1 + shift) / epochs)) / 2
    if milestones is None:
        half, rest = epochs / 2, 3 * epochs / 4
        milestones = (half // 1, rest // 1) if floor else (math.ceil(half), math.ceil(rest))
    return base * gamma ** sum(m <= epoch if inclusive else m < epoch for m in milestones)


WRONG = (
    Wrong("sgd-momentum-unmasked", "sgd_step", "the mask is applied to weights but not to momentum", step,
        fault="momentum unmasked", likely="velocity not masked: it lives on at dead entries"),
    Wrong("sgd-mask-product", "sgd_step", "the mask is multiplied, which leaves -0.0", step, fault="product"),
    Wrong("sgd-gradient-mask-ignored", "sgd_step", "silenced gradients count", step, fault="gradient mask ignored",
        likely="the gradient mask ignored"),
    Wrong("sgd-mask-stops-decay", "sgd_step", "the gradient mask stops weight decay too", step,
        fault="mask stops decay", likely="the gradient mask stops weight decay as well"),
    Wrong("sgd-mask-stops-momentum", "sgd_step", "the gradient mask stops momentum too", step,
        fault="mask stops momentum", likely="the gradient mask clears the velocity"),
    Wrong("sgd-decoupled", "sgd_step", "weight decay does not pass through momentum", step, fault="decoupled",
        likely="weight decay decoupled from the gradient, as in AdamW"),
    Wrong("sgd-rate-inside", "sgd_step", "the rate is part of the velocity", step, fault="rate inside",
        likely="the learning rate inside the velocity (Sutskever's convention)"),
    Wrong("sgd-dampened", "sgd_step", "new gradients weigh 1 - mu", step, fault="dampened",
        likely="dampened: new gradients weigh 1 - momentum"),
    Wrong("sgd-nesterov-ignored", "sgd_step", "Nesterov's variant is plain momentum", step, fault="nesterov ignored",
        likely="plain momentum where Nesterov's is asked, or the old velocity in it, which is the same"),
    Wrong("sgd-nesterov-old", "sgd_step", "Nesterov's variant looks ahead with the old velocity", step,
        fault="old velocity",
        likely="plain momentum where Nesterov's is asked, or the old velocity in it, which is the same"),
    Wrong("sgd-nesterov-bare", "sgd_step", "Nesterov's variant looks ahead without decay", step,
        fault="nesterov bare", likely="Nesterov's look-ahead with the gradient alone: weight decay left out of it"),
    *(Wrong(f"sgd-clipped-{norm}", "sgd_step", f"gradients are clipped at norm {norm}", step,
        fault=f"clipped {norm}", likely="the gradient clipped by its norm") for norm in (1, 10, 100)),
    Wrong("rate-no-milestones", "learning_rate", "an empty list of milestones is taken for none given",
        lambda milestones, **given: rate(milestones=milestones or None, **given),
        likely="an empty list of milestones taken for the default"),
    Wrong("rate-cosine-late", "learning_rate", "the cosine starts a step late", partial(rate, shift=1),
        likely="epochs of the cosine counted from 0"),
    Wrong("rate-step-early", "learning_rate", "a step falls an epoch early", partial(rate, inclusive=True)),
    Wrong("rate-floor", "learning_rate", "default milestones are rounded down", partial(rate, floor=True)),
)  # fmt: skip
