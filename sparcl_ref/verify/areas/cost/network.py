"""Work and memory of a network's training."""

from __future__ import annotations

from fractions import Fraction
from functools import partial

from sparcl_ref.config import Config
from sparcl_ref.cost import FLOPS_PER_MAC, LayerSpec, ModelSpec, paper
from sparcl_ref.cost.sizes import epoch_sizes
from sparcl_ref.masks import exact, round_half_up
from sparcl_ref.verify.areas.cost.layer_flops import EXACT
from sparcl_ref.verify.areas.ddr import CUTOFF
from sparcl_ref.verify.areas.tdm import DELTA_K, EPOCHS
from sparcl_ref.verify.function import Argument, Output, exactly, specify
from sparcl_ref.verify.mistake import Mistake, instead, scaled

FORWARD_MACS = Argument("forward_macs", "int: multiply-adds of a dense forward pass of one sample, whole network")
PRUNABLE_MACS = Argument("prunable_macs", "int: those of them that lie in layers under a mask")
_PAPER = "The paper's convention, derived from its printed figures"
#: Settings of a sparse run that what is counted here does not depend on, such that any schedule is allowed.
_SPARSE = {"method": "derpp", "sparsity": 0.5, "p_inter": 0.0}


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


def _by_default(reading):
    return lambda given: reading if given["reading"] == "half_of_dw" else given["reading"]


def paper_memory_bytes(parameters, conv_outputs, batch_size, sparsity, gradient_sparsity):
    convolution = LayerSpec("conv", "conv", (1, 1, 1, 1), (1, 1, conv_outputs), (1, 1, conv_outputs))
    network = ModelSpec("counted", (1, 1, conv_outputs), 1, (convolution,), parameter_sizes={"all": parameters})
    q = exact(gradient_sparsity) - exact(sparsity)
    settings = {**_SPARSE, "sparsity": float(sparsity), "batch_size": batch_size, "dgm_q": float(q)}
    return paper.memory_bytes(network, Config(**settings))


def _memory(directions, gradients, parameters, conv_outputs, batch_size, sparsity, gradient_sparsity):
    """`paper_memory_bytes` with activations in so many directions, and with or without gradients."""
    living = 1 - exact(sparsity) + gradients * (1 - exact(gradient_sparsity))
    return {"memory_bytes": float(4 * (directions * conv_outputs * batch_size + living * parameters))}


def sparse_weight_bytes(living, dense, value_bytes, index_bytes):
    return (dense + living) * value_bytes + living * index_bytes


FUNCTIONS = (
    specify("trained_samples", "cost", trained_samples, "SparCL, equation (2), and the paper's FLOPs",
        "each complete stage up to the cutoff shortens the epochs that follow it: .775 of the samples over 50 epochs",
        Argument("samples", "int: size of the task"), EPOCHS, DELTA_K,
        Argument("rho", "str, a decimal: fraction removed in the end", "0.3"), CUTOFF,
        exactly("trained_samples", "int: presentations in all epochs of the task"),
        Mistake("data removal left out", lambda samples, epochs, **_: {"trained_samples": samples * epochs}),
        instead("data removal without its cutoff: rho after every stage", cutoff=lambda given: given["epochs"]),
        uses=("ddr_sizes", "completed_stage"),
    ),
    specify("paper_density", "cost", paper_density, _PAPER,
        "prunable layers cost 1 - s of their multiply-adds, all others the whole: 0.98548 (1 - s) + 0.01452 for "
        "ResNet-18",
        Argument("sparsity", "str, a decimal: s"), FORWARD_MACS, PRUNABLE_MACS,
        Output("density", "float: multiply-adds of a sparse forward pass relative to a dense one"),
        Mistake("layers without a mask thinned as well", lambda sparsity, **_: {"density": float(1 - exact(sparsity))}),
        Mistake("the sparsity instead of the density", lambda **given: {"density": 1 - paper_density(**given)}),
    ),
    specify("paper_train_flops", "cost", paper_train_flops, _PAPER,
        "a step costs a forward pass of each batch (1 for SGD, 2 for ER and DER, 3 for DER++) and one backward "
        "pass, dX and dW, all at the density of the weights; a gradient mask halves dW",
        Argument("method", 'str: "sgd", "er", "der" or "derpp"'), FORWARD_MACS, PRUNABLE_MACS,
        Argument("trained_samples", "int: presentations of new samples in the whole run"),
        Argument("sparsity", "str, a decimal: s; None for a dense run", None),
        Argument("gradient_sparsity", "str, a decimal: s + q; None without gradient masks", None),
        Argument("reading",
            'str: what gradient masks spare, "half_of_dw": dW costs half of dX, whatever s + q is; '
            '"dw_at_gradient_density": dW costs what a density of 1 - (s + q) costs, dX what that of the weights does; '
            '"both_at_gradient_density": both cost what a density of 1 - (s + q) costs',
            "half_of_dw"),
        Output("train_flops", "float or int: FLOPs"),
        scaled("MACs reported as FLOPs", train_flops=0.5),
        instead("every layer taken for prunable", prunable_macs=lambda given: given["forward_macs"]),
        instead("gradient masks ignored", gradient_sparsity=None),
        instead("sparsity ignored", sparsity=None, gradient_sparsity=None),
        *(instead(f"another reading of gradient masks: {reading}", reading=reading)
            for reading in ("half_of_dw", "dw_at_gradient_density", "both_at_gradient_density")),
        *(instead(f"another reading of gradient masks by default: {reading}", reading=_by_default(reading))
            for reading in ("dw_at_gradient_density", "both_at_gradient_density")),
        uses=("paper_density",),
    ),
    specify("paper_memory_bytes", "cost", paper_memory_bytes, _PAPER,
        "four bytes for each activation, kept once forward and once backward, for (1 - s) P weights and (1 - s_g) P "
        "gradients",
        Argument("parameters", "int: P, all of the network"),
        Argument("conv_outputs", "int: entries that all convolutions put out for one sample"),
        Argument("batch_size", "int"), Argument("sparsity", "str, a decimal: s", "0"),
        Argument("gradient_sparsity", "str, a decimal: s_g, equal to s without gradient masks", "0"),
        Output("memory_bytes", "float or int"),
        Mistake("activations counted once instead of forward and backward", partial(_memory, 1, True)),
        instead("activations of one sample instead of the batch", batch_size=1),
        Mistake("gradients not counted", partial(_memory, 2, False)),
        instead("gradients counted at the weights' density", gradient_sparsity=lambda given: given["sparsity"]),
    ),
    specify("sparse_weight_bytes", "cost", sparse_weight_bytes, EXACT,
        "a living weight takes a value and an index, a parameter without a mask only its value",
        Argument("living", "int: living weights of the layers under a mask"),
        Argument("dense", "int: parameters without a mask"), Argument("value_bytes", "int", 4),
        Argument("index_bytes", "int", 4),
        exactly("memory_bytes", "int"),
        instead("indices not counted", index_bytes=0),
        instead("indices for parameters without a mask, too",
            dense=0, living=lambda given: given["living"] + given["dense"]),
    ),
)  # fmt: skip
