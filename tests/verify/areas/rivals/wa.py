"""WA: inputs, oracle and wrong implementations."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import torch

from tests.verify.draws import floats
from tests.verify.spec import Arguments, CaseSpec, Oracle, Result, Tolerance, Wrong
from tests.verify.tensors import array, largest, tensor


def cases() -> Iterator[CaseSpec]:
    rows = floats("wa rows", (8, 5))
    longer = rows * np.array([1, 1, 1, 1, 4, 2, 8, 8])[:, None]
    dead = longer.copy()
    dead[5] = 0.0
    for name, kind, note, weight, old, new in [
        ("usual", "regular", "gamma upside down; lengths of blocks, or squared", longer, [0, 1, 2, 3], [4, 5]),
        ("unsorted", "adversarial", "the first rows taken for the old classes", longer, [5, 0, 7], [6, 2]),
        ("more-new-than-old", "regular", "sums of lengths instead of means", longer, [1], [4, 0, 2]),
        ("shorter-new", "regular", "new rows that are shorter are made longer", longer, [4, 6], [1, 3]),
        ("no-old", "edge", "in task 1 there is nothing to compare with: the mean over no row is NaN",
         longer, [], [0, 1]),
        ("new-rows-dead", "edge", "division by 0 where all new rows are 0", np.where(np.arange(8)[:, None] >= 6, 0.0,
            longer), [0, 1], [6, 7]),
        ("one-new-row-dead", "adversarial", "a row of zeros counts in the mean, and is not divided by", dead,
         [0, 1, 2], [4, 5]),
        ("one-row-each", "edge", "an axis of length 1 that is dropped", longer, [2], [7]),
        ("one-feature", "edge", "an axis of length 1 that is dropped", longer[:, :1], [0, 1], [4, 5]),
        ("all-classes", "regular", "no class is to come", longer, [0, 1, 2, 3, 4, 5], [7, 6]),
    ]:  # fmt: skip
        yield CaseSpec("align_weights", name, kind, note, {"weight": weight, "old": old, "new": new})


# --- oracle -----------------------------------------------------------------------------------------------------------


def align_weights(a: Arguments) -> Result:
    """torch.linalg.vector_norm of rows in float64."""
    weight, old, new = tensor(a["weight"]).clone(), a["old"], a["new"]
    lengths = torch.linalg.vector_norm(weight, dim=1)
    if not old or not lengths[new].any():
        return {"weight": array(weight)}, {"weight": Tolerance(0, 0.0, "unchanged")}
    weight[new] *= lengths[old].mean() / lengths[new].mean()
    reason = "squares over a row, a mean over rows"
    return {"weight": array(weight)}, {"weight": Tolerance(sum(weight.shape) + 4, largest(weight), reason)}


ORACLES: dict[str, Oracle] = {"align_weights": align_weights}


# --- wrong implementations --------------------------------------------------------------------------------------------


def aligned(weight, old, new, *, fault):
    weight = weight.copy()
    if fault == "exchanged":
        old, new = new, old
    if fault == "first":
        old, new = list(range(len(old))), list(range(len(old), len(old) + len(new)))
    if fault == "to come new":
        new = [c for c in range(len(weight)) if c not in old]
    if not len(old) or not np.abs(weight[new]).sum():
        return weight
    squares = (weight.astype(np.float64) ** 2).sum(axis=1)
    sizes = squares if fault == "squares" else np.abs(weight).sum(axis=1) if fault == "absolute" else np.sqrt(squares)
    size = {"sum": np.sum, "longest": np.max}.get(fault, np.mean)
    gamma = size(sizes[old]) / size(sizes[new])
    if fault == "blocks":
        gamma = np.sqrt(squares[old].sum() / squares[new].sum())
    if fault == "mean row":
        gamma = np.linalg.norm(weight[old].mean(axis=0)) / np.linalg.norm(weight[new].mean(axis=0))
    if fault == "only shortened":
        gamma = min(gamma, 1.0)
    if fault == "upside down":
        gamma = 1 / gamma
    scaled = new
    if fault == "to come":
        scaled = [c for c in range(len(weight)) if c not in old]
    if fault == "old scaled":
        scaled, gamma = old, 1 / gamma
    for row in scaled:
        own = sizes[old].mean() / sizes[row] if fault == "each" and sizes[row] else 1.0 if fault == "each" else gamma
        weight[row] *= weight.dtype.type(own)
    return weight


def _wrong(name, mistake, fault, likely):
    return Wrong(f"wa-{name}", "align_weights", mistake, aligned, fault=fault, likely=likely)


WRONG = (
    _wrong("upside-down", "new over old", "upside down", "gamma upside down"),
    _wrong("old-scaled", "the old rows are made longer", "old scaled", "old rows scaled instead of new ones"),
    _wrong("exchanged", "arguments exchanged", "exchanged", "old and new classes exchanged"),
    _wrong("blocks", "norms of matrices", "blocks", "lengths of whole blocks"),
    _wrong("squares", "no square root", "squares", "squared lengths"),
    _wrong("absolute", "the 1-norm", "absolute", "sums of absolute values instead of lengths"),
    _wrong("mean-row", "mean first, norm afterwards", "mean row", "the length of the mean row"),
    _wrong("sum", "no mean", "sum", "the sum of lengths instead of their mean"),
    _wrong("longest", "the largest norm", "longest", "the longest row instead of the mean"),
    _wrong("each", "a factor for each row", "each", "each new row brought to the mean length by itself"),
    _wrong("only-shortened", "gamma at most 1", "only shortened", "new rows only shortened"),
    _wrong("to-come", "everything that is not old is scaled", "to come", "rows of classes to come scaled as well"),
    _wrong("to-come-new", "everything that is not old is new", "to come new", "classes to come counted as new"),
    _wrong("first", "slices by counts", "first", "the first rows taken for the old classes"),
)  # fmt: skip
