"""The protocol's functions for FLOPs and memory. A multiply-add is 2 FLOPs."""

from __future__ import annotations

from sparcl_ref.verify.protocol.function import Argument, Function, Output
from sparcl_ref.verify.protocol.rules import CUTOFF, DELTA_K, EPOCHS

BATCH = Argument("batch", "int: samples", 1)
ACTIVE = Argument("active", "int: living weights; None for all", None)
GRAD_ACTIVE = Argument("grad_active", "int: weights whose gradient is formed; None for the living", None)
NEED_DX = Argument("need_dx", "bool: False for the first layer, whose input gradient nobody needs", True)
PASS = (
    Output("forward", "int: FLOPs", exact=True),
    Output("dx", "int: FLOPs of the gradient of the input", exact=True),
    Output("dw", "int: FLOPs of the gradient of the weight", exact=True),
)
FORWARD_MACS = Argument("forward_macs", "int: multiply-adds of a dense forward pass of one sample, whole network")
PRUNABLE_MACS = Argument("prunable_macs", "int: those of them that lie in layers under a mask")

_EXACT = "The exact convention: the work that a sparse engine needs"
_PAPER = "The paper's convention, derived from its printed figures"

CONV2D_FLOPS = Function(
    "conv2d_flops",
    "cost",
    (
        Argument("in_channels", "int"),
        Argument("out_channels", "int"),
        Argument("kernel", "list of int: kh, kw"),
        Argument("size", "list of int: H, W of the input"),
        Argument("stride", "int", 1),
        Argument("padding", "int", 0),
        Argument("groups", "int", 1),
        BATCH,
        ACTIVE,
        GRAD_ACTIVE,
        NEED_DX,
    ),
    PASS,
    "a living weight costs one multiply-add, 2 FLOPs, per output position and sample, padding included; dX as many; dW "
    "as many for each weight whose gradient is formed",
    _EXACT,
)

LINEAR_FLOPS = Function(
    "linear_flops",
    "cost",
    (Argument("in_features", "int"), Argument("out_features", "int"), BATCH, ACTIVE, GRAD_ACTIVE, NEED_DX),
    PASS,
    "a living weight costs 2 FLOPs per sample in the forward pass, in dX, and in dW where its gradient is formed",
    _EXACT,
)

TRAINED_SAMPLES = Function(
    "trained_samples",
    "cost",
    (
        Argument("samples", "int: size of the task"),
        EPOCHS,
        DELTA_K,
        Argument("rho", "str, a decimal: fraction removed in the end", "0.3"),
        CUTOFF,
    ),
    (Output("trained_samples", "int: presentations in all epochs of the task", exact=True),),
    "each complete stage up to the cutoff shortens the epochs that follow it: .775 of the samples over 50 epochs",
    "SparCL, equation (2), and the paper's FLOPs",
)

PAPER_DENSITY = Function(
    "paper_density",
    "cost",
    (
        Argument("sparsity", "str, a decimal: s"),
        FORWARD_MACS,
        PRUNABLE_MACS,
    ),
    (Output("density", "float: multiply-adds of a sparse forward pass relative to a dense one"),),
    "prunable layers cost 1 - s of their multiply-adds, all others the whole: 0.98548 (1 - s) + 0.01452 for ResNet-18",
    _PAPER,
)

PAPER_TRAIN_FLOPS = Function(
    "paper_train_flops",
    "cost",
    (
        Argument("method", 'str: "sgd", "er", "der" or "derpp"'),
        FORWARD_MACS,
        PRUNABLE_MACS,
        Argument("trained_samples", "int: presentations of new samples in the whole run"),
        Argument("sparsity", "str, a decimal: s; None for a dense run", None),
        Argument("gradient_sparsity", "str, a decimal: s + q; None without gradient masks", None),
        Argument(
            "reading",
            'str: how gradient masks are charged, "half_of_dw", "dw_at_gradient_density" or "both_at_gradient_density"',
            "half_of_dw",
        ),
    ),
    (Output("train_flops", "float or int: FLOPs"),),
    "a step costs a forward pass of each batch (1 for SGD, 2 for ER and DER, 3 for DER++) and one backward pass, dX "
    "and dW, all at the density of the weights; a gradient mask halves dW",
    _PAPER,
)

PAPER_MEMORY_BYTES = Function(
    "paper_memory_bytes",
    "cost",
    (
        Argument("parameters", "int: P, all of the network"),
        Argument("conv_outputs", "int: entries that all convolutions put out for one sample"),
        Argument("batch_size", "int"),
        Argument("sparsity", "str, a decimal: s", "0"),
        Argument("gradient_sparsity", "str, a decimal: s_g, equal to s without gradient masks", "0"),
    ),
    (Output("memory_bytes", "float or int"),),
    "four bytes for each activation, kept once forward and once backward, for (1 - s) P weights and (1 - s_g) P "
    "gradients",
    _PAPER,
)

SPARSE_WEIGHT_BYTES = Function(
    "sparse_weight_bytes",
    "cost",
    (
        Argument("living", "int: living weights of the layers under a mask"),
        Argument("dense", "int: parameters without a mask"),
        Argument("value_bytes", "int", 4),
        Argument("index_bytes", "int", 4),
    ),
    (Output("memory_bytes", "int", exact=True),),
    "a living weight takes a value and an index, a parameter without a mask only its value",
    _EXACT,
)

FUNCTIONS = (
    CONV2D_FLOPS,
    LINEAR_FLOPS,
    TRAINED_SAMPLES,
    PAPER_DENSITY,
    PAPER_TRAIN_FLOPS,
    PAPER_MEMORY_BYTES,
    SPARSE_WEIGHT_BYTES,
)
