"""SET: who leaves, who joins, when; and the run beside PyTorch."""

from __future__ import annotations

import math
from collections import Counter

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from sparcl_ref.config import Config
from sparcl_ref.policies.exchange import cosine_share
from sparcl_ref.policies.set import keep_of_each_sign
from tests.methods.twin import assert_same_bits, run_of
from tests.policies.twin import ALONE, REGIMES, SparseTwin, assert_equal_for_30_steps, largest


class TorchSET(SparseTwin):
    """From RigL's appendix and the code of SET's authors; the twin draws what joins, and tells the run."""

    def due(self, task, epoch, step):
        if self.ours.set_form == "paper":
            return self.ours.drop if step == 0 and (task, epoch) != (1, 1) else None
        now, steps = self.progress(task, epoch, step, once=self.ours.mask_schedule == "once")
        if now % self.ours.delta_t or now >= self.ours.t_end * steps:
            return None
        return self.ours.drop * 0.5 * (1 + math.cos(now * math.pi / (self.ours.t_end * steps)))

    def kept(self, name, share):
        weight, mask = self.flat(name), self.masks[name]
        if self.ours.set_form == "rigl":
            return largest(weight.abs(), mask, int(mask.sum()) - int(int(mask.sum()) * share))
        kept = torch.zeros_like(mask)
        for side in (mask & (weight >= 0), mask & (weight < 0)):
            kept |= largest(weight.abs(), side, int(side.sum()) - int(int(side.sum()) * share))
        return kept

    def joining(self, place, name):
        kept = self.kept(name, self.due(*place))
        candidates = torch.nonzero(~kept).reshape(-1).numpy()
        self.drawn = {**getattr(self, "drawn", {})}
        self.drawn[name] = self.rng.choice(candidates, int(self.masks[name].sum() - kept.sum()), replace=False)
        return self.drawn[name]

    def change(self, what, grads):
        found = {}
        for name in self.names:
            found[name] = self.kept(name, what)
            found[name][torch.tensor(self.drawn[name])] = True
        return found


@pytest.mark.parametrize("regime", REGIMES.values(), ids=REGIMES)
@pytest.mark.parametrize(
    "own",
    [{"delta_t": 3}, {"delta_t": 2, "mask_schedule": "once", "method": "er"}, {"set_form": "paper", "drop": 0.35}],
    ids=str,
)
def test_it_trains_as_its_twin(own, regime) -> None:
    twin = assert_equal_for_30_steps(TorchSET, given=True, policy="set", **own | regime)
    assert twin.changes >= 8


shares = st.floats(0, 1)


@given(st.integers(0, 500), st.floats(1, 400), shares)
def test_the_share_falls_from_its_highest_to_nothing(now, end, highest) -> None:
    assert cosine_share(0, end=end, highest=highest) == highest
    assert cosine_share(math.ceil(end), end=end, highest=highest) == 0
    share = cosine_share(now, end=end, highest=highest)
    assert 0 <= share <= highest
    assert cosine_share(now + 1, end=end, highest=highest) <= share
    # The half of it has gone half the way, and what is gone before it, remains after it.
    assert cosine_share(1, end=2, highest=highest) == pytest.approx(highest / 2)
    if now < end:
        assert share + highest / 2 * (1 - math.cos(math.pi * now / end)) == pytest.approx(highest)


@given(st.integers(1, 40), st.integers(0, 2**32 - 1), shares)
def test_of_each_sign_the_share_nearest_to_zero_leaves(size, seed, share) -> None:
    rng = np.random.default_rng(seed)
    weight, mask = rng.integers(-4, 5, size) / 4.0, rng.random(size) < 0.7
    weight[~mask] = 0
    kept = keep_of_each_sign(mask, weight, np.abs(weight), share)
    assert not (kept & ~mask).any()
    for side in (weight < 0, weight >= 0):
        living, stay = np.flatnonzero(mask & side), np.flatnonzero(kept & side)
        assert len(living) - len(stay) == int(len(living) * share)
        gone = np.setdiff1d(living, stay)
        # By size, then by place: whoever left comes after whoever stays.
        assert all((-abs(weight[a]), a) < (-abs(weight[b]), b) for a in stay for b in gone)


