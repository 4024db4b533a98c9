"""Every function an adapter may provide, by name."""

from __future__ import annotations

from sparcl_ref.verify.protocol.function import AREAS, REQUIRED, Argument, Function, Output

__all__ = ["AREAS", "REQUIRED", "Argument", "Function", "Output", "functions"]


def functions() -> dict[str, Function]:
    """Name to description, in the order of areas."""
    from sparcl_ref.verify.protocol import cost, layers, released, rules, training

    listed = [*layers.FUNCTIONS, *training.FUNCTIONS, *rules.FUNCTIONS, *cost.FUNCTIONS, *released.FUNCTIONS]
    listed.sort(key=lambda function: AREAS.index(function.area))
    return {function.name: function for function in listed}
