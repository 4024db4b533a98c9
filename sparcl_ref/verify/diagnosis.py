"""Which of several possible mistakes it is: the one that explains most failures and is contradicted least."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

from sparcl_ref.verify.causes import contradicted
from sparcl_ref.verify.outcome import Outcome


def weighed(outcomes: Sequence[Outcome], dtype: str) -> tuple[Outcome, ...]:
    """The outcomes with only the likeliest causes of each failure, judged by all cases of its function.

    A mistake gains by every failure whose numbers it gives, and loses by every passed case in which it would have
    shown. Those that are level all stay.

    Parameters
    ----------
    outcomes : sequence of Outcome
    dtype : {"float64", "float32"}
    """
    scores: dict[tuple[str, str], int] = {}
    for outcome in outcomes:
        for cause in outcome.causes:
            key = (outcome.function.name, cause)
            if key not in scores:
                scores[key] = _score(cause, [o for o in outcomes if o.function.name == key[0]], dtype)
    return tuple(
        dataclasses.replace(outcome, causes=_best(outcome, scores)) if len(outcome.causes) > 1 else outcome
        for outcome in outcomes
    )


def _best(outcome: Outcome, scores: dict[tuple[str, str], int]) -> tuple[str, ...]:
    own = {cause: scores[outcome.function.name, cause] for cause in outcome.causes}
    return tuple(cause for cause, score in own.items() if score == max(own.values()))


def _score(cause: str, outcomes: Sequence[Outcome], dtype: str) -> int:
    explained = sum(cause in outcome.causes for outcome in outcomes)
    against = sum(
        contradicted(cause, outcome.case, outcome.function, dtype=dtype)
        for outcome in outcomes
        if outcome.status == "passed"
    )
    return explained - against
