"""Who owns which weight where each task has its own: PackNet's partition."""

from __future__ import annotations

import math
from fractions import Fraction

import numpy as np

from sparcl_ref.masks import exact, round_half_up
from sparcl_ref.methods.partition import partition
from sparcl_ref.verify.function import Argument, exactly, specify
from sparcl_ref.verify.mistake import Mistake, instead


def packnet_partition(weight, owner, task, fraction, ties):
    return partition(weight, owner, task=task, fraction=fraction, ties=ties)


def _owned(given):
    return int(np.count_nonzero(given["owner"] == given["task"]))


def _share(given):
    return exact(given["fraction"]) * _owned(given)


def _freeing(count):
    """A change of the fraction, by which another number becomes free."""
    return lambda given: Fraction(min(count(given), n), n) if (n := _owned(given)) else Fraction(0)


def _rounded(share, ties):
    return round(share) if ties == "source" else round_half_up(share)


def _whole_layer(given):
    return _rounded(exact(given["fraction"]) * given["owner"].size, given["ties"])


def _taken_otherwise(ties):
    """Equal ones taken as the other rule does, of as many as this one asks for."""

    def outputs(right, **given):
        if given["ties"] != ties:
            return {}
        other = {"exact": "source", "source": "exact"}[ties]
        same = _freeing(lambda given: _rounded(_share(given), ties))
        return right(**given | {"ties": other, "fraction": same(given)})

    return outputs


def _binary(given):
    number = float(given["fraction"]) * _owned(given)
    return round(number) if given["ties"] == "source" else math.floor(number + 0.5)


def _largest_first(given):
    sizes = np.abs(given["weight"])
    return sizes.max(initial=0) - sizes


def _from_the_other_end(right, weight, owner, **given):
    turned = right(weight=weight.reshape(-1)[::-1], owner=owner.reshape(-1)[::-1], **given)["owner"]
    return {"owner": turned[::-1].reshape(owner.shape)}


def _all_compete(right, weight, owner, task, fraction, ties):
    """As many of all weights as should become free; of them those of the task do."""
    count = _rounded(exact(fraction) * int(np.count_nonzero(owner == task)), ties)
    share = Fraction(count, max(1, owner.size))
    chosen = right(weight=weight, owner=np.full_like(owner, task), task=task, fraction=share, ties=ties)["owner"]
    return {"owner": np.where((chosen == 0) & (owner == task), 0, owner)}


def _earlier_too(right, weight, owner, task, **given):
    """All weights that the task uses are pruned, also those of tasks before it."""
    used = (owner > 0) & (owner <= task)
    chosen = right(weight=weight, owner=np.where(used, task, owner), task=task, **given)["owner"]
    return {"owner": np.where(used & (chosen == 0), 0, owner)}


FUNCTIONS = (
    specify("packnet_partition", "isolation", packnet_partition, "PackNet (Mallya and Lazebnik 2018), pruning",
        "a fraction of the n weights that the task owns in a layer, those of the smallest magnitude, becomes free "
        "(owner 0); all others keep their owners. Ties exact: floor(fraction n + 1/2) become free, of equal ones the "
        "lower flat index is kept. Ties source: all up to the k-th smallest, k being fraction n with halves to even",
        Argument("weight", "float, any shape"),
        Argument("owner", "int, shape of weight: the task that owns each, from 1; 0 for a free one"),
        Argument("task", "int: whose weights are pruned"),
        Argument("fraction", 'str, a decimal in 0..1, below 1, such as "0.5"', "0.5"),
        Argument("ties", 'str: "exact" or "source"', "exact"),
        exactly("owner", "int, shape of weight"),
        instead("signed weights ranked instead of magnitudes",
            weight=lambda given: given["weight"] - given["weight"].min(initial=0)),
        instead("the largest magnitudes become free instead of the smallest", weight=_largest_first),
        Mistake("ties broken from the other end", _from_the_other_end, of_right=True),
        Mistake("equal ones go together where an exact number is asked for", _taken_otherwise("exact"), of_right=True),
        Mistake("an exact number goes where equal ones are to go together", _taken_otherwise("source"), of_right=True),
        instead("halves rounded to even", fraction=_freeing(lambda given: round(_share(given)))),
        instead("halves rounded up", fraction=_freeing(lambda given: round_half_up(_share(given)))),
        instead("rounded down", fraction=_freeing(lambda given: math.floor(_share(given)))),
        instead("the number computed in binary floating point", fraction=_freeing(_binary)),
        instead("a fraction of the whole layer instead of the task's own weights", fraction=_freeing(_whole_layer)),
        instead("the fraction is kept instead of becoming free", fraction=lambda given: 1 - exact(given["fraction"])),
        Mistake("ranked among all weights: others compete", _all_compete, of_right=True),
        Mistake("earlier tasks' weights become free, too", _earlier_too, of_right=True),
        instead("ranked in float32 or less, where magnitudes that differ are equal",
            weight=lambda given: given["weight"].astype(np.float32)),
    ),
)  # fmt: skip
