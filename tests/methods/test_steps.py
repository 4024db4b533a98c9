from __future__ import annotations

import numpy as np
import pytest

from sparcl_ref.methods import METHODS, Batch, DERpp, FineTuning
from tests import tiny
from tests.helpers import assert_positive_zero
from tests.methods.common import (
    REHEARSING,
    TASK,
    assert_same_gradients,
    names,
    new_batch,
    new_buffer,
    prepare,
    rehearsal,
)


@names
def test_an_empty_buffer_means_no_replay(name) -> None:
    batch, state = new_batch(), np.random.default_rng(4).bit_generator.state
    kind, settings = REHEARSING[name]
    net, plain = tiny.network(batchnorm=True), tiny.network(batchnorm=True)
    method = rehearsal(kind, net, buffer=new_buffer(filled=0), **settings)
    step = method.observe(batch)
    FineTuning(plain).observe(batch)
    assert step.draws == []
    assert step.replay_grads is None
    assert set(step.losses) == {"current"}
    assert method.rng.bit_generator.state == state
    for a, b in zip(net.parameters(), plain.parameters(), strict=True):
        assert a.grad.tobytes() == b.grad.tobytes()
    for (_, a), (_, b) in zip(net.named_buffers(), plain.named_buffers(), strict=True):
        assert a.tobytes() == b.tobytes()


@names
@pytest.mark.parametrize(("task", "replays"), [(1, False), (2, True), (3, True)])
def test_replay_may_wait_for_a_later_task(name, task, replays) -> None:
    kind, settings = REHEARSING[name]
    method = rehearsal(kind, tiny.network(batchnorm=False), replay_from_task=2, **settings)
    assert bool(method.observe(new_batch(task=task)).draws) is replays
    assert rehearsal(kind, tiny.network(batchnorm=False), **settings).observe(new_batch(task=1)).draws


# --- draws ------------------------------------------------------------------------------------------------------------


@names
@pytest.mark.parametrize(("size", "filled"), [(4, 8), (8, 8), (20, 8), (4, 3), (1, 1)])
def test_draws_are_recorded_and_can_be_fed_again(name, size, filled) -> None:
    kind, settings = REHEARSING[name]
    buffer, batch = new_buffer(filled=filled), new_batch()
    net, again = tiny.network(batchnorm=True), tiny.network(batchnorm=True)
    step = rehearsal(kind, net, buffer=buffer, replay_batch_size=size, **settings).observe(batch)
    rng = np.random.default_rng(4)
    assert len(step.draws) == kind.draws_per_step
    for draw in step.draws:
        np.testing.assert_array_equal(draw, buffer.draw(size, rng))
        assert len(set(draw.tolist())) == min(size, filled)
    fed = rehearsal(kind, again, buffer=buffer, seed=99, **settings)
    untouched = fed.rng.bit_generator.state
    second = fed.observe(batch, draws=step.draws)
    assert fed.rng.bit_generator.state == untouched
    assert_same_gradients(net, again, step, second)
    for a, b in zip(step.draws, second.draws, strict=True):
        np.testing.assert_array_equal(a, b)


def test_the_two_draws_of_derpp_are_independent() -> None:
    method, different = rehearsal(DERpp, tiny.network(batchnorm=False)), 0
    for _ in range(10):
        first, second = method.observe(new_batch()).draws
        different += set(first.tolist()) != set(second.tolist())
    assert different >= 5


def test_too_few_draws_are_refused() -> None:
    method = rehearsal(DERpp, tiny.network(batchnorm=False))
    with pytest.raises(ValueError, match=r"DER\+\+: expected 2 draws, got 1"):
        method.observe(new_batch(), draws=[np.array([0, 1])])


