"""The functions of the protocol by name: one's own where they are given, the reference's everywhere else."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from typing import Any

from sparcl_ref.text import did_you_mean
from sparcl_ref.verify.adapter import NotProvidedError, arguments_for, call, inspect_adapter
from sparcl_ref.verify.areas import functions
from sparcl_ref.verify.function import REQUIRED, Function
from sparcl_ref.verify.listing import signature


class Part:
    """One function, called by the protocol's arguments in their order or by name; it returns arrays.

    Where one's own does not take an argument that a call needs, the reference answers that call.

    Attributes
    ----------
    own_calls, other_calls : int
        How often one's own function answered, and how often the reference.
    seconds : float
        Spent in both.
    """

    def __init__(self, function: Function, own: Callable[..., Any] | None = None):
        self.function, self.own = function, own
        self.own_calls = self.other_calls = 0
        self.seconds = 0.0
        adapter = {} if own is None else {function.name: own}
        self._signature = inspect_adapter(adapter, [function.name]).signatures.get(function.name)
        self._outputs = [output.name for output in function.outputs]

    def __call__(self, *values: Any, **named: Any) -> Any:
        defaults = {argument.name: argument.default for argument in self.function.arguments}
        given = defaults | dict(zip(defaults, values, strict=False)) | named
        missing = any(value is REQUIRED for value in given.values())
        if missing or len(values) > len(defaults) or given.keys() != defaults.keys():
            raise TypeError(f"it is called as {signature(self.function)}")
        start = time.perf_counter()
        try:
            found = self._answer(given)
        finally:
            self.seconds += time.perf_counter() - start
        return found[0] if len(found) == 1 else found

    def _answer(self, given: dict[str, Any]) -> list[Any]:
        if self._signature is not None:
            try:
                arguments = arguments_for(given, self.function, self._signature)
                returned = call({self.function.name: self.own}, self.function.name, self._outputs, arguments)
                self.own_calls += 1
                return [returned[name].array for name in self._outputs]
            except NotProvidedError:
                pass
            except Exception as error:
                error.add_note(f"raised by your {self.function.name}")
                raise
        self.other_calls += 1
        return list(self.function.right(**given).values())


class Parts:
    """All functions as attributes: ``parts.relu_backward(dy, x)``.

    ``own`` maps names of the protocol to functions, which are taken as they are, right or wrong.

    Raises
    ------
    ValueError
        If a name is not the protocol's.
    """

    def __init__(self, own: Mapping[str, Callable[..., Any]]):
        known = functions()
        for name in own:
            if name not in known:
                raise ValueError(f"{name!r} is no function of the protocol{did_you_mean(name, known)}")
        self._parts = {name: Part(function, own.get(name)) for name, function in known.items()}

    def __getattr__(self, name: str) -> Part:
        if name.startswith("_") or name not in self._parts:
            raise AttributeError(f"{name!r} is no function of the protocol")
        return self._parts[name]

    def used(self) -> dict[str, Part]:
        """Those that have been called, by name."""
        return {name: part for name, part in self._parts.items() if part.own_calls or part.other_calls}
