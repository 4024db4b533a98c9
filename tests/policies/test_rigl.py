"""RigL: who leaves, who joins, and what a step does that is spent on it."""

from __future__ import annotations

import copy
import dataclasses
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sparcl_ref.config import Config
from sparcl_ref.cost import describe_model, paper
from sparcl_ref.cost.conventions import rigl_flops
from sparcl_ref.experiment import build
from sparcl_ref.policies.rigl import grow_by_gradient
from tests.helpers import assert_positive_zero
from tests.methods.twin import BASE, small_dataset
from tests.policies.twin import ALONE, REGIMES, SparseTwin, assert_equal_for_30_steps, largest


class TorchRigL(SparseTwin):
    """From Algorithm 1 of the paper, and the authors' code where it says more."""

    spends = True

    def due(self, task, epoch, step):
        now, steps = self.progress(task, epoch, step, once=self.ours.mask_schedule == "once")
        end = self.ours.t_end * steps
        if now % (self.ours.delta_t + 1) or now >= end:
            return None
        return self.ours.drop * 0.5 * (1 + math.cos(now * math.pi / end))

    def change(self, what, grads):
        found = {}
        for name in self.names:
            mask = self.masks[name]
            count = int(int(mask.sum()) * what)
            kept = largest(self.flat(name).abs(), mask, int(mask.sum()) - count)
            found[name] = kept | largest(grads[name].abs(), ~kept, count)
        return found


@pytest.mark.parametrize("regime", REGIMES.values(), ids=REGIMES)
@pytest.mark.parametrize("own", [{"delta_t": 2}, {"delta_t": 3, "mask_schedule": "once", "method": "er"}], ids=str)
def test_it_trains_as_its_twin(own, regime) -> None:
    twin = assert_equal_for_30_steps(TorchRigL, policy="rigl", drop=0.5, **own | regime)
    assert twin.changes >= 6


@given(st.integers(1, 40), st.integers(0, 2**32 - 1))
def test_what_joins_has_the_largest_gradient_of_what_is_not_kept(size, seed) -> None:
    rng = np.random.default_rng(seed)
    kept, gradient = rng.random(size) < 0.4, rng.integers(-3, 4, size) / 2.0
    active = int(rng.integers(kept.sum(), size + 1))
    grown = grow_by_gradient(kept, gradient, active)
    assert grown.sum() == active
    assert grown[kept].all()
    # By brute force: all others one by one, by size and then by place.
    others = sorted(np.flatnonzero(~kept), key=lambda place: (-abs(gradient[place]), place))
    np.testing.assert_array_equal(np.flatnonzero(grown & ~kept), sorted(others[: active - kept.sum()]))


def spent(**settings):
    """A run just before its second spent step, and its state there; the first has moved many weights."""
    config = dataclasses.replace(BASE, method="derpp", sparsity=0.5, policy="rigl", delta_t=4, **settings)
    trainer = build(config, small_dataset())
    while (trainer.cursor.epoch, trainer.cursor.step, trainer.cursor.due) != (2, 1, "step"):
        trainer.advance()
    return trainer, copy.deepcopy(trainer.state())


@pytest.mark.parametrize("engine", ["numpy", "numba"])
@pytest.mark.parametrize("regime", REGIMES.values(), ids=REGIMES)
def test_a_step_that_is_spent_leaves_kept_weights_and_their_momentum_as_they_are(engine, regime) -> None:
    trainer, before = spent(engine=engine, drop=0.5, **regime)
    event = trainer.advance()
    (change,) = event.mask_changes
    assert change.kind == "exchange"
    assert change.count > 4
    after = trainer.state()
    looked_at = 0
    for name, old in before["model"]["parameters"].items():
        new = after["model"]["parameters"][name]
        stays = np.ones(old["value"].shape, bool) if new["mask"] is None else new["mask"] & old["mask"]
        joined = None if new["mask"] is None else new["mask"] & ~old["mask"]
        for was, now in ((old["value"], new["value"]), (old["slots"]["momentum"], new["slots"]["momentum"])):
            assert was[stays].tobytes() == now[stays].tobytes()
            assert stays.sum() > 0
            if joined is not None:
                looked_at += assert_positive_zero(now, call=name, where=joined)
                assert_positive_zero(now, call=name, where=~new["mask"])
    assert looked_at > 4
    assert len(trainer.buffer) > 0
    # The run goes on with gradients of the living alone.
    trainer.advance()
    for parameter in trainer.model.sparsifiable():
        assert_positive_zero(parameter.grad, call=parameter.name, where=~parameter.mask)


