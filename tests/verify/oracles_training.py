"""Expected values of the optimizer, by PyTorch's own, and of metrics, by counting and by exact fractions."""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction

import numpy as np
import torch

from tests.verify.oracles_layers import Result, array, largest, tensor
from tests.verify.spec import Arguments, Oracle, Tolerance


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


def correct(a: Arguments) -> Result:
    """Sample by sample: no class that takes part has a larger logit, and no lower one as large a logit."""
    classes = range(a["logits"].shape[1]) if a["classes"] is None else a["classes"]
    found = []
    for row, label in zip(a["logits"], a["labels"], strict=True):
        beaten = any(row[c] > row[label] or (row[c] == row[label] and c < label) for c in classes)
        found.append(not beaten)
    return {"correct": np.array(found)}, {}


def _metric(terms_of: Callable[[list[list[Fraction]], int], list[Fraction]], absolute: int) -> Oracle:
    """The mean of exact fractions; ``absolute`` numbers of at most 1 make up each of them."""

    def oracle(a: Arguments) -> Result:
        """A mean of exact fractions, rounded once."""
        rows = [[Fraction(float(entry)) for entry in row] for row in a["matrix"]]
        terms = terms_of(rows, len(rows[0]))
        value = float(sum(terms) / len(terms)) if terms else float("nan")
        tolerance = Tolerance(absolute * len(terms) + 1, absolute, "accuracies of at most 1, over tasks")
        return {"value": np.array(value)}, {"value": tolerance}

    return oracle


#: Tasks are counted from 1, as in the formulas; r[t][j - 1] is R_{t,j}.
METRICS: dict[str, Oracle] = {
    "average_accuracy": _metric(lambda r, n: [r[n][j - 1] for j in range(1, n + 1)], 1),
    "forgetting": _metric(lambda r, n: [max(r[t][j - 1] for t in range(j, n)) - r[n][j - 1] for j in range(1, n)], 2),
    "backward_transfer": _metric(lambda r, n: [r[n][j - 1] - r[j][j - 1] for j in range(1, n)], 2),
    "forward_transfer": _metric(lambda r, n: [r[j - 1][j - 1] - r[0][j - 1] for j in range(2, n + 1)], 2),
    "learning_accuracy": _metric(lambda r, n: [r[j][j - 1] for j in range(1, n + 1)], 1),
}

ORACLES: dict[str, Oracle] = {
    "sgd_step": sgd_step,
    "learning_rate": learning_rate,
    "correct": correct,
    **METRICS,
}
