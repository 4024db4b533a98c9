"""GMP: the ramp, when it is climbed, and the run beside PyTorch."""

from __future__ import annotations

import dataclasses
from fractions import Fraction

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from sparcl_ref.config import Config
from sparcl_ref.cost import describe_model, paper
from sparcl_ref.experiment import build
from sparcl_ref.policies.gmp import cubic_sparsity
from tests import strategies as own
from tests.methods.twin import BASE, small_dataset
from tests.policies.twin import ALONE, REGIMES, TASKS, SparseTwin, assert_equal_for_30_steps, largest


class TorchGMP(SparseTwin):
    """From Zhu & Gupta's equation 1."""

    def first(self, name):
        return torch.ones(self.parameters[name].value.size, dtype=torch.bool)

    def due(self, task, epoch, step):
        now, steps = self.progress(task, epoch, step, once=True)
        begin, end = int(steps * 0.25), int(steps * 0.75)
        if (begin < now < end and (now - begin) % self.ours.delta_t == 0) or now == end:
            passed = Fraction(now - begin, end - begin)
            return self.s + (0 - self.s) * (1 - passed) ** 3
        return None

    def change(self, what, grads):
        return {
            name: largest(self.flat(name).abs(), mask, self.living(what, name)) for name, mask in self.masks.items()
        }


@pytest.mark.parametrize("regime", REGIMES.values(), ids=REGIMES)
@pytest.mark.parametrize("own", [{"delta_t": 2}, {"delta_t": 5, "method": "er", "sparsity": 0.8}], ids=str)
def test_it_trains_as_its_twin(own, regime) -> None:
    twin = assert_equal_for_30_steps(TorchGMP, policy="gmp", **own | regime)
    assert twin.changes >= 3


@given(st.integers(1, 300), st.integers(0, 400), own.sparsities(max_value=1.0))
def test_the_ramp_is_steep_first_and_flat_last(steps, now, final) -> None:
    final = Fraction(str(final))
    at = [cubic_sparsity(k, steps=steps, final=final) for k in (now, now + 1, now + 2)]
    assert cubic_sparsity(0, steps=steps, final=final) == 0
    assert cubic_sparsity(steps, steps=steps, final=final) == final
    assert 0 <= at[0] <= at[1] <= at[2] <= final
    assert at[1] - at[0] >= at[2] - at[1]
    if now < steps:
        assert final - at[0] == final * Fraction(steps - now, steps) ** 3


@given(st.lists(st.lists(st.integers(1, 7), min_size=3, max_size=3), min_size=1, max_size=4), st.integers(1, 9))
def test_it_acts_in_the_middle_half_of_the_run_and_ends_at_its_sparsity(steps, delta_t) -> None:
    config = Config(policy="gmp", sparsity=0.9, epochs=3, delta_k=2, delta_t=delta_t)
    policy = config.make_policy(tuple(map(tuple, steps)))
    run = [(t, e, s) for t, task in enumerate(steps, 1) for e, count in enumerate(task, 1) for s in range(count)]
    acts = {now: policy.actions(*place) for now, place in enumerate(run) if policy.actions(*place)}
    begin, end = len(run) // 4, 3 * len(run) // 4
    assert all(begin <= now <= end for now in acts)
    assert acts[end][0].sparsity == Fraction(9, 10)
    reached = [actions[0].sparsity for _, actions in sorted(acts.items())]
    assert reached == sorted(reached)
    assert len(acts) == 1 + len([now for now in range(begin + 1, end) if (now - begin) % delta_t == 0])


@given(st.lists(st.lists(st.integers(1, 7), min_size=2, max_size=2), min_size=1, max_size=4), st.integers(1, 9))
def test_its_mean_sparsity_is_that_of_its_steps(steps, delta_t) -> None:
    policy = Config(policy="gmp", sparsity=0.9, epochs=2, delta_k=2, delta_t=delta_t).make_policy(
        tuple(map(tuple, steps))
    )
    now, each = Fraction(0), []
    for task, counts in enumerate(steps, 1):
        for epoch, count in enumerate(counts, 1):
            for step in range(count):
                for action in policy.actions(task, epoch, step):
                    now = action.sparsity
                each.append(now)
    assert policy.mean_sparsity == sum(each) / len(each)
    assert Config(policy="gmp", sparsity=0.9).make_policy().mean_sparsity == Fraction(9, 10)


def test_a_run_is_dense_first_and_what_has_left_stays_away() -> None:
    trainer = build(dataclasses.replace(BASE, policy="gmp", sparsity=0.8, delta_t=3, **ALONE), small_dataset())
    seen, before = [], {p.name: p.mask.copy() for p in trainer.model.sparsifiable()}
    for _ in trainer.events():
        for parameter in trainer.model.sparsifiable():
            assert not (parameter.mask & ~before[parameter.name]).any()
            before[parameter.name] = parameter.mask.copy()
        seen.append(sum(int(np.count_nonzero(mask)) for mask in before.values()))
    assert seen[0] == 216
    assert seen[-1] == 14 + 29  # halves up
    assert len(set(seen)) >= 5
    assert len(trainer.stream.training) == TASKS


def test_the_papers_accounting_charges_its_mean_density() -> None:
    config = Config(model="resnet18", sparsity=0.9, policy="gmp", **ALONE)
    spec, sizes = describe_model("resnet18", input_shape=(3, 32, 32), classes=10, width=None), [10_000] * 5
    static, gmp, dense = (
        paper.train_flops(spec, dataclasses.replace(config, **changes), sizes)
        for changes in ({"policy": "static"}, {}, {"sparsity": None})
    )
    # A quarter dense, a quarter sparse, and a ramp whose mean is 3/4 of the way, up to its steps of 100.
    way = Fraction(dense - gmp, dense - static)
    assert float(way) == pytest.approx(0.25 + 0.75 * 0.5, abs=1e-3)


def test_without_sparsity_or_steps_nothing_leaves() -> None:
    assert not any(Config(policy="gmp", sparsity=0).make_policy(((8,),)).actions(1, 1, step) for step in range(8))
    assert not Config(policy="gmp", sparsity=0.5).make_policy().actions(1, 1)
    assert Config(policy="gmp", sparsity=0.5).title == "GMP-DER++ .50"
