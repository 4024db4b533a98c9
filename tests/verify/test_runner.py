"""How cases are run: what is passed and taken back, processes that are stopped, files that cannot be imported."""

from __future__ import annotations

import multiprocessing

import numpy as np
import pytest

from sparcl_ref.verify import check
from sparcl_ref.verify.areas import functions as functions_of_the_protocol
from sparcl_ref.verify.cases import load_cases
from sparcl_ref.verify.check import select
from sparcl_ref.verify.function import Argument, Output
from sparcl_ref.verify.loading import AdapterError
from tests.verify.world import NUMBERS, X, case, function, protocol


def test_after_a_few_stops_a_function_is_left_alone(tmp_path):
    path = tmp_path / "slow.py"
    path.write_text("import time\ndef sleeps(x): time.sleep(60)\ndef right(x): return 2 * x\n")
    functions = protocol(function("sleeps"), function("right"))
    cases = [case("sleeps", str(number)) for number in range(6)] + [case("right")]
    report = check(str(path), cases=cases, functions=functions, timeout=1.0)
    lines = [outcome.line for outcome in report.outcomes]
    assert lines[:3] == ["did not end within 1 s and was stopped"] * 3
    assert lines[3:6] == ["not run, because the function was stopped or ended its process 3 times before"] * 3
    assert [outcome.status for outcome in report.outcomes] == ["failed"] * 6 + ["passed"]


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("import no_such_module\n", r"cannot be imported: ModuleNotFoundError.*\(line 1 of bad.py\)"),
        ("def f(:\n", "cannot be imported: SyntaxError"),
        ("import sys\nsys.exit(4)\n", r"cannot be imported: called sys.exit\(4\) \(line 2"),
        ("import os\nos._exit(4)\n", "cannot be imported: ended its process with exit code 4"),
        ("while True: pass\n", "cannot be imported: did not end within"),
    ],
    ids=["missing module", "syntax", "sys.exit", "os._exit", "endless"],
)
def test_a_file_that_cannot_be_imported_is_refused(tmp_path, content, said):
    path = tmp_path / "bad.py"
    path.write_text(content)
    limit = 1.5 if "while" in content else 30
    with pytest.raises(AdapterError, match=said):
        check(str(path), cases=[case("right")], functions=protocol(function("right")), load_timeout=limit)


def test_an_adapter_that_does_not_start_again_fails_its_other_cases(tmp_path):
    flag = tmp_path / "started"
    path = tmp_path / "once.py"
    path.write_text(
        f"import os\nif os.path.exists({str(flag)!r}): raise RuntimeError('only once')\nopen({str(flag)!r}, 'w')\n"
        "def dies(x): os._exit(1)\ndef right(x): return 2 * x\n"
    )
    report = check(
        str(path), cases=[case("dies"), case("right")], functions=protocol(function("dies"), function("right"))
    )
    assert [outcome.status for outcome in report.outcomes] == ["failed", "failed"]
    assert "does not start again" in report.outcomes[1].line


def test_no_process_is_left_behind(tmp_path):
    path = tmp_path / "right.py"
    path.write_text("def right(x): return 2 * x\ndef hangs(x):\n    while True: pass\n")
    functions = protocol(function("right"), function("hangs"))

    def interrupt(outcome):
        assert multiprocessing.active_children()
        raise KeyboardInterrupt

    # Held, and with it the frames of the interrupted call: their end must not be left to chance.
    with pytest.raises(KeyboardInterrupt) as held:
        check(str(path), cases=[case("right"), case("hangs")], functions=functions, on_outcome=interrupt)
    assert held.traceback
    assert not multiprocessing.active_children()
    check(str(path), cases=[case("right"), case("hangs")], functions=functions, timeout=0.2)
    assert not multiprocessing.active_children()


def test_ctrl_c_ends_a_check_in_this_process_at_the_case_it_meets():
    called = []

    def endless(x):
        called.append(x)
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        check({"one": endless}, cases=[case("one"), case("one")], functions=protocol(function("one")))
    assert len(called) == 1


def test_neighbours_can_be_imported_and_arrays_are_converted(tmp_path):
    (tmp_path / "my_arrays.py").write_text("class Wrapped:\n    def __init__(self, array): self.array = array\n")
    path = tmp_path / "adapter.py"
    path.write_text(
        "from my_arrays import Wrapped\nas_array = Wrapped\n"
        "def right(x):\n    assert type(x) is Wrapped\n    return 2 * x.array\n"
    )
    report = check(str(path), cases=[case("right")], functions=protocol(function("right")))
    assert report.conforms


OPTIONAL = (X, Argument("scale", "float", 2.0), Argument("flag", "bool", False))


