"""Pure rules for masks: how many weights may live, which start, which die, which join.

All selections work on masks of any shape in flat C order, return new ones and refuse those that are not boolean with a
TypeError. Where several layers share one budget, the caller joins their flattened arrays; a tie between layers then
falls to the earlier layer.

A ``sparsity`` is the fraction of dead weights, a float, str or Fraction, clamped to [0, 1]. Where ``rng`` draws, it is
a generator (the stream named "mask"), or the drawn flat indices themselves, so that another implementation can be fed
the draw.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from fractions import Fraction

import numpy as np

BUDGETS = ("uniform", "er", "erk", "global")


def exact(number: float | int | str | Fraction) -> Fraction:
    """The decimal a person wrote, as a fraction: 0.9 becomes 9/10, not the nearest binary number.

    Examples
    --------
    >>> exact(0.9) + exact(0.01)
    Fraction(91, 100)
    """
    return number if isinstance(number, Fraction) else Fraction(str(number))


def clamp(fraction: Fraction) -> Fraction:
    """Limit to [0, 1]."""
    return min(max(fraction, Fraction(0)), Fraction(1))


def round_half_up(number: Fraction) -> int:
    """floor(number + 1/2)."""
    return math.floor(number + Fraction(1, 2))


def budget(n: int, sparsity: float | Fraction) -> int:
    """How many of ``n`` weights live at a sparsity: floor((1 - s) n + 1/2), in exact decimals.

    Floating point gets this wrong: for n = 5, s = 0.9 the product is 0.49999999999999989 and rounds to 0 instead of 1.

    Raises
    ------
    ValueError
        If ``n`` is negative.
    """
    if n < 0:
        raise ValueError(f"budget: the number of weights must be at least 0, got {n}")
    return round_half_up((1 - clamp(exact(sparsity))) * n)


def erk_densities(
    shapes: Sequence[tuple[int, ...]], sparsity: float | Fraction, *, kernel: bool = True
) -> list[Fraction]:
    """Densities of the Erdos-Renyi-kernel rule, capped at 1 (Evci et al., RigL, 2020).

    The density of a layer is eps * (sum of its dimensions) / (product of its dimensions), with one eps for the whole
    network such that the living weights sum to (1 - s) n. Layers whose density would pass 1 are dense, and eps is
    solved again for the rest, until none passes.

    Parameters
    ----------
    shapes : sequence of tuple of int
        Weight shapes: (out, in, kh, kw) or (out, in).
    sparsity : float, str or Fraction
    kernel : bool
        Whether the sides of a kernel count among the dimensions. Without them it is the Erdos-Renyi rule of Mocanu et
        al. (2018), eps (out + in) / (out in).

    Returns
    -------
    list of Fraction
        One density per layer, exact.
    """
    sizes = [math.prod(shape) for shape in shapes]
    sides = [shape if kernel else shape[:2] for shape in shapes]
    raw = [Fraction(sum(some), math.prod(some)) for some in sides]
    wanted = (1 - clamp(exact(sparsity))) * sum(sizes)
    dense: set[int] = set()
    while True:
        free = [i for i in range(len(shapes)) if i not in dense]
        if not free:
            return [Fraction(1)] * len(shapes)
        eps = (wanted - sum(sizes[i] for i in dense)) / sum(raw[i] * sizes[i] for i in free)
        capped = {i for i in free if eps * raw[i] >= 1}
        if not capped:
            return [Fraction(1) if i in dense else eps * raw[i] for i in range(len(shapes))]
        dense |= capped


def budgets(shapes: Sequence[tuple[int, ...]], sparsity: float | Fraction, kind: str = "uniform") -> list[int]:
    """Living weights per group of layers that share a budget.

    Parameters
    ----------
    shapes : sequence of tuple of int
        Weight shapes in network order.
    sparsity : float, str or Fraction
    kind : {"uniform", "er", "erk", "global"}
        Every layer at the same sparsity; densities by `erk_densities`, without and with the kernel's sides; or one
        budget for all layers together. Each
        budget is rounded by itself, so that several miss (1 - s) n together by up to half a weight for each layer that
        is not full. Handing out the rest, as by largest remainders, would take a weight from some layer where the
        sparsity falls; so a layer only ever gains from a lower sparsity, and masks can shrink and grow between any two.

    Returns
    -------
    list of int
        One number per layer, or a single one for "global".

    Raises
    ------
    ValueError
        If the kind is unknown.
    """
    sizes = [math.prod(shape) for shape in shapes]
    if kind == "uniform":
        return [budget(size, sparsity) for size in sizes]
    if kind in ("er", "erk"):
        densities = erk_densities(shapes, sparsity, kernel=kind == "erk") if shapes else []
        return [budget(size, 1 - density) for size, density in zip(sizes, densities, strict=True)]
    if kind == "global":
        return [budget(sum(sizes), sparsity)]
    raise ValueError(f"unknown budgets {kind!r}; choose one of {', '.join(BUDGETS)}")


def choose(candidates: np.ndarray, count: int, rng: np.random.Generator | np.ndarray) -> np.ndarray:
    """Draw ``count`` of the candidates, distinct flat indices, uniformly without replacement; or check a given draw.

    Raises
    ------
    ValueError
        If there are fewer than ``count`` candidates, or the given choice is not ``count`` distinct candidates.
    TypeError
        If the given choice is not made of integers.
    """
    if not 0 <= count <= len(candidates):
        raise ValueError(f"cannot choose {count} of {len(candidates)} weights")
    if isinstance(rng, np.random.Generator):
        return rng.choice(candidates, size=count, replace=False)
    chosen = np.asarray(rng).reshape(-1)
    if chosen.size and not np.issubdtype(chosen.dtype, np.integer):
        raise TypeError(f"the given choice must be integers, got dtype {chosen.dtype}")
    chosen = chosen.astype(np.int64)
    if len(chosen) != count or len(np.unique(chosen)) != count or not np.isin(chosen, candidates).all():
        raise ValueError(f"the given choice must be {count} distinct candidates, got {len(chosen)} indices")
    return chosen


def random_mask(shape: tuple[int, ...], active: int, rng: np.random.Generator | np.ndarray) -> np.ndarray:
    """A uniformly random mask with exactly ``active`` living entries; raises as `grow`."""
    return grow(np.zeros(shape, dtype=bool), active, rng)


def shrink(mask: np.ndarray, importance: np.ndarray, active: int) -> np.ndarray:
    """Keep the ``active`` most important living entries; among equals the lower flat index is kept.

    Parameters
    ----------
    mask : ndarray of bool
    importance : ndarray, same shape
        Read at living entries only.
    active : int
        How many stay alive, at most the number alive now.

    Returns
    -------
    ndarray of bool, same shape
        A subset of ``mask``.

    Raises
    ------
    ValueError
        If shapes differ, fewer than ``active`` are alive, or a living entry's importance is NaN or infinite: such a
        number has no rank, and sorting would hide where it came from.
    """
    _expect_bool("shrink", mask)
    if importance.shape != mask.shape:
        raise ValueError(f"shrink: importance must have the mask's shape {mask.shape}, got {importance.shape}")
    living = np.flatnonzero(mask)
    if not 0 <= active <= len(living):
        raise ValueError(f"shrink: cannot keep {active} of {len(living)} living weights")
    scores = importance.reshape(-1)[living]
    if not np.isfinite(scores).all():
        first = np.argmin(np.isfinite(scores))
        raise ValueError(f"shrink: importance must be finite, got {scores[first]} at flat index {living[first]}")
    # Ascending from the back, so that the lower index is the later among equals; unsigned numbers have no negative.
    order = np.argsort(scores[::-1], kind="stable")[len(living) - active :]
    kept = np.zeros(mask.size, dtype=bool)
    kept[living[::-1][order]] = True
    return kept.reshape(mask.shape)


def grow(mask: np.ndarray, active: int, rng: np.random.Generator | np.ndarray) -> np.ndarray:
    """Let uniformly random dead entries join ``mask`` until ``active`` live, at least as many as now.

    Raises
    ------
    ValueError
        If more than ``active`` are alive already, or the mask has fewer than ``active`` entries.
    """
    _expect_bool("grow", mask)
    living = int(np.count_nonzero(mask))
    if living > active:
        raise ValueError(f"grow: {living} weights live already, more than the {active} wanted; shrink instead")
    joined = mask.copy().reshape(-1)
    joined[choose(np.flatnonzero(~joined), active - living, rng)] = True
    return joined.reshape(mask.shape)


def _expect_bool(call: str, mask: np.ndarray) -> None:
    # ~ of an integer mask turns its 1 into -2, which is true: the living would count as dead.
    if mask.dtype != np.bool_:
        raise TypeError(f"{call}: the mask must be an array of bool, got dtype {mask.dtype}")
