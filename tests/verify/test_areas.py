"""A function of the protocol is described in its area's two files; here one from outside the package."""

from __future__ import annotations

from pathlib import Path
from types import ModuleType

import numpy as np
import pytest

import sparcl_ref.verify.areas
import tests.verify.areas
from sparcl_ref.verify import check
from sparcl_ref.verify.areas import AREAS, functions
from sparcl_ref.verify.function import Argument, Function, Output
from sparcl_ref.verify.mistake import Mistake, instead
from tests.verify.freeze import as_cases, freeze
from tests.verify.spec import CaseSpec, Tolerance

DECAYED = Function(
    "decayed", "mine",
    (Argument("x", "float, any shape"), Argument("rate", "float", 0.5)),
    (Output("y", "float, shape of x"),),
    "y = x exp(-rate)",
    "by hand", lambda x, rate: x * np.exp(-rate),
    mistakes=(
        instead("the rate fixed in the code", rate=0.5),
        Mistake("growth instead of decay", lambda x, rate: {"y": x * np.exp(rate)}),
    ),
)  # fmt: skip


def cases():
    for name, rate in (("half", 0.5), ("quarter", 0.25)):
        yield CaseSpec("decayed", name, "regular", "a note", {"x": np.array([1.0, -2.0]), "rate": rate})


def oracle(a):
    """Exponentials."""
    y = a["x"] / np.exp(a["rate"])
    return {"y": y}, {"y": Tolerance(3, float(np.abs(y).max()), "one product")}


@pytest.fixture(scope="module")
def mine():
    """The two modules: what describes a function, and what has its cases."""
    area, own_cases = ModuleType("my_area"), ModuleType("my_cases")
    area.FUNCTIONS = (DECAYED,)
    own_cases.cases, own_cases.ORACLES, own_cases.WRONG = cases, {"decayed": oracle}, ()
    return functions([area]), as_cases(freeze([area], [own_cases]))


def test_a_function_from_outside_is_checked_like_any_other(mine):
    protocol, own = mine
    assert list(protocol)[-1] == "decayed"
    report = check({"decayed": DECAYED.reference}, cases=own, functions=protocol)
    assert report.conforms
    assert [(row.area, row.passed) for row in report.rows()] == [("mine", 2)]
    assert "decayed" not in functions(), "nothing is left behind"


def test_its_known_mistakes_are_named(mine):
    protocol, own = mine
    grown = check({"decayed": lambda x, rate: x * np.exp(rate)}, cases=own, functions=protocol)
    assert {outcome.causes for outcome in grown.failures} == {("growth instead of decay",)}
    (fixed,) = check({"decayed": lambda x, rate: x * np.exp(-0.5)}, cases=own, functions=protocol).failures
    assert fixed.causes == ("the rate fixed in the code",)


def test_a_function_may_join_an_area_that_is_there_but_not_take_a_name():
    area = ModuleType("my_area")
    area.FUNCTIONS = (Function("shrunk_twice", "masks", (), (), "a sentence", "a source"),)
    names = list(functions([area]))
    assert names.index("exchange") + 1 == names.index("shrunk_twice") == names.index("cgi") - 1
    with pytest.raises(ValueError, match="shrunk_twice: two functions have this name"):
        functions([area, area])


def test_each_area_has_its_file_on_both_sides():
    package, own = (Path(areas.__path__[0]) for areas in (sparcl_ref.verify.areas, tests.verify.areas))
    files = [{str(path.relative_to(folder)) for path in folder.rglob("*.py")} for folder in (package, own)]
    assert files[0] - files[1] == {"layers/common.py"}
    assert files[1] - files[0] == set()
    assert {name.split("/")[0].removesuffix(".py") for name in files[0]} - {"__init__"} == set(AREAS)
    assert {function.area for function in functions().values()} == set(AREAS)
    for function in functions().values():
        assert callable(function.reference)
