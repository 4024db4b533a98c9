"""Whatever an adapter does, its case gets a clear line and the others still run."""

from __future__ import annotations

import multiprocessing
import re
import time

import numpy as np
import pytest

from sparcl_ref.verify import check
from sparcl_ref.verify.loading import AdapterError
from sparcl_ref.verify.protocol import Argument, Output
from tests.verify.world import NUMBERS, X, case, function, protocol

#: Seconds; long beside any honest call here, also on a machine with other work to do.
LIMIT = 2.0

HOSTILE = '''
import os, signal, sys, time
import numpy as np

def right(x): return 2 * x
def wrong_shape(x): return 2 * x[:2]
def extra_axis(x): return (2 * x)[None]
def wrong_dtype(x): return (2 * x).astype(np.float32)
def wrong_number(x): return np.array([1.0, -4.0, 6.5])
def raises(x): return x + undefined_name
def raises_oddly(x): raise KeyboardInterrupt
def multi_line(x): raise ValueError("first\\n  second")
def gives_nan(x): return 2 * x * np.array([1.0, np.nan, 1.0])
def gives_none(x): return None
def gives_text(x): return "four"
def gives_objects(x): return np.array([None, 1, 2])
def gives_complex(x): return 2j * x
def too_many(x): return 2 * x, x
def wrong_names(x): return {"z": 2 * x}
def huge(x): return np.broadcast_to(0.0, (10**12,))
def mutates(x):
    x *= 2
    return x
def prints(x):
    print("noise on stdout")
    os.write(1, b"more noise\\n")
    return 2 * x
def leaves(x): sys.exit(0)
def leaves_loudly(x): sys.exit("enough")
def dies(x): os._exit(3)
def crashes(x): os.kill(os.getpid(), signal.SIGSEGV)
def hangs(x):
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    while True: pass
def sleeps(x): time.sleep(60)
def hangs_up(x):
    os.closerange(3, 100)
    return 2 * x
def no_such(x): raise NotImplementedError("not in this engine")
def other_name(inputs): return 2 * inputs
def by_position(x, /): return 2 * x
def wants_more(x, y): return 2 * x
def anything(**given): return 2 * given["x"]
def as_list(x): return [float(2 * number) for number in x]
def a_dict(x): return {"y": 2 * x}
class foreign:
    """Neither a NumPy array nor a list, but able to become one."""
    def __init__(self, x): self.x = x
    def __array__(self, dtype=None, copy=None): return 2 * self.x
class dlpack:
    """Speaks DLPack and nothing else."""
    def __init__(self, x): self.x = 2 * x
    def __dlpack__(self, **given): return self.x.__dlpack__(**given)
    def __dlpack_device__(self): return self.x.__dlpack_device__()
not_callable = 3
'''

#: Function to what its line says; None for a case that passes.
LINES = {
    "wrong_shape": r"y has shape \(2,\), expected \(3,\)",
    "extra_axis": r"y has shape \(1, 3\), expected \(3,\)",
    "wrong_dtype": "y has dtype float32, expected float64, the dtype of the inputs",
    "wrong_number": r"y is off at \[2\]",
    "raises": r"NameError: name 'undefined_name' is not defined \(line 10 of hostile.py\)",
    "raises_oddly": r"KeyboardInterrupt \(line 11 of hostile.py\)",
    "multi_line": r"ValueError: first second \(line 12",
    "gives_nan": r"y is not finite at \[1\]",
    "gives_none": "y is None",
    "gives_text": "y: expected numbers, got str",
    "gives_objects": "y: expected numbers, got ndarray .as dtype object",
    "gives_complex": "y: expected numbers, got ndarray .as dtype complex128",
    "too_many": r"y has shape|TypeError",
    "wrong_names": "TypeError: returned a dict of z; expected y",
    "huge": r"y has shape \(1000000000000,\), expected \(3,\)",
    "mutates": None,
    "prints": None,
    "leaves": r"called sys.exit\(0\) \(line 28",
    "leaves_loudly": r"called sys.exit\('enough'\)",
    "dies": "ended its process with exit code 3",
    "crashes": "crashed: its process was ended by SIGSEGV",
    "hangs": "did not end within 2 s and was stopped",
    "hangs_up": "ended its process|closed the connection",
    "other_name": "takes no argument named 'x'; it takes inputs",
    "by_position": "takes no argument named 'x'; it takes nothing by name",
    "wants_more": "wants an argument 'y', which the protocol does not give",
    "anything": None,
    "as_list": None,
    "a_dict": None,
    "foreign": None,
    "dlpack": None,
    "right": None,
}
FUNCTIONS = protocol(*(function(name) for name in (*LINES, "no_such", "not_there", "not_callable")))
#: Twice each: the second time after whatever the first has left behind. The slow ones once are enough.
ONCE = ("hangs", "crashes", "dies", "hangs_up")


@pytest.fixture(scope="module")
def hostile(tmp_path_factory):
    path = tmp_path_factory.mktemp("adapters") / "hostile.py"
    path.write_text(HOSTILE)
    cases = [case(name, number) for name in FUNCTIONS for number in ("one", "two")[: 1 if name in ONCE else 2]]
    return check(str(path), cases=cases, functions=FUNCTIONS, timeout=LIMIT)


@pytest.mark.parametrize("name", LINES)
def test_each_behaviour_gets_its_line_and_the_others_run(hostile, name):
    found = [outcome for outcome in hostile.outcomes if outcome.function.name == name]
    assert len(found) == (1 if name in ONCE else 2)
    for outcome in found:
        if LINES[name] is None:
            assert (outcome.status, outcome.line, outcome.compared) == ("passed", "", 3)
        else:
            assert outcome.status == "failed"
            assert "\n" not in outcome.line
            assert re.search(LINES[name], outcome.line), outcome.line


@pytest.mark.parametrize(
    ("name", "line"),
    [("no_such", "not in this engine"), ("not_there", "not in the adapter"), ("not_callable", "not in the adapter")],
)
def test_what_is_not_provided_never_passes(hostile, name, line):
    found = [outcome for outcome in hostile.outcomes if outcome.function.name == name]
    assert {outcome.status for outcome in found} == {"not provided"}
    assert {outcome.line for outcome in found} == {line}


def test_slips_are_remarked(hostile):
    assert hostile.remarks == ("not_callable is not a function but int",)
    one = function("conv2d_forward")
    report = check({"conv2d_foward": len}, cases=[case(one)], functions=protocol(one))
    assert report.remarks == ("conv2d_foward is not a name of the protocol; did you mean conv2d_forward?",)


def test_a_report_with_failures_does_not_conform(hostile):
    assert not hostile.conforms
    assert hostile.total().failed == len(hostile.failures) > 20


def test_after_a_few_stops_a_function_is_left_alone(tmp_path):
    path = tmp_path / "slow.py"
    path.write_text("import time\ndef sleeps(x): time.sleep(60)\ndef right(x): return 2 * x\n")
    functions = protocol(function("sleeps"), function("right"))
    cases = [case("sleeps", str(number)) for number in range(6)] + [case("right")]
    start = time.monotonic()
    report = check(str(path), cases=cases, functions=functions, timeout=1.0)
    assert time.monotonic() - start < 50, "a stopped call must not run to its end"
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
