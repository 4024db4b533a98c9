from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import example, given
from hypothesis import strategies as st

from sparcl_ref.methods import DER, ER, METHODS, DERpp, FineTuning, Joint
from sparcl_ref.replay import ReservoirBuffer
from tests import strategies as own
from tests import tiny
from tests.helpers import assert_close, assert_positive_zero
from tests.methods.common import (
    OTHERS,
    REHEARSING,
    TASK,
    assert_same_gradients,
    batchnorms,
    heads,
    names,
    new_batch,
    prepare,
    rehearsal,
)


def replay_loss(name: str, logits: tiny.Logits, buffer: ReservoirBuffer, draws: list[np.ndarray]) -> torch.Tensor:
    """The replay term of each method, from section 1 of the method, on the recorded draws."""

    def label_loss(slots):
        old = buffer.get(slots)
        return tiny.cross_entropy(logits(prepare(old.images)), old.labels)

    def logit_loss(slots):
        old = buffer.get(slots)
        return ((logits(prepare(old.images)) - torch.tensor(old.logits)) ** 2).mean()

    if name == "er":
        return 0.7 * label_loss(draws[0])
    if name == "der":
        return 0.3 * logit_loss(draws[0])
    return 0.3 * logit_loss(draws[0]) + 0.7 * label_loss(draws[1])


# --- losses and gradients ---------------------------------------------------------------------------------------------


@batchnorms
@heads
@names
def test_gradients_are_those_of_the_methods_loss(name, head, batchnorm) -> None:
    net, batch = tiny.network(batchnorm=batchnorm), new_batch()
    kind, settings = REHEARSING[name]
    method = rehearsal(kind, net, head=head, **settings)
    step = method.observe(batch)
    classes = TASK if head == "single" else None

    def current(logits):
        return tiny.cross_entropy(logits(batch.x), batch.labels, classes)

    def replay(logits):
        return replay_loss(name, logits, method.buffer, step.draws)

    parts = tiny.autograd(net, current), tiny.autograd(net, replay)
    whole = tiny.autograd(net, lambda logits: current(logits) + replay(logits))
    for index, parameter in enumerate(net.parameters()):
        at = f"{name} {parameter.name}"
        # A bias in front of batch-norm would have gradient 0, but there is none; all others are far from it.
        assert_close(step.current_grads[index], parts[0][index], call=f"{at} current", atol=1e-13)
        assert_close(step.replay_grads[index], parts[1][index], call=f"{at} replay", atol=1e-13)
        assert_close(parameter.grad, whole[index], call=f"{at} sum", atol=1e-13)
        np.testing.assert_array_equal(parameter.grad, step.current_grads[index] + step.replay_grads[index])


@batchnorms
@heads
@pytest.mark.parametrize("kind", [FineTuning, Joint])
def test_methods_without_memory_have_the_gradient_of_the_batch(kind, head, batchnorm) -> None:
    net, batch = tiny.network(batchnorm=batchnorm), new_batch()
    step = kind(net, head=head).observe(batch)
    classes = TASK if head == "single" else None
    oracle = tiny.autograd(net, lambda logits: tiny.cross_entropy(logits(batch.x), batch.labels, classes))
    for parameter, taken, grad in zip(net.parameters(), step.current_grads, oracle, strict=True):
        assert_close(parameter.grad, grad, call=f"{kind.title} {parameter.name}", atol=1e-13)
        np.testing.assert_array_equal(taken, parameter.grad)
        assert not np.shares_memory(taken, parameter.grad)
    assert step.replay_grads is None
    assert step.draws == []
    assert set(step.losses) == {"current"}


@heads
@names
def test_losses_are_noted_with_their_coefficients(name, head) -> None:
    net, batch = tiny.network(batchnorm=True), new_batch()
    kind, settings = REHEARSING[name]
    method = rehearsal(kind, net, head=head, **settings)
    step = method.observe(batch)
    seen: dict[str, float] = {}

    def scalar(logits):
        classes = TASK if head == "single" else None
        seen["current"] = tiny.cross_entropy(logits(batch.x), batch.labels, classes)
        seen["replay"] = replay_loss(name, logits, method.buffer, step.draws)
        return sum(seen.values())

    tiny.autograd(net, scalar)
    terms = {"er": {"replay_ce"}, "der": {"replay_mse"}, "derpp": {"replay_mse", "replay_ce"}}[name]
    assert set(step.losses) == {"current", *terms}
    assert step.losses["current"] == pytest.approx(seen["current"].item(), rel=1e-12)
    assert sum(step.losses[term] for term in terms) == pytest.approx(seen["replay"].item(), rel=1e-12)
    assert all(type(loss) is float for loss in step.losses.values())


