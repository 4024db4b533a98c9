"""What the published code of SparCL does where it departs from the paper, rule by rule, as pure functions.

Selections here compare with a percentile instead of counting, read life from values instead of from a mask, and know
only one gradient. None of it is recommended; it is here so that the published numbers can be understood and ports of
the published code verified.

Throughout, ``sparsity`` is a float, str or Fraction, taken as the decimal it reads; weights and gradients are arrays of
one layer, and a mask is an array of bool of their shape.
"""

from __future__ import annotations

from fractions import Fraction

import numpy as np

from sparcl_ref.masks import choose, clamp, exact
from sparcl_ref.sparcl.ddr import ddr_keep, ddr_sizes
from sparcl_ref.sparcl.tdm import Action

#: The one coefficient into which the published code merges alpha and beta.
MERGED_COEFFICIENT = 0.5
#: From this sparsity on nothing lives at the start.
EMPTY_FROM = Fraction("0.999")


def percentile_threshold(scores: np.ndarray, sparsity: float | Fraction) -> float:
    """The linearly interpolated percentile 100 * sparsity of all scores, dead entries included.

    Raises
    ------
    ValueError
        If a score is NaN or infinite.
    """
    if not np.isfinite(scores).all():
        raise ValueError("percentile_threshold: scores must be finite; a NaN or infinity has no rank")
    return float(np.percentile(scores, 100 * float(clamp(exact(sparsity)))))


def extreme_initial_mask(weight: np.ndarray, sparsity: float | Fraction) -> np.ndarray | None:
    """Rule 1 where no weight is looked at: everything lives at s = 0, nothing from s = 0.999 on; else None.

    It precedes the choice among the weights, whatever lives and dies together.
    """
    s = exact(sparsity)
    return np.full(weight.shape, s <= 0) if s <= 0 or s >= EMPTY_FROM else None


def magnitude_initial_mask(weight: np.ndarray, sparsity: float | Fraction) -> np.ndarray:
    """Rule 1: the mask of the dense initial weights above a percentile of their magnitude.

    The comparison is strict; at s = 0 and from s = 0.999 on `extreme_initial_mask` decides.
    """
    extreme = extreme_initial_mask(weight, sparsity)
    return np.abs(weight) > percentile_threshold(np.abs(weight), sparsity) if extreme is None else extreme


def released_tdm_actions(
    task: int,
    epoch: int,
    *,
    epochs: int,
    sparsity: float | Fraction,
    delta_k: int = 5,
    p_inter: float | Fraction = 0.01,
    p_intra: float | Fraction = 0.01,
) -> tuple[Action, ...]:
    """Rule 2: the published code's mask schedule, the same for every task, the first included.

    With epochs counted from 0, masks are updated at multiples of delta_k: to s, then up to s - p_inter at epoch 0; to
    s + p_intra, then up to s from delta_k on; to s without growth from epochs - delta_k on. Where both sparsities of an
    update are equal, because p_inter or p_intra is 0, nothing joins either.

    Parameters
    ----------
    task, epoch : int
        Counted from 1; ``epochs`` are those of a task.
    sparsity : float, str or Fraction
        s. At 0 nothing is ever dead, and the answer is always empty.
    delta_k, p_inter, p_intra
        As in `tdm_actions`.

    Returns
    -------
    tuple of Action
        In the order to take them; a target below 0 is 0.

    Raises
    ------
    ValueError
        If task, epoch or delta_k is below 1, or some epoch would shrink to s + p_intra > 1, a percentile above 100.
    """
    if min(task, epoch, delta_k) < 1:
        raise ValueError(
            f"released_tdm_actions: task, epoch and delta_k count from 1, got {task}, {epoch} and {delta_k}"
        )
    s, inter, intra = exact(sparsity), exact(p_inter), exact(p_intra)
    last, from_zero = epochs - delta_k, epoch - 1
    if s > 0 and delta_k < last and s + intra > 1:
        raise ValueError(
            "the published schedule shrinks to sparsity + p_intra, which must not exceed 1, "
            f"got {sparsity} + {p_intra}; lower one of them"
        )
    if s == 0 or from_zero % delta_k:
        return ()
    if from_zero < delta_k:
        return _exchange(s, s - inter)
    return _exchange(s + intra, s) if from_zero < last else _exchange(s, s)


def _exchange(sparse: Fraction, dense: Fraction) -> tuple[Action, ...]:
    """To the one sparsity, then up to the other unless they are equal."""
    shrunk = Action("shrink", sparse)
    return (shrunk,) if sparse == dense else (shrunk, Action("expand", clamp(dense)))


def shrink_above_percentile(weight: np.ndarray, importance: np.ndarray, sparsity: float | Fraction) -> np.ndarray:
    """Rules 3 and 5: weights whose importance is above a percentile live on, unless their value is exactly 0.

    The percentile is over all entries of the layer, the comparison strict. Ties at the threshold all die, and there is
    no exact budget.
    """
    return (importance > percentile_threshold(importance, sparsity)) & (weight != 0)


