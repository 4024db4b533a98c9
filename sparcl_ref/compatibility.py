"""Which settings of a run go together: what they demand of one another, and of its method, policy and stream."""

from __future__ import annotations

import dataclasses
from typing import Any

from sparcl_ref.masks import exact
from sparcl_ref.settings import require

#: What a run is that lacks an attribute which a setting needs to matter.
_LACKING = {
    "sparse": "without --sparsity",
    "ddr": "with --no-ddr",
    "dgm": "with --no-dgm",
    "rehearses": "for a method without a rehearsal buffer",
}


def check_together(config: Any) -> None:
    """Refuse the settings of a run that do not go together, by a ValueError that names them and what to do.

    ``config`` is the `sparcl_ref.config.Config` that is being made.
    """
    if config.rehearses and config.buffer_size < 1:
        raise ValueError(
            f"--buffer-size must be at least 1 for the rehearsal method {config.method}, got {config.buffer_size}; "
            "give it a buffer or choose --method sgd"
        )
    if config.head != "auto" and config.method_class.own_head:
        raise ValueError(
            f"--head must be auto for the method {config.method}, which decides itself over which classes its losses "
            f"go, got {config.head}"
        )
    if config.align != "none" and config.method_class.own_masks:
        raise ValueError(
            f"--align {config.align} compares rows of the classifier of one network, and {config.method} has one for "
            "each task; choose --align none"
        )
    config.scenario.check(config)
    if not config.scenario.class_incremental:
        check_shared_classes(config)
    if config.nesterov and config.momentum == 0:
        raise ValueError("--nesterov needs a --momentum above 0")
    if config.dgm_q is not None:
        most = 1 - exact(config.sparsity or 0)
        good = 0 <= exact(config.dgm_q) <= most
        require("dgm_q", config.dgm_q, good, f"in 0..{float(most):g} (1 - sparsity)")
    if config.sparsity is None:
        return
    if config.method_class.joint:
        raise ValueError(
            f"--sparsity needs a method that learns task by task, got {config.method}; choose another --method"
        )
    if config.method_class.own_masks:
        raise ValueError(
            f"--sparsity needs a method that leaves masks to a policy, and {config.method} says itself which weights "
            "live; leave --sparsity out or choose another --method"
        )
    config.policy_class.check(config.schedule, config.policy_settings)
    if config.policy_class.spends and not config.method_class.learns:
        raise ValueError(
            f"--policy {config.policy} goes by the gradient of a step, and --method {config.method} computes none in "
            "its steps; choose another --policy"
        )
    config.make_policy().actions(1, 1)  # refuses a schedule that its rule cannot follow
    if config.budgets != "uniform" and not config.rules.counts_budgets:
        raise ValueError(
            f"--budgets {config.budgets} needs rules that count: use --structure irregular and the paper's "
            "initial_mask, shrink and grow, or choose --budgets uniform"
        )


def why_dense(config: Any) -> str:
    """Why the method of a run goes with no mask policy, so that --sparsity is refused; "" if it does with one."""
    if config.method_class.joint:
        return "which learns all tasks at once"
    return "which says itself which weights live" if config.method_class.own_masks else ""


def why_idle(config: Any, name: str) -> str:
    """Why a setting does not matter in a run: what it needs is lacking, or another one switches it off; "" if it does.

    What it needs is in its field; what switches it off says the method or policy whose setting it is.
    """
    needs = {item.name: item.metadata.get("needs", ()) for item in dataclasses.fields(config)}
    needs |= dict.fromkeys(vars(config.policy_settings), ("sparse",))
    lacking = [need for need in needs.get(name, ()) if not getattr(config, need)]
    if "sparse" in lacking and (why := why_dense(config)):
        return f"for the method {config.method}, {why}"
    if lacking:
        return _LACKING[lacking[0]]
    off = dict([*config.method_settings.idle(), *config.policy_settings.idle()])
    return f"with {off[name]}" if name in off else ""


def check_shared_classes(config: Any) -> None:
    """Refuse what tells old classes from new ones where every task has all of them."""
    every = f"every task of --stream {config.stream} has all classes"
    if config.align != "none":
        raise ValueError(
            f"--align {config.align} needs tasks with classes of their own, and {every}; choose --align none"
        )
    if why := config.method_class.why_own_classes(config.method_settings):
        raise ValueError(f"--method {config.method} {why}, and {every}; choose another --method")
