"""Wrong selections and masks."""

from __future__ import annotations

import math
from functools import partial

import numpy as np

from tests.verify.wrong.entry import Wrong


def kept(mask, scores, active, *, living_only=True):
    """The living of greatest score; equal ones in the order of the scores' stable sort."""
    flat = np.where(mask, scores, -np.inf).reshape(-1) if living_only else scores.reshape(-1)
    chosen = np.zeros(mask.size, bool)
    chosen[np.argsort(-flat, kind="stable")[:active]] = True
    return chosen.reshape(mask.shape)


def higher_index(mask, importance, active):
    turned = kept(mask.reshape(-1)[::-1], importance.reshape(-1)[::-1], active)
    return turned[::-1].reshape(mask.shape)


def dead_return(mask, importance, active):
    return kept(mask, np.nan_to_num(importance), active, living_only=False)


def lowest_kept(mask, importance, active):
    return kept(mask, np.where(mask, -importance, 0.0), active)


def all_at_threshold(mask, importance, active):
    if not active:
        return np.zeros_like(mask)
    threshold = np.sort(importance[mask])[::-1][active - 1]
    return mask & (importance >= threshold)


def none_at_threshold(mask, importance, active):
    living = np.sort(importance[mask])[::-1]
    return mask.copy() if active >= len(living) else mask & (importance > living[active])


def by_percentile(mask, importance, active):
    """What lies above a percentile over all entries, the dead included."""
    scores = np.nan_to_num(importance)
    return mask & (scores > np.percentile(scores, 100 * (1 - active / mask.size)))


def unstable(mask, importance, active):
    flat = np.where(mask, importance, -np.inf).reshape(-1)
    chosen = np.zeros(mask.size, bool)
    chosen[np.argpartition(flat, mask.size - active)[mask.size - active :] if active else []] = True
    return chosen.reshape(mask.shape)


def column_major(shape, active, chosen):
    mask = np.zeros(math.prod(shape), bool)
    mask[chosen] = True
    return mask.reshape(shape, order="F")


def grown(mask, joining):
    flat = mask.reshape(-1).copy()
    flat[joining] = True
    return flat.reshape(mask.shape)


def grow_among_dead(mask, active, joining):
    """The indices are taken for places among the dead entries."""
    dead = np.flatnonzero(~mask)
    return grown(mask, dead[joining % max(len(dead), 1)])


def grow_replaces(mask, active, joining):
    return grown(np.zeros_like(mask), joining)


def zeroed(array, mask):
    return np.where(mask, array, 0.0)


def multiplied(value, grad, velocity, mask):
    with np.errstate(invalid="ignore"):
        return value * mask, grad * mask, velocity * mask


def exchanged(value, velocity, mask, importance, keep, active, joining, *, fault):
    after = kept(mask, importance, keep)
    alive = grown(after, joining)
    if fault == "other end":
        after = higher_index(mask, importance, keep)
        alive = grown(after, joining)
    if fault == "shrink again":
        alive = kept(alive, importance, keep)
    old_value, old_velocity = zeroed(value, after), zeroed(velocity, after)
    if fault == "value lives":
        old_value = zeroed(value, alive)
    if fault == "velocity lives":
        old_velocity = zeroed(velocity, alive)
    if fault == "velocity of removed":
        old_velocity = velocity.copy()
    return old_value, old_velocity, alive


WRONG = (
    Wrong("random-column-major", "masks", "random_mask", "flat indices in column-major order", column_major),
    Wrong("shrink-ties", "masks", "shrink", "ties are broken from the other end", higher_index),
    Wrong("shrink-dead-return", "masks", "shrink", "important dead weights return", dead_return),
    Wrong("shrink-lowest", "masks", "shrink", "the least important are kept", lowest_kept),
    Wrong("shrink-threshold", "masks", "shrink", "all ties at the threshold are kept", all_at_threshold),
    Wrong("shrink-percentile", "masks", "shrink", "a percentile over all entries, not the living", by_percentile),
    Wrong("shrink-unstable", "masks", "shrink", "an unstable selection among equals", unstable),
    Wrong("shrink-strict", "masks", "shrink", "all ties at the threshold die", none_at_threshold),
    Wrong("grow-among-dead", "masks", "grow", "indices are taken for places among the dead", grow_among_dead),
    Wrong("grow-replaces", "masks", "grow", "only the drawn entries live afterwards", grow_replaces),
    Wrong("apply-product", "masks", "apply_mask", "the mask is multiplied, which leaves -0.0 and NaN", multiplied),
    Wrong(
        "apply-not-velocity",
        "masks",
        "apply_mask",
        "momentum of dead weights lives on",
        lambda value, grad, velocity, mask: (zeroed(value, mask), zeroed(grad, mask), velocity),
    ),
    Wrong(
        "apply-not-grad",
        "masks",
        "apply_mask",
        "gradients of dead weights stay",
        lambda value, grad, velocity, mask: (zeroed(value, mask), grad, zeroed(velocity, mask)),
    ),
    Wrong(
        "exchange-ties",
        "masks",
        "exchange",
        "ties are broken from the other end",
        partial(exchanged, fault="other end"),
    ),
    Wrong(
        "exchange-value", "masks", "exchange", "regrown weights are not zeroed", partial(exchanged, fault="value lives")
    ),
    Wrong(
        "exchange-velocity",
        "masks",
        "exchange",
        "regrown weights keep their momentum",
        partial(exchanged, fault="velocity lives"),
    ),
    Wrong(
        "exchange-removed",
        "masks",
        "exchange",
        "removed weights keep their momentum",
        partial(exchanged, fault="velocity of removed"),
    ),
    Wrong(
        "exchange-shrink-last",
        "masks",
        "exchange",
        "weights join before others leave",
        partial(exchanged, fault="shrink again"),
    ),
)
