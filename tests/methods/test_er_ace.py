"""ER-ACE: the classes that new samples are compared with, and the run beside PyTorch."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from sparcl_ref.config import Config
from sparcl_ref.losses import cross_entropy
from sparcl_ref.methods import ER, Batch
from sparcl_ref.methods.er_ace import CE_SETS, ERACE, all_classes, present, present_or_unseen, seen_so_far
from tests import tiny
from tests.helpers import assert_positive_zero
from tests.methods.common import assert_same_gradients, new_batch, prepare, rehearsal
from tests.methods.twin import REGIMES, Twin, assert_equal_for_30_steps, assert_same_bits, run_of

HEAD = 6
LABELS = st.lists(st.integers(0, HEAD - 1), min_size=1, max_size=9).map(np.array)
SEEN = st.sets(st.integers(0, HEAD - 1)).map(lambda seen: np.array(sorted(seen), dtype=np.int64))


class TorchERACE(Twin):
    """From the paper's section 3: two losses with softmaxes of their own."""

    seen: frozenset[int] = frozenset()

    def loss(self, x, y, old):
        here = set(y.tolist())
        self.seen |= here
        compared, replayed = here, self.seen
        if self.own.ce_set == "seen":
            compared = self.seen
        elif self.own.ce_set != "present":
            replayed = None
            largest = max(self.seen)
            compared = here | {c for c in range(HEAD) if c >= largest}
            if self.own.ce_set == "all" or self.number == 1:
                compared = None
        loss = self.cross_entropy(self.net(x), y, compared)
        for samples in old:
            logits = self.net(self.images(samples.images))
            loss = loss + self.own.er_weight * self.cross_entropy(logits, torch.tensor(samples.labels), replayed)
        return loss


@pytest.mark.parametrize("ce_set", CE_SETS)
@pytest.mark.parametrize("regime", REGIMES)
def test_it_trains_as_its_twin(ce_set, regime) -> None:
    own = {"ce_set": ce_set, "er_weight": 0.7}
    assert_equal_for_30_steps(TorchERACE, method="er-ace", class_order="3,1,0,5,2,4", **own, **REGIMES[regime])


@given(LABELS, SEEN)
def test_the_sets_are_what_their_names_say(labels, seen) -> None:
    here, before = set(labels.tolist()), set(seen.tolist())
    found = {rule: rule(labels, seen, HEAD).tolist() for rule in CE_SETS.values()}
    assert found[present] == sorted(here)
    assert found[seen_so_far] == sorted(here | before)
    assert found[all_classes] == list(range(HEAD))
    largest = max(here | before)
    assert found[present_or_unseen] == [c for c in range(HEAD) if c in here or c >= largest]


@given(LABELS, st.integers(0, 99), st.sampled_from(sorted(CE_SETS)))
def test_masked_logits_have_no_gradient(labels, seed, name) -> None:
    logits = np.random.default_rng(seed).standard_normal((len(labels), HEAD))
    classes = CE_SETS[name](labels, np.zeros(0, dtype=np.int64), HEAD)
    per_sample, gradient = cross_entropy(logits, labels, classes=classes.tolist())
    others = np.setdiff1d(np.arange(HEAD), classes)
    if len(others):
        assert_positive_zero(gradient[:, others], call=name)
    if len(classes) == 1:
        assert not per_sample.any()
        assert not gradient.any()


def method_with(kind, seed=0, **settings):
    net = tiny.network(batchnorm=False, seed=seed)
    return net, rehearsal(kind, net, **settings)


def test_a_batch_of_one_class_teaches_nothing() -> None:
    batch = new_batch()
    same = Batch(batch.images, batch.x, np.full(5, 3), batch.classes, 2)
    _, method = method_with(ERACE)
    step = method.observe(same)
    assert step.losses["current"] == 0
    for grad in step.current_grads:
        assert_positive_zero(grad, call="one class")
    assert step.losses["replay_ce"] > 0


@given(st.integers(0, 50))
def test_a_batch_of_all_classes_of_its_task_is_the_single_head(seed) -> None:
    batch = new_batch(seed=seed)
    batch = Batch(batch.images, batch.x, np.array([1, 3, 3, 1, 3]), batch.classes, 2)
    _, method = method_with(ERACE, seed)
    _, single = method_with(ER, seed, head="single")
    first, second = method.observe(batch), single.observe(batch)
    assert first.losses["current"] == second.losses["current"]
    for a, b in zip(first.current_grads, second.current_grads, strict=True):
        assert a.tobytes() == b.tobytes()


@given(st.integers(0, 50), st.sampled_from([0.0, 0.3, 1.0]))
def test_over_all_classes_it_is_er(seed, weight) -> None:
    batch = new_batch(seed=seed)
    net, method = method_with(ERACE, seed, ce_set="all", er_weight=weight)
    other, er = method_with(ER, seed, er_weight=weight)
    assert_same_gradients(net, other, method.observe(batch), er.observe(batch))


def test_a_run_over_all_classes_is_a_run_of_er() -> None:
    assert_same_bits(run_of(method="er-ace", ce_set="all"), run_of(method="er"))


def test_replay_compares_the_classes_seen_and_no_others() -> None:
    net, method = method_with(ERACE)
    method.buffer.load_state({**method.buffer.state(), "labels": np.array([0, 0, 2, 0, 2, 2, 0, 0])})
    batch = new_batch()
    batch = Batch(batch.images, batch.x, np.full(5, 3), batch.classes, 2)
    step = method.observe(batch)
    bias = step.replay_grads[-1]
    assert_positive_zero(bias[[1]], call="a class not seen")
    assert bias[3] != 0  # this batch has shown it
    old = method.buffer.get(step.draws[0])
    oracle = tiny.autograd(net, lambda logits: tiny.cross_entropy(logits(prepare(old.images)), old.labels, (0, 2, 3)))
    np.testing.assert_allclose(bias, oracle[-1], atol=1e-13)


def test_it_decides_over_the_head_itself() -> None:
    assert Config(method="er-ace", sparsity=0.5).effective_head == "full"
    assert [Config(method="er-ace", ce_set=name).title for name in ("present", "all")] == [
        "ER-ACE",
        "ER-ACE (classes all)",
    ]
    with pytest.raises(ValueError, match=r"--head must be auto for the method er-ace.*got single"):
        Config(method="er-ace", head="single")


def test_the_classes_seen_are_its_state() -> None:
    _, method = method_with(ERACE)
    batch = new_batch(20)
    method.observe(batch)
    _, other = method_with(ERACE)
    other.load_state(method.state())
    assert other.seen.tolist() == sorted(set(batch.labels.tolist()))
    method.seen[0] = 9
    assert 9 not in other.seen
