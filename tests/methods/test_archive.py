"""The archive: a task's network comes back to the bit whatever was learned since, and so does the one it displaces."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sparcl_ref import checkpoint, fast
from sparcl_ref.methods.archive import Archive
from sparcl_ref.models import Network
from tests import tiny
from tests.test_trainer import flattened

X = np.random.default_rng(9).standard_normal((6, *tiny.INPUT))
SHARED = ("conv1.weight", "conv2.weight", "fc.weight")
engines = pytest.mark.parametrize("engine", ["numpy", "numba"])


def network(engine: str = "numpy", *, batchnorm: bool = True, seed: int = 0) -> Network:
    """At random values and statistics."""
    net = tiny.network(batchnorm=batchnorm, seed=seed)
    rng = np.random.default_rng(seed)
    for name, array in net.named_buffers():
        array[...] = rng.uniform(0.5, 2, array.shape) if "running" in name else 3
    return fast.compile(net) if engine == "numba" else net


def masks_of(net: Network, rng: np.random.Generator, names=SHARED) -> dict[str, np.ndarray]:
    values = {parameter.name: parameter.value for parameter in net.parameters()}
    return {name: rng.random(values[name].shape) < 0.6 for name in names}


def learned(net: Network, archive: Archive, rng: np.random.Generator) -> None:
    """What later tasks may do: change every entry that no task uses, and all that is kept whole."""
    for parameter in net.parameters():
        used = np.zeros(parameter.value.shape, dtype=bool)
        if parameter.name in SHARED:
            used = archive.owners(parameter) > 0
        parameter.freeze(None)
        parameter.set_mask(None)
        parameter.value[~used] = rng.standard_normal(np.count_nonzero(~used))
        parameter.changed()
        parameter.slots["momentum"] = rng.standard_normal(parameter.value.shape)
        parameter.grad = rng.standard_normal(parameter.value.shape)
        mask = used | (rng.random(used.shape) < 0.7)
        parameter.set_mask(mask if parameter.name in SHARED else None)
        parameter.set_grad_mask(used if used.any() else None)
        parameter.freeze(used)
    for name, array in net.named_buffers():
        array[...] = rng.uniform(0.5, 2, array.shape) if "running" in name else 5


@engines
@given(seed=st.integers(0, 2**32), batchnorm=st.booleans(), multiplied=st.booleans())
def test_a_tasks_logits_and_the_present_network_come_back_to_the_bit(engine, seed, batchnorm, multiplied) -> None:
    rng, net, archive, then = np.random.default_rng(seed), network(engine, batchnorm=batchnorm), Archive(), {}
    for task, classes in ((1, (2, 0)), (2, (3,)), (3, (1,))):
        masks = masks_of(net, rng)
        factors = {"fc.weight": rng.standard_normal((5, 12))} if multiplied else {}
        archive.keep(net, task, classes, masks, factors)
        with archive.in_place(net, task):
            then[task] = net.forward(X, mode="eval")
            for parameter in net.parameters():
                if parameter.name in masks:
                    assert not parameter.value[~masks[parameter.name]].any()
        others = [label for label in range(4) if label not in classes]
        assert not then[task][:, others].any()
        learned(net, archive, rng)
    before, logits = dict(flattened(net.state())), net.forward(X, mode="eval")
    for task, said in then.items():
        with archive.in_place(net, task):
            assert net.forward(X, mode="eval").tobytes() == said.tobytes()
            assert all(parameter.frozen is None for parameter in net.parameters())
        assert dict(flattened(net.state())) == before
    assert net.forward(X, mode="eval").tobytes() == logits.tobytes()


def test_the_present_network_comes_back_when_something_fails_meanwhile() -> None:
    rng, net, archive = np.random.default_rng(0), network(), Archive()
    archive.keep(net, 1, (0,), masks_of(net, rng))
    learned(net, archive, rng)
    before = dict(flattened(net.state()))
    with pytest.raises(KeyError, match="meanwhile"), archive.in_place(net, 1):
        raise KeyError("meanwhile")
    assert dict(flattened(net.state())) == before
    archive.tasks[1].rows["linear.bias"] = np.zeros(2)  # put fails half way
    with (
        pytest.raises(ValueError, match=r"linear.bias: .* must have shape \(1,\), got \(2,\)"),
        archive.in_place(net, 1),
    ):
        raise AssertionError
    assert dict(flattened(net.state())) == before


def test_it_is_the_network_with_products_masks_and_rows_put_in_by_hand() -> None:
    rng, net, archive = np.random.default_rng(0), network(), Archive()
    masks, factors = masks_of(net, rng), {"fc.weight": rng.standard_normal((5, 12))}
    by_hand = network()
    values = by_hand.state_dict()
    for name, mask in masks.items():
        values[name] = np.where(mask, values[name] * factors.get(name, 1), 0)
    for name in ("linear.weight", "linear.bias"):
        values[name][[0, 3]] = 0
    by_hand.load_state_dict(values)
    archive.keep(net, 4, (2, 1), masks, factors)
    # The product of one factor and one weight is rounded once, by whoever computes it.
    with archive.in_place(net, 4):
        assert net.forward(X, mode="eval").tobytes() == by_hand.forward(X, mode="eval").tobytes()


@given(st.lists(st.integers(0, 2**32), min_size=1, max_size=5))
def test_owners_are_the_first_tasks_that_use_an_entry(seeds) -> None:
    net, archive = network(), Archive()
    kept = []
    for task, seed in enumerate(seeds, start=1):
        kept.append(masks_of(net, np.random.default_rng(seed)))
        archive.keep(net, task, (0,), kept[-1])
    for parameter in net.parameters():
        owner = archive.owners(parameter)
        if parameter.name not in SHARED:
            assert (owner == 1).all()
            continue
        for place in np.ndindex(owner.shape):
            users = [task for task, masks in enumerate(kept, start=1) if masks[parameter.name][place]]
            assert owner[place] == (users[0] if users else 0)
        for task, masks in enumerate(kept, start=1):
            assert np.array_equal(archive.mask(task, parameter), masks[parameter.name])


def test_it_comes_back_from_a_state_from_a_checkpoint_and_from_arrays() -> None:
    rng, net, archive = np.random.default_rng(0), network(), Archive()
    for task in (1, 2):
        archive.keep(net, task, (task,), masks_of(net, rng), {"fc.weight": rng.standard_normal((5, 12))})
        learned(net, archive, rng)
    state = archive.state()
    for again in (state, checkpoint.decode(bytes(checkpoint.encode(state)))):
        other = Archive()
        other.load_state(again)
        assert dict(flattened(other.state())) == dict(flattened(archive.state()))
    other = Archive()
    other.load_arrays(archive.arrays())
    assert dict(flattened(other.state())) == dict(flattened(archive.state()))
    assert "1/masks/conv1.weight" in archive.arrays()
    state["1"]["rows"]["linear.bias"][...] = 7
    assert archive.tasks[1].rows["linear.bias"][0] != 7


def test_what_is_kept_is_a_copy_and_takes_a_bit_for_a_masked_weight() -> None:
    net, archive = network(), Archive()
    archive.keep(net, 1, (1, 2), {"fc.weight": np.ones((5, 12), dtype=bool)})
    kept = archive.tasks[1]
    assert {name: bits.nbytes for name, bits in kept.masks.items()} == {"fc.weight": 8}
    assert sorted(kept.rows) == ["linear.bias", "linear.weight"]
    assert kept.rows["linear.weight"].shape == (2, 5)
    assert "conv1.weight" in kept.values
    assert "bn1.running_mean" in kept.values
    assert not any(np.shares_memory(array, p.value) for array in kept.values.values() for p in net.parameters())


@pytest.mark.parametrize(
    ("masks", "factors", "message"),
    [
        ({"linear.weight": np.ones((4, 5), bool)}, {}, "masks must be of what is before the classifier.*linear.weight"),
        ({"conv9.weight": np.ones(1, bool)}, {}, "got conv9.weight"),
        ({}, {"fc.weight": np.ones((5, 12))}, "factors of what has a mask, got fc.weight"),
        ({"fc.weight": np.ones((12, 5), bool)}, {}, r"fc.weight: .*must have shape \(5, 12\), got \(12, 5\)"),
    ],
)
def test_what_does_not_fit_the_network_is_refused(masks, factors, message) -> None:
    archive = Archive()
    with pytest.raises(ValueError, match=message):
        archive.keep(network(), 1, (0,), masks, factors)
    assert not archive.tasks


@pytest.mark.parametrize(
    ("part", "name", "array", "message"),
    [
        ("masks", "fc.weight", np.zeros(7, np.uint8), r"the mask of fc.weight must be 8 bytes, got \(7,\)"),
        ("masks", "fc.weight", np.zeros(8), "the mask of fc.weight must be 8 bytes"),
        ("values", "bn1.weight", np.ones(1), r"bn1.weight: .* must have shape \(2,\), got \(1,\)"),
        ("values", "strange", np.ones(1), "expected values of"),
        ("rows", "strange", np.ones(1), "the rows must be those of linear.bias, linear.weight"),
        ("factors", "fc.weight", np.ones(1), r"must have shape \(\d+,\), got \(1,\)"),
    ],
)
def test_what_was_changed_since_is_refused(part, name, array, message) -> None:
    net, archive = network(), Archive()
    archive.keep(net, 1, (0,), masks_of(net, np.random.default_rng(0)))
    getattr(archive.tasks[1], part)[name] = array
    with pytest.raises(ValueError, match=message):
        archive.put(net, 1)
