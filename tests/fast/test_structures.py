"""The compiled engine on networks unlike the built-in ones, and on numbers that are not finite."""

from __future__ import annotations

import numpy as np
import pytest

from sparcl_ref import fast
from sparcl_ref.layers import (
    AvgPool2d,
    BatchNorm1d,
    BatchNorm2d,
    Conv2d,
    Dropout,
    Flatten,
    Layer,
    Linear,
    MaxPool2d,
    ReLU,
    Residual,
    Sequential,
)
from sparcl_ref.models import Network
from tests.fast.helpers import assert_near, guarded

SHAPE = (3, 4, 6)
CLASSES = 5


def conv(kernel=3, **options):
    """A convolution of three channels that keeps the size unless told otherwise."""
    return Conv2d(3, 3, kernel, **{"padding": kernel // 2, **options}, dtype=np.float64)


def norm():
    return BatchNorm2d(3, dtype=np.float64)


def head(features=72):
    return [Flatten(), Linear(features, CLASSES, dtype=np.float64)]


#: Layers, made anew at each call.
STRUCTURES = {
    "batch-norm reads what the block adds": lambda: [Residual(Sequential([norm(), ReLU(), conv(), norm()])), *head()],
    "a block of a batch-norm alone": lambda: [Residual(norm()), *head()],
    "two batch-norms read one value": lambda: [Residual(norm(), norm()), *head()],
    "a block first, fused": lambda: [Residual(Sequential([conv(), norm()])), *head()],
    "a block first, not fused": lambda: [Residual(Sequential([conv(), ReLU()])), *head()],
    "a block in a block": lambda: [
        Residual(Sequential([Residual(Sequential([conv(5), norm()])), conv(), norm()])), *head()
    ],
    "a block last": lambda: [conv(), Residual(Sequential([conv(), norm()])), Flatten()],
    "a convolution last": lambda: [conv(), Flatten()],
    "dropout first": lambda: [Dropout(0.5, rng=np.random.default_rng(3)), *head()],
    "average pooling first": lambda: [AvgPool2d(2), *head(18)],
    "max pooling with overlap and frame": lambda: [conv(), MaxPool2d(3, stride=1, padding=1), conv(5), *head()],
    "batch-norm of features": lambda: [*head(), BatchNorm1d(CLASSES, dtype=np.float64), ReLU()],
    "one value, two frames": lambda: [
        ReLU(), Residual(Sequential([conv(5), norm()]), Sequential([conv(1), norm()])), *head()
    ],
    "one value, two frames, the wider for the shortcut": lambda: [
        ReLU(),
        Residual(Sequential([conv(1), norm()]), Sequential([conv(5), norm()])),
        *head(),
    ],
    "one value, two column strides": lambda: [
        ReLU(),
        Residual(Sequential([conv(stride=2), norm()]), Sequential([conv(1), conv(1, stride=2), norm()])),
        *head(18),
    ],
}  # fmt: skip


def pair(name):
    """Two equal networks."""
    networks = []
    for _ in range(2):
        body = Sequential(STRUCTURES[name]())
        networks.append(Network(name, body, input_shape=SHAPE, classes=_features(body)))
    rng = np.random.default_rng(0)
    for parameter in networks[0].parameters():
        parameter.value[...] = rng.standard_normal(parameter.value.shape)
    networks[1].load_state(networks[0].state())
    return networks


def _features(body):
    return body.forward(np.ones((2, *SHAPE)), mode="eval").shape[1]


def both(name, x, dy, mode, need_dx):
    """Everything a pass leaves, by name, from the compiled engine and from the reference."""
    with guarded():
        networks = pair(name)
        networks[0] = fast.compile(networks[0])
        found = []
        for network in networks:
            out = {"logits": network.forward(x, mode=mode), "dx": network.backward(dy, need_dx=need_dx)}
            found.append(out | {p.name: p.grad for p in network.parameters()} | dict(network.named_buffers()))
    return found


@pytest.mark.parametrize("need_dx", [True, False])
@pytest.mark.parametrize("mode", ["train", "eval"])
@pytest.mark.parametrize("name", STRUCTURES)
def test_any_structure_equals_the_reference(name, mode, need_dx):
    rng = np.random.default_rng(1)
    x = rng.standard_normal((4, *SHAPE))
    dy = rng.standard_normal((4, pair(name)[0].classes))
    got, expected = both(name, x, dy, mode, need_dx)
    assert got.keys() == expected.keys()
    for key, reference in expected.items():
        if reference is None:
            assert got[key] is None
        else:
            assert_near(got[key], reference, key, 1e-11 * max(1.0, float(np.abs(reference).max())))


@pytest.mark.parametrize("where", ["input", "upstream", "weight"])
@pytest.mark.parametrize("mode", ["train", "eval"])
@pytest.mark.parametrize("name", ["batch-norm reads what the block adds", "a block last", "a convolution last"])
def test_numbers_that_are_not_finite_spread_as_in_the_reference(name, mode, where, monkeypatch):
    rng = np.random.default_rng(2)
    x = rng.standard_normal((4, *SHAPE))
    dy = rng.standard_normal((4, pair(name)[0].classes))
    if where == "weight":
        network_pair = pair

        def poisoned(name):
            networks = network_pair(name)
            for network in networks:
                network.parameters()[0].value.flat[:2] = np.inf, np.nan
            return networks

        monkeypatch.setattr(f"{__name__}.pair", poisoned)
    else:
        bad = {"input": x, "upstream": dy}[where].reshape(-1)
        bad[[3, 17]], bad[9], bad[10:13] = np.nan, np.inf, -0.0
    with np.errstate(all="ignore"):
        got, expected = both(name, x, dy, mode, True)
    assert not all(np.isfinite(array).all() for array in expected.values())
    for key, reference in expected.items():
        if key == "dx" and where == "weight":
            # At borders a tap may meet zeros around dL/dy that the reference leaves out: its NaN is seen there too.
            assert not np.isfinite(got[key][~np.isfinite(reference)]).any()
            reference = np.where(np.isfinite(got[key]), reference, got[key])
        np.testing.assert_allclose(got[key], reference, rtol=1e-10, atol=1e-10, equal_nan=True, err_msg=key)


def test_an_empty_batch_is_no_pass():
    network = pair("a convolution last")[0]
    compiled = fast.compile(network)
    compiled.forward(np.ones((2, *SHAPE)), mode="train")  # given up by the next
    logits = compiled.forward(np.ones((0, *SHAPE)), mode="train")
    assert logits.shape == (0, network.classes)
    assert compiled.backward(logits).shape == (0, *SHAPE)
    assert not any(parameter.grad.any() for parameter in network.parameters())
    assert compiled.forward(np.ones((2, *SHAPE)), mode="train").any()


def test_a_pass_that_failed_leaves_nothing_to_go_back_through():
    network = pair("a block last")[0]
    compiled = fast.compile(network)
    rng = np.random.default_rng(3)
    x, dy = rng.standard_normal((4, *SHAPE)), rng.standard_normal((4, network.classes))
    compiled.forward(x, mode="probe")
    expected = compiled.backward(dy)
    compiled.forward(x, mode="probe")
    with pytest.raises(ValueError, match="input must have shape"):
        compiled.forward(x[:, :2], mode="probe")
    with pytest.raises(RuntimeError, match="backward needs a forward pass"):
        compiled.backward(dy)
    compiled.forward(x[:2], mode="probe")  # given up by the next
    compiled.forward(x, mode="probe")
    np.testing.assert_array_equal(compiled.backward(dy), expected)


def test_the_mode_of_a_pass_is_that_of_its_forward_half():
    network, reference = pair("a block last")
    compiled = fast.compile(network)
    rng = np.random.default_rng(4)
    x, dy = rng.standard_normal((4, *SHAPE)), rng.standard_normal((4, network.classes))
    for mode in ("train", "eval", "probe", "eval", "train"):
        compiled.forward(x + 1, mode="train")  # given up: statistics move all the same
        reference.forward(x + 1, mode="train")
        assert_near(compiled.forward(x, mode=mode), reference.forward(x, mode=mode), mode, 1e-11)
        assert_near(compiled.backward(dy), reference.backward(dy), mode, 1e-10)


def test_several_compiled_twins_and_the_model_itself_add_to_the_same_gradients():
    network, reference = pair("a block in a block")
    rng = np.random.default_rng(5)
    for parameters in zip(network.parameters(), reference.parameters(), strict=True):
        mask = rng.random(parameters[0].value.shape) < 0.7
        for parameter in parameters:
            parameter.set_mask(mask)
    engines = [fast.compile(network), network, fast.compile(network), fast.compile(network)]
    engines[0].zero_grads()
    for batch, engine in enumerate(engines, start=2):
        x, dy = rng.standard_normal((batch, *SHAPE)), rng.standard_normal((batch, network.classes))
        for one in (engine, reference):
            one.forward(x, mode="probe")
            one.backward(dy, need_dx=False)
    for got, expected in zip(engines[2].take_grads(), reference.take_grads(), strict=True):
        assert_near(got, expected, "gradient", 1e-10 * max(1.0, float(np.abs(expected).max())))


def test_batch_sizes_may_change_at_every_pass():
    network, reference = pair("one value, two column strides")
    rng = np.random.default_rng(6)
    with guarded():
        compiled = fast.compile(network)
        for batch in (1, 33, 2, 8, 5, 33, 4, 1, 2, 7):
            x, dy = rng.standard_normal((batch, *SHAPE)), rng.standard_normal((batch, network.classes))
            assert_near(compiled.forward(x, mode="train"), reference.forward(x, mode="train"), f"{batch}", 1e-10)
            assert_near(compiled.backward(dy), reference.backward(dy), f"{batch}", 1e-10)


@pytest.mark.parametrize(
    ("layers", "message"),
    [
        ([Conv2d(4, 3, 1)], r"Conv2d\(4->3, 1x1\) expects 4 channels, but gets 3 channels"),
        ([Linear(3, 5)], r"Linear\(3->5\) expects 3 features, but gets 3 channels"),
        ([Flatten(), Linear(71, 5)], r"Linear\(71->5\) expects 71 features, but gets 72 features"),
        ([Flatten(), Conv2d(72, 5, 1)], r"Conv2d\(72->5, 1x1\) expects 72 channels, but gets 72 features"),
        ([BatchNorm2d(4)], r"BatchNorm2d\(4\) expects 4 channels, but gets 3 channels"),
        ([BatchNorm2d(2), ReLU()], r"BatchNorm2d\(2\) expects 2 channels"),
        ([Residual(Sequential([Conv2d(3, 3, 1), BatchNorm2d(4)]))], r"BatchNorm2d\(4\) expects 4 channels"),
        (
            [Residual(Sequential([Conv2d(3, 3, 1, stride=2), BatchNorm2d(3)]))],
            r"Residual: body and shortcut must give the same shape, got \[\(3, 2, 3\), \(3, 4, 6\)\]",
        ),
        ([Residual(BatchNorm2d(3), Sequential([Conv2d(3, 2, 1), BatchNorm2d(3)]))], r"BatchNorm2d\(3\) expects 3"),
        ([Residual(BatchNorm2d(3), Sequential([Conv2d(3, 2, 1), BatchNorm2d(2)]))], "must give the same shape"),
    ],
)
def test_layers_that_do_not_fit_are_refused_before_any_loop_runs(layers, message):
    network = Network("odd", Sequential([*layers, Flatten()]), input_shape=SHAPE, classes=5)
    with pytest.raises(ValueError, match=message):
        fast.compile(network)


@pytest.mark.parametrize(("says", "tries"), [(True, 0), (False, 1)])
def test_a_layer_is_tried_only_if_it_does_not_say_its_output_shape(says, tries):
    seen = []

    class Doubled(Layer):
        def output_shape(self, shape):
            return shape if says else super().output_shape(shape)

        def _forward(self, x, mode):
            seen.append(x.shape)
            return 2 * x, None

        def _backward(self, dy, cache, need_dx):
            return 2 * dy

    network = Network("doubled", Sequential([Doubled(), *head()]), input_shape=SHAPE, classes=CLASSES)
    rng = np.random.default_rng(7)
    for parameter in network.parameters():
        parameter.value[...] = rng.standard_normal(parameter.value.shape)
    compiled = fast.compile(network)
    assert seen == [(1, *SHAPE)] * tries
    x = rng.standard_normal((4, *SHAPE))
    # Sums of 72 products of numbers around 1.
    assert_near(compiled.forward(x, mode="train"), network.forward(x, mode="train"), "logits", 1e-12)
