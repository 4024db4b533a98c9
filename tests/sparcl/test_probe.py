from __future__ import annotations

import numpy as np
import pytest
import torch

from sparcl_ref.losses import cross_entropy
from sparcl_ref.sparcl.importance import probe_gradients
from tests import tiny
from tests.helpers import assert_close, assert_positive_zero


def samples(count: int, *, classes=tiny.CLASSES, dtype=np.float64) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(count)
    return rng.standard_normal((count, *tiny.INPUT)).astype(dtype), rng.integers(0, classes, count)


def chunked_mean_loss(images, labels, batch_size, classes=None):
    """The definition: every sample's loss under its own chunk's statistics, averaged over all samples."""

    def scalar(logits) -> torch.Tensor:
        total = torch.zeros((), dtype=torch.float64)
        for start in range(0, len(images), batch_size):
            part = slice(start, start + batch_size)
            total = total + tiny.cross_entropy(logits(images[part]), labels[part], classes) * len(labels[part])
        return total / len(images)

    return scalar


@pytest.mark.parametrize("batchnorm", [True, False], ids=["batchnorm", "plain"])
@pytest.mark.parametrize(("count", "batch_size"), [(11, 4), (8, 4), (3, 4), (9, 9), (10, 3)])
def test_probe_is_the_gradient_of_the_mean_loss_in_chunks(batchnorm, count, batch_size) -> None:
    net = tiny.network(batchnorm=batchnorm, seed=count)
    images, labels = samples(count)
    chosen = net.sparsifiable()
    assert len(chosen) == 2
    probed = probe_gradients(net, chosen, images, labels, cross_entropy, batch_size=batch_size)
    oracle = dict(
        zip(
            [parameter.name for parameter in net.parameters()],
            tiny.autograd(net, chunked_mean_loss(images, labels, batch_size)),
            strict=True,
        )
    )
    for parameter, grad in zip(chosen, probed, strict=True):
        assert_close(grad, oracle[parameter.name], call=f"probe of {parameter.name}")


def test_chunks_are_part_of_the_definition() -> None:
    net = tiny.network(batchnorm=True)
    images, labels = samples(12)
    whole, in_chunks = (
        probe_gradients(net, net.sparsifiable(), images, labels, cross_entropy, batch_size=size) for size in (12, 4)
    )
    assert max(np.abs(a - b).max() for a, b in zip(whole, in_chunks, strict=True)) > 1e-3


def test_probe_of_any_parameters_in_the_order_asked_for() -> None:
    net = tiny.network(batchnorm=False)
    images, labels = samples(5)
    chosen = [net.parameters()[-1], net.parameters()[0]]
    probed = probe_gradients(net, chosen, images, labels, cross_entropy, batch_size=2)
    oracle = tiny.autograd(net, chunked_mean_loss(images, labels, 2))
    assert_close(probed[0], oracle[-1], call="probe of the last")
    assert_close(probed[1], oracle[0], call="probe of the first")


def test_probe_with_the_single_head() -> None:
    net = tiny.network(batchnorm=True)
    images, labels = samples(7)
    classes = (2, 0)
    labels = np.array(classes)[labels % 2]
    last = net.parameters()[-2]
    assert last.name == "linear.weight"
    (probed,) = probe_gradients(
        net, [last], images, labels, lambda z, y: cross_entropy(z, y, classes=classes), batch_size=4
    )
    assert_close(
        probed, tiny.autograd(net, chunked_mean_loss(images, labels, 4, classes))[-2], call="single-head probe"
    )
    assert_positive_zero(probed[[1, 3]], call="rows of other tasks")
    assert np.all(probed[[0, 2]].any(axis=1))


