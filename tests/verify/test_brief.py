"""A report in a line or two for each function."""

from __future__ import annotations

import numpy as np
import pytest

from sparcl_ref.verify.adapters import numpy_engine
from sparcl_ref.verify.areas import functions
from sparcl_ref.verify.check import check
from sparcl_ref.verify.traces.report import TraceReport


def of(only, **adapter):
    return check(adapter, only=(only,))


def test_right():
    assert str(of("relu_forward", relu_forward=lambda x: np.maximum(x, 0))) == "relu_forward: right, 7 cases"


def test_right_as_far_as_it_goes_says_what_it_does_not_take():
    report = of("linear_backward", linear_backward=lambda dy, x, weight: (dy @ weight, dy.T @ x, dy.sum(axis=0)))
    assert str(report).splitlines() == [
        "linear_backward: right, 7 cases",
        "  3 further cases do not apply: it takes no 'grad_mask'",
    ]


def test_wrong_names_the_likely_mistake_with_one_number():
    first, second = str(of("relu_backward", relu_backward=lambda dy, x: dy * (x >= 0))).splitlines()
    assert first.startswith("relu_backward: 2 of 6 cases fail, such as zeros: dx[0] is off, got -1.52022, expected 0")
    assert second == "  looks like the derivative at 0 taken as 1: >= instead of >"


def test_wrong_in_a_way_nobody_knows_says_what_the_case_is_for():
    first, second = str(of("relu_backward", relu_backward=lambda dy, x: dy * 3)).splitlines()
    assert first.startswith("relu_backward: 6 of 6 cases fail, such as images: dx[")
    assert second == "  the case is there for: a leak below zero; an absolute value"


def test_a_pattern_stands_before_what_the_case_is_for():
    report = of("mse_logits", mse_logits=lambda logits, targets: (
        ((logits - targets) ** 2).mean(axis=1), 7 * (logits - targets) / logits.size))  # fmt: skip
    assert "  dlogits is 3.5 times what it should be; the case is there for: " in str(report)


def test_numbers_that_differ_late_are_shown_in_full():
    report = of("cwi", cwi=lambda weight, grad_current, grad_buffer, alpha, beta: (
        abs(weight) + alpha * abs(grad_current) + beta * abs(grad_buffer) + 1e-9))  # fmt: skip
    got, expected = str(report).splitlines()[0].rpartition("got ")[2].split(", expected ")
    assert got != expected
    assert float(got) - float(expected) == pytest.approx(1e-9, rel=1e-5)


@pytest.mark.parametrize(("name", "where"), [("relu_backward", ""), ("linear_backward", ""), ("cross_entropy", "")])
def test_an_empty_function_gets_one_line(name, where):
    arguments = ", ".join(argument.name for argument in functions()[name].arguments)
    own = {}
    exec(f"def {name}({arguments}):\n    ...\n", own)
    assert str(of(name, **{name: own[name]})) == f"{name}: returns nothing: still empty, or without a return"


def test_where_none_may_be_right_an_empty_function_is_still_told():
    said = str(of("forgetting", forgetting=lambda matrix: None))
    assert said == "forgetting: returns nothing in 5 of 6 cases: still empty, or without a return"


def test_not_implemented_is_no_failure():
    def relu_forward(x):
        raise NotImplementedError("later")

    assert str(of("relu_forward", relu_forward=relu_forward)) == "relu_forward: nothing to check yet: later"


def test_an_error_comes_with_the_line_that_raised_it():
    def relu_forward(x):
        return np.maximum(y, 0)  # noqa: F821

    first, second = str(of("relu_forward", relu_forward=relu_forward)).splitlines()
    assert "NameError: name 'y' is not defined (line " in first
    assert first.endswith("of test_brief.py)")
    assert second == "  the case is there for: a leak below zero; an absolute value"


def test_arguments_of_other_names_are_told_how_it_is_called():
    first, second = str(of("relu_backward", relu_backward=lambda grad, x: grad)).splitlines()
    assert first.endswith("takes no argument named 'dy'; it takes grad, x")
    assert second == "  it is called as relu_backward(dy, x) -> dx"


def test_an_error_of_a_cell_of_a_notebook_comes_with_its_source(monkeypatch):
    import linecache

    source, own = "def relu_forward(x):\n    return np.maximum(y, 0)\n", {"np": np}
    linecache.cache["<cell 7>"] = (len(source), None, source.splitlines(keepends=True), "<cell 7>")
    exec(compile(source, "<cell 7>", "exec"), own)
    first = str(of("relu_forward", relu_forward=own["relu_forward"])).splitlines()[0]
    del linecache.cache["<cell 7>"]
    assert first.endswith("NameError: name 'y' is not defined, in `return np.maximum(y, 0)`")


def test_of_many_functions_the_right_ones_are_named_and_the_verdict_follows():
    report = check(
        {"cgi": numpy_engine.cgi, "cwi": numpy_engine.cwi, "budget": lambda n, sparsity: n},
        only=("cgi", "cwi", "budget"),
    )
    lines = str(report).splitlines()
    assert lines[0].startswith("budget: ")
    assert lines[-2:] == ["right: cgi, cwi", report.verdict()]
    assert len(lines) == 4


def test_nothing_provided_leaves_the_verdict():
    report = check({"relu_fowrard": abs}, only=("relu_forward",))
    assert str(report).splitlines() == [
        "remark: relu_fowrard is not a name of the protocol; did you mean relu_forward?",
        report.verdict(),
    ]


def test_a_notebook_gets_marks_and_the_whole_text_folded_and_escaped():
    report = check(
        {"cgi": numpy_engine.cgi, "relu_backward": lambda dy, x: dy * (x >= 0)}, only=("cgi", "relu_backward")
    )
    page = report._repr_html_()
    assert "✗ <code>relu_backward</code>: 2 of 6 cases fail" in page
    assert "looks like the derivative at 0 taken as 1: &gt;= instead of &gt;" in page
    assert "✓ right: cgi" in page
    assert page.count("<details>") == page.count("</details>") == 1
    assert "FAILED relu_backward/zeros" in page.partition("<pre>")[2]
    assert ">=" not in page


def test_an_interactive_session_shows_the_same_lines_and_no_arrays():
    report = of("relu_backward", relu_backward=lambda dy, x: dy * (x >= 0))
    assert repr(report) == str(report)


def test_what_a_trace_has_found_prints_as_the_command_prints_it():
    report = TraceReport("mine.npz", "reference.npz")
    assert str(report) == report.text()
