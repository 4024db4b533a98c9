"""An adapter that does everything wrong: each of its functions gets a clear line, and the others still run."""

from __future__ import annotations

import re

import pytest

from sparcl_ref.verify import check
from tests.verify.world import case, function, protocol

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
def dies_of_a_signal(x): os.kill(os.getpid(), signal.SIGRTMIN + 6)
def forks(x):
    os.fork()
    return 2 * x
def says_odd_things(x): raise ValueError("\\ud800\\x1b[31m" + 1000 * "long ")
class unspeakable(Exception):
    def __init__(self, x): raise self.__class__.__new__(self.__class__)
    def __str__(self): raise RuntimeError
def talks_nonsense(x):
    for number in range(3, 100):
        try: os.write(number, b"\\0\\0\\0\\3abc")
        except OSError: pass
    return 2 * x
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
    "dies_of_a_signal": r"crashed: its process was ended by signal \d+",
    "forks": None,
    "says_odd_things": r"^ValueError: \\ud800\\x1b\[31mlong [long ]{250,290}\.\.\. \(line",
    "unspeakable": "^unspeakable \\(line",
    "talks_nonsense": "sent what the kit cannot read, and was stopped",
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
ONCE = ("hangs", "crashes", "dies", "dies_of_a_signal", "talks_nonsense", "hangs_up")


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