def last_gradient_importance(weight: np.ndarray, last_grad: np.ndarray) -> np.ndarray:
    """Rule 4: |w| + 0.5 |g| with the gradient the last minibatch happened to leave, already gradient-masked.

    Before the very first step ``last_grad`` is zero.
    """
    return np.abs(weight) + MERGED_COEFFICIENT * np.abs(last_grad)


def grow_count_by_value(weight: np.ndarray, sparsity: float | Fraction) -> int:
    """How many zeros rule 5 lets join: int(zeros - target * n), at least 0, at most all.

    Zeros are counted by value, so a weight that joined earlier and is still exactly 0 counts as dead.
    """
    zeros = int(np.count_nonzero(weight == 0))
    # In floating point, as published: what the exact product would round differently is part of the rule.
    return min(zeros, max(0, int(zeros - float(clamp(exact(sparsity))) * weight.size)))


def grow_by_value(weight: np.ndarray, sparsity: float | Fraction, rng: np.random.Generator | np.ndarray) -> np.ndarray:
    """Rule 5: every weight that is not 0 lives, and random zeros join.

    ``rng`` is the stream named "mask", or an array of the flat indices that join.
    """
    mask = (weight != 0).reshape(-1)
    joined = choose(np.flatnonzero(~mask), grow_count_by_value(weight, sparsity), rng)
    mask[joined] = True
    return mask.reshape(weight.shape)


def percentile_gradient_mask(grad: np.ndarray, sparsity: float | Fraction) -> np.ndarray:
    """Rule 6: gradients at or above a percentile of all |g| of the layer are kept, except exact zeros.

    ``grad`` is the whole gradient, zero at dead entries; ``sparsity`` is s + q.
    """
    return (np.abs(grad) >= percentile_threshold(np.abs(grad), sparsity)) & (grad != 0)


def flip_score(flips: np.ndarray, ever_correct: np.ndarray, epochs: int) -> np.ndarray:
    """Rule 7: forgetting events of a stage (Toneva et al. 2019), or the epochs of a task if never correct in it.

    ``flips`` says how often each of the (n,) remaining samples went from correct to wrong.
    """
    return np.where(ever_correct, flips, epochs)


def truncated_ddr_sizes(samples: int, *, rho: float = 0.3, cutoff: int = 4) -> list[int]:
    """Rule 7: how many samples are left after 0, 1, ..., cutoff stages, each of which removes int(N / cutoff).

    N = floor(rho * samples + 1/2) is what `ddr_sizes` removes in all; here up to cutoff - 1 fewer go. Parameters and
    errors are those of `ddr_sizes`.

    Examples
    --------
    >>> truncated_ddr_sizes(64, rho=0.3, cutoff=2)
    [64, 55, 46]
    """
    removed = samples - ddr_sizes(samples, rho=rho, cutoff=cutoff)[-1]
    return [samples - stage * (removed // cutoff) for stage in range(cutoff + 1)]


def keep_with_unpresented(scores: np.ndarray, presented: np.ndarray, keep: int) -> np.ndarray:
    """Rule 7: positions of the samples that stay, where one that was never presented in the stage cannot go.

    Parameters
    ----------
    scores : ndarray, shape (n,)
        Of each remaining sample, in ascending order of original index; the lowest go, among equals the lowest index
        first (the published code leaves equals to an unstable sort).
    presented : ndarray of bool, shape (n,)
        Whether the sample was trained on in this stage: partial batches are skipped.
    keep : int
        How many stay, at most n; more do where fewer than n - keep were presented.

    Returns
    -------
    ndarray of int
        Ascending positions into ``scores``.

    Raises
    ------
    ValueError
        If ``keep`` is not in 0..n.
    """
    if not 0 <= keep <= len(scores):
        raise ValueError(f"keep_with_unpresented: cannot keep {keep} of {len(scores)} samples")
    able = np.flatnonzero(presented)
    stay = np.ones(len(scores), dtype=bool)
    stay[able] = False
    stay[able[ddr_keep(scores[able], max(0, len(able) - (len(scores) - keep)))]] = True
    return np.flatnonzero(stay)


def frozen_zeros(value: np.ndarray) -> np.ndarray | None:
    """Rule 8: the "mask" a parameter gets because more than a tenth of its initial values are 0: its nonzero entries.

    Batch-norm biases start at 0, so they stay there for ever. None if a tenth or fewer are zero: the published test
    ``1 - nonzero / n < 0.1`` is true in floating point at exactly a tenth, for every n.
    """
    zeros = int(np.count_nonzero(value == 0))
    return value != 0 if 10 * zeros > value.size else None
