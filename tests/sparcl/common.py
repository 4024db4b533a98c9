"""A regime on a stack of linear layers, and gradients that the test knows."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from sparcl_ref.config import Config
from sparcl_ref.layers import Parameter
from sparcl_ref.masks import BUDGETS, budgets
from sparcl_ref.methods import Observation
from sparcl_ref.models import Network
from sparcl_ref.regime import SparCL
from tests import exact as oracle
from tests import tiny

WIDTHS = [3, 7, 8, 6, 4]  # fc1 (8, 7) and fc2 (6, 8) are sparsifiable
SHAPES = [(8, 7), (6, 8)]
SIZES = [56, 48]
kinds = pytest.mark.parametrize("kind", BUDGETS)


def regime(*, seed: int = 0, net: Network | None = None, **settings: Any) -> SparCL:
    moving = {} if settings.get("policy") == "static" else {"p_inter": 0.1, "p_intra": 0.05}
    config = Config(**{"sparsity": 0.5, "epochs": 6, "delta_k": 2} | moving | settings)
    return SparCL(net or tiny.stack(WIDTHS, seed=seed), config, rng=np.random.default_rng(seed))


class FixedProbe:
    """Gradients that the test knows, and how often they were asked for."""

    def __init__(self, seed: int = 0):
        self.rng = np.random.default_rng(seed)
        self.current: list[np.ndarray] = []
        self.memory: list[np.ndarray] = []
        self.masks: list[np.ndarray] = []
        self.calls = 0

    def __call__(self, parameters: list[Parameter], samples: int) -> tuple[list[np.ndarray], list[np.ndarray]]:
        self.calls += 1
        self.masks = [parameter.mask.copy() for parameter in parameters]
        assert all(parameter.grad_mask is None for parameter in parameters)
        self.current = [self.rng.standard_normal(parameter.value.shape) for parameter in parameters]
        self.memory = [self.rng.standard_normal(parameter.value.shape) for parameter in parameters]
        return self.current, self.memory


def no_probe(parameters, samples):
    raise AssertionError("no gradients are needed here")


def counts(subject: SparCL) -> list[int]:
    return [parameter.active for parameter in subject.parameters]


def groups(kind: str) -> list[list[int]]:
    """Positions of the parameters that share a budget."""
    return [[0, 1]] if kind == "global" else [[0], [1]]


def expected_counts(subject: SparCL, sparsity) -> list[int]:
    """Living weights per group; uniform and global by the oracle, erk by what test_masks has checked."""
    if subject.config.budgets == "uniform":
        return [oracle.living(size, sparsity) for size in SIZES]
    if subject.config.budgets == "global":
        return [oracle.living(sum(SIZES), sparsity)]
    return budgets(SHAPES, sparsity, "erk")


def group_counts(subject: SparCL) -> list[int]:
    return [sum(counts(subject)[i] for i in group) for group in groups(subject.config.budgets)]


def observation(subject: SparCL, seed: int, *, replay: bool = True) -> Observation:
    """A step whose gradients respect the masks, as backward passes leave them."""
    rng, step = np.random.default_rng(seed), Observation()
    step.replay_grads = [] if replay else None
    for parameter in subject.model.parameters():
        formed = parameter.effective_grad_mask
        parts = [rng.standard_normal(parameter.value.shape) for _ in range(2)]
        if formed is not None:
            parts = [np.where(formed, part, 0.0) for part in parts]
        step.current_grads.append(parts[0])
        if replay:
            step.replay_grads.append(parts[1])
        parameter.grad[...] = parts[0] + parts[1] if replay else parts[0]
    return step
