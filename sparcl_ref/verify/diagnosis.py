"""Which of several possible mistakes it is: one that explains what failed, and that nothing which passed contradicts.

A wrong hint costs more than none, so each mistake is held against all cases of its function.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from itertools import groupby

from sparcl_ref.verify.causes import contradicted
from sparcl_ref.verify.causes.patterns import NARROW, looks_rounded
from sparcl_ref.verify.outcome import Outcome


def weighed(outcomes: Sequence[Outcome], dtype: str) -> tuple[Outcome, ...]:
    """The outcomes with only the causes that all cases of their function allow.

    A mistake is named if it gives the numbers of every failed case of its function and would have shown in none that
    passed. If there is no such mistake, the one that explains most is named as one that explains them in part, provided
    that this is more than half of them. Failures without numbers, such as exceptions, speak for nothing.

    Parameters
    ----------
    outcomes : sequence of Outcome
        Those of a function one after the other.
    dtype : {"float64", "float32"}
    """
    found = []
    for _, group in groupby(outcomes, key=lambda outcome: outcome.function.name):
        members = list(group)
        named = _named(members, dtype)
        found += [
            dataclasses.replace(one, causes=tuple(named[cause] for cause in one.causes if cause in named))
            if one.causes
            else one
            for one in members
        ]
    return tuple(found)


def _named(outcomes: Sequence[Outcome], dtype: str) -> dict[str, str]:
    """Possible causes that are named, with the words they are named by."""
    failed = [outcome for outcome in outcomes if outcome.differences]
    passed = [outcome for outcome in outcomes if outcome.status == "passed"]
    differences = [difference for outcome in failed for difference in outcome.differences]
    wrong = {difference.output for difference in differences}
    explained: dict[str, int] = {}
    for cause in dict.fromkeys(cause for outcome in failed for cause in outcome.causes):
        count = sum(cause in outcome.causes for outcome in failed)
        if 2 * count <= len(failed) or (cause == NARROW and not looks_rounded(differences)):
            continue
        if not any(contradicted(cause, one.case, one.function, dtype=dtype, wrong=wrong) for one in passed):
            explained[cause] = count
    most = max(explained.values(), default=0)
    part = "" if most == len(failed) else f" (in part: it explains {most} of {len(failed)} failed cases)"
    return {cause: cause + part for cause, count in explained.items() if count == most}
