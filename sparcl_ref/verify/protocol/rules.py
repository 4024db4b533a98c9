"""The protocol's functions for the rules of the method; those for masks and importance are in `masks`."""

from __future__ import annotations

from sparcl_ref.verify.protocol import masks
from sparcl_ref.verify.protocol.function import Argument, Function, Output
from sparcl_ref.verify.protocol.masks import ALPHA, BETA, MASK, SPARSITY

#: Where nothing is dead there is nothing to exchange, and an empty list of actions is as good as one without effect.
SOME_SPARSITY = Argument("sparsity", 'str, a decimal above 0, such as "0.75"')
TASK = Argument("task", "int: from 1")
EPOCH = Argument("epoch", "int: from 1")
EPOCHS = Argument("epochs", "int: epochs of a task")
DELTA_K = Argument("delta_k", "int: epochs between mask adjustments, and of a stage of data removal", 5)
P_INTER = Argument("p_inter", "str, a decimal: how far sparsity falls at the start of a task", "0.01")
P_INTRA = Argument("p_intra", "str, a decimal: how far sparsity rises before weights join", "0.005")
CUTOFF = Argument("cutoff", "int: stages that remove data", 4)
KINDS = Output("kinds", "int (actions,): 0 for shrink, 1 for expand, in the order to take them", exact=True)
TARGETS = Output("targets", "float (actions,): the sparsity each leads to, in 0..1")
POSITIONS = Argument("positions", "int (M,): the samples presented in a stage, in order; a sample may come again")
CORRECT = Argument("correct", "bool (M,): whether each presentation was classified correctly, before the update")
CAPACITY = Argument("capacity", "int: slots of the buffer")
PRESENTED = Argument("presented", "int: samples presented before this one, stored or not")

_ALGORITHM = "SparCL, Algorithm 1"
_EQ2 = "SparCL, equation (2)"
_DGM = "SparCL, dynamic gradient masking"
_RESERVOIR = "Vitter, 1985, algorithm R"

TDM_ACTIONS = Function(
    "tdm_actions",
    "tdm",
    (TASK, EPOCH, SOME_SPARSITY, DELTA_K, P_INTER, P_INTRA),
    (KINDS, TARGETS),
    "from the second task on epoch 1 expands to s - p_inter; every multiple of delta_k shrinks to s + p_intra and then "
    "expands to s, which at epoch delta_k takes the expansion of epoch 1 back in the same action; targets lie in 0..1",
    _ALGORITHM,
)

TDM_ACTIVE_COUNTS = Function(
    "tdm_active_counts",
    "tdm",
    (Argument("n", "int: weights of the layer"), TASK, EPOCHS, SPARSITY, DELTA_K, P_INTER, P_INTRA),
    (Output("active", "int (epochs,): living weights while each epoch trains", exact=True),),
    "a layer trains with the budget of s, and from the second task on with that of s - p_inter before epoch delta_k",
    _ALGORITHM,
)

DDR_SIZES = Function(
    "ddr_sizes",
    "ddr",
    (
        Argument("samples", "int: size of the task"),
        Argument("rho", "str, a decimal: fraction removed in the end", "0.3"),
        CUTOFF,
    ),
    (Output("sizes", "int (cutoff + 1,): samples left after 0, 1, ..., cutoff stages", exact=True),),
    "after stage i floor(rho samples i / cutoff + 1/2) samples are gone in all, in exact decimals",
    _EQ2,
)

MISCLASSIFICATION_COUNTS = Function(
    "misclassification_counts",
    "ddr",
    (Argument("samples", "int: samples of the task"), POSITIONS, CORRECT),
    (Output("counts", "int (samples,)", exact=True),),
    "during a stage each sample's misclassified presentations are counted, every one of them",
    _EQ2,
)

COMPLETED_STAGE = Function(
    "completed_stage",
    "ddr",
    (EPOCH, EPOCHS, DELTA_K, CUTOFF),
    (Output("stage", "int: the stage, from 1, that ends with the epoch and removes data; else -1", exact=True),),
    "only a complete stage that another epoch follows removes data, and only up to the cutoff",
    _EQ2,
)

DDR_KEEP = Function(
    "ddr_keep",
    "ddr",
    (
        Argument("counts", "int (n,): misclassifications of each remaining sample, by ascending original index"),
        Argument("keep", "int: how many stay"),
    ),
    (Output("positions", "int (keep,): ascending positions in counts of the samples that stay", exact=True),),
    "the samples misclassified most often stay; among equals the lowest original index goes first",
    _EQ2,
)

