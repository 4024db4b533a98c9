"""What SNIP keeps, and what RigL drops and grows."""

from __future__ import annotations

import math
from functools import partial

import numpy as np

from sparcl_ref import masks
from sparcl_ref.layers import Parameter
from sparcl_ref.policies.exchange import cosine_share
from sparcl_ref.policies.rigl import grow_by_gradient
from sparcl_ref.policies.snip import connection_sensitivity
from sparcl_ref.verify.areas.masks.selection import MASK, last_first
from sparcl_ref.verify.function import Argument, Output, exactly, specify
from sparcl_ref.verify.mistake import Mistake, instead, scaled

_RIGL = "Evci et al., RigL, 2020"


def snip_mask(weight, gradient, active):
    scores = connection_sensitivity(weight, gradient)
    return masks.shrink(np.ones(scores.shape, dtype=bool), scores, active)


def _ranked_by(score, weight, gradient, active):
    scores = score(weight, gradient)
    return {"mask": masks.shrink(np.ones(scores.shape, dtype=bool), scores, active)}


def _last_first(weight, gradient, active):
    kept = np.zeros(weight.size, dtype=bool)
    kept[last_first(connection_sensitivity(weight, gradient).reshape(-1))[:active]] = True
    return {"mask": kept.reshape(weight.shape)}


def rigl_share(step, end, highest):
    return cosine_share(step, end=end, highest=highest)


def rigl_update(value, velocity, mask, gradient, share):
    return _exchanged(value, velocity, mask, gradient, share)


def _exchanged(
    value,
    velocity,
    mask,
    gradient,
    share,
    *,
    number=math.trunc,
    dropped=lambda mask, value, stay: masks.shrink(mask, np.abs(value), stay),
    grown=lambda mask, kept, gradient, living: grow_by_gradient(kept, gradient, living),
    at_once=True,
):
    """The rule, or one of its parts done otherwise."""
    parameter = Parameter("weight", value)
    parameter.slots["momentum"] = velocity
    parameter.set_mask(mask)
    living = int(np.count_nonzero(mask))
    kept = dropped(mask, parameter.value, living - number(living * share))
    after = grown(mask, kept, gradient, living)
    if not at_once:
        parameter.set_mask(kept)
    parameter.set_mask(after)
    return parameter.value, parameter.slots["momentum"], after


def _with(**parts):
    def outputs(**given):
        arrays = {name: array.copy() for name, array in given.items() if isinstance(array, np.ndarray)}
        return dict(zip(("value", "velocity", "mask"), _exchanged(**given | arrays, **parts), strict=True))

    return outputs


def _only_dead_join(mask, kept, gradient, living):
    """What has just left cannot come back; where too few are dead, the rest stays away."""
    active = int(np.count_nonzero(kept))
    return kept | masks.shrink(~mask, np.abs(gradient), min(living - active, int(np.count_nonzero(~mask))))


def _last_joins(mask, kept, gradient, living):
    others = np.flatnonzero(~kept)
    order = last_first(np.abs(gradient).reshape(-1)[others])
    chosen = kept.reshape(-1).copy()
    chosen[others[order[: living - int(np.count_nonzero(kept))]]] = True
    return chosen.reshape(mask.shape)


def _masked_gradient(mask, kept, gradient, living):
    return grow_by_gradient(kept, np.where(mask, gradient, 0.0), living)


FUNCTIONS = (
    specify("snip_mask", "masks", snip_mask, "Lee et al., SNIP, 2019",
        "the largest |weight x gradient| stay, among equals the lower flat index; layers that are ranked together are "
        "joined before",
        Argument("weight", "float, any shape"), Argument("gradient", "float, shape of weight: of the dense network"),
        Argument("active", "int: entries that stay"),
        exactly("mask", "bool, shape of weight"),
        Mistake("ranked by the weight alone", partial(_ranked_by, lambda weight, gradient: np.abs(weight))),
        Mistake("ranked by the gradient alone", partial(_ranked_by, lambda weight, gradient: np.abs(gradient))),
        Mistake("ranked by the product with its sign", partial(_ranked_by, lambda weight, gradient: weight * gradient)),
        Mistake("ranked by the sum of both sizes",
            partial(_ranked_by, lambda weight, gradient: np.abs(weight) + np.abs(gradient))),
        Mistake("ties broken from the other end", _last_first),
        instead("a slice [-k:] that takes everything for k = 0", active=lambda given: given["active"] or given[
            "weight"].size),
        uses=("shrink",),
    ),
    specify("rigl_share", "masks", rigl_share, f"{_RIGL}, section 3",
        "the share of the living that is replaced is highest / 2 (1 + cos(pi step / end)), and 0 from the end on",
        Argument("step", "int: from 0"), Argument("end", "int: step from which masks stay, at least 1"),
        Argument("highest", "float: share at step 0", 0.3),
        Output("share", "float"),
        Mistake("a line instead of a cosine", lambda step, end, highest: {"share": highest * max(0.0, 1 - step / end)}),
        Mistake("a quarter of a cosine's period instead of half of it",
            lambda step, end, highest: {"share": highest * math.cos(math.pi / 2 * min(1.0, step / end))}),
        Mistake("the cosine goes up again after the end",
            lambda step, end, highest: {"share": highest / 2 * (1 + math.cos(math.pi * step / end))}),
        scaled("not halved", share=2),
        instead("the highest share fixed in the code", highest=0.3),
    ),
    specify("rigl_update", "masks", rigl_update, f"{_RIGL}, Algorithm 1",
        "share x living entries, truncated, of the smallest size leave, and as many of the largest |gradient| of all "
        "that are not kept join; ties keep, and let join, the lower flat index. What leaves and joins at once keeps "
        "value and velocity, others join at 0",
        Argument("value", "float, any shape: 0 where dead"), Argument("velocity", "float, shape of value"), MASK,
        Argument("gradient", "float, shape of value: of dead entries, too"),
        Argument("share", "float, in 0..1"),
        exactly("value", "float, shape of value"), exactly("velocity", "float, shape of value"),
        exactly("mask", "bool, shape of value"),
        Mistake("the number rounded instead of truncated", _with(number=round)),
        Mistake("the number rounded up", _with(number=math.ceil)),
        Mistake("what has just left cannot join", _with(grown=_only_dead_join)),
        Mistake("what leaves and joins at once starts at 0", _with(at_once=False)),
        Mistake("grown by the gradient with its sign", _with(
            grown=lambda mask, kept, gradient, living: grow_by_gradient(kept, gradient - gradient.min(), living))),
        Mistake("the smallest gradients join", _with(
            grown=lambda mask, kept, gradient, living: grow_by_gradient(
                kept, np.abs(gradient).max() - np.abs(gradient), living))),
        Mistake("the gradient of living entries alone", _with(grown=_masked_gradient)),
        Mistake("of equal gradients the last joins", _with(grown=_last_joins)),
        Mistake("the largest weights leave", _with(
            dropped=lambda mask, value, stay: masks.shrink(mask, np.abs(value).max() - np.abs(value), stay))),
        Mistake("dropped by the value with its sign", _with(
            dropped=lambda mask, value, stay: masks.shrink(mask, value - value.min(), stay))),
        uses=("apply_mask", "shrink"),
    ),
)  # fmt: skip