# --- what a step does not do ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", METHODS)
def test_observe_never_updates(name, monkeypatch) -> None:
    kind = METHODS[name]
    net, rng = tiny.network(batchnorm=True), np.random.default_rng(0)
    modes: list[str] = []
    forward = net.forward
    monkeypatch.setattr(net, "forward", lambda x, *, mode: modes.append(mode) or forward(x, mode=mode))
    for parameter in net.parameters():
        parameter.slots["momentum"] = rng.standard_normal(parameter.value.shape)
    for parameter in net.sparsifiable():
        tiny.restrict(parameter, rng)
    method = rehearsal(kind, net) if kind.rehearses else kind(net)
    memory = method.buffer.state() if kind.rehearses else None
    before, batch = net.state()["parameters"], new_batch()
    method.observe(batch)
    after = net.state()["parameters"]
    for parameter in before:
        for key in ("value", "slots", "mask", "grad_mask"):
            np.testing.assert_equal(after[parameter][key], before[parameter][key], err_msg=f"{parameter} {key}")
    if kind.rehearses:
        np.testing.assert_equal(method.buffer.state(), memory)
    tracked = [int(array) for name, array in net.named_buffers() if name.endswith("num_batches_tracked")]
    assert tracked == [modes.count("train")] * 2  # every pass of a step moves the running statistics
    assert set(modes) == ({"train"} if kind.learns else set())


@names
def test_gradients_left_from_before_do_not_matter(name) -> None:
    kind, settings = REHEARSING[name]
    nets = [tiny.network(batchnorm=True) for _ in range(2)]
    for parameter in nets[1].parameters():
        parameter.grad[...] = np.nan
    first, second = (rehearsal(kind, net, **settings).observe(new_batch()) for net in nets)
    assert_same_gradients(*nets, first, second)


@names
def test_steps_do_not_share_their_gradients(name) -> None:
    kind, settings = REHEARSING[name]
    net = tiny.network(batchnorm=True)
    method = rehearsal(kind, net, **settings)
    step = method.observe(new_batch())
    kept = [grad.copy() for grad in (*step.current_grads, *step.replay_grads)]
    method.observe(new_batch(seed=8))
    for grad, copy in zip((*step.current_grads, *step.replay_grads), kept, strict=True):
        np.testing.assert_array_equal(grad, copy)


@names
def test_masked_gradients_are_positive_zero_in_every_part(name) -> None:
    kind, settings = REHEARSING[name]
    net, rng = tiny.network(batchnorm=True), np.random.default_rng(0)
    for parameter in net.sparsifiable():
        tiny.restrict(parameter, rng)
        parameter.set_grad_mask(parameter.mask & (rng.random(parameter.value.shape) < 0.5))
    step = rehearsal(kind, net, **settings).observe(new_batch())
    looked_at = 0
    for index, parameter in enumerate(net.parameters()):
        silent = np.zeros(parameter.value.shape, dtype=bool)
        if parameter.sparsifiable:
            silent = ~parameter.effective_grad_mask
        for grad in (parameter.grad, step.current_grads[index], step.replay_grads[index]):
            looked_at += assert_positive_zero(grad, call=parameter.name, where=silent)
            assert grad[~silent].any()
    assert looked_at > 100


@pytest.mark.parametrize("name", METHODS)
def test_every_pass_is_told_to_the_ledger(name) -> None:
    passes: list[tuple[str, int]] = []

    def on_pass(kind, count):
        passes.append((kind, count))

    kind, net = METHODS[name], tiny.network(batchnorm=False)
    method = rehearsal(kind, net, on_pass=on_pass) if kind.rehearses else kind(net, on_pass=on_pass)
    method.observe(new_batch(5))
    expected = [("current", 5), *[("replay", 4)] * kind.draws_per_step]
    assert passes == (expected if kind.learns else [])


@names
def test_float32_stays_float32(name) -> None:
    kind, settings = REHEARSING[name]
    net = tiny.network(batchnorm=True, dtype=np.float32)
    method = kind(
        net,
        buffer=new_buffer(dtype=np.float32),
        prepare=lambda images: prepare(images).astype(np.float32),
        rng=np.random.default_rng(0),
        **settings,
    )
    batch = new_batch()
    step = method.observe(Batch(batch.images, batch.x.astype(np.float32), batch.labels, TASK, 1))
    assert {grad.dtype for grad in (*step.current_grads, *step.replay_grads)} == {np.dtype(np.float32)}
    assert step.logits.dtype == np.float32
