"""The areas of the protocol: a file or folder each with its functions, our own implementations and known mistakes.

To add a function, describe it in its area here, and give its cases, its oracle and wrong implementations in the same
area of ``tests/verify/areas``.
"""

from __future__ import annotations

from collections.abc import Iterable
from importlib import import_module
from types import ModuleType

from sparcl_ref.verify.function import Function

#: In the order of reports.
AREAS = (
    "layers", "losses", "optimizer", "masks", "importance", "tdm", "ddr", "dgm", "replay", "metrics",
    "cost", "released", "isolation",
)  # fmt: skip


def functions(further: Iterable[ModuleType] = ()) -> dict[str, Function]:
    """Name to description, in the order of areas.

    Parameters
    ----------
    further : iterable of module
        Areas of your own: each has ``FUNCTIONS``, and may add to an area that is here.

    Raises
    ------
    ValueError
        If two functions have one name.
    """
    modules = [import_module(f"{__name__}.{area}") for area in AREAS]
    found: dict[str, Function] = {}
    for function in (function for module in (*modules, *further) for function in module.FUNCTIONS):
        if function.name in found:
            raise ValueError(f"{function.name}: two functions have this name; give yours another")
        found[function.name] = function
    order = list(dict.fromkeys(function.area for function in found.values()))
    return {name: found[name] for name in sorted(found, key=lambda name: order.index(found[name].area))}