def test_probe_leaves_the_model_as_it_was_to_the_bit() -> None:
    dropout = np.random.default_rng(3)
    net = tiny.network(batchnorm=True, dropout=dropout)
    rng = np.random.default_rng(9)
    for parameter in net.parameters():
        parameter.grad[...] = rng.standard_normal(parameter.value.shape)
        parameter.slots["momentum"] = rng.standard_normal(parameter.value.shape)
    tiny.restrict(net.sparsifiable()[0], rng)
    before, draws = net.state(), dropout.bit_generator.state
    versions = [parameter.version for parameter in net.parameters()]
    assert any(name.endswith("num_batches_tracked") for name, _ in net.named_buffers())
    images, labels = samples(9)
    copies = images.copy(), labels.copy()
    probed = probe_gradients(net, net.sparsifiable(), images, labels, cross_entropy, batch_size=4)
    kept = [grad.copy() for grad in probed]
    after = net.state()
    for name, state in before["parameters"].items():
        for key in ("value", "grad"):
            assert state[key].tobytes() == after["parameters"][name][key].tobytes(), (name, key)
        assert state["slots"]["momentum"].tobytes() == after["parameters"][name]["slots"]["momentum"].tobytes()
    for name, array in before["buffers"].items():
        assert array.tobytes() == after["buffers"][name].tobytes(), name
    assert dropout.bit_generator.state == draws
    assert [parameter.version for parameter in net.parameters()] == versions
    np.testing.assert_array_equal(images, copies[0])
    np.testing.assert_array_equal(labels, copies[1])
    # Nor does the model later change what the probe returned.
    net.zero_grads()
    for grad, copy in zip(probed, kept, strict=True):
        assert copy.any()
        np.testing.assert_array_equal(grad, copy)


def test_dropout_is_off_in_the_probe() -> None:
    images, labels = samples(6)
    with_dropout = tiny.network(batchnorm=False, dropout=np.random.default_rng(0))
    without = tiny.network(batchnorm=False)
    one, other = (
        probe_gradients(net, net.sparsifiable(), images, labels, cross_entropy, batch_size=4)
        for net in (with_dropout, without)
    )
    for a, b in zip(one, other, strict=True):
        np.testing.assert_array_equal(a, b)


def test_dead_weights_have_no_gradient_and_a_gradient_mask_restricts_the_probe() -> None:
    net, rng = tiny.network(batchnorm=True), np.random.default_rng(1)
    images, labels = samples(8)
    for parameter in net.sparsifiable():
        tiny.restrict(parameter, rng)
    oracle = dict(
        zip([p.name for p in net.parameters()], tiny.autograd(net, chunked_mean_loss(images, labels, 4)), strict=True)
    )
    for restrict_gradients in (False, True):
        if restrict_gradients:
            for parameter in net.sparsifiable():
                parameter.set_grad_mask(parameter.mask & (rng.random(parameter.value.shape) < 0.5))
        probed = probe_gradients(net, net.sparsifiable(), images, labels, cross_entropy, batch_size=4)
        for parameter, grad in zip(net.sparsifiable(), probed, strict=True):
            formed = parameter.effective_grad_mask
            assert assert_positive_zero(grad, call="probe outside the mask", where=~formed) > 0
            assert_close(grad[formed], oracle[parameter.name][formed], call="probe inside the mask")


def test_every_pass_is_told_to_the_ledger() -> None:
    net, passes = tiny.network(batchnorm=False), []
    images, labels = samples(7)
    probe_gradients(
        net,
        net.sparsifiable(),
        images,
        labels,
        cross_entropy,
        batch_size=3,
        on_pass=lambda kind, count: passes.append((kind, count)),
    )
    assert passes == [("probe", 3), ("probe", 3), ("probe", 1)]


def test_no_samples_give_zeros_without_a_pass() -> None:
    net = tiny.network(batchnorm=True)

    def never(*_):
        raise AssertionError("there is nothing to pass")

    images, labels = samples(0)
    probed = probe_gradients(net, net.sparsifiable(), images, labels, never, batch_size=4, on_pass=never)
    for parameter, grad in zip(net.sparsifiable(), probed, strict=True):
        assert grad.shape == parameter.value.shape
        assert_positive_zero(grad, call="probe of nothing")


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_probe_has_the_models_dtype(dtype) -> None:
    net = tiny.network(batchnorm=True, dtype=dtype)
    images, labels = samples(5, dtype=dtype)
    probed = probe_gradients(net, net.sparsifiable(), images, labels, cross_entropy, batch_size=3)
    assert {grad.dtype for grad in probed} == {np.dtype(dtype)}
