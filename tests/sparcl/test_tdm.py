from __future__ import annotations

from decimal import Decimal
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sparcl_ref.masks import budgets
from sparcl_ref.sparcl.tdm import Action, check_schedule, tdm_actions
from tests import strategies as own

SHAPES = [(8, 3, 3, 3), (5, 8), (2, 2), (40, 30)]


def event_table(tasks: int, epochs: int, delta_k: int, s: str, inter: str, intra: str) -> dict:
    """Algorithm 1 written down event by event: (task, epoch) to the list of (kind, target sparsity)."""
    s_, low, high = Decimal(s), Decimal(s) - Decimal(inter), Decimal(s) + Decimal(intra)
    low, high = max(low, Decimal(0)), min(high, Decimal(1))
    table = {}
    for task in range(1, tasks + 1):
        for epoch in range(1, epochs + 1):
            table[task, epoch] = []
        if task > 1 and low != s_:
            table[task, 1] = [("expand", low)]
        for adjusted in range(delta_k, epochs + 1, delta_k):
            table[task, adjusted] = [*table[task, adjusted], ("shrink", high), ("expand", s_)]
    return table


def actions(task: int, epoch: int, delta_k: int, s: str, inter: str, intra: str) -> list[tuple[str, Decimal]]:
    got = tdm_actions(task, epoch, sparsity=s, delta_k=delta_k, p_inter=inter, p_intra=intra)
    assert all(isinstance(action, Action) and isinstance(action.sparsity, Fraction) for action in got)
    return [(one.kind, Decimal(one.sparsity.numerator) / Decimal(one.sparsity.denominator)) for one in got]


@pytest.mark.parametrize("delta_k", range(2, 9))
@pytest.mark.parametrize("epochs", [2, 3, 6, 8, 12])
def test_every_epoch_of_three_tasks(epochs: int, delta_k: int) -> None:
    settings = (delta_k, "0.9", "0.01", "0.005")
    table = event_table(3, epochs, *settings)
    assert {place: actions(*place, *settings) for place in table} == table


@pytest.mark.parametrize(
    ("s", "inter", "intra"),
    [
        ("0.75", "0.01", "0.01"),
        ("0.005", "0.01", "0.005"),  # room for everything: expand to 0
        ("0.999", "0.01", "0.005"),  # everything is exchanged: shrink to 1
        ("0.9", "0", "0.005"),
        ("0.9", "0.01", "0"),
        ("0.5", "1", "1"),
    ],
)
@pytest.mark.parametrize("delta_k", [1, 2, 3, 5])
def test_limits_and_parts_that_are_off(delta_k, s, inter, intra) -> None:
    table = event_table(2, 6, delta_k, s, inter, intra)
    assert {place: actions(*place, delta_k, s, inter, intra) for place in table} == table


def test_the_papers_defaults_by_hand() -> None:
    expand_for_new = Action("expand", Fraction(89, 100))
    exchange = (Action("shrink", Fraction(905, 1000)), Action("expand", Fraction(9, 10)))
    expected = {1: (), 2: (), 4: (), 5: exchange, 6: (), 9: (), 10: exchange, 50: exchange}
    assert {epoch: tdm_actions(1, epoch, sparsity=0.9) for epoch in expected} == expected
    for task in (2, 3, 20):
        later = {epoch: tdm_actions(task, epoch, sparsity=0.9) for epoch in expected}
        assert later == expected | {1: (expand_for_new,)}


def test_one_probe_where_the_two_adjustments_meet() -> None:
    kinds = [action.kind for action in tdm_actions(2, 5, sparsity=0.9)]
    assert kinds.count("shrink") == 1
    assert kinds == ["shrink", "expand"]


@given(st.integers(1, 4), st.integers(1, 30), st.integers(1, 10))
def test_a_dense_network_is_left_alone(task, epoch, delta_k) -> None:
    assert tdm_actions(task, epoch, sparsity=0, delta_k=delta_k) == ()
    assert tdm_actions(task, epoch, sparsity=0.0, delta_k=delta_k) == ()


@given(
    st.integers(2, 7),
    st.integers(0, 6),
    own.sparsities(min_value=0.001),
    own.sparsities(max_value=0.1),
    own.sparsities(max_value=0.1),
    st.sampled_from(["uniform", "erk", "global"]),
)
def test_the_mask_can_follow_and_ends_every_task_at_its_sparsity(delta_k, more, s, inter, intra, kind) -> None:
    active = start = budgets(SHAPES, s, kind)
    for task in (1, 2, 3):
        for epoch in range(1, delta_k + more + 1):
            got = tdm_actions(task, epoch, sparsity=s, delta_k=delta_k, p_inter=inter, p_intra=intra)
            for action in got:
                target = budgets(SHAPES, action.sparsity, kind)
                pairs = list(zip(target, active, strict=True))
                assert all(new <= old if action.kind == "shrink" else new >= old for new, old in pairs)
                active = target
            assert (active == start) or (task > 1 and epoch < delta_k)
        assert active == start


@pytest.mark.parametrize(("task", "epoch", "delta_k"), [(0, 1, 5), (1, 0, 5), (1, 1, 0)])
def test_counting_starts_at_one(task, epoch, delta_k) -> None:
    with pytest.raises(ValueError, match=rf"count from 1, got {task}, {epoch} and {delta_k}"):
        tdm_actions(task, epoch, sparsity=0.9, delta_k=delta_k)


@pytest.mark.parametrize(
    ("epochs", "delta_k", "p_inter"), [(5, 5, 0.01), (50, 2, 0.01), (2, 2, 1), (3, 1, 0), (3, 7, 0), (3, 7, 0.0)]
)
def test_schedules_that_take_back_what_they_gave_are_accepted(epochs, delta_k, p_inter) -> None:
    check_schedule(epochs=epochs, delta_k=delta_k, p_inter=p_inter)


@pytest.mark.parametrize(("epochs", "delta_k", "p_inter"), [(5, 6, 0.01), (5, 1, 0.01), (1, 2, 0.001), (1, 1, 0.5)])
def test_schedules_that_would_not_are_refused(epochs, delta_k, p_inter) -> None:
    with pytest.raises(ValueError, match=rf"delta_k must lie in 2\.\.{epochs} .* while p_inter > 0, got {delta_k}"):
        check_schedule(epochs=epochs, delta_k=delta_k, p_inter=p_inter)


@pytest.mark.parametrize("p_inter", [0, 0.01])
def test_an_interval_of_no_epochs_is_refused(p_inter) -> None:
    with pytest.raises(ValueError, match=r"delta_k must be at least 1, got 0"):
        check_schedule(epochs=5, delta_k=0, p_inter=p_inter)
