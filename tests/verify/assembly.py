"""Inputs, oracles and the protocol put together: every case complete, every answer fitting."""

from __future__ import annotations

import dataclasses
import importlib
import math
import pkgutil
from collections.abc import Iterable, Mapping
from types import ModuleType
from typing import Any

import numpy as np

from sparcl_ref.verify.function import REQUIRED, Function
from tests.verify import areas
from tests.verify.spec import CaseSpec, Oracle, Tolerance, Wrong, widened


def modules() -> list[ModuleType]:
    """The files of `tests.verify.areas`."""
    found = pkgutil.walk_packages(areas.__path__, f"{areas.__name__}.")
    return [importlib.import_module(module.name) for module in found if not module.ispkg]


def oracles(of: Iterable[ModuleType] | None = None) -> dict[str, Oracle]:
    """Name of a function to its oracle.

    Raises
    ------
    ValueError
        If a function has two.
    """
    found: dict[str, Oracle] = {}
    for module in modules() if of is None else of:
        for name, oracle in module.ORACLES.items():
            if name in found:
                raise ValueError(f"{name} has two oracles, the second in {module.__name__}")
            found[name] = oracle
    return found


def wrong() -> tuple[Wrong, ...]:
    """Deliberately wrong implementations of all functions, which the kit must catch."""
    return tuple(entry for module in modules() for entry in module.WRONG)


def specs(protocol: Mapping[str, Function], of: Iterable[ModuleType] | None = None) -> list[CaseSpec]:
    """All cases in the order of the protocol, every argument given.

    Raises
    ------
    ValueError
        If two share an id, or one does not fit the protocol.
    """
    by_id: dict[str, CaseSpec] = {}
    for module in modules() if of is None else of:
        for spec in module.cases():
            if spec.id in by_id:
                raise ValueError(f"{spec.id}: there are two cases of this name")
            if spec.function not in protocol:
                raise ValueError(f"{spec.id}: the protocol has no function {spec.function!r}")
            by_id[spec.id] = completed(spec, protocol[spec.function])
    order = {name: place for place, name in enumerate(protocol)}
    return sorted(by_id.values(), key=lambda spec: order[spec.function])


def completed(spec: CaseSpec, function: Function) -> CaseSpec:
    """The case with the protocol's default for every argument it leaves out."""
    names = [argument.name for argument in function.arguments]
    if strange := sorted(set(spec.arguments) - set(names)):
        raise ValueError(f"{spec.id}: {function.name} takes no {strange[0]!r}, only {', '.join(names)}")
    full = {argument.name: spec.arguments.get(argument.name, argument.default) for argument in function.arguments}
    if missing := [name for name, value in full.items() if value is REQUIRED]:
        raise ValueError(f"{spec.id}: {missing[0]!r} has no default and must be given")
    return dataclasses.replace(spec, arguments=full)


def expectation(
    case_id: str, function: Function, arguments: dict[str, Any], oracle: Oracle
) -> tuple[dict[str, np.ndarray], dict[str, Tolerance]]:
    """Expected outputs as arrays, and tolerances of exactly the floating ones.

    Raises
    ------
    ValueError
        If the oracle's answer does not fit the protocol.
    """
    outputs, tolerances = oracle(arguments)
    known = {output.name: output for output in function.outputs}
    if not outputs or set(outputs) - set(known):
        raise ValueError(f"{case_id}: the oracle gave {sorted(outputs)}, expected some of {sorted(known)}")
    if set(tolerances) != {name for name in outputs if known[name].floating}:
        raise ValueError(f"{case_id}: floating outputs have a tolerance, exact ones none; got {sorted(tolerances)}")
    arrays = {name: widened(f"{case_id}, {name}", np.asarray(outputs[name])) for name in known if name in outputs}
    for name, tolerance in tolerances.items():
        if tolerance.zeros is not None and tolerance.zeros.shape != arrays[name].shape:
            raise ValueError(f"{case_id}: zeros of {name} have shape {tolerance.zeros.shape}")
    return arrays, tolerances


def described(function: Function) -> dict[str, Any]:
    """A function of the protocol as a JSON value, for readers in other languages."""
    arguments = {
        argument.name: {"text": argument.text} | ({} if argument.default is REQUIRED else {"default": argument.default})
        for argument in function.arguments
    }
    return {
        "area": function.area,
        "sentence": function.sentence,
        "source": function.source,
        "arguments": arguments,
        "outputs": {output.name: {"text": output.text, "exact": output.exact} for output in function.outputs},
    }


def rounded_up(magnitude: float) -> float:
    """Three digits, never less than given: a scale need not carry the oracle's last bits."""
    if magnitude == 0:
        return 0.0
    unit = 10.0 ** (math.floor(math.log10(magnitude)) - 2)
    return float(f"{math.ceil(magnitude / unit) * unit:.4g}")
