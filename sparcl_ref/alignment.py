"""What is done to the classifier after each task, whatever the method: nothing, or weight aligning."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from sparcl_ref.methods.classifier import classifier_of
from sparcl_ref.models import Network

#: The classifier's weight (classes, features), classes of earlier tasks, classes of the new one: the new weight.
Alignment = Callable[[np.ndarray, Sequence[int], Sequence[int]], np.ndarray]


def unchanged(weight: np.ndarray, old: Sequence[int], new: Sequence[int]) -> np.ndarray:
    """The weight as it is."""
    return weight


def weight_aligning(weight: np.ndarray, old: Sequence[int], new: Sequence[int]) -> np.ndarray:
    """WA (Zhao et al., CVPR 2020): new rows times gamma = mean norm of old rows / mean norm of new rows.

    Training on mostly new samples makes their rows long and their logits high. As published; the bias is left as it is
    (this reference's choice). Nothing changes where there are no old classes, or all new rows are 0.
    """
    norms = np.linalg.norm(weight.astype(np.float64), axis=1)
    if not len(old) or not norms[list(new)].any():
        return weight
    gamma = float(norms[list(old)].mean() / norms[list(new)].mean())
    aligned = weight.copy()
    aligned[list(new)] *= gamma
    return aligned


ALIGNMENTS: dict[str, Alignment] = {"none": unchanged, "wa": weight_aligning}


def align(model: Network, name: str, *, old: Sequence[int], new: Sequence[int]) -> None:
    """Give the classifier of a model its rows after a task; frozen entries stay."""
    if name == "none":
        return
    parameter = classifier_of(model).weight
    kept = parameter.frozen_entries()
    parameter.value[...] = ALIGNMENTS[name](parameter.value, old, new)
    parameter.restore_frozen(kept)
    parameter.changed()
