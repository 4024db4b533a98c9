"""A sparsity that leaves a layer nothing is refused before the run, and one that still leaves a weight is not."""

from __future__ import annotations

import dataclasses
import math
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sparcl_ref import run, train
from sparcl_ref.assembly import spec_of
from sparcl_ref.config import Config
from sparcl_ref.experiment import build
from sparcl_ref.forecast import forecast
from sparcl_ref.living_weights import check_living
from tests.methods.twin import BASE, small_dataset

DATASET = small_dataset()
SPARSE = dataclasses.replace(BASE, method="sgd", sparsity=0.5, width=2, epochs=2, ddr=False)
MESSAGE = (
    r"--sparsity ([\d.]+) leaves none of the (\d+) weights of (.*) alive.*; use at most ([\d.]+), a larger --width"
)


@pytest.mark.parametrize("policy", ["tdm", "static", "snip", "set", "rigl", "gmp"])
@pytest.mark.parametrize("budgets", ["uniform", "er", "erk", "global"])
def test_what_leaves_nothing_is_refused_and_the_largest_that_is_named_trains(policy, budgets) -> None:
    config = dataclasses.replace(SPARSE, policy=policy, budgets=budgets, sparsity=0.9999)
    for start in (forecast, build, lambda config, data: train(config, dataset=data)):
        with pytest.raises(ValueError, match=MESSAGE) as refused:
            start(config, DATASET)
    _, size, where, most = re.match(MESSAGE, str(refused.value)).groups()
    layers = {layer.parameter: layer.weights for layer in spec_of(config, DATASET).sparsifiable}
    assert int(size) == (sum(layers.values()) if budgets == "global" else layers[where])
    if budgets == "uniform":
        assert float(most) == pytest.approx(1 - 1 / (2 * int(size)), abs=1e-6)
    good = dataclasses.replace(config, sparsity=float(most))
    assert forecast(good, DATASET).train_flops["exact"] > 0
    with pytest.raises(ValueError, match=MESSAGE):
        forecast(dataclasses.replace(config, sparsity=float(most) + 2e-6), DATASET)


@given(st.integers(0, 99_999), st.integers(2, 9))
def test_uniform_budgets_leave_one_up_to_half_a_weight(sparsity, width) -> None:
    config = dataclasses.replace(SPARSE, sparsity=sparsity / 100_000, width=width)
    spec = spec_of(config, DATASET)
    smallest = min(layer.weights for layer in spec.sparsifiable)
    if math.floor((100_000 - sparsity) * smallest / 100_000 + 0.5):
        check_living(spec, config)
    else:
        with pytest.raises(ValueError, match=f"none of the {smallest} weights"):
            check_living(spec, config)


def test_rules_that_go_by_value_are_not_asked() -> None:
    config = dataclasses.replace(SPARSE, profile="released", sparsity=0.9, p_intra=0.05, width=2)
    check_living(spec_of(config, DATASET), config)


def test_the_command_refuses_it_in_one_line_before_any_work(capsys) -> None:
    assert run.main(["--sparsity", "0.99999", "--width", "4", "--epochs", "2", "--delta-k", "2"]) == 2
    err = capsys.readouterr().err
    assert err.count("\n") == 1
    assert re.search(MESSAGE, err)


@pytest.mark.parametrize("policy", ["snip", "rigl"])
def test_steps_that_are_all_spent_on_masks_are_a_warning(policy) -> None:
    config = dataclasses.replace(SPARSE, policy=policy, batch_size=30, epochs=1)
    (line,) = forecast(config, DATASET).remarks
    tasks = {"snip": "1", "rigl": "1, 2, 3"}[policy]
    assert line.startswith(f"--policy {policy} spends every step of task {tasks} on masks, so that nothing is trained")
    with pytest.warns(UserWarning, match=f"spends every step of task {tasks} on masks"):
        train(config, dataset=DATASET)
    assert forecast(dataclasses.replace(config, batch_size=15, epochs=3), DATASET).remarks == ()


def test_dense_runs_and_policies_that_spend_nothing_have_no_remark() -> None:
    assert forecast(Config(method="sgd", batch_size=8), DATASET).remarks == ()
    assert forecast(dataclasses.replace(SPARSE, batch_size=15), DATASET).remarks == ()
