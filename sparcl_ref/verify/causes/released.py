"""Known mistakes in the rules of the published code."""

from __future__ import annotations

import math

import numpy as np

from sparcl_ref.masks import exact
from sparcl_ref.sparcl.structured import PATTERNS
from sparcl_ref.verify.adapters import numpy_released as right
from sparcl_ref.verify.adapters import numpy_rules
from sparcl_ref.verify.causes.cause import Cause, instead, more, of

_ACTIONS = ("kinds", "targets")


def _threshold(scores, sparsity):
    return np.percentile(scores, 100 * float(sparsity))


def _initial_at_least(weight, sparsity):
    return {"mask": np.abs(weight) >= _threshold(np.abs(weight), sparsity)}


def _initial_signed(weight, sparsity):
    return {"mask": weight > _threshold(weight, sparsity)}


def _initial_budget(weight, sparsity):
    everything = np.ones(weight.shape, dtype=bool)
    return {"mask": numpy_rules.shrink(everything, np.abs(weight), numpy_rules.budget(weight.size, sparsity))}


def _shrunk(weight, importance, sparsity, *, living=False, at_least=False, revive=False):
    scores = importance[weight != 0] if living else importance
    threshold = _threshold(scores, sparsity)
    above = importance >= threshold if at_least else importance > threshold
    return {"mask": above if revive else above & (weight != 0)}


def _gradients_kept(grad, sparsity, *, living=False, strict=False, zeros=False):
    size = np.abs(grad)
    threshold = _threshold(size[grad != 0] if living else size, sparsity)
    kept = size > threshold if strict else size >= threshold
    return {"mask": kept if zeros else kept & (grad != 0)}


def _variant(function, **options):
    return lambda **given: function(**given, **options)


def _count(rounded):
    def outputs(weight, sparsity):
        zeros = np.count_nonzero(weight == 0)
        return {"count": max(0, rounded(zeros - float(sparsity) * weight.size))}

    return outputs


def _exact_count(weight, sparsity):
    return {"count": max(0, math.floor(np.count_nonzero(weight == 0) - exact(sparsity) * weight.size))}


def _wrong_counted(samples, positions, correct):
    return {"flips": numpy_rules.misclassification_counts(samples, positions, correct)}


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


def _paper_actions(task, epoch, epochs, sparsity, delta_k, p_inter, p_intra):
    kinds, targets = numpy_rules.tdm_actions(task, epoch, sparsity, delta_k, p_inter, p_intra)
    return {"kinds": kinds, "targets": targets}


CAUSES = (
    Cause("magnitude_initial_mask", "the weight at the threshold lives: >= instead of >", _initial_at_least),
    Cause("magnitude_initial_mask", "signs kept: no absolute values", _initial_signed),
    Cause("magnitude_initial_mask", "an exact budget instead of a percentile", _initial_budget),
    Cause("released_tdm_actions", "the paper's schedule instead of the published code's", _paper_actions),
    Cause("released_tdm_actions", "epochs counted from 0",
          instead(right.released_tdm_actions, *_ACTIONS, epoch=more("epoch", 1))),
    Cause("released_tdm_actions", "p_inter and p_intra exchanged",
          instead(right.released_tdm_actions, *_ACTIONS, p_inter=of("p_intra"),
                  p_intra=of("p_inter"))),
    Cause("shrink_above_percentile", "percentile over the living weights instead of all entries",
          _variant(_shrunk, living=True)),
    Cause("shrink_above_percentile", "weights at the threshold live: >= instead of >",
          _variant(_shrunk, at_least=True)),
    Cause("shrink_above_percentile", "weights that are exactly 0 live on", _variant(_shrunk, revive=True)),
    Cause("last_gradient_importance", "the gradient left out",
          lambda weight, last_grad: {"importance": np.abs(weight)}),
    Cause("last_gradient_importance", "coefficient 1 instead of 0.5",
          lambda weight, last_grad: {"importance": np.abs(weight) + np.abs(last_grad)}),
    Cause("last_gradient_importance", "|w| counted twice with zero gradients",
          lambda weight, last_grad: {"importance": 1.5 * np.abs(weight)}),
    Cause("grow_count_by_value", "an exact product of decimals instead of one in double precision", _exact_count),
    Cause("grow_count_by_value", "rounded to the nearest instead of truncated", _count(round)),
    Cause("grow_count_by_value", "half up instead of truncated", _count(lambda number: int(number + 0.5))),
    Cause("grow_by_value", "the zeros that join alone",
          lambda weight, sparsity, joining: {"mask": numpy_rules.random_mask(weight.shape, len(joining), joining)}),
    Cause("percentile_gradient_mask", "percentile over the living entries instead of all",
          _variant(_gradients_kept, living=True)),
    Cause("percentile_gradient_mask", "the gradient at the threshold masked: > instead of >=",
          _variant(_gradients_kept, strict=True)),
    Cause("percentile_gradient_mask", "gradients that are exactly 0 kept", _variant(_gradients_kept, zeros=True)),
    Cause("flip_counts", "every wrong presentation counted, not only those after a correct one", _wrong_counted),
    Cause("flip_score", "no flips for a sample that was never correct",
          lambda flips, **_: {"score": flips}),
    Cause("frozen_zeros", "nothing frozen", lambda value: {"mask": np.ones(value.shape, dtype=bool)}),
    Cause("frozen_zeros", "zeros frozen however few", lambda value: {"mask": value != 0}),
    Cause("best_patterns", "the sum of absolute values instead of the norm", _patterns(np.abs)),
    Cause("best_patterns", "the sum of weights instead of the norm", _patterns(lambda weights: weights)),
)  # fmt: skip
