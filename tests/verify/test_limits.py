"""What an adapter or a case says of its limits: a range, draws of its own, one dtype alone, a failure that is none."""

from __future__ import annotations

import dataclasses
import json
from xml.etree import ElementTree

import numpy as np
import pytest

from sparcl_ref.verify import OutsideRange, check
from sparcl_ref.verify.areas import functions
from sparcl_ref.verify.cases import load_cases
from sparcl_ref.verify.exchange import OUTSIDE, export, outcomes_of
from sparcl_ref.verify.function import Argument
from sparcl_ref.verify.junit import as_junit
from sparcl_ref.verify.report import Report
from tests.verify.commanding import run
from tests.verify.world import NUMBERS, X, case, function, protocol

TWICE = function("twice")


class ShortTableError(ValueError):
    """Nothing of the kit's."""


class Own(ShortTableError):  # noqa: N818 - renamed below
    """Of the name that the kit knows."""


Own.__name__ = "OutsideRange"


class Derived(Own):
    """By its base."""


def raising(error):
    def call(x):
        if len(x) > 3:
            raise error
        return 2 * x

    return call


CASES = [case(TWICE), case(TWICE, "long", arguments={"x": np.ones(4)}, expected={"y": np.full(4, 2.0)})]


@pytest.mark.parametrize("kind", [OutsideRange, Own, Derived])
def test_an_adapter_may_say_that_a_case_is_outside_its_range(kind):
    report = check({"twice": raising(kind("only 3 numbers"))}, cases=CASES, functions=protocol(TWICE))
    assert [outcome.status for outcome in report.outcomes] == ["passed", "outside range"]
    assert "only 3 numbers" in report.outcomes[1].line
    assert report.conforms
    total = report.total()
    assert (total.passed, total.failed, total.not_provided, total.outside_range) == (1, 0, 0, 1)
    assert report.verdict().endswith("; 1 cases outside its range")
    assert report.json()["total"]["outside_range"] == 1
    suite = ElementTree.fromstring(as_junit(report))[0]
    assert (suite.get("tests"), suite.get("skipped")) == ("2", "1")
    assert suite.find(".//skipped").get("message").startswith("outside range: ")


def test_another_error_is_a_failure():
    report = check({"twice": raising(ShortTableError("no"))}, cases=CASES, functions=protocol(TWICE))
    assert [outcome.status for outcome in report.outcomes] == ["passed", "failed"]


def test_nothing_in_range_compares_nothing():
    report = check({"twice": raising(OutsideRange())}, cases=CASES[1:], functions=protocol(TWICE))
    assert not report.conforms
    assert "every case is outside the adapter's range" in report.verdict()


def test_an_adapter_in_a_file_says_so_from_its_own_process(capsys, tmp_path):
    path = tmp_path / "bytes.py"
    path.write_text(
        "import numpy as np\nfrom sparcl_ref.verify import OutsideRange\n"
        "def ddr_keep(counts, keep):\n    if counts.max(initial=0) > 255: raise OutsideRange('counts are bytes')\n"
        "    return np.sort(np.argsort(counts, kind='stable')[len(counts) - keep:])\n"
    )
    code, out, _ = run(capsys, path, "--only", "ddr_keep", "--json")
    found = json.loads(out)
    assert code == 0, out
    assert found["total"]["outside_range"] == 3
    lines = {one["line"] for one in found["cases"] if one["status"] == "outside range"}
    assert lines == {"OutsideRange: counts are bytes (line 4 of bytes.py)"}


def test_a_program_says_so_in_a_file(tmp_path):
    pairs = [(one, TWICE) for one in CASES]
    export(tmp_path, pairs)
    np.save(tmp_path / "outputs" / CASES[0].id / "y.npy", 2 * NUMBERS)
    (tmp_path / "outputs" / CASES[1].id / OUTSIDE).write_text("only 3\nnumbers\n")
    found = list(outcomes_of(tmp_path / "outputs", pairs))
    assert [(one.status, one.line) for one in found] == [("passed", ""), ("outside range", "only 3 numbers")]


def test_a_function_that_draws_for_itself_is_not_provided():
    one = function("drops", arguments=(X, Argument("keep", "bool", drawn=True)))
    given = [case(one, arguments={"x": NUMBERS, "keep": np.array([True, False, True])})]
    for own in (lambda x: x, lambda x, seed=0: x):
        (outcome,) = check({"drops": own}, cases=given, functions=protocol(one)).outcomes
        assert outcome.status == "not provided"
        assert outcome.line.startswith("takes no 'keep', so it draws for itself")
    drawn = {(name, a.name) for name, one in functions().items() for a in one.arguments if a.drawn}
    assert {("dropout_forward", "keep"), ("reservoir_slot", "draw"), ("grow", "joining")} <= drawn
    assert ("ddr_keep", "keep") not in drawn


def test_helpers_with_an_underscore_earn_no_remark():
    adapter = {"twice": lambda x: 2 * x, "_grow": len, "_shrinks": len, "shrinks": len}
    report = check(adapter, cases=CASES[:1], functions=protocol(TWICE, function("grow"), function("shrink")))
    assert report.remarks == ("shrinks is not a name of the protocol; did you mean shrink?",)


def test_a_case_of_one_dtype_is_asked_in_it_alone():
    wide = dataclasses.replace(CASES[0], id="twice/wide", dtype="float64")
    for dtype, names in (("float64", ["twice/plain", "twice/wide"]), ("float32", ["twice/plain"])):
        adapter = {"twice": lambda x: 2 * x}
        report = check(adapter, cases=[CASES[0], wide], functions=protocol(TWICE), dtype=dtype)
        assert [outcome.case.id for outcome in report.outcomes] == names
    assert {one.function for one in load_cases() if one.dtype} == {
        "shrink", "gradient_mask", "dgm_step", "packnet_partition",
    }  # fmt: skip


def test_an_optional_case_that_fails_counts_as_expected():
    optional = dataclasses.replace(CASES[1], optional="tables are short")
    adapter = {"twice": lambda x: 2 * x[:3]}
    report = check(adapter, cases=[CASES[0], optional], functions=protocol(TWICE))
    assert report.conforms
    assert report.total().expected_failures == 1
    assert "(tables are short)" in report.text()
    right = check({"twice": lambda x: 2 * x}, cases=[CASES[0], optional], functions=protocol(TWICE))
    assert right.total().passed == 2
    assert "take it off" not in right.text()
    assert [one.id for one in load_cases() if one.optional] == ["conv2d_backward/infinite-input-under-a-dead-gradient"]


def test_an_engine_by_fourier_transforms_conforms():
    """It spreads an infinite input to every tap, and is right wherever numbers are finite."""
    of_case = functions()["conv2d_backward"]

    def by_fft(x, grad_mask, **rest):
        dx, dweight, dbias = of_case.reference(x=np.where(np.isinf(x), 0.0, x), grad_mask=grad_mask, **rest)
        return dx, np.full_like(dweight, np.nan) if np.isinf(x).any() else dweight, dbias

    report = check({"conv2d_backward": by_fft}, only=["conv2d_backward"])
    assert isinstance(report, Report)
    assert report.conforms, report.text()