@given(st.integers(1, 30), st.integers(0, 2**32 - 1))
def test_random_ones_join_and_nothing_else_changes(size, seed) -> None:
    rng = np.random.default_rng(seed)
    policy = Config(sparsity=0.5, policy="set").make_policy()
    kept = rng.random(size) < 0.4
    active = int(rng.integers(kept.sum(), size + 1))
    grown = policy.grow(kept, np.zeros(size), rng, active=active, sparsity=policy.initial_sparsity)
    assert grown.sum() == active
    assert grown[kept].all()


def test_every_entry_that_is_not_kept_joins_as_often() -> None:
    policy, rng = Config(sparsity=0.5, policy="set").make_policy(), np.random.default_rng(0)
    kept = np.arange(8) < 2
    drawn = Counter[int]()
    for _ in range(600):
        grown = policy.grow(kept, np.zeros(8), rng, active=4, sparsity=policy.initial_sparsity)
        drawn.update(np.flatnonzero(grown & ~kept).tolist())
    assert set(drawn) == set(range(2, 8))
    assert all(140 <= count <= 260 for count in drawn.values())  # 200 expected, 4.5 sd of 11.5 and more allowed


@pytest.mark.parametrize("regime", REGIMES.values(), ids=REGIMES)
@pytest.mark.parametrize("own", [{"delta_t": 2}, {"set_form": "paper"}], ids=str)
def test_with_nothing_to_replace_it_is_the_static_mask_to_the_bit(own, regime) -> None:
    static = run_of(method="derpp", sparsity=0.5, policy="static", **regime)
    assert_same_bits(run_of(method="derpp", sparsity=0.5, policy="set", drop=0, **own | regime), static)
    moved = run_of(method="derpp", sparsity=0.5, policy="set", drop=0.3, **own | regime)
    with pytest.raises(AssertionError):
        assert_same_bits(moved, static)


def test_names_of_runs_say_which_form_it_is() -> None:
    common = {"sparsity": 0.9, "policy": "set", **ALONE}
    assert Config(**common).title == "SET-DER++ .90 (no DDR, no DGM)"
    assert Config(**common, set_form="paper").title == "SET-DER++ .90 (paper's form, no DDR, no DGM)"
    assert Config(**common, mask_schedule="once").title == "SET-DER++ .90 (once, no DDR, no DGM)"


def test_weights_that_live_and_die_together_are_refused() -> None:
    with pytest.raises(ValueError, match="--structure filter lets weights live and die together, and SET chooses sing"):
        Config(sparsity=0.5, policy="set", structure="filter")


def test_at_sparsity_0_nothing_is_replaced() -> None:
    policy = Config(policy="set", delta_t=1, sparsity=0).make_policy(((9, 9),))
    assert not any(policy.actions(1, epoch, step) for epoch in (1, 2) for step in range(9))
    assert Config(policy="set", delta_t=1, sparsity=0.1).make_policy(((9, 9),)).actions(1, 2, 1)


@given(st.lists(st.lists(st.integers(1, 9), min_size=3, max_size=3), min_size=1, max_size=4), st.integers(1, 9))
def test_it_acts_every_so_many_steps_of_the_task_or_of_the_run(steps, delta_t) -> None:
    for schedule in ("per_task", "once"):
        config = Config(policy="set", sparsity=0.5, epochs=3, delta_k=2, delta_t=delta_t, mask_schedule=schedule)
        policy = config.make_policy(tuple(map(tuple, steps)))
        run = [(t, e, s) for t, task in enumerate(steps, 1) for e, count in enumerate(task, 1) for s in range(count)]
        parts = [run] if schedule == "once" else [[at for at in run if at[0] == t] for t in range(1, len(steps) + 1)]
        for part in parts:
            for now, place in enumerate(part):
                acts = now % delta_t == 0 and now < 0.75 * len(part)
                assert bool(policy.actions(*place)) == acts
                if acts:
                    (action,) = policy.actions(*place)
                    assert action.share == cosine_share(now, end=0.75 * len(part), highest=0.3)