GRADIENT_SPARSITY = Function(
    "gradient_sparsity",
    "dgm",
    (SPARSITY, Argument("q", "str, a decimal: fraction of the layer masked beyond s; None for 0.2 (1 - s)", None)),
    (Output("gradient_sparsity", "float: s + q, limited to 0..1"),),
    "a fraction s + q of a layer has no gradient, q = 0.2 (1 - s) unless given: .80 at .75",
    _DGM,
)

GRADIENT_MASK = Function(
    "gradient_mask",
    "dgm",
    (
        MASK,
        Argument("importance", "float, shape of mask: equation (3), read at living entries only"),
        Argument("sparsity", 'str, a decimal: s + q, such as "0.8"'),
    ),
    (Output("mask", "bool, shape of mask", exact=True),),
    "of the living entries the most important keep their gradient, so that a fraction s + q of the whole layer is "
    "masked; where fewer live, all do. Among equals the lower flat index is kept",
    _DGM,
)

IS_REFRESH = Function(
    "is_refresh",
    "dgm",
    (
        Argument("iteration", "int: of the epoch, from 0"),
        Argument("interval", "int: iterations between two refreshes", 30),
    ),
    (Output("refresh", "bool", exact=True),),
    "the gradient mask is chosen anew at iterations 0, interval, 2 interval, ... of each epoch",
    _DGM,
)

DGM_STEP = Function(
    "dgm_step",
    "dgm",
    (
        Argument("iteration", "int: of the epoch, from 0"),
        Argument("interval", "int: iterations between two refreshes", 30),
        MASK,
        Argument("grad_mask", "bool, shape of mask: in force until now, a subset of mask"),
        Argument("grad_current", "float, shape of mask: of the current batch's loss, at every entry"),
        Argument("grad_replay", "float, shape of mask: of the whole replay term with its coefficients"),
        Argument("sparsity", "str, a decimal: s + q"),
        ALPHA,
        BETA,
    ),
    (
        Output("grad_mask", "bool, shape of mask: in force from now", exact=True),
        Output("grad", "float, shape of mask: what the optimiser sees"),
    ),
    "a refresh ranks the living weights by equation (3) of this step's gradients, which the mask in force has not "
    "silenced; between refreshes it stays. The update sees current + replay where the mask is set, 0 elsewhere",
    f"{_DGM}; equation (3)",
)

RESERVOIR_SLOT = Function(
    "reservoir_slot",
    "replay",
    (PRESENTED, CAPACITY, Argument("draw", "int: j, drawn in 0..presented; not read while a slot is free")),
    (Output("slot", "int: -1 if the sample is not stored", exact=True),),
    "the i-th presented sample, i from 0, takes slot i while one is free, else slot j if j is less than the capacity",
    _RESERVOIR,
)

RESERVOIR_ADD = Function(
    "reservoir_add",
    "replay",
    (PRESENTED, CAPACITY, Argument("draws", "int (N,): j of each sample of the batch")),
    (
        Output("slots", "int (N,): -1 where a sample is not stored", exact=True),
        Output("presented", "int: afterwards", exact=True),
    ),
    "the samples of a batch are presented one by one, and each counts, whether it is stored or not",
    _RESERVOIR,
)

RESERVOIR_FILL = Function(
    "reservoir_fill",
    "replay",
    (
        CAPACITY,
        Argument("batch_sizes", "list of int: batches presented one after the other to an empty buffer"),
        Argument("uniforms", "float (sum of batch_sizes,): u in 0..1; the i-th sample draws j = floor(u (i + 1))"),
    ),
    (Output("holding", "int (capacity,): which presentation, from 0, each slot holds; -1 if empty", exact=True),),
    "the count of presentations runs on over batches; within a batch a later sample replaces an earlier in its slot",
    _RESERVOIR,
)

REPLAY_SIZE = Function(
    "replay_size",
    "replay",
    (Argument("batch_size", "int: samples wanted"), PRESENTED, CAPACITY),
    (Output("count", "int: samples drawn", exact=True),),
    "a replay draw has min(batch size, filled slots) samples, all different",
    "SparCL, experience replay",
)

FUNCTIONS = (
    *masks.FUNCTIONS,
    TDM_ACTIONS,
    TDM_ACTIVE_COUNTS,
    DDR_SIZES,
    MISCLASSIFICATION_COUNTS,
    COMPLETED_STAGE,
    DDR_KEEP,
    GRADIENT_SPARSITY,
    GRADIENT_MASK,
    IS_REFRESH,
    DGM_STEP,
    RESERVOIR_SLOT,
    RESERVOIR_ADD,
    RESERVOIR_FILL,
    REPLAY_SIZE,
)
