"""When weights leave and join: task-aware dynamic masking."""

from __future__ import annotations

from decimal import Decimal
from fractions import Fraction
from functools import partial

import numpy as np

from sparcl_ref.masks import budget, exact
from sparcl_ref.sparcl import tdm
from sparcl_ref.verify.areas.masks.budgets import SPARSITY
from sparcl_ref.verify.areas.masks.selection import ALGORITHM
from sparcl_ref.verify.function import Argument, Output, exactly, specify
from sparcl_ref.verify.mistake import Mistake, instead, more, of

#: Where nothing is dead there is nothing to exchange, and an empty list of actions is as good as one without effect.
SOME_SPARSITY = Argument("sparsity", 'str, a decimal above 0, such as "0.75"')
TASK = Argument("task", "int: from 1")
EPOCH = Argument("epoch", "int: from 1")
EPOCHS = Argument("epochs", "int: epochs of a task")
DELTA_K = Argument("delta_k", "int: epochs between mask adjustments, and of a stage of data removal", 5)
P_INTER = Argument("p_inter", "str, a decimal: how far sparsity falls at the start of a task", "0.01")
P_INTRA = Argument("p_intra", "str, a decimal: how far sparsity rises before weights join", "0.005")
KINDS = exactly("kinds", "int (actions,): 0 for shrink, 1 for expand, in the order to take them")
TARGETS = Output("targets", "float (actions,): the sparsity each leads to, in 0..1")


_SCHEDULE_MISTAKES = (
    instead("the expansion between tasks left out", task=1),
    instead("an expansion before the first task, too", task=2),
    instead("an expansion before the second task alone", task=lambda given: given["task"] if given["task"] < 3 else 1),
    instead("an expansion that grows with the task",
        p_inter=lambda given: str(Decimal(given["p_inter"]) * max(1, given["task"] - 1))),
    instead("p_inter and p_intra exchanged", p_inter=of("p_intra"), p_intra=of("p_inter")),
)  # fmt: skip


def tdm_actions(task, epoch, sparsity, delta_k, p_inter, p_intra):
    settings = {"sparsity": sparsity, "delta_k": delta_k, "p_inter": p_inter, "p_intra": p_intra}
    return coded(tdm.tdm_actions(task, epoch, **settings))


def coded(actions):
    """Kinds as 0 for shrink and 1 for expand, and targets as numbers."""
    kinds = np.array([action.kind == "expand" for action in actions], dtype=np.int64)
    return kinds, np.array([float(action.sparsity) for action in actions])


def _no_regrowth(**given):
    kinds, targets = tdm_actions(**given)
    kept = [place for place, kind in enumerate(kinds) if kind == 0 or place == 0 or kinds[place - 1] != 0]
    return {"kinds": kinds[kept], "targets": targets[kept]}


def _joined_first(**given):
    kinds, targets = tdm_actions(**given)
    order = np.argsort(-kinds, kind="stable")
    return {"kinds": kinds[order], "targets": targets[order]}


def _unlimited(sparsity, p_inter, p_intra, **given):
    kinds, _ = tdm_actions(sparsity=sparsity, p_inter=p_inter, p_intra=p_intra, **given)
    s = exact(sparsity)
    targets = [s + exact(p_intra), s] if len(kinds) > 1 else [s - exact(p_inter)] * len(kinds)
    return {"targets": np.array([float(target) for target in targets])}


def tdm_active_counts(n, task, epochs, sparsity, delta_k, p_inter, p_intra):
    settings = {"sparsity": sparsity, "delta_k": delta_k, "p_inter": p_inter, "p_intra": p_intra}
    return [budget(n, now) for now in in_force(sparsity, epochs, partial(tdm.tdm_actions, task, **settings))]


def in_force(now, epochs, actions):
    """The sparsity at which each epoch trains, from the actions before it."""
    for epoch in range(1, epochs + 1):
        for action in actions(epoch):
            now = action.sparsity
        yield now


def _never_back(n, task, epochs, sparsity, p_inter, **_):
    expanded = max(exact(sparsity) - (exact(p_inter) if task > 1 else 0), 0) if exact(sparsity) else Fraction(0)
    return {"active": [budget(n, expanded)] * epochs}


FUNCTIONS = (
    specify("tdm_actions", "tdm", tdm_actions, ALGORITHM,
        "from the second task on epoch 1 expands to s - p_inter; every multiple of delta_k shrinks to s + p_intra "
        "and then expands to s, which at epoch delta_k takes the expansion of epoch 1 back in the same action; "
        "targets lie in 0..1",
        TASK, EPOCH, SOME_SPARSITY, DELTA_K, P_INTER, P_INTRA,
        KINDS, TARGETS,
        *_SCHEDULE_MISTAKES,
        instead("epochs counted from 0", epoch=more("epoch", 1)),
        instead("epochs counted from 0", epoch=more("epoch", -1)),
        Mistake("nothing joins after a shrink", _no_regrowth),
        Mistake("weights join before others leave", _joined_first),
        Mistake("targets that are not limited to 0..1", _unlimited),
    ),
    specify("tdm_active_counts", "tdm", tdm_active_counts, ALGORITHM,
        "a layer trains with the budget of s, and from the second task on with that of s - p_inter before epoch "
        "delta_k",
        Argument("n", "int: weights of the layer"), TASK, EPOCHS, SPARSITY, DELTA_K, P_INTER, P_INTRA,
        exactly("active", "int (epochs,): living weights while each epoch trains"),
        *_SCHEDULE_MISTAKES,
        Mistake("the expansion between tasks never taken back", _never_back),
        uses=("tdm_actions", "budget"),
    ),
)  # fmt: skip
