"""Whether something is left to learn with: weights alive in every layer, and updates in every task."""

from __future__ import annotations

from fractions import Fraction
from itertools import groupby

from sparcl_ref.config import Config
from sparcl_ref.cost.predict import Prediction
from sparcl_ref.cost.spec import ModelSpec
from sparcl_ref.masks import budgets
from sparcl_ref.settings import shown

#: The largest sparsity is given in steps of one over this.
STEPS = 10**6


def check_living(spec: ModelSpec, config: Config) -> None:
    """Refuse a sparsity whose budgets leave a layer, or all layers together, without a living weight.

    Where masks go by values instead of numbers nothing is known before they are chosen.

    Raises
    ------
    ValueError
        Naming the layer, its size, and the largest sparsity that leaves one.
    """
    layers = spec.sparsifiable
    if config.sparsity is None or not layers or not (config.policy_class.single or config.rules.counts_budgets):
        return
    shapes, kind = [layer.weight_shape for layer in layers], config.budgets
    living = budgets(shapes, config.sparsity, kind)
    if all(living):
        return
    if kind == "global":
        where, size = f"all {len(layers)} layers together", sum(layer.weights for layer in layers)
    else:
        empty = [layer for layer, alive in zip(layers, living, strict=True) if not alive]
        smallest = min(empty, key=lambda layer: layer.weights)
        where, size = smallest.parameter, smallest.weights
    raise ValueError(
        f"--sparsity {shown(config.sparsity)} leaves none of the {size} weights of {where} alive, so that nothing "
        f"could be learned; use at most {_largest(shapes, kind)}, a larger --width, or other --budgets"
    )


def _largest(shapes: list[tuple[int, ...]], kind: str) -> str:
    """The largest sparsity, in six decimals, at which every budget has a weight."""
    good, bad = 0, STEPS
    while bad - good > 1:
        middle = (good + bad) // 2
        if all(budgets(shapes, Fraction(middle, STEPS), kind)):
            good = middle
        else:
            bad = middle
    return f"{good / STEPS:.6f}".rstrip("0").rstrip(".")


def idle_tasks(config: Config, prediction: Prediction) -> str:
    """A line on tasks whose every step the policy spends on masks; "" if there are none."""
    if not (config.sparse and config.policy_class.spends and config.method_class.learns):
        return ""
    by_task = groupby(prediction.epochs, key=lambda plan: plan.task)
    idle = [task for task, plans in by_task if not any(number for plan in plans for number, _ in plan.updates)]
    if not idle:
        return ""
    return (
        f"--policy {config.policy} spends every step of task {', '.join(map(str, idle))} on masks, so that nothing is "
        "trained there; use a smaller --batch-size or more --epochs"
    )
