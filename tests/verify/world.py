"""A small protocol and cases for it, so that tests of the kit's machinery need no frozen data."""

from __future__ import annotations

from typing import Any

import numpy as np

from sparcl_ref.verify.cases import Case, Tolerance
from sparcl_ref.verify.function import Argument, Function, Output

X = Argument("x", "float (N,)")
Y = Output("y", "float (N,)")
NUMBERS = np.array([0.5, -2.0, 3.0])


def function(
    name: str, *, area: str = "layers", arguments: tuple[Argument, ...] = (X,), outputs: tuple[Output, ...] = (Y,)
) -> Function:
    return Function(name, area, arguments, outputs, f"the sentence of {name}", f"the source of {name}")


def case(of: Function | str, name: str = "plain", *, arguments: Any = None, expected: Any = None, terms: int = 1):
    """A case whose right answer is twice the input, unless said otherwise; outputs named "exact..." are exact."""
    of = of if isinstance(of, str) else of.name
    arguments = {"x": NUMBERS} if arguments is None else arguments
    expected = {"y": 2 * NUMBERS} if expected is None else {key: np.asarray(value) for key, value in expected.items()}
    tolerance = {
        key: Tolerance(terms, float(np.abs(value).max(initial=1.0)), "one product")
        for key, value in expected.items()
        if not key.startswith("exact")
    }
    return Case(f"{of}/{name}", of, "regular", "both", "what it catches", arguments, expected, tolerance, "by hand")


def protocol(*functions: Function) -> dict[str, Function]:
    return {one.name: one for one in functions}
