"""Which known mistake it is: one that explains what failed, and that nothing which passed contradicts.

A wrong hint costs more than none, so each mistake is held against all cases of its function.
"""

from __future__ import annotations

import dataclasses
import warnings
from collections.abc import Iterable, Sequence
from itertools import groupby

import numpy as np

from sparcl_ref.verify.adapter import full_arguments
from sparcl_ref.verify.cases import Case
from sparcl_ref.verify.function import Function
from sparcl_ref.verify.mistake import Mistake
from sparcl_ref.verify.outcome import Outcome
from sparcl_ref.verify.patterns import NARROW, is_narrow, looks_rounded, matches, pattern, shows_narrow, wrong_arrays

#: What a mistake's own arithmetic may raise for a case it does not fit.
_UNFIT = (ArithmeticError, AttributeError, IndexError, KeyError, TypeError, ValueError)


def diagnosed(outcomes: Sequence[Outcome], dtype: str) -> tuple[Outcome, ...]:
    """The outcomes with a pattern in wrong numbers, and with the known mistakes that all cases of a function allow.

    A mistake is named if it gives the numbers of every failed case of its function and would have shown in none that
    passed. If there is no such mistake, the one that explains most is named as one that explains them in part, provided
    that this is more than half of them and that no other explains as many. Failures without numbers, such as
    exceptions, speak for nothing. The outcomes of a function follow each other.
    """
    found: list[Outcome] = []
    for _, group in groupby(outcomes, key=lambda outcome: outcome.function.name):
        members = list(group)
        possible = {one.case.id: possible_causes(one, dtype) for one in members if one.differences}
        named = _named(members, possible, dtype)
        for one in members:
            if one.differences:
                wrong = wrong_arrays(one.case, one.outputs, dtype)
                causes = tuple(named[cause] for cause in possible[one.case.id] if cause in named)
                one = dataclasses.replace(one, causes=causes, pattern=pattern(one.case, wrong, dtype))
            found.append(one)
    return tuple(found)


def _named(outcomes: Sequence[Outcome], possible: dict[str, tuple[str, ...]], dtype: str) -> dict[str, str]:
    """Possible causes that are named, with the words they are named by."""
    failed = [outcome for outcome in outcomes if outcome.differences]
    passed = [outcome for outcome in outcomes if outcome.status == "passed"]
    differences = [difference for outcome in failed for difference in outcome.differences]
    wrong = {difference.name for difference in differences}
    explained: dict[str, int] = {}
    for cause in dict.fromkeys(cause for outcome in failed for cause in possible[outcome.case.id]):
        count = sum(cause in possible[outcome.case.id] for outcome in failed)
        if 2 * count <= len(failed):
            continue
        # Many mistakes are small in some case; a narrow type is one in all of them.
        if cause == NARROW and (count < len(failed) or not looks_rounded(differences)):
            continue
        if not any(contradicted(cause, one.case, one.function, dtype=dtype, wrong=wrong) for one in passed):
            explained[cause] = count
    most = max(explained.values(), default=0)
    part = "" if most == len(failed) else f" (in part: it explains {most} of {len(failed)} failed cases)"
    if part and list(explained.values()).count(most) > 1:
        return {}  # what is not quite either of two is more likely neither
    return {cause: cause + part for cause, count in explained.items() if count == most}


def possible_causes(outcome: Outcome, dtype: str) -> tuple[str, ...]:
    """The mistakes whose numbers a failed case has, as sentences; whether one is named, all cases decide together."""
    case, function, outputs = outcome.case, outcome.function, outcome.outputs
    got = {name: array for name in case.expected if (array := outputs[name].array) is not None}
    wrong = wrong_arrays(case, outputs, dtype)
    found, complete = [], []
    for mistake in function.mistakes:
        mistaken = mistaken_outputs(mistake, case, function)
        # A mistake that does not show in the outputs that are wrong explains nothing.
        shows = any(
            not matches(name, mistaken[name], case.expected[name], case, dtype, strict=True)
            for name in wrong.keys() & mistaken.keys()
        )
        if shows and all(
            name in got and matches(name, got[name], value, case, dtype) for name, value in mistaken.items()
        ):
            found.append(mistake.sentence)
            complete += [mistake.sentence] * (wrong.keys() <= mistaken.keys())
    found = complete or found  # one that explains all outputs that are off, if there is one
    if is_narrow(case, wrong, dtype):
        found.append(NARROW)
    return tuple(dict.fromkeys(found))


def contradicted(sentence: str, case: Case, function: Function, *, dtype: str, wrong: Iterable[str] = ()) -> bool:
    """Whether a mistake would show in a case that passed, which speaks against it.

    `NARROW` says something of the outputs alone that are ``wrong`` in other cases.
    """
    if sentence == NARROW:
        return shows_narrow(case, tuple(wrong))
    named = [mistake for mistake in function.mistakes if mistake.sentence == sentence]
    return bool(named) and all(
        any(
            not matches(name, value, case.expected[name], case, dtype, strict=True)
            for name, value in mistaken_outputs(mistake, case, function).items()
            if name in case.expected
        )
        for mistake in named
    )


def mistaken_outputs(mistake: Mistake, case: Case, function: Function) -> dict[str, np.ndarray]:
    """What a mistake gives for a case; nothing where it does not apply."""
    try:
        with np.errstate(all="ignore"), warnings.catch_warnings():
            warnings.simplefilter("ignore", RuntimeWarning)
            found = mistake.made(function.right, full_arguments(case, function))
            return {name: np.asarray(value) for name, value in found.items()}
    except _UNFIT:
        return {}
