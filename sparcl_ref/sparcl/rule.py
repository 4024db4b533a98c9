"""What a rule is: a decision as a pure function that says what it needs."""

from __future__ import annotations

import functools
import importlib
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from sparcl_ref.layers import Parameter

Rng = np.random.Generator
Scores = list[np.ndarray]
#: Gives, for some parameters, the probe gradients on the current task and on the buffer.
Probe = Callable[[Sequence[Parameter]], tuple[Scores, Scores]]
#: The same, of as many samples of the current task as it is told.
SizedProbe = Callable[[Sequence[Parameter], int], tuple[Scores, Scores]]


@dataclass(frozen=True)
class Rule:
    """A decision as a pure function, and what whoever applies it has to know.

    Attributes
    ----------
    apply : callable
    probes : bool
        Whether it asks for the probe gradients of equation 1.
    counts : bool
        Whether it leaves exactly the number alive that it is told. Others compare with a threshold, so that costs
        predicted before a run are nominal, and layers cannot have budgets of their own.
    """

    apply: Callable[..., Any]
    probes: bool = False
    counts: bool = True

    def __call__(self, *args: Any, **settings: Any) -> Any:
        return self.apply(*args, **settings)

    def __reduce__(self) -> tuple[Any, ...]:
        # `rule` has put the rule where its function was: by that name the rule can be found, the function cannot.
        module = sys.modules.get(getattr(self.apply, "__module__", ""))
        name = getattr(self.apply, "__qualname__", "")
        if module is not None and getattr(module, name, None) is self:
            return _named_rule, (module.__name__, name)
        return Rule, (self.apply, self.probes, self.counts)


def _named_rule(module: str, name: str) -> Any:
    return getattr(importlib.import_module(module), name)


def rule(*, probes: bool = False, counts: bool = True) -> Callable[[Callable[..., Any]], Rule]:
    """Make a `Rule` of the function below."""
    return functools.partial(Rule, probes=probes, counts=counts)
