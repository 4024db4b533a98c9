"""How conformance cases are written down before they are frozen: inputs, oracles, and what must not pass.

A file of `tests.verify.areas` has ``cases() -> Iterator[CaseSpec]``, in which only inputs and reasons stand;
``ORACLES``, a dict from the name of a function to its oracle: a callable that takes the case's arguments as one dict
and returns ``(outputs, tolerances)``, two dicts by output name; and ``WRONG``, implementations with one mistake each,
which the kit must catch. Floating outputs have a `Tolerance`, exact ones none. The first line of an oracle's docstring
says how it finds its values; it is printed with the case. `tests.verify.freeze` puts inputs and oracles together.

Numbers in inputs come from `tests.verify.draws`, whose values do not depend on the version of any library.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np

KINDS = ("regular", "edge", "adversarial")
PROFILES = ("paper", "released", "both")
#: What arrays in a case may hold; conversion to another float type happens when a case is run.
DTYPES = ("float64", "int64", "bool")

Arguments = dict[str, Any]


@dataclass(frozen=True, eq=False)
class Tolerance:
    """How far an entry of a floating output may lie from the expected one: 4 * (terms + 2) * eps * magnitude.

    Attributes
    ----------
    terms : int
        Length of the longest sum behind an entry, counting every further rounded operation as one term.
    magnitude : float
        The largest sum of absolute terms over the entries: the same operation on absolute values. 0 asks for equality.
    reason : str
        What is summed, in a few words.
    zeros : ndarray of bool, shape of the output, optional
        Where set, the output must be +0.0: neither small nor -0.0.
    """

    terms: int
    magnitude: float
    reason: str
    zeros: np.ndarray | None = None

    def __post_init__(self) -> None:
        object.__setattr__(self, "terms", int(self.terms))
        object.__setattr__(self, "magnitude", float(self.magnitude))
        if self.terms < 0 or not 0 <= self.magnitude < float("inf"):
            raise ValueError(f"terms and magnitude must be finite and >= 0, got {self.terms} and {self.magnitude}")
        if not self.reason:
            raise ValueError("a tolerance needs a reason")


#: Expected outputs and the tolerances of floating ones, by output name.
Result = tuple[dict[str, Any], dict[str, Tolerance]]
#: Takes a case's arguments.
Oracle = Callable[[Arguments], Result]


@dataclass(frozen=True, eq=False)
class CaseSpec:
    """The inputs of one case and why it is there.

    Attributes
    ----------
    function : str
        Name in the protocol.
    name : str
        Unique among the function's cases: small letters, digits and hyphens.
    kind : {"regular", "edge", "adversarial"}
    note : str
        The plausible mistake this case tells from the right answer.
    arguments : dict
        By the protocol's argument names. Arrays are float64, int64 or bool (other integers and floats are widened);
        floating entries must be numbers of float32, unless the case is for float64 alone. Everything else must be a
        JSON value: None, bool, int, float, str, or a list of those (no tuples).
    profile : {"both", "paper", "released"}
    dtype : {"", "float64", "float32"}
        The one type in which the case is asked, where its numbers mean nothing in the other; both unless given.
    optional : str
        Why a sound implementation may fail it; it then counts as a failure that is expected.
    """

    function: str
    name: str
    kind: str
    note: str
    arguments: Arguments
    profile: str = "both"
    dtype: str = ""
    optional: str = ""

    def __post_init__(self) -> None:
        if not re.fullmatch(r"[a-z0-9]+(-[a-z0-9]+)*", self.name):
            raise ValueError(f"{self.id}: a name has small letters, digits and hyphens")
        if self.kind not in KINDS or self.profile not in PROFILES:
            raise ValueError(f"{self.id}: kind must be in {KINDS} and profile in {PROFILES}")
        if not self.note:
            raise ValueError(f"{self.id}: a case needs a note")
        if self.dtype not in ("", "float64", "float32"):
            raise ValueError(f"{self.id}: dtype must be float64 or float32, or left out, got {self.dtype!r}")
        checked = {
            name: _checked(f"{self.id}, {name}", value, narrow=self.dtype != "float64")
            for name, value in self.arguments.items()
        }
        object.__setattr__(self, "arguments", checked)

    @property
    def id(self) -> str:
        return f"{self.function}/{self.name}"


@dataclass(frozen=True)
class Wrong:
    """A function of the protocol with one mistake in it, written apart from the package and its list of mistakes.

    Attributes
    ----------
    name : str
        Unique; small letters, digits and hyphens.
    function : str
        Name in the protocol, in whose area the kit must find the mistake.
    mistake : str
        What it does instead, in one sentence.
    broken : callable
        Takes the protocol's arguments by name.
    fault : str
        Where one function can make several mistakes: the value of its keyword ``fault``, by which it makes this one. It
        is right for every fault that it does not know.
    likely : str
        Words of the likely cause that the kit is to name, judged by hand from the mistake; it may name none where this
        is empty. A mistake that gives the same numbers as another one in every conceivable case may be called by that.
    """

    name: str
    function: str
    mistake: str
    broken: Callable[..., Any]
    fault: str = ""
    likely: str = ""

    @property
    def implementation(self) -> Callable[..., Any]:
        return partial(self.broken, fault=self.fault) if self.fault else self.broken


def widened(where: str, array: np.ndarray) -> np.ndarray:
    """A read-only, C-ordered copy in the widest type of its kind: float64, int64 or bool."""
    kinds = {"f": np.float64, "i": np.int64, "u": np.int64, "b": np.bool_}
    if array.dtype.kind not in kinds:
        raise TypeError(f"{where}: arrays hold floats, integers or truth values, got {array.dtype}")
    copy = np.array(array, dtype=kinds[array.dtype.kind], order="C")
    if array.dtype.kind == "u" and (copy < 0).any():
        raise OverflowError(f"{where}: int64 does not hold {array.max()}")
    copy.flags.writeable = False
    return copy


def _checked(where: str, value: Any, *, narrow: bool) -> Any:
    if isinstance(value, np.generic):
        raise TypeError(f"{where}: write scalars as Python numbers, got {type(value).__name__}")
    if not isinstance(value, np.ndarray):
        if json.loads(json.dumps(value)) != value:
            raise TypeError(f"{where}: must be an array or a JSON value, got {value!r}")
        return value
    array = widened(where, value)
    if narrow and array.dtype == np.float64:
        with np.errstate(over="ignore"):
            narrowed = array.astype(np.float32)
        if not np.array_equal(narrowed, array, equal_nan=True):
            raise ValueError(f"{where}: floating entries must be numbers of float32")
    return array
