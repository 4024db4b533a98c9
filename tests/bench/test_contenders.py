"""Contenders of a comparison do the same work."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from sparcl_ref.bench import engines, pytorch
from sparcl_ref.bench.kernels import crossing
from sparcl_ref.bench.layers import OneLayer, layer_contenders
from sparcl_ref.bench.step import step_contenders
from sparcl_ref.bench.workload import ConvShape, build_layer, convolutions, step_data
from sparcl_ref.cost.describe import describe_model
from sparcl_ref.layers import Conv2d
from sparcl_ref.masks import budget

WIDTH, BATCH = 16, 4
#: Losses are means of a few float32 numbers around 2 after twenty layers; two updates apart they still agree to this.
LOSS_TOLERANCE = 2e-3


@pytest.fixture(scope="module")
def steps():
    """Each contender of the step and its losses in two consecutive steps."""
    return {c.name: [c.step(), c.step()] for c in step_contenders(WIDTH, BATCH, (0.0, 0.95))}


DENSE = ("torch channels-last", "numpy 0", "numba 0")
SPARSE = ("torch channels-last masked-dense 0.95", "scipy csr 0.95", "numba 0.95")


@pytest.mark.parametrize(
    ("name", "reference"),
    [*((name, "torch") for name in DENSE), *((name, "torch masked-dense 0.95") for name in SPARSE)],
)
def test_all_contenders_compute_one_step(steps, name, reference):
    for mine, theirs in zip(steps[name], steps[reference], strict=True):
        assert mine.keys() == theirs.keys() == {"current", "replay_mse", "replay_ce"}
        for term in mine:
            assert mine[term] == pytest.approx(theirs[term], rel=LOSS_TOLERANCE), term


def test_a_step_trains(steps):
    for name, (first, second) in steps.items():
        assert first["current"] != second["current"], name


def test_dense_and_sparse_contenders_start_from_different_networks(steps):
    assert steps["torch"][0]["current"] != pytest.approx(
        steps["torch masked-dense 0.95"][0]["current"], rel=LOSS_TOLERANCE
    )


def test_masked_dense_trains_living_weights_only():
    network = engines.sparse_resnet18(WIDTH, sparsity=0.9)
    model = pytorch.resnet18(WIDTH, conv=pytorch.MaskedConv2d)
    pytorch.load_parameters(model, network.parameters())
    before = [p.detach().clone() for p in model.parameters()]
    pytorch.training_step(model, step_data(BATCH), torch.contiguous_format)()
    checked = 0
    for parameter, theirs, start in zip(network.parameters(), model.parameters(), before, strict=True):
        moved = (theirs.detach() != start).numpy()
        assert moved.any(), parameter.name
        if parameter.mask is not None:
            assert not moved[~parameter.mask].any(), parameter.name
            assert moved[parameter.mask].mean() > 0.5, parameter.name
            checked += 1
    assert checked == len(network.sparsifiable()) == 16


def test_parameters_of_another_shape_are_refused():
    with pytest.raises(ValueError, match="shape"):
        pytorch.load_parameters(pytorch.resnet18(32), engines.sparse_resnet18(16).parameters())


def test_gradient_masks_have_the_size_of_dgm():
    network = engines.sparse_resnet18(WIDTH, sparsity=0.9, masked_gradients=True)
    for parameter in network.sparsifiable():
        # s = .9 and q = .2 (1 - s): .92 of the gradient is masked.
        assert parameter.grad_active == pytest.approx(0.08 * parameter.value.size, abs=1)
        assert parameter.active == pytest.approx(0.1 * parameter.value.size, abs=1)


def test_useful_flops_are_those_of_three_passes():
    spec = describe_model("resnet18", input_shape=(3, 32, 32), classes=10, width=WIDTH)
    stem = 3 * WIDTH * 9 * 32 * 32
    macs = 3 * BATCH * (3 * spec.forward_macs - stem)
    assert engines.useful_flops(engines.sparse_resnet18(WIDTH), BATCH) == 2 * macs


def test_the_distinct_convolutions_are_those_of_resnet18():
    spec = describe_model("resnet18", input_shape=(3, 32, 32), classes=10, width=WIDTH)
    seen = {
        (layer.weight_shape, layer.input_shape, layer.output_shape, layer.sparsifiable, layer.needs_dx)
        for layer in spec.layers
        if layer.kind == "conv"
    }
    stated = {
        (
            (s.fan_out, s.fan_in, s.kernel, s.kernel),
            (s.fan_in, s.size, s.size),
            (s.fan_out, s.out_size, s.out_size),
            s.sparsifiable,
            not s.first,
        )
        for s in convolutions(WIDTH)
    }
    assert stated == seen
    assert len(convolutions(WIDTH)) == 11


@st.composite
def conv_shapes(draw) -> ConvShape:
    kernel = draw(st.sampled_from([1, 3]))
    return ConvShape(
        draw(st.sampled_from([4, 33])), draw(st.sampled_from([3, 32])), draw(st.integers(2, 9)), kernel,
        draw(st.integers(1, 2)), first=draw(st.booleans()),
    )  # fmt: skip


@pytest.mark.slow
@given(conv_shapes(), st.sampled_from([0.0, 0.5, 0.95]), st.integers(1, 4), st.integers(0, 99))
def test_one_compiled_layer_computes_what_conv2d_computes(shape, sparsity, batch, seed):
    rng = np.random.default_rng(seed)
    x = rng.standard_normal((batch, shape.fan_in, shape.size, shape.size))
    dy = rng.standard_normal((batch, shape.fan_out, shape.out_size, shape.out_size))

    def layer() -> Conv2d:
        made = build_layer(shape, sparsity=sparsity)
        made.weight.value = made.weight.value.astype(np.float64)
        made.weight.grad = np.zeros_like(made.weight.value)
        return made

    reference, compiled = layer(), layer()
    y = reference.forward(x, mode="train")
    dx = reference.backward(dy, need_dx=not shape.first)
    one = OneLayer(compiled, shape, x, dy)
    one.step()
    one.step()
    # Sums of at most a few thousand products of numbers around 1, in float64.
    np.testing.assert_allclose(compiled.weight.grad, reference.weight.grad, rtol=0, atol=1e-10)
    for products in (False, True):
        if products and shape.fan_in % 2:  # both ways are right for every shape; one of them is enough for half
            continue
        calls = one.ways(products=products)
        calls["forward"]()
        np.testing.assert_allclose(one.y, y, rtol=0, atol=1e-10)
        found = calls["dw"]()
        dense = found if products else np.zeros(compiled.weight.value.size)
        if not products:
            mask = compiled.weight.mask
            chosen = np.arange(dense.size) if mask is None else np.flatnonzero(mask)
            assert len(found) == len(chosen)
            assert np.sort(found) == pytest.approx(np.sort(reference.weight.grad.reshape(-1)[chosen]), abs=1e-10)
        if not shape.first:
            calls["dx"]()
            np.testing.assert_allclose(one.dx, dx, rtol=0, atol=1e-10)


@pytest.mark.parametrize(
    ("shape", "expected"),
    [
        (ConvShape(3, 16, 8, 3, 1, first=True), ["torch", "torch channels-last", "numpy 0", "numba 0"]),
        (
            ConvShape(16, 16, 8, 3, 1),
            [
                "torch", "torch channels-last", "numpy 0", "numba 0", "scipy csr 0.9", "numba 0.9",
                "torch masked-dense 0.95", "torch channels-last masked-dense 0.95", "scipy csr 0.95", "numba 0.95",
            ],
        ),
    ],
)  # fmt: skip
def test_layers_have_the_contenders_that_make_sense(shape, expected):
    contenders = layer_contenders(shape, 2, (0.0, 0.9, 0.95))
    assert [c.name for c in contenders] == expected
    for contender in contenders:
        contender.step()
        last = contender.name.rpartition(" ")[2]
        sparsity = float(last) if last[0].isdigit() else 0.0
        # Two FLOPs per living weight, position of the 8x8 output and sample, in each product.
        assert contender.useful_flops == 2 * budget(shape.weights, sparsity) * 64 * 2 * (2 if shape.first else 3)


@pytest.mark.parametrize(
    ("sums", "products", "expected"),
    [
        ([1.0, 2.0, 4.0], 5.0, None),
        ([1.0, 2.0, 4.0], 3.0, 0.75),
        ([1.0, 2.0, 4.0], 1.5, 0.375),
        ([1.0, 2.0, 4.0], 0.5, 0.25),
        ([3.5, 2.0, 4.0], 3.0, 0.75),
    ],
)
def test_crossing(sums, products, expected):
    assert crossing([0.25, 0.5, 1.0], sums, products) == expected
