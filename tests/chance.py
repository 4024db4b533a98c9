"""Statistics of draws without replacement."""

from __future__ import annotations

import numpy as np
from scipy import stats


def uniform_inclusion(counts: np.ndarray, trials: int, drawn: int) -> float:
    """p-value of "all are equally likely", from how often each of n was among ``drawn`` without replacement.

    Each count has variance trials p (1 - p) with p = drawn / n, and any two the same negative covariance, because they
    sum to trials drawn. The sum of squared deviations over p (1 - p) trials n / (n - 1) is chi-square with n - 1
    degrees of freedom.
    """
    n = len(counts)
    p = drawn / n
    assert counts.sum() == trials * drawn
    statistic = np.sum((counts - trials * p) ** 2) / (trials * p * (1 - p) * n / (n - 1))
    return float(stats.chi2.sf(statistic, n - 1))
