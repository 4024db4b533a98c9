"""Rules 6 to 8 of the published code: gradients, data and frozen entries; and its patterns of weights."""

from __future__ import annotations

import numpy as np

from sparcl_ref.sparcl import released
from sparcl_ref.sparcl.released import flip_score, percentile_gradient_mask
from sparcl_ref.sparcl.structured import PATTERNS, best_patterns
from sparcl_ref.verify.areas.ddr import CORRECT, POSITIONS, misclassification_counts, stage
from sparcl_ref.verify.areas.released.weights import LIVING, percentile, variant
from sparcl_ref.verify.areas.tdm import EPOCHS
from sparcl_ref.verify.function import Argument, Function, Output
from sparcl_ref.verify.mistake import Mistake


def _gradients_kept(grad, sparsity, *, living=False, strict=False, zeros=False):
    size = np.abs(grad)
    threshold = percentile(size[grad != 0] if living else size, sparsity)
    kept = size > threshold if strict else size >= threshold
    return {"mask": kept if zeros else kept & (grad != 0)}


PERCENTILE_GRADIENT_MASK = Function(
    "percentile_gradient_mask", "released",
    (
        Argument("grad", "float, any shape: of the whole loss, 0 at dead entries"),
        Argument("sparsity", "str, a decimal: s + q"),
    ),
    (Output("mask", "bool, shape of grad", exact=True),),
    "gradients at or above the percentile of |g| over all entries of the layer are kept, except those that are 0",
    "SparCL's published code, rule 6", percentile_gradient_mask,
    mistakes=(
        Mistake("percentile over the living entries instead of all", variant(_gradients_kept, living=True)),
        Mistake("the gradient at the threshold masked: > instead of >=", variant(_gradients_kept, strict=True)),
        Mistake("gradients that are exactly 0 kept", variant(_gradients_kept, zeros=True)),
    ),
)  # fmt: skip


def flip_counts(samples, positions, correct):
    statistics = stage(samples, positions, correct)
    return statistics.flips, statistics.ever_correct


def _wrong_counted(samples, positions, correct):
    return {"flips": misclassification_counts(samples, positions, correct)}


FLIP_COUNTS = Function(
    "flip_counts", "released", (Argument("samples", "int: samples of the task"), POSITIONS, CORRECT),
    (Output("flips", "int (samples,)", exact=True), Output("ever_correct", "bool (samples,)", exact=True)),
    "a flip is a wrong presentation right after a correct one of the same sample within the stage",
    "SparCL's published code, rule 7; Toneva et al., 2019", flip_counts,
    mistakes=(Mistake("every wrong presentation counted, not only those after a correct one", _wrong_counted),),
)  # fmt: skip

FLIP_SCORE = Function(
    "flip_score", "released",
    (
        Argument("flips", "int (n,): of each sample in the stage"),
        Argument("ever_correct", "bool (n,): correct at least once in the stage"),
        EPOCHS,
    ),
    (Output("score", "int (n,)", exact=True),),
    "a sample scores its flips, or the epochs of a task if it was never correct",
    "SparCL's published code, rule 7", flip_score,
    mistakes=(Mistake("no flips for a sample that was never correct", lambda flips, **_: {"score": flips}),),
)  # fmt: skip


def frozen_zeros(value):
    mask = released.frozen_zeros(value)
    return np.ones(value.shape, dtype=bool) if mask is None else mask


FROZEN_ZEROS = Function(
    "frozen_zeros", "released", (Argument("value", "float, any shape: the initial value of a parameter"),),
    (Output("mask", "bool, shape of value: entries that train; all where nothing is frozen", exact=True),),
    "where at least a tenth of a parameter's initial entries are 0, those entries never train: so it is with every "
    "batch-norm bias",
    "SparCL's published code, rule 8", frozen_zeros,
    mistakes=(
        Mistake("nothing frozen", lambda value: {"mask": np.ones(value.shape, dtype=bool)}),
        Mistake("zeros frozen however few", lambda value: {"mask": value != 0}),
    ),
)  # fmt: skip


def _patterns(energy):
    """The best pattern by another measure."""

    def outputs(weight):
        kernels = weight.reshape(*weight.shape[:2], 9)
        scores = np.stack([energy(kernels[:, :, list(kept)]).sum(axis=-1) for kept in PATTERNS], axis=-1)
        best = scores.argmax(axis=-1)
        alive = np.zeros(kernels.shape, dtype=bool)
        np.put_along_axis(alive, np.array(PATTERNS)[best], True, axis=-1)
        return {"mask": alive.reshape(weight.shape) & (weight != 0)}

    return outputs


BEST_PATTERNS = Function(
    "best_patterns", "released", (Argument("weight", "float (out, in, 3, 3)"),), (LIVING,),
    "each 3x3 kernel keeps the one of eight four-entry patterns whose weights have the greatest norm",
    "SparCL's published code, pattern sparsity", best_patterns,
    mistakes=(
        Mistake("the sum of absolute values instead of the norm", _patterns(np.abs)),
        Mistake("the sum of weights instead of the norm", _patterns(lambda weights: weights)),
    ),
)  # fmt: skip

FUNCTIONS = (PERCENTILE_GRADIENT_MASK, FLIP_COUNTS, FLIP_SCORE, FROZEN_ZEROS, BEST_PATTERNS)
