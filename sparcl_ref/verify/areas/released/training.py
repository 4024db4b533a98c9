"""Rules 6 to 8 of the published code: gradients, data and frozen entries; and its patterns of weights."""

from __future__ import annotations

from functools import partial

import numpy as np

from sparcl_ref.sparcl import released
from sparcl_ref.sparcl.released import flip_score, percentile_gradient_mask
from sparcl_ref.sparcl.structured import PATTERNS, best_patterns
from sparcl_ref.verify.areas.ddr import CORRECT, POSITIONS, misclassification_counts, stage
from sparcl_ref.verify.areas.released.weights import LIVING, percentile
from sparcl_ref.verify.areas.tdm import EPOCHS
from sparcl_ref.verify.function import Argument, exactly, specify
from sparcl_ref.verify.mistake import Mistake


def _gradients_kept(grad, sparsity, *, living=False, strict=False, zeros=False):
    size = np.abs(grad)
    threshold = percentile(size[grad != 0] if living else size, sparsity)
    kept = size > threshold if strict else size >= threshold
    return {"mask": kept if zeros else kept & (grad != 0)}


def flip_counts(samples, positions, correct):
    statistics = stage(samples, positions, correct)
    return statistics.flips, statistics.ever_correct


def _wrong_counted(samples, positions, correct):
    return {"flips": misclassification_counts(samples, positions, correct)}


def frozen_zeros(value):
    mask = released.frozen_zeros(value)
    return np.ones(value.shape, dtype=bool) if mask is None else mask


_PLACES = ", ".join("".join(map(str, kept)) for kept in PATTERNS)


def _patterns(energy, weight):
    """The best pattern by another measure."""
    kernels = weight.reshape(*weight.shape[:2], 9)
    scores = np.stack([energy(kernels[:, :, list(kept)]).sum(axis=-1) for kept in PATTERNS], axis=-1)
    alive = np.zeros(kernels.shape, dtype=bool)
    np.put_along_axis(alive, np.array(PATTERNS)[scores.argmax(axis=-1)], True, axis=-1)
    return {"mask": alive.reshape(weight.shape) & (weight != 0)}


FUNCTIONS = (
    specify("percentile_gradient_mask", "released", percentile_gradient_mask, "SparCL's published code, rule 6",
        "gradients at or above the percentile of |g| over all entries of the layer are kept, except those that are 0",
        Argument("grad", "float, any shape: of the whole loss, 0 at dead entries"),
        Argument("sparsity", "str, a decimal: s + q"),
        exactly("mask", "bool, shape of grad"),
        Mistake("percentile over the living entries instead of all", partial(_gradients_kept, living=True)),
        Mistake("the gradient at the threshold masked: > instead of >=", partial(_gradients_kept, strict=True)),
        Mistake("gradients that are exactly 0 kept", partial(_gradients_kept, zeros=True)),
    ),
    specify("flip_counts", "released", flip_counts, "SparCL's published code, rule 7; Toneva et al., 2019",
        "a flip is a wrong presentation right after a correct one of the same sample within the stage",
        Argument("samples", "int: samples of the task"), POSITIONS, CORRECT,
        exactly("flips", "int (samples,)"), exactly("ever_correct", "bool (samples,)"),
        Mistake("every wrong presentation counted, not only those after a correct one", _wrong_counted),
    ),
    specify("flip_score", "released", flip_score, "SparCL's published code, rule 7",
        "a sample scores its flips, or the epochs of a task if it was never correct",
        Argument("flips", "int (n,): of each sample in the stage"),
        Argument("ever_correct", "bool (n,): correct at least once in the stage"), EPOCHS,
        exactly("score", "int (n,)"),
        Mistake("no flips for a sample that was never correct", lambda flips, **_: {"score": flips}),
    ),
    specify("frozen_zeros", "released", frozen_zeros, "SparCL's published code, rule 8",
        "where more than a tenth of a parameter's initial entries are 0, those entries never train: so it is with "
        "every batch-norm bias",
        Argument("value", "float, any shape: the initial value of a parameter"),
        exactly("mask", "bool, shape of value: entries that train; all where nothing is frozen"),
        Mistake("nothing frozen", lambda value: {"mask": np.ones(value.shape, dtype=bool)}),
        Mistake("exactly a tenth of zeros frozen",
            lambda value: {"mask": value != 0} if 10 * np.count_nonzero(value == 0) == value.size else {}),
        Mistake("zeros frozen however few", lambda value: {"mask": value != 0}),
    ),
    specify("best_patterns", "released", best_patterns, "SparCL's published code, pattern sparsity",
        "each 3x3 kernel keeps the one of eight four-entry patterns whose weights have the greatest norm",
        Argument("weight", f"float (out, in, 3, 3); the patterns keep the places (0 to 8, row by row) {_PLACES}"),
        LIVING,
        Mistake("the sum of absolute values instead of the norm", partial(_patterns, np.abs)),
        Mistake("the sum of weights instead of the norm", partial(_patterns, lambda weights: weights)),
    ),
)  # fmt: skip