@pytest.mark.parametrize(
    ("adapter", "given", "status", "line"),
    [
        (lambda x, scale, flag: scale * x, {}, "passed", ""),
        (lambda x, scale, flag: scale * x, {"scale": 2.0}, "passed", ""),
        (lambda x: 2 * x, {}, "passed", ""),
        (lambda x: 2 * x, {"scale": 2.0}, "passed", ""),
        (lambda x: 2 * x, {"scale": 2, "flag": False}, "passed", ""),
        (lambda x: 2 * x, {"scale": 3.0}, "not provided", "takes no 'scale'"),
        (lambda x, scale: 2 * x, {"flag": True}, "not provided", "takes no 'flag'"),
        (lambda x, scale: 2 * x, {"flag": 0}, "not provided", "takes no 'flag'"),
        (lambda x, scale=5.0: scale * x, {}, "passed", ""),
        (lambda **given: given["scale"] * given["x"], {}, "passed", ""),
        (lambda x, scale, more: x, {}, "failed", "wants an argument 'more', which the protocol does not give"),
    ],
)
def test_arguments_are_passed_by_the_protocols_defaults(adapter, given, status, line):
    one = function("scaled", arguments=OPTIONAL)
    report = check({"scaled": adapter}, cases=[case(one, arguments={"x": NUMBERS} | given)], functions=protocol(one))
    assert [(outcome.status, outcome.line) for outcome in report.outcomes] == [(status, line)]


def test_inputs_survive_an_adapter_that_writes_into_them():
    one = function("scribbles", arguments=(X, Argument("classes", "list of int")))
    shared = {"x": NUMBERS.copy(), "classes": [3, 1, 2]}

    def scribbles(x, classes):
        x[:] = 7
        classes.sort()
        return np.zeros(3)

    check({"scribbles": scribbles}, cases=[case(one, arguments=shared)], functions=protocol(one))
    np.testing.assert_array_equal(shared["x"], NUMBERS)
    assert shared["classes"] == [3, 1, 2]


def test_inputs_come_in_the_dtype_under_test():
    seen = []
    one = function("right", arguments=(X, Argument("labels", "int"), Argument("mask", "bool")))

    def right(x, labels, mask):
        seen.append((x.dtype.name, labels.dtype.name, mask.dtype.name))
        return 2 * x

    arguments = {"x": NUMBERS, "labels": np.arange(3), "mask": np.ones(3, dtype=bool)}
    for dtype in ("float64", "float32"):
        assert check({"right": right}, cases=[case(one, arguments=arguments)], functions=protocol(one), dtype=dtype)
    assert seen == [("float64", "int64", "bool"), ("float32", "int64", "bool")]


def test_outputs_that_a_case_does_not_expect_are_not_looked_at():
    one = function("pair", outputs=(Output("y", ""), Output("rest", "")))
    report = check({"pair": lambda x: (2 * x, None)}, cases=[case(one)], functions=protocol(one))
    assert report.conforms
    assert report.compared == 3


def test_an_adapter_of_nothing_known_compares_nothing():
    one = function("right")
    report = check({"something": lambda x: x}, cases=[case(one)], functions=protocol(one))
    assert not report.conforms
    assert report.compared == 0
    assert report.total().not_provided == 1


def test_one_right_function_and_nothing_else_conforms():
    functions = protocol(function("right"), function("other"))
    report = check({"right": lambda x: 2 * x}, cases=[case("right"), case("other")], functions=functions)
    assert report.conforms
    assert (report.total().passed, report.total().not_provided) == (1, 1)


def test_an_as_array_that_is_no_function_is_said_to_be_none():
    one = function("right")
    report = check({"right": lambda x: 2 * x, "as_array": 3}, cases=[case(one)], functions=protocol(one))
    assert report.failures[0].line == "TypeError: as_array must be a function that takes an array, got int"


def test_an_as_array_in_a_dict_is_no_slip():
    one = function("right")
    report = check({"right": lambda x: 2 * x, "as_array": np.array}, cases=[case(one)], functions=protocol(one))
    assert report.conforms
    assert report.remarks == ()


def test_every_name_of_a_dict_that_is_not_the_protocols_is_told():
    def right(x):
        return x * (x > 0)

    report = check({"relu_fwd": right, "quite_another": right, "relu_forward": right}, only="relu_forward")
    assert report.remarks == (
        "relu_fwd is not a name of the protocol; did you mean relu_forward?",
        "quite_another is not a name of the protocol",
    )
    # A notebook's namespace has functions of other kinds.
    assert check({"__name__": "__main__", "relu_fwd": right, "helper": right}, only="relu_forward").remarks == ()


def test_a_single_word_names_what_to_check():
    known = functions_of_the_protocol()
    word, listed = (select(load_cases(), known, only) for only in ("relu_forward", ["relu_forward"]))
    assert [case.id for case, _ in word] == [case.id for case, _ in listed] != []
    with pytest.raises(ValueError, match=r"^'rivalls' is no area"):
        check({}, only="rivalls")


def test_a_process_that_cannot_start_is_not_stopped_beside(monkeypatch):
    def refuses(self):
        raise RuntimeError("no main guard")

    monkeypatch.setattr(multiprocessing.get_context("spawn").Process, "start", refuses)
    with pytest.raises(RuntimeError, match=r"^no main guard$"):
        check("reference", only="relu_forward")
