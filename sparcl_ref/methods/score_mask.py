"""Subnetworks by trained scores, as pure rules: which entries a layer uses, and how their choice learns.

A layer computes with m w, where m is 1 on the entries whose scores a are largest in size. The choice has no derivative;
the gradient of m is passed straight through to a (Bengio et al. 2013).
"""

from __future__ import annotations

import math
from fractions import Fraction

import numpy as np

from sparcl_ref.masks import exact, round_half_up, shrink


def used_entries(n: int, share: float | Fraction) -> int:
    """How many of ``n`` entries a share c keeps: floor(c n + 1/2), in exact decimals."""
    return round_half_up(exact(share) * n)


def score_mask(scores: np.ndarray, share: float | Fraction) -> np.ndarray:
    """The entries in use: exactly `used_entries` of them, the largest |a|; among equals the lower flat index."""
    return shrink(np.ones(scores.shape, dtype=bool), np.abs(scores), used_entries(scores.size, share))


def product(weight: np.ndarray, mask: np.ndarray) -> np.ndarray:
    """m w, +0.0 where m is 0."""
    return np.where(mask, weight, weight.dtype.type(0))


def weight_gradient(product_grad: np.ndarray, mask: np.ndarray) -> np.ndarray:
    """dL/dw = m dL/d(m w): what is not used is not moved by the loss."""
    return product(product_grad, mask)


def score_gradient(product_grad: np.ndarray, weight: np.ndarray, scores: np.ndarray) -> np.ndarray:
    """dL/da = dL/d(m w) w sign(a), of used and unused entries alike.

    dL/dm = dL/d(m w) w is taken for dL/d|a|, since m ranks by |a|; from |a| to a goes the sign of a.
    """
    gradient: np.ndarray = product_grad * weight * np.sign(scores)
    return gradient


def first_scores(shape: tuple[int, ...], fan_in: int, rng: np.random.Generator, dtype: np.dtype) -> np.ndarray:
    """Uniform in (-1, 1) / sqrt(fan in): Kaiming's uniform draw with PyTorch's a = sqrt(5), and of biases alike."""
    return (rng.uniform(-1.0, 1.0, shape) / math.sqrt(fan_in)).astype(dtype)
