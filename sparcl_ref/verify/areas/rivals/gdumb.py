"""GDumb: a memory whose classes are as many as each other."""

from __future__ import annotations

from functools import partial

import numpy as np

from sparcl_ref.methods.balance import greedy_balance
from sparcl_ref.verify.function import Argument, drawn, exactly, specify
from sparcl_ref.verify.mistake import Mistake


class _Given:
    """In the place of a random stream: floor(u n) for each u that is given, in order."""

    def __init__(self, uniforms: np.ndarray):
        self.uniforms = iter(uniforms.tolist())

    def integers(self, high: int) -> int:
        return int(next(self.uniforms) * high)


def balanced_memory(held, offered, capacity, uniforms):
    return greedy_balance(held, offered, capacity, _Given(uniforms))


def _balanced(
    held, offered, capacity, uniforms, *,
    may_exceed=False, share=None, smallest=False, leaves=None, ties=min, from_all=False, full=False,
    own=False,
):  # fmt: skip
    """The memory with parts of its rule done otherwise; ``leaves`` says which of n members goes."""
    labels = [*held.tolist(), *offered.tolist()]
    kept, draws, seen = list(range(len(held))), iter(uniforms.tolist()), set(held.tolist())
    for position in range(len(held), len(labels)):
        label = labels[position]
        seen.add(label)
        classes = len(seen)
        count = sum(labels[one] == label for one in kept)
        limit = share(capacity, classes) if share else capacity / classes
        if count > limit if may_exceed else count >= limit:
            continue
        if len(kept) == capacity:
            if full:
                continue
            counts = {each: sum(labels[one] == each for one in kept) for each in {labels[one] for one in kept}}
            bound = (min if smallest else max)(counts.values())
            chosen = ties(each for each, many in counts.items() if many == bound)
            chosen = label if own and count else chosen
            members = [one for one in kept if from_all or labels[one] == chosen]
            kept.remove(members[leaves(len(members)) if leaves else int(next(draws) * len(members))])
        kept.append(position)
    return {"kept": np.sort(np.array(kept, dtype=np.int64))}


def _otherwise(sentence, **changes):
    return Mistake(sentence, partial(_balanced, **changes))


FUNCTIONS = (
    specify("balanced_memory", "rivals", balanced_memory, "Prabhu et al., 2020, as remembered",
        "one by one, an offered sample is taken while its class has fewer than capacity / (classes seen, its own "
        "included), not rounded; if there is no room, a drawn sample of the largest class leaves, among equals of the "
        "lowest class",
        Argument("held", "int (m,): labels of what is held, in the order in which it entered; m <= capacity"),
        Argument("offered", "int (n,): labels of what is offered"), Argument("capacity", "int: at least 1"),
        drawn("uniforms", "float (n,): u in 0..1; the k-th sample that leaves is member floor(u_k size) of its class, "
            "counted in the order of positions"),
        exactly("kept", "int, ascending: positions in held followed by offered"),
        _otherwise("a class may exceed its share by one", may_exceed=True),
        _otherwise("the share rounded down", share=lambda capacity, classes: capacity // classes),
        _otherwise("no share at all: each sample is taken", share=lambda capacity, classes: capacity + 1),
        _otherwise("the smallest class gives way", smallest=True),
        _otherwise("the highest class gives way among equals", ties=max),
        _otherwise("the oldest sample of the largest class leaves", leaves=lambda count: 0),
        _otherwise("the newest sample of the largest class leaves", leaves=lambda count: count - 1),
        _otherwise("any sample leaves, not one of the largest class", from_all=True),
        _otherwise("a sample of the same class leaves, where there is one", own=True),
        _otherwise("nothing is taken once there is no room", full=True),
        Mistake("the first samples, whatever their classes", lambda held, offered, capacity, uniforms: {
            "kept": np.arange(min(capacity, len(held) + len(offered)))}),
    ),
)  # fmt: skip
