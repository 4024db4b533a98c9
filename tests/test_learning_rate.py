"""The schedules of `sparcl_ref.optimizers` against PyTorch's."""

from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from sparcl_ref.optimizers import learning_rate
from tests.helpers import assert_close


def torch_rates(make, base, epochs):
    """The rates that PyTorch's scheduler, stepped after each epoch, uses in the epochs."""
    optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=base)
    scheduler = make(optimizer)
    rates = []
    for _ in range(epochs):
        rates.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        scheduler.step()
    return rates


def our_rates(schedule, base, epochs, **options):
    return [learning_rate(schedule, base, epoch=epoch, epochs=epochs, **options) for epoch in range(1, epochs + 1)]


@given(st.integers(1, 60), st.sampled_from([1.0, 0.03]))
def test_cosine_agrees_with_torch(epochs, base):
    expected = torch_rates(lambda o: torch.optim.lr_scheduler.CosineAnnealingLR(o, T_max=epochs), base, epochs)
    # PyTorch multiplies from epoch to epoch and so gathers rounding; ours is the closed form.
    assert_close(our_rates("cosine", base, epochs), expected, call="cosine", rtol=1e-9)


@given(st.integers(1, 30), st.sets(st.integers(1, 35), max_size=4), st.sampled_from([0.1, 0.5, 1.0]))
def test_step_agrees_with_torch(epochs, milestones, gamma):
    milestones = sorted(milestones)
    expected = torch_rates(lambda o: torch.optim.lr_scheduler.MultiStepLR(o, milestones, gamma), 0.03, epochs)
    got = our_rates("step", 0.03, epochs, milestones=milestones, gamma=gamma)
    assert_close(got, expected, call=f"step, milestones {milestones}", rtol=1e-14)


@pytest.mark.parametrize(
    ("epochs", "expected"),
    [
        (1, [1.0]),
        (2, [1.0, 0.1]),
        (4, [1.0, 1.0, 0.1, 0.01]),
        (5, [1.0, 1.0, 1.0, 0.1, 0.01]),
        (8, [1.0] * 4 + [0.1] * 2 + [0.01] * 2),
    ],
)
def test_step_falls_after_half_and_three_quarters(epochs, expected):
    assert_close(our_rates("step", 1.0, epochs), expected, call="step", rtol=1e-14)


@given(st.integers(1, 60), st.sampled_from([0.0, 0.03, 1.0]))
def test_constant_is_constant_and_all_start_at_the_base(epochs, base):
    assert our_rates("constant", base, epochs) == [base] * epochs
    for schedule in ("cosine", "step"):
        rates = our_rates(schedule, base, epochs)
        assert rates[0] == base
        assert rates == sorted(rates, reverse=True)
        assert base == 0 or rates[-1] > 0


@pytest.mark.parametrize(
    ("schedule", "options", "message"),
    [
        ("linear", {}, "must be one of constant, cosine, step, got 'linear'"),
        ("constant", {"base": -1.0}, "learning rate must be"),
        ("cosine", {"base": math.nan}, "learning rate must be"),
        ("cosine", {"epoch": 0}, r"epoch must lie in 1\.\.epochs = 1\.\.10, got 0"),
        ("constant", {"epoch": 11}, r"epoch must lie in .* got 11"),
        ("step", {"epochs": 0}, r"epoch must lie in"),
        ("step", {"gamma": -0.5}, "gamma must be"),
        ("step", {"milestones": (0, 3)}, r"milestones must increase.*got \[0, 3\]"),
        ("step", {"milestones": (5, 3)}, "milestones must increase"),
        ("step", {"milestones": [3, 3]}, "milestones must increase"),
    ],
)
def test_unfit_schedules_are_refused(schedule, options, message):
    numbers = {"base": 1.0, "epoch": 1, "epochs": 10} | options
    with pytest.raises(ValueError, match=message):
        learning_rate(schedule, numbers.pop("base"), **numbers)
