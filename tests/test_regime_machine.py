"""SparCL driven through histories of tasks, epochs, steps, saves and restores: random ones, and written ones in which
everything happens. What is checked after every action stands in `tests.regime_machine`."""

from __future__ import annotations

import dataclasses
from collections import Counter
from typing import ClassVar

import numpy as np
import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import run_state_machine_as_test

from sparcl_ref.config import Config
from sparcl_ref.sparcl.rules import Rules
from sparcl_ref.sparcl.structured import STRUCTURES
from tests.regime_machine import KINDS, RegimeMachine
from tests.strategies import rule_mixes, run_configs, sparsities

NETWORKS = st.sampled_from([("convnet", 4), ("mlp", 6), ("mlp", 3)])
RULES = [field.name for field in dataclasses.fields(Rules)]


@st.composite
def counted(draw):
    """The paper's rules: masks have exact budgets, shared among layers in any way."""
    budgets = draw(st.sampled_from(["uniform", "erk", "global"]))
    return draw(_configs(network=draw(NETWORKS), profile="paper", mix="", budgets=budgets))


@st.composite
def by_value(draw):
    """The rules of the published code, all of them or a mixture with the paper's."""
    profile = {"profile": "released", "mix": ""} if draw(st.booleans()) else {"mix": draw(rule_mixes(RULES))}
    return draw(_configs(network=draw(NETWORKS), budgets="uniform", **profile))


@st.composite
def structured(draw):
    """Whole filters, kernels, patterns and column blocks."""
    kind = draw(st.sampled_from(["filter", "filter_balance", "pattern", "column-block-4"]))
    profile = draw(st.sampled_from(["paper", "released"]))
    return draw(_configs(network=("convnet", 4), structure=kind, budgets="uniform", profile=profile, mix=""))


@st.composite
def _configs(draw, *, network, **fixed):
    """Settings under which a lot happens within few epochs of few samples; each part of SparCL is off now and then."""
    model, width = network
    fixed |= {part: draw(st.sampled_from([True, True, True, False])) for part in ("ddr", "dgm")}
    fixed["policy"] = draw(st.sampled_from(["tdm", "tdm", "tdm", "static"]))
    fixed |= {
        "sparsity": draw(st.sampled_from([0.5, 0.75, 0.9]) | sparsities(max_value=0.97)),
        "epochs": draw(st.sampled_from([4, 6])),
        "delta_k": draw(st.sampled_from([2, 3])),
        "p_inter": draw(st.sampled_from([0.15, 0.05])),
        "p_intra": draw(st.sampled_from([0.1, 0.04])),
        "dgm_q": draw(st.sampled_from([None, 0.0, 0.02])),
        "dgm_interval": draw(st.integers(1, 3)),
    }
    return draw(run_configs(model=model, width=width, method="derpp", **fixed))


@pytest.mark.parametrize("kind", ["filter", "filter_balance", "pattern", "column-block-4"])
def test_a_shrink_wakes_no_weight(kind):
    """Life is read from values: what is exactly 0 before a structured shrink is dead after it, in a living unit too."""
    rng, woken, units = np.random.default_rng(0), 0, 0
    for _ in range(20):
        weight = rng.standard_normal((8, 6, 3, 3))
        weight[rng.random(weight.shape) < 0.2] = 0.0
        weight[rng.random(weight.shape[:2]) < 0.5] = 0.0
        for sparsity in (0.2, 0.5, 0.8):
            mask = STRUCTURES[kind].shrink(weight, sparsity)
            woken += np.count_nonzero(mask & (weight == 0))
            units += np.count_nonzero(mask)
    assert woken == 0
    assert units > 1000


@pytest.mark.parametrize(
    ("changes", "never"),
    [
        ({"budgets": "uniform"}, set()),
        ({"budgets": "global", "momentum": 0.9}, set()),
        ({"profile": "released", "momentum": 0.9}, {"budget"}),
        ({"profile": "released", "importance": "random"}, {"budget"}),
        ({"profile": "released", "structure": "column-block-4"}, {"budget"}),
        # Patterns leave no kernel empty, so there is nothing that could join, and what was best stays best.
        ({"profile": "released", "structure": "pattern"}, {"budget", "shrink", "expand", "redrawn"}),
    ],
    ids=lambda value: "-".join(map(str, value.values())) if isinstance(value, dict) else "",
)
def test_a_written_history_in_which_everything_happens(changes, never):
    """What the random ones may miss: three tasks of six epochs, saved, gone on, restored and gone on again."""

    class Machine(RegimeMachine):
        happened: ClassVar[Counter[str]] = Counter()

    settings = {"sparsity": 0.5, "epochs": 6, "delta_k": 2, "p_inter": 0.15, "p_intra": 0.1, "dgm_interval": 2}
    sizes = {"model": "convnet", "width": 4, "batch_size": 5, "buffer_size": 20, "ddr_cutoff": 2}
    machine = Machine()
    machine.begin_with(Config(**{**settings, **sizes, **changes}))
    for task in range(3):
        for action in (
            lambda seed=task: machine.whole_epochs(epochs=3, steps=3, samples=12, seed=seed),
            machine.fork,
            machine.save,
            lambda seed=task: machine.whole_epochs(epochs=3, steps=2, samples=12, seed=10 + seed),
            machine.restore,
            lambda seed=task: machine.whole_epochs(epochs=3, steps=3, samples=12, seed=20 + seed),
        ):
            action()
            machine.everything_that_must_hold()
    assert machine.expected.task == 3
    assert machine.expected.epoch == 6
    assert {kind for kind in KINDS if not machine.happened[kind]} == never


@pytest.mark.parametrize("strategy", [counted, by_value, structured], ids=lambda strategy: strategy.__name__)
def test_random_histories_keep_all_invariants(strategy):
    class Machine(RegimeMachine):
        configs = strategy()
        happened: ClassVar[Counter[str]] = Counter()

    run_state_machine_as_test(Machine, settings=settings(max_examples=25, stateful_step_count=30))
    assert Machine.happened["step"] > 0
