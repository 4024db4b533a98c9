"""What networks start from, and that their values survive being saved, loaded and restored."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from sparcl_ref.layers import Conv2d, Linear
from sparcl_ref.models import MODELS, Network, he_normal, initialise, pytorch_default
from tests.helpers import assert_close, assert_positive_zero
from tests.model_pairs import CASES, CLASSES, IDS, images, network, pair
from tests.trajectory import twin_model

# --- initial values


def weights_by_fan_in(net: Network) -> list[tuple[str, np.ndarray, int]]:
    """Name, values and inputs per output of every convolution and linear layer's parameters."""
    return [
        (f"{prefix}.{name}", parameter.value, int(np.prod(layer.weight.value.shape[1:])))
        for prefix, layer in net.named_layers()
        if isinstance(layer, Conv2d | Linear)
        for name, parameter in layer.own_parameters().items()
    ]


def test_he_initialisation_has_the_moments_of_its_normal_distribution():
    """Mean 0, variance 2 / fan_in, kurtosis 3; each within five standard errors, in every layer."""
    checked = 0
    for name, width in (("resnet18", 16), ("mlp", 256), ("convnet", 64), ("resnet20", 16)):
        for label, value, fan_in in weights_by_fan_in(network(name, (3, 8, 8), width)):
            if label.endswith("bias"):
                assert_positive_zero(value, call=label)
                continue
            z = value.reshape(-1) / np.sqrt(2 / fan_in)
            n = z.size
            assert abs(z.mean()) < 5 * np.sqrt(1 / n), label
            assert abs(z.var() - 1) < 5 * np.sqrt(2 / n), label
            # The standard error holds for large samples: the fourth power of few normal numbers is far from normal.
            if n > 1000:
                assert abs((z**4).mean() - 3) < 5 * np.sqrt(96 / n), label
            checked += n
    assert checked > 800_000


def test_pytorch_default_initialisation_has_its_bounds():
    """Uniform up to 1 / sqrt(fan_in), weights and biases: variance a third of the bound's square, kurtosis 9/5."""
    torch.manual_seed(0)
    for name, width in (("resnet18", 8), ("mlp", 64), ("convnet", 32)):
        ours = network(name, (3, 8, 8), width, draw=pytorch_default)
        theirs = dict(twin_model(ours, width=width).named_parameters())
        for label, value, fan_in in weights_by_fan_in(ours):
            bound = 1 / np.sqrt(fan_in)
            z, n = value.reshape(-1) / bound, value.size
            assert np.abs(z).max() <= 1
            assert theirs[label].abs().max() <= bound * (1 + 1e-6)
            # All n stay 20/n below the bound once in e^20 layers; torch's own do not either.
            assert np.abs(z).max() > 1 - 20 / n
            assert theirs[label].abs().max() > bound * (1 - 20 / n)
            assert abs(z.var() - 1 / 3) < 5 * np.sqrt(4 / 45 / n) + 1 / n, label


def test_batch_norm_starts_neutral_and_draws_nothing():
    for draw in (he_normal, pytorch_default):
        for label, value in network("resnet18", width=2, draw=draw).state_dict().items():
            if ".bn" in f".{label}" or "shortcut.1" in label:
                ones = label.endswith(("weight", "running_var"))
                np.testing.assert_array_equal(value, np.full(value.shape, 1 if ones else 0))


@pytest.mark.parametrize("name", MODELS)
@pytest.mark.parametrize("draw", [he_normal, pytorch_default])
def test_a_seed_fixes_the_weights_whatever_the_dtype(name, draw):
    one = network(name, width=4, draw=draw).state_dict()
    again = network(name, width=4, draw=draw).state_dict()
    other = network(name, width=4, draw=draw, seed=1).state_dict()
    single = network(name, width=4, draw=draw, dtype=np.float32).state_dict()
    for label, value in one.items():
        np.testing.assert_array_equal(again[label], value)
        np.testing.assert_array_equal(single[label], value.astype(single[label].dtype))
    assert not np.array_equal(other["linear.weight"], one["linear.weight"])
    drawn = np.concatenate([v.reshape(-1) for k, v in one.items() if v.ndim > 1])
    assert len(np.unique(drawn)) == drawn.size  # no layer repeats another


def test_initialising_a_masked_network_leaves_the_dead_at_zero():
    ours = network("mlp", width=5)
    ours.sparsifiable()[0].set_mask(np.eye(5, dtype=bool))
    initialise(ours, np.random.default_rng(1), pytorch_default)
    weight = ours.sparsifiable()[0].value
    assert assert_positive_zero(weight, call="fc2.weight", where=~np.eye(5, dtype=bool)) == 20
    assert np.diag(weight).all()


# --- saving and loading


def assert_same(one: dict[str, np.ndarray], other: dict[str, np.ndarray]) -> None:
    assert list(one) == list(other)
    for label, value in one.items():
        np.testing.assert_array_equal(value, other[label])


@pytest.mark.parametrize(("name", "shape", "width"), CASES[::2], ids=IDS[::2])
def test_npz_round_trip(tmp_path, name, shape, width):
    ours, _ = pair(name, shape, width)
    x = images(shape)
    ours.forward(x, mode="train")
    ours.save_npz(tmp_path / "net.weights")
    fresh = network(name, shape, width, seed=9)
    fresh.load_npz(str(tmp_path / "net.weights"))
    assert_same(fresh.state_dict(), ours.state_dict())
    np.testing.assert_array_equal(fresh.forward(x, mode="eval"), ours.forward(x, mode="eval"))