def test_one_that_leaves_and_joins_at_once_keeps_value_and_momentum() -> None:
    trainer, _ = spent(drop=1.0, **ALONE)
    parameter = trainer.model.sparsifiable()[0]
    living = parameter.mask.copy()
    value, momentum = parameter.value.copy(), parameter.slots["momentum"].copy()
    trainer.advance()
    back = living & parameter.mask
    # Half of all that lived leave at once (the cosine has begun to fall); those with large gradients come back.
    assert 0 < back.sum() < living.sum()
    assert parameter.value[back].tobytes() == value[back].tobytes()
    assert parameter.slots["momentum"][back].tobytes() == momentum[back].tobytes()
    assert np.abs(momentum[back]).min() > 0


def test_both_engines_choose_alike() -> None:
    masks = []
    for engine in ("numpy", "numba"):
        trainer, _ = spent(engine=engine, drop=0.5, **ALONE)
        trainer.advance()
        masks.append([parameter.mask for parameter in trainer.model.sparsifiable()])
    for one, other in zip(*masks, strict=True):
        np.testing.assert_array_equal(one, other)


@pytest.mark.parametrize("dgm", [False, True])
@pytest.mark.parametrize("method", ["sgd", "derpp"])
def test_its_cost_is_the_authors_formula(method, dgm) -> None:
    # Whole cycles of one spent step and two updates, all of one batch size; the mask moves in each.
    config = dataclasses.replace(
        BASE, method=method, sparsity=0.5, policy="rigl", delta_t=2, t_end=1.0, batch_size=6, ddr=False, dgm=dgm
    )
    trainer = build(config, small_dataset())
    for _ in trainer.events():
        pass
    macs, samples = trainer.ledger.table.macs, 3 * 3 * 30
    layers = {parameter.name.removesuffix(".weight"): parameter for parameter in trainer.model.sparsifiable()}
    name = "conv3"
    assert name in layers
    parameter = layers[name]
    visits = macs["forward_current"][name] // parameter.active // (samples * 2 // 3)
    dense, sparse = 2 * parameter.value.size * visits, 2 * parameter.active * visits
    recorded = {kind: 2 * sum(macs[f"{way}_{kind}"].get(name, 0) for way in ("forward", "dx", "dw"))
                for kind in ("current", "replay", "growth")}  # fmt: skip
    if method == "sgd" and not dgm:
        assert sum(recorded.values()) == samples * rigl_flops(dense, sparse, config.policy_settings.delta_t)
    assert macs["forward_growth"][name] == macs["dx_growth"][name]
    assert macs["dw_growth"][name] * sparse == macs["forward_growth"][name] * dense
    if not dgm:
        assert recorded["current"] == samples * 2 // 3 * 3 * sparse


@pytest.mark.parametrize(("sparsity", "printed"), [(0.9, "1.57"), (0.95, "0.886")])
@pytest.mark.parametrize("policy", ["rigl", "snip"])
def test_the_papers_accounting_gives_the_printed_figures(policy, sparsity, printed) -> None:
    # SparCL's main table, RigL- and SNIP-DER++ on Split CIFAR-10, in 10^15 FLOPs: no dense gradient is charged there.
    config = Config(model="resnet18", method="derpp", sparsity=sparsity, policy=policy, **ALONE)
    spec = describe_model("resnet18", input_shape=(3, 32, 32), classes=10, width=None)
    flops = paper.train_flops(spec, config, [10_000] * 5)
    assert f"{flops / 1e15:.{len(printed) - 2}f}" == printed


def test_it_needs_gradients() -> None:
    message = "--policy rigl goes by the gradient of a step, and --method gdumb computes none in its steps; choose"
    with pytest.raises(ValueError, match=message):
        Config(sparsity=0.5, policy="rigl", method="gdumb")
    assert Config(sparsity=0.5, policy="set", method="gdumb").title == "SET-GDumb .50"


def test_names_of_runs() -> None:
    assert Config(sparsity=0.95, policy="rigl").title == "RigL-DER++ .95"
    assert Config(sparsity=0.95, policy="rigl", mask_schedule="once").title == "RigL-DER++ .95 (once)"


def test_a_gradient_that_is_not_finite_ends_the_run_before_masks_change() -> None:
    trainer, _ = spent(**ALONE)
    masks = [parameter.mask.copy() for parameter in trainer.model.sparsifiable()]
    seen = trainer.method.after_backward

    def broken(step):
        seen(step)
        dead = ~trainer.model.sparsifiable()[1].mask
        trainer.model.sparsifiable()[1].grad[dead] = np.nan

    trainer.method.after_backward = broken
    with pytest.raises(FloatingPointError, match=r"task 1, epoch 2, step 1: conv3\.weight: 72 of 144 gradient entries"):
        trainer.advance()
    for parameter, mask in zip(trainer.model.sparsifiable(), masks, strict=True):
        np.testing.assert_array_equal(parameter.mask, mask)
        assert_positive_zero(parameter.grad, call=parameter.name, where=~mask)
        np.testing.assert_array_equal(parameter.effective_grad_mask, mask)