def test_logits_are_raw_and_correct_is_over_the_whole_head() -> None:
    net, batch = tiny.network(batchnorm=False), new_batch(40)
    step = FineTuning(net, head="single").observe(batch)
    logits = net.forward(batch.x, mode="train")
    np.testing.assert_array_equal(step.logits, logits)
    winners = logits.argmax(axis=1)
    assert set(winners.tolist()) & set(OTHERS)  # or the head would not matter
    np.testing.assert_array_equal(step.correct, winners == batch.labels)
    assert step.correct.any()
    assert not step.correct.all()


@batchnorms
def test_single_head_leaves_other_tasks_rows_at_positive_zero(batchnorm) -> None:
    net = tiny.network(batchnorm=batchnorm)
    method = rehearsal(ER, net, head="single")
    step = method.observe(new_batch())
    weight, bias = step.current_grads[-2:]
    assert_positive_zero(weight[OTHERS], call="weights of other tasks")
    assert_positive_zero(bias[OTHERS], call="biases of other tasks")
    assert np.all(weight[list(TASK)].any(axis=1))
    # Replay is over all logits, whatever the head.
    assert np.all(step.replay_grads[-1] != 0)
    full = rehearsal(ER, net, head="full").observe(new_batch())
    assert np.all(full.current_grads[-1] != 0)


def test_the_default_coefficients_are_the_published_ones() -> None:
    net = tiny.network(batchnorm=False)
    assert rehearsal(ER, net).settings.er_weight == 1.0
    assert rehearsal(DER, net).settings.alpha == 0.1
    assert (rehearsal(DERpp, net).settings.alpha, rehearsal(DERpp, net).settings.beta) == (0.1, 0.5)


# --- how the methods relate -------------------------------------------------------------------------------------------


@given(st.sampled_from([0.25, 0.7, 1.0]), own.seeds(), st.integers(1, 8), st.sampled_from(["full", "single"]))
@example(0.25, 131959, 1, "full")  # every ReLU is dead
def test_derpp_without_logit_loss_is_er_and_without_label_loss_is_der(weight, seed, drawn, head) -> None:
    rng = np.random.default_rng(seed)
    first, second = rng.permutation(8)[:drawn], rng.permutation(8)[:drawn]
    batch = new_batch(seed=seed)

    def observed(kind, draws, **settings):
        net = tiny.network(batchnorm=False, seed=seed)
        return net, rehearsal(kind, net, head=head, **settings).observe(batch, draws=draws)

    net, step = observed(DERpp, [first, second], alpha=0.0, beta=weight)
    as_er, er_step = observed(ER, [second], er_weight=weight)
    assert_same_gradients(net, as_er, step, er_step)
    assert step.losses["replay_ce"] == er_step.losses["replay_ce"]
    assert step.losses["replay_mse"] == 0

    net, step = observed(DERpp, [first, second], alpha=weight, beta=0.0)
    as_der, der_step = observed(DER, [first], alpha=weight)
    assert_same_gradients(net, as_der, step, der_step)
    assert step.losses["replay_mse"] == der_step.losses["replay_mse"]


# --- the list of methods ----------------------------------------------------------------------------------------------


def test_the_methods_of_the_paper_have_the_names_of_the_settings() -> None:
    published = {
        "sgd": ("SGD", 0), "joint": ("Joint", 0), "er": ("ER", 1), "der": ("DER", 1), "derpp": ("DER++", 2),
    }  # fmt: skip
    assert tuple(METHODS)[:5] == tuple(published)
    assert {name: (METHODS[name].title, METHODS[name].draws_per_step) for name in published} == published
    assert [name for name, kind in METHODS.items() if kind.joint] == ["joint"]


def test_every_method_has_a_title_of_its_own() -> None:
    assert len({kind.title for kind in METHODS.values()}) == len(METHODS)
    for name, kind in METHODS.items():
        assert kind.rehearses or not kind.draws_per_step, name


@pytest.mark.parametrize("kind", METHODS.values())
def test_an_unknown_head_is_refused(kind) -> None:
    net = tiny.network(batchnorm=False)
    with pytest.raises(ValueError, match=r"head must be full or single, got 'both'"):
        rehearsal(kind, net, head="both") if kind.rehearses else kind(net, head="both")