def test_weights_saved_from_pytorch_can_be_read(tmp_path):
    ours = network("resnet20", (3, 8, 8), 4)
    torch.manual_seed(1)
    theirs = twin_model(ours, width=4).double()
    x = images((3, 8, 8))
    theirs.train()(torch.tensor(x))
    np.savez(tmp_path / "torch.npz", **{k: v.numpy() for k, v in theirs.state_dict().items()})
    ours.load_npz(tmp_path / "torch.npz")
    wanted = theirs.eval()(torch.tensor(x)).detach().numpy()
    assert_close(ours.forward(x, mode="eval"), wanted, call="resnet20 with PyTorch's weights")


def test_state_dict_is_a_copy_and_loading_keeps_the_arrays():
    ours = network("convnet", width=4)
    held = {p.name: p.value for p in ours.parameters()}
    state = ours.state_dict()
    for value in state.values():
        value[...] = 7
    assert not (ours.parameters()[0].value == 7).any()
    ours.load_state_dict(state)
    for parameter in ours.parameters():
        assert parameter.value is held[parameter.name]
        assert (parameter.value == 7).all()
    assert all((array == 7).all() for _, array in ours.named_buffers())


def test_loading_into_a_masked_network_keeps_mask_and_zeros():
    ours = network("mlp", width=5)
    mask = np.random.default_rng(0).random((5, 5)) < 0.5
    ours.sparsifiable()[0].set_mask(mask)
    ours.load_state_dict(network("mlp", width=5, seed=3).state_dict())
    weight = ours.sparsifiable()[0]
    np.testing.assert_array_equal(weight.mask, mask)
    assert assert_positive_zero(weight.value, call="fc2.weight", where=~mask) > 5
    assert weight.value[mask].all()


def test_what_does_not_fit_is_refused_and_nothing_is_loaded():
    ours, good = network("mlp", width=5), network("mlp", width=5, seed=4).state_dict()
    before = ours.state_dict()
    lacking = {k: v for k, v in good.items() if k not in ("fc2.bias", "fc1.weight")}
    cases = [
        (lacking, r"mlp: the state lacks fc1\.weight, fc2\.bias; expected exactly the names"),
        ({**good, "fc9.weight": np.zeros(3)}, r"mlp: the state has unknown names fc9\.weight; is it of another model"),
        ({**good, "linear.bias": np.zeros(7)}, r"mlp: linear\.bias must have shape \(6,\), got \(7,\)"),
        ({**good, "linear.bias": 0.0}, r"mlp: linear\.bias must have shape \(6,\), got \(\)"),
    ]
    for state, message in cases:
        with pytest.raises(ValueError, match=message):
            ours.load_state_dict(state)
        assert_same(ours.state_dict(), before)


def test_a_file_that_is_no_npz_of_plain_arrays_is_refused(tmp_path):
    ours = network("mlp", width=5)
    path = tmp_path / "weights.npz"
    state = ours.state_dict()

    def pickled():
        np.savez(path, **{**state, "linear.bias": np.array([object()], dtype=object)})

    def bare():
        with open(path, "wb") as file:
            np.save(file, np.ones(3))

    def cut_short():
        ours.save_npz(path)
        path.write_bytes(path.read_bytes()[:-40])

    writers = (pickled, bare, cut_short, lambda: path.write_bytes(b""), lambda: path.write_text("weights"), path.unlink)
    for write in writers:
        write()
        with pytest.raises(ValueError, match=r"weights\.npz: (not an?|not a whole|cannot be read) "):
            ours.load_npz(path)
        assert_same(ours.state_dict(), state)
    np.savez(path, **{**state, "extra": np.ones(2)})
    with pytest.raises(ValueError, match="unknown names extra"):
        ours.load_npz(path)


def test_state_holds_masks_gradients_and_momentum_too():
    ours, rng = network("convnet", width=4), np.random.default_rng(0)
    weight = ours.sparsifiable()[1]
    weight.set_mask(rng.random(weight.value.shape) < 0.6)
    weight.set_grad_mask(weight.mask & (rng.random(weight.value.shape) < 0.5))
    weight.slots["momentum"] = rng.standard_normal(weight.value.shape)
    weight.clear_dead()
    ours.forward(images((1, 8, 8)), mode="train")
    ours.backward(rng.standard_normal((5, CLASSES)))
    state = ours.state()
    kept = {key: array.copy() for key, array in (("value", weight.value), ("grad", weight.grad))}
    other = network("convnet", width=4, seed=8)
    other.load_state(state)
    weight.value[...], weight.grad[...] = 0, 0
    dict(ours.named_buffers())["bn1.running_mean"][...] = 0
    found = other.sparsifiable()[1]
    np.testing.assert_array_equal(found.value, kept["value"])
    np.testing.assert_array_equal(found.grad, kept["grad"])
    np.testing.assert_array_equal(found.mask, weight.mask)
    np.testing.assert_array_equal(found.grad_mask, weight.grad_mask)
    np.testing.assert_array_equal(found.slots["momentum"], weight.slots["momentum"])
    assert dict(other.named_buffers())["bn1.running_mean"].all()
    assert other.sparsifiable()[0].mask is None
