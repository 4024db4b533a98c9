"""FLOP and memory counts under the protocol's names."""

from __future__ import annotations

from fractions import Fraction

from sparcl_ref.config import Config
from sparcl_ref.cost import FLOPS_PER_MAC, LayerSpec, ModelSpec, paper
from sparcl_ref.cost import flops as ledger
from sparcl_ref.cost.schedule import epoch_sizes
from sparcl_ref.layers.windows import Window
from sparcl_ref.masks import exact, round_half_up

#: Settings of a sparse run that what is counted here does not depend on, such that any schedule is allowed.
_SPARSE = {"method": "derpp", "sparsity": 0.5, "p_inter": 0.0}


def conv2d_flops(in_channels, out_channels, kernel, size, stride, padding, groups, batch, active, grad_active, need_dx):
    window = Window(tuple(kernel), (stride, stride), (padding, padding))
    output = window.output_size("conv2d_flops", tuple(size))
    layer = LayerSpec(
        "layer",
        "conv",
        (out_channels, in_channels // groups, *kernel),
        (in_channels, *size),
        (out_channels, *output),
        groups=groups,
        needs_dx=need_dx,
    )
    return _flops(layer, batch, active, grad_active)


def linear_flops(in_features, out_features, batch, active, grad_active, need_dx):
    layer = LayerSpec("layer", "linear", (out_features, in_features), (in_features,), (out_features,), needs_dx=need_dx)
    return _flops(layer, batch, active, grad_active)


def _flops(layer, batch, active, grad_active):
    macs = ledger.pass_macs(layer, active=active, grad_active=grad_active)
    return tuple(FLOPS_PER_MAC * batch * one for one in macs)


def trained_samples(samples, epochs, delta_k, rho, cutoff):
    config = Config(**_SPARSE, epochs=epochs, delta_k=delta_k, ddr_rho=float(rho), ddr_cutoff=cutoff)
    return sum(epoch_sizes(samples, config))


def _network(forward_macs, prunable_macs) -> ModelSpec:
    """Two linear layers with these multiply-adds, the first under a mask."""
    sizes = {"prunable": prunable_macs, "other": forward_macs - prunable_macs}
    layers = [
        LayerSpec(name, "linear", (macs, 1), (1,), (macs,), sparsifiable=name == "prunable")
        for name, macs in sizes.items()
        if macs
    ]
    return ModelSpec("counted", (1, 1, 1), 1, tuple(layers))


def paper_density(sparsity, forward_macs, prunable_macs):
    return float(paper.density(_network(forward_macs, prunable_macs), sparsity))


def paper_train_flops(method, forward_macs, prunable_macs, trained_samples, sparsity, gradient_sparsity, reading):
    network = _network(forward_macs, prunable_macs)
    weights = Fraction(1) if sparsity is None else paper.density(network, sparsity)
    gradients = None if gradient_sparsity is None else paper.density(network, gradient_sparsity)
    cost = paper.step_cost(method, weight_density=weights, gradient_density=gradients, reading=reading)
    return round_half_up(FLOPS_PER_MAC * forward_macs * trained_samples * cost)


def paper_memory_bytes(parameters, conv_outputs, batch_size, sparsity, gradient_sparsity):
    convolution = LayerSpec("conv", "conv", (1, 1, 1, 1), (1, 1, conv_outputs), (1, 1, conv_outputs))
    network = ModelSpec("counted", (1, 1, conv_outputs), 1, (convolution,), parameter_sizes={"all": parameters})
    q = exact(gradient_sparsity) - exact(sparsity)
    settings = {**_SPARSE, "sparsity": float(sparsity), "batch_size": batch_size, "dgm_q": float(q)}
    return paper.memory_bytes(network, Config(**settings))


def sparse_weight_bytes(living, dense, value_bytes, index_bytes):
    return (dense + living) * value_bytes + living * index_bytes
