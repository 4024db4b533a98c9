"""Known mistakes, each with the numbers it gives: what a failure looks like."""

from __future__ import annotations

import warnings
from collections.abc import Iterable, Mapping

import numpy as np

from sparcl_ref.verify.adapter import Returned, full_arguments
from sparcl_ref.verify.cases import Case
from sparcl_ref.verify.causes.cause import Cause
from sparcl_ref.verify.causes.matching import matches, wrong_arrays
from sparcl_ref.verify.causes.patterns import NARROW, is_narrow, shows_narrow
from sparcl_ref.verify.protocol import Function

#: What a mistake's own arithmetic may raise for a case it does not fit.
_UNFIT = (ArithmeticError, AttributeError, IndexError, KeyError, TypeError, ValueError)


def known_causes() -> tuple[Cause, ...]:
    """All of them; of several that give the same numbers the likelier stands first."""
    from sparcl_ref.verify.causes import cost, importance, layers, masks, norms, optimizer, released, rules, training

    modules = (layers, norms, training, optimizer, masks, importance, rules, cost, released)
    return tuple(cause for module in modules for cause in module.CAUSES)


def possible_causes(
    case: Case,
    function: Function,
    outputs: Mapping[str, Returned],
    *,
    dtype: str,
    causes: Iterable[Cause] | None = None,
) -> tuple[str, ...]:
    """The mistakes whose numbers a wrong answer has, as sentences; whether one is named, all cases decide together.

    Parameters
    ----------
    case : Case
    function : Function
    outputs : mapping of str to Returned
        What the adapter returned; at least one output is not as expected.
    dtype : {"float64", "float32"}
    causes : iterable of Cause, optional
        `known_causes` unless given.
    """
    got = {name: outputs[name].array for name in case.expected if outputs[name].array is not None}
    wrong = wrong_arrays(case, outputs, dtype)
    found, complete = [], []
    for cause in _of_function(function, causes):
        mistaken = mistaken_outputs(cause, case, function)
        # A mistake that does not show in the outputs that are wrong explains nothing.
        shows = any(
            not matches(name, mistaken[name], case.expected[name], case, dtype, strict=True)
            for name in wrong.keys() & mistaken.keys()
        )
        if shows and all(
            name in got and matches(name, got[name], value, case, dtype) for name, value in mistaken.items()
        ):
            found.append(cause.sentence)
            complete += [cause.sentence] * (wrong.keys() <= mistaken.keys())
    found = complete or found  # one that explains all outputs that are off, if there is one
    if is_narrow(case, wrong, dtype):
        found.append(NARROW)
    return tuple(dict.fromkeys(found))


def contradicted(
    sentence: str,
    case: Case,
    function: Function,
    *,
    dtype: str,
    wrong: Iterable[str] = (),
    causes: Iterable[Cause] | None = None,
) -> bool:
    """Whether a mistake would show in a case, so that passing the case speaks against it.

    Parameters
    ----------
    sentence : str
    case : Case
        One that passed.
    function : Function
    dtype : {"float64", "float32"}
    wrong : iterable of str
        Outputs that are off in other cases; `NARROW` says something of these alone.
    causes : iterable of Cause, optional
        `known_causes` unless given.
    """
    if sentence == NARROW:
        return shows_narrow(case, tuple(wrong))
    named = [cause for cause in _of_function(function, causes) if cause.sentence == sentence]
    return bool(named) and all(
        any(
            not matches(name, value, case.expected[name], case, dtype, strict=True)
            for name, value in mistaken_outputs(cause, case, function).items()
            if name in case.expected
        )
        for cause in named
    )


def mistaken_outputs(cause: Cause, case: Case, function: Function) -> dict[str, np.ndarray]:
    """What a mistake gives for a case; nothing where it does not apply."""
    try:
        with np.errstate(all="ignore"), warnings.catch_warnings():
            warnings.simplefilter("ignore", RuntimeWarning)
            found = cause.outputs(**full_arguments(case, function))
            return {name: np.asarray(value) for name, value in found.items()}
    except _UNFIT:
        return {}


def _of_function(function: Function, causes: Iterable[Cause] | None) -> list[Cause]:
    return [cause for cause in (known_causes() if causes is None else causes) if cause.function == function.name]
