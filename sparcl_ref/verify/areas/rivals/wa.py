"""WA: the rows of new classes brought to the length of the old ones'."""

from __future__ import annotations

from functools import partial

import numpy as np

from sparcl_ref.alignment import weight_aligning
from sparcl_ref.verify.function import Argument, Output, specify
from sparcl_ref.verify.mistake import Mistake, instead, of


def align_weights(weight, old, new):
    return weight_aligning(weight, old, new)


# --- mistakes ---------------------------------------------------------------------------------------------------------


def _lengths(rows):
    return np.linalg.norm(rows, axis=1)


def _aligned(factor, weight, old, new):
    """New rows times a number, or one for each, that a function of both parts gives; nothing without either part."""
    if not len(old) or not weight[new].any():
        return {}
    aligned = weight.copy()
    aligned[new] *= np.reshape(factor(weight[old], weight[new]), (-1, 1))
    return {"weight": aligned}


def _times(sentence, factor):
    return Mistake(sentence, partial(_aligned, factor))


def _gamma(old, new):
    return _lengths(old).mean() / _lengths(new).mean()


def _old_scaled(weight, old, new):
    if not len(old) or not weight[new].any():
        return {}
    aligned = weight.copy()
    aligned[old] /= _gamma(weight[old], weight[new])
    return {"weight": aligned}


def _to_come(given):
    """New classes, and all that are not old."""
    return [one for one in range(len(given["weight"])) if one not in given["old"]]


def _scaled_too(weight, old, new):
    """Rows of classes to come scaled like those of new ones."""
    if not len(old) or not weight[new].any():
        return {}
    aligned = weight.copy()
    aligned[_to_come({"weight": weight, "old": old})] *= _gamma(weight[old], weight[new])
    return {"weight": aligned}


FUNCTIONS = (
    specify("align_weights", "rivals", align_weights, "Zhao et al., 2020",
        "rows of new classes times gamma = mean length of old rows / mean length of new rows; all other rows stay, "
        "and everything does where no class is old or all new rows are 0",
        Argument("weight", "float (C, D): of the classifier; its bias takes no part"),
        Argument("old", "list of int in any order: classes of earlier tasks; may be empty"),
        Argument("new", "list of int in any order: classes of the task just learned"),
        Output("weight", "float (C, D): aligned"),
        _times("gamma upside down", lambda old, new: 1 / _gamma(old, new)),
        Mistake("old rows scaled instead of new ones", _old_scaled),
        instead("old and new classes exchanged", old=of("new"), new=of("old")),
        _times("lengths of whole blocks instead of mean lengths of rows",
            lambda old, new: np.linalg.norm(old) / np.linalg.norm(new)),
        _times("squared lengths", lambda old, new: (_lengths(old) ** 2).mean() / (_lengths(new) ** 2).mean()),
        _times("sums of absolute values instead of lengths", lambda old, new: np.abs(old).sum(axis=1).mean()
            / np.abs(new).sum(axis=1).mean()),
        _times("the length of the mean row instead of the mean length of rows",
            lambda old, new: np.linalg.norm(old.mean(axis=0)) / np.linalg.norm(new.mean(axis=0))),
        _times("the sum of lengths instead of their mean", lambda old, new: _lengths(old).sum() / _lengths(new).sum()),
        _times("the longest row instead of the mean", lambda old, new: _lengths(old).max() / _lengths(new).max()),
        _times("each new row brought to the mean length by itself",
            lambda old, new: np.divide(_lengths(old).mean(), _lengths(new), out=np.ones(len(new)),
                where=_lengths(new) > 0)),
        _times("new rows only shortened, never lengthened", lambda old, new: min(1.0, _gamma(old, new))),
        Mistake("rows of classes to come scaled as well", _scaled_too),
        instead("classes to come counted as new", new=_to_come),
        instead("the first rows taken for the old classes, the next for the new", old=lambda given:
            list(range(len(given["old"]))), new=lambda given:
            list(range(len(given["old"]), len(given["old"]) + len(given["new"])))),
    ),
)  # fmt: skip
