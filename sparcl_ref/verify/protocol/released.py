"""The protocol's functions for the rules on which the published code departs from the paper."""

from __future__ import annotations

from sparcl_ref.verify.protocol.function import Argument, Function, Output
from sparcl_ref.verify.protocol.masks import JOINING, SPARSITY
from sparcl_ref.verify.protocol.rules import (
    CORRECT,
    DELTA_K,
    EPOCHS,
    KINDS,
    P_INTER,
    POSITIONS,
    TARGETS,
    TASK,
)

WEIGHT = Argument("weight", "float, any shape: dead entries are 0")
LIVING = Output("mask", "bool, shape of weight", exact=True)
P_INTRA = Argument("p_intra", "str, a decimal: how far sparsity rises before weights join", "0.01")

MAGNITUDE_INITIAL_MASK = Function(
    "magnitude_initial_mask",
    "released",
    (Argument("weight", "float, any shape: the dense initial value"), SPARSITY),
    (LIVING,),
    "initial weights live where |w| is greater than its linearly interpolated percentile 100 s",
    "SparCL's published code, rule 1",
)

RELEASED_TDM_ACTIONS = Function(
    "released_tdm_actions",
    "released",
    (TASK, Argument("epoch", "int: counted from 1 and at least 2"), EPOCHS, SPARSITY, DELTA_K, P_INTER, P_INTRA),
    (KINDS, TARGETS),
    "counted from 0, epochs that delta_k divides shrink to s + p_intra and expand to s; from epochs - delta_k on they "
    "shrink to s and nothing joins",
    "SparCL's published code, rule 2",
)

RELEASED_SPARSITIES = Function(
    "released_sparsities",
    "released",
    (TASK, EPOCHS, SPARSITY, DELTA_K, P_INTER, P_INTRA),
    (Output("sparsities", "float (epochs,): nominal sparsity while each epoch trains"),),
    "the first delta_k epochs of every task, the first included, train at s - p_inter, all others at s",
    "SparCL's published code, rule 2",
)

SHRINK_ABOVE_PERCENTILE = Function(
    "shrink_above_percentile",
    "released",
    (WEIGHT, Argument("importance", "float, shape of weight"), SPARSITY),
    (LIVING,),
    "weights live where the importance is greater than its percentile over all entries of the layer, dead ones "
    "included, and the value is not 0; ties at the threshold all die",
    "SparCL's published code, rules 3 and 5",
)

LAST_GRADIENT_IMPORTANCE = Function(
    "last_gradient_importance",
    "released",
    (WEIGHT, Argument("last_grad", "float, shape of weight: left from the last minibatch, gradient-masked")),
    (Output("importance", "float, shape of weight"),),
    "importance is |w| + 0.5 |g|, with one coefficient for the one gradient of the whole loss",
    "SparCL's published code, rule 4",
)

GROW_COUNT_BY_VALUE = Function(
    "grow_count_by_value",
    "released",
    (WEIGHT, SPARSITY),
    (Output("count", "int: weights that join", exact=True),),
    "int(zeros - s n) weights join, in double precision, zeros counted by value, and never fewer than none",
    "SparCL's published code, rule 5",
)

GROW_BY_VALUE = Function(
    "grow_by_value",
    "released",
    (WEIGHT, SPARSITY, JOINING),
    (LIVING,),
    "every weight that is not exactly 0 lives, and the drawn zeros join",
    "SparCL's published code, rule 5",
)

PERCENTILE_GRADIENT_MASK = Function(
    "percentile_gradient_mask",
    "released",
    (
        Argument("grad", "float, any shape: of the whole loss, 0 at dead entries"),
        Argument("sparsity", "str, a decimal: s + q"),
    ),
    (Output("mask", "bool, shape of grad", exact=True),),
    "gradients at or above the percentile of |g| over all entries of the layer are kept, except those that are 0",
    "SparCL's published code, rule 6",
)

FLIP_COUNTS = Function(
    "flip_counts",
    "released",
    (Argument("samples", "int: samples of the task"), POSITIONS, CORRECT),
    (
        Output("flips", "int (samples,)", exact=True),
        Output("ever_correct", "bool (samples,)", exact=True),
    ),
    "a flip is a wrong presentation right after a correct one of the same sample within the stage",
    "SparCL's published code, rule 7; Toneva et al., 2019",
)

FLIP_SCORE = Function(
    "flip_score",
    "released",
    (
        Argument("flips", "int (n,): of each sample in the stage"),
        Argument("ever_correct", "bool (n,): correct at least once in the stage"),
        EPOCHS,
    ),
    (Output("score", "int (n,)", exact=True),),
    "a sample scores its flips, or the epochs of a task if it was never correct",
    "SparCL's published code, rule 7",
)

FROZEN_ZEROS = Function(
    "frozen_zeros",
    "released",
    (Argument("value", "float, any shape: the initial value of a parameter"),),
    (Output("mask", "bool, shape of value: entries that train; all where nothing is frozen", exact=True),),
    "where at least a tenth of a parameter's initial entries are 0, those entries never train: so it is with every "
    "batch-norm bias",
    "SparCL's published code, rule 8",
)

BEST_PATTERNS = Function(
    "best_patterns",
    "released",
    (Argument("weight", "float (out, in, 3, 3)"),),
    (LIVING,),
    "each 3x3 kernel keeps the one of eight four-entry patterns whose weights have the greatest norm",
    "SparCL's published code, pattern sparsity",
)

FUNCTIONS = (
    MAGNITUDE_INITIAL_MASK,
    RELEASED_TDM_ACTIONS,
    RELEASED_SPARSITIES,
    SHRINK_ABOVE_PERCENTILE,
    LAST_GRADIENT_IMPORTANCE,
    GROW_COUNT_BY_VALUE,
    GROW_BY_VALUE,
    PERCENTILE_GRADIENT_MASK,
    FLIP_COUNTS,
    FLIP_SCORE,
    FROZEN_ZEROS,
    BEST_PATTERNS,
)
