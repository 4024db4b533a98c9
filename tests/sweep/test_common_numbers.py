"""The same seed is the same chance for every entry: what paired differences rest on.

Once data removal has taken samples, an epoch is an order of fewer of them, and all later orders are drawn otherwise:
from there on only class orders and initial weights are in common.
"""

from __future__ import annotations

import functools
import itertools

import numpy as np
import pytest

from sparcl_ref.config import Config
from sparcl_ref.experiment import build

SHARED = {
    "dataset": "digits",
    "model": "mlp",
    "width": 16,
    "epochs": 4,
    "delta_k": 2,
    "batch_size": 16,
    "class_order": "random",
}
ENTRIES = {
    "sgd": {"method": "sgd"},
    "er": {"method": "er", "buffer_size": 50},
    "derpp": {"method": "derpp", "buffer_size": 80},
    "single": {"method": "derpp", "head": "single"},
    "sparse": {"method": "derpp", "sparsity": 0.9},
    "static": {"method": "derpp", "sparsity": 0.95, "policy": "static", "ddr": False},
}


@functools.cache
def beginning(name: str, seed: int) -> tuple:
    """Class order, initial weights, masks, and the samples of the first epoch of two tasks in their order."""
    trainer = build(Config(**SHARED, **ENTRIES[name], seed=seed))
    weights = {p.name: p.value.copy() for p in trainer.model.parameters()}
    alive = {p.name: p.mask.copy() for p in trainer.model.parameters() if p.mask is not None}
    samples: list[list[int]] = [[], []]
    while (event := trainer.advance()).task < 3:
        if event.kind == "step" and event.epoch == 1:
            samples[event.task - 1] += event.indices.tolist()
    return trainer.stream.class_order, weights, alive, samples


@pytest.mark.parametrize(("one", "other"), list(itertools.combinations(ENTRIES, 2)))
def test_the_same_seed_begins_with_the_same_draws(one, other) -> None:
    ours, theirs = beginning(one, 3), beginning(other, 3)
    assert ours[0] == theirs[0]
    for name in ours[1].keys() & theirs[1].keys():
        both = np.ones(ours[1][name].shape, bool)
        for masks in (ours[2], theirs[2]):
            both &= masks.get(name, True)
        np.testing.assert_array_equal(ours[1][name][both], theirs[1][name][both], err_msg=name)
    assert all(len(task) > 200 for task in ours[3])
    assert ours[3][0] == theirs[3][0]
    removing = {name for name in (one, other) if "sparsity" in ENTRIES[name] and "ddr" not in ENTRIES[name]}
    assert (ours[3][1] == theirs[3][1]) == (not removing)


def test_another_seed_has_other_draws() -> None:
    ours, theirs = beginning("er", 3), beginning("er", 4)
    assert ours[0] != theirs[0]
    assert ours[3][0] != theirs[3][0]
