"""Multiply-adds: against loops that do the work one product at a time, and against PyTorch's counter."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch.utils.flop_counter import FlopCounterMode

from sparcl_ref.cost import FLOPS_PER_MAC, FlopLedger, MacTable, describe, describe_model, pass_macs
from sparcl_ref.cost.conventions import pytorch_counter_flops
from sparcl_ref.layers import Conv2d, Flatten, Linear, Sequential
from sparcl_ref.models import Network
from tests import strategies as own
from tests.helpers import assert_close
from tests.torch_twin import models as twins


def conv_by_loops(x, dy, weight, mask, grad_mask, geometry):
    """Forward, dX and dW of a convolution, product by product over living weights.

    Returns the three results and how many products each took. Padding is a frame of real zeros.
    """
    (pad_r, pad_c), (step_r, step_c), (dil_r, dil_c) = geometry.padding, geometry.stride, geometry.dilation
    frame = np.pad(x, ((0, 0), (0, 0), (pad_r, pad_r), (pad_c, pad_c)))
    dframe, dw = np.zeros_like(frame), np.zeros_like(weight)
    y, counts = np.zeros(geometry.output_shape), {"forward": 0, "dx": 0, "dw": 0}
    per_group_in = geometry.in_channels // geometry.groups
    per_group_out = geometry.out_channels // geometry.groups
    for (o, i, a, b), alive in np.ndenumerate(mask):
        if not alive:
            continue
        channel = o // per_group_out * per_group_in + i
        rows, columns = geometry.output_shape[2:]
        for n, h, w in itertools.product(range(geometry.batch), range(rows), range(columns)):
            place = n, channel, h * step_r + a * dil_r, w * step_c + b * dil_c
            y[n, o, h, w] += weight[o, i, a, b] * frame[place]
            counts["forward"] += 1
            dframe[place] += weight[o, i, a, b] * dy[n, o, h, w]
            counts["dx"] += 1
            if grad_mask[o, i, a, b]:
                dw[o, i, a, b] += dy[n, o, h, w] * frame[place]
                counts["dw"] += 1
    inside = dframe[:, :, pad_r : pad_r + x.shape[2], pad_c : pad_c + x.shape[3]]
    return (y, inside, dw), counts


def conv_of(geometry, **extra) -> Conv2d:
    keys = ("in_channels", "out_channels", "kernel_size", "stride", "padding", "dilation", "groups")
    return Conv2d(**{key: getattr(geometry, key) for key in keys}, bias=False, dtype=np.float64, **extra)


@given(own.conv_geometries(), own.generators(), st.data())
def test_exact_counts_are_those_of_the_loops(geometry, rng, data):
    mask, grad_mask = data.draw(own.nested_masks(geometry.weight_shape))
    conv = conv_of(geometry, sparsifiable=True)
    conv.weight.value[...] = rng.standard_normal(geometry.weight_shape)
    conv.weight.set_mask(mask)
    conv.weight.set_grad_mask(grad_mask)
    stem = Conv2d(geometry.in_channels, geometry.in_channels, 1, bias=False, dtype=np.float64)
    body = Sequential({"stem": stem, "conv": conv, "flatten": Flatten()})
    model = Network("two", body, input_shape=geometry.input_shape[1:], classes=1)

    x, dy = rng.standard_normal(geometry.input_shape), rng.standard_normal(geometry.output_shape)
    (y, dx, dw), counts = conv_by_loops(x, dy, conv.weight.value, mask, grad_mask, geometry)
    # The loops are the layer's own computation, not just a count.
    assert_close(conv.forward(x, mode="train"), y, call="forward")
    assert_close(conv.backward(dy), dx, call="dX")
    assert_close(conv.weight.grad, dw, call="dW")

    ledger = FlopLedger()
    ledger.record_pass("replay", geometry.batch, model)
    recorded = {direction: ledger.table.macs[f"{direction}_replay"].get("conv", 0) for direction in counts}
    assert recorded == counts
    assert "stem" not in {name for name, macs in ledger.table.macs["dx_replay"].items() if macs}


def torch_flops(net: torch.nn.Module, x: torch.Tensor, *, backward: bool) -> int:
    with FlopCounterMode(display=False) as counter:
        y = net(x)
        if backward:
            y.sum().backward()
    return counter.get_total_flops()


def torch_model(name: str, shape, width: int, classes: int) -> torch.nn.Module:
    if name == "mlp":
        return twins.mlp(int(np.prod(shape)), width, classes)
    if name == "convnet":
        return twins.convnet(classes, width=width, pools=(True, True), in_channels=shape[0])
    return getattr(twins, name)(classes, width=width, in_channels=shape[0])


MODEL_SHAPES = [
    ("mlp", (1, 8, 8)),
    ("mlp", (1, 28, 28)),
    ("convnet", (1, 8, 8)),
    ("convnet", (1, 28, 28)),
    ("convnet", (3, 64, 64)),
    ("resnet18", (3, 32, 32)),
    ("resnet18", (3, 64, 64)),
    ("resnet18", (1, 28, 28)),
    ("resnet20", (3, 32, 32)),
    ("resnet20", (1, 8, 8)),
]


@pytest.mark.parametrize(("name", "shape"), MODEL_SHAPES)
@pytest.mark.parametrize("width", [4, 10])
def test_dense_models_agree_with_pytorchs_counter(name, shape, width):
    spec = describe_model(name, input_shape=shape, classes=7, width=width)
    # On the "meta" device PyTorch follows shapes without computing.
    net, x = torch_model(name, shape, width, 7).to("meta"), torch.empty(3, *shape, device="meta")
    assert FLOPS_PER_MAC * 3 * spec.forward_macs == torch_flops(net, x, backward=False)
    both = sum(sum(pass_macs(layer)) for layer in spec.layers)
    assert FLOPS_PER_MAC * 3 * both == torch_flops(net, x, backward=True) == 3 * pytorch_counter_flops(spec)


def test_full_resnet18_agrees_with_pytorchs_counter():
    spec = describe_model("resnet18", input_shape=(3, 32, 32), classes=10)
    net, x = twins.resnet18(10).to("meta"), torch.empty(1, 3, 32, 32, device="meta")
    assert FLOPS_PER_MAC * spec.forward_macs == torch_flops(net, x, backward=False) == 1_110_845_440
    assert pytorch_counter_flops(spec) == torch_flops(net, x, backward=True) == 3_328_997_376


@given(own.conv_geometries())
def test_any_convolution_agrees_with_pytorchs_counter(geometry):
    """With g groups PyTorch takes dW for g times what the loops take."""
    keys = ("in_channels", "out_channels", "kernel_size", "stride", "padding", "dilation", "groups")
    net = torch.nn.Conv2d(**{key: getattr(geometry, key) for key in keys}, bias=False)
    body = Sequential({"conv": conv_of(geometry), "flatten": Flatten()})
    model = Network("one", body, input_shape=geometry.input_shape[1:], classes=1)
    (layer,) = describe(model).layers
    forward, _, dw = pass_macs(layer)
    x = torch.zeros(geometry.input_shape)
    flops = FLOPS_PER_MAC * geometry.batch
    assert torch_flops(net, x, backward=False) == flops * forward
    assert torch_flops(net, x, backward=True) == flops * (forward + geometry.groups * dw)
    assert torch_flops(net, x.requires_grad_(), backward=True) == flops * (2 * forward + geometry.groups * dw)


@given(st.integers(1, 9), st.integers(1, 9), st.integers(1, 5))
def test_any_linear_layer_agrees_with_pytorchs_counter(fan_in, fan_out, batch):
    body = Sequential({"flatten": Flatten(), "linear": Linear(fan_in, fan_out)})
    (layer,) = describe(Network("one", body, input_shape=(fan_in, 1, 1), classes=fan_out)).layers
    net, x = torch.nn.Linear(fan_in, fan_out), torch.zeros(batch, fan_in)
    macs = pass_macs(layer)
    assert torch_flops(net, x, backward=False) == FLOPS_PER_MAC * batch * macs.forward
    assert torch_flops(net, x, backward=True) == FLOPS_PER_MAC * batch * (macs.forward + macs.dw)


def test_wrong_counts_are_refused():
    layer = describe_model("mlp", input_shape=(1, 2, 2), classes=2, width=3).layers[0]
    assert pass_macs(layer, active=4, grad_active=12) == (4, 0, 12)  # dead weights may have a gradient
    with pytest.raises(
        ValueError, match=r"fc1: expected living weights and weights with gradient in 0\.\.12, got 4 and 13"
    ):
        pass_macs(layer, active=4, grad_active=13)
    with pytest.raises(ValueError, match="got -1 and 3"):
        pass_macs(layer, active=-1, grad_active=3)
    with pytest.raises(ValueError, match="got 4 and -1"):
        pass_macs(layer, active=4, grad_active=-1)
    with pytest.raises(ValueError, match="got 13 and 13"):
        pass_macs(layer, active=13)
    with pytest.raises(ValueError, match="named by one word, such as current, replay, probe or fisher, got 'the past'"):
        MacTable().add_pass("the past", {}, 1)
    with pytest.raises(ValueError, match="at least 0 samples, got -1"):
        MacTable().add_pass("current", {}, -1)
