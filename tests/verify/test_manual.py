"""The manual page: its list is the protocol's, its adapter works as written, its claims hold."""

from __future__ import annotations

import re

import pytest

from sparcl_ref.sparcl.structured import PATTERNS
from sparcl_ref.verify import check
from sparcl_ref.verify.__main__ import build_parser
from sparcl_ref.verify.areas import functions
from sparcl_ref.verify.cases import load_cases
from sparcl_ref.verify.expected_failures import parse
from sparcl_ref.verify.listing import signature
from sparcl_ref.verify.runner import PATIENCE, TIMEOUT
from tests.verify.manual import PAGE, generated, renewed

TEXT = PAGE.read_text()


def blocks(language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", TEXT, flags=re.DOTALL)


def test_the_list_of_functions_is_the_protocols():
    assert TEXT.endswith(generated()), "renew it with: python -m tests.verify.manual"
    assert renewed(TEXT) == TEXT
    flat = " ".join(TEXT.split())
    for function in functions().values():
        assert signature(function) in flat


def test_the_eight_patterns_are_on_the_page():
    flat = " ".join(TEXT.split())
    assert len(PATTERNS) == 8
    assert ", ".join("".join(map(str, kept)) for kept in PATTERNS) in flat


@pytest.mark.parametrize("dtype", ["float64", "float32"])
def test_the_adapter_of_15_lines_works_as_written(tmp_path, dtype):
    source = blocks("python")[0]
    assert len([line for line in source.splitlines() if line.strip()]) <= 15
    path = tmp_path / "my_adapter.py"
    path.write_text(source)
    report = check(str(path), only=["layers"], dtype=dtype)
    assert report.conforms, [(outcome.case.id, outcome.line) for outcome in report.failures]
    passed = {outcome.function.name for outcome in report.outcomes if outcome.status == "passed"}
    assert passed == {"conv2d_forward", "max_pool2d_forward", "linear_forward", "linear_backward"}
    lines = {outcome.line for outcome in report.outcomes if outcome.function.name == "linear_backward"}
    assert "takes no 'grad_mask'" in lines
    assert report.compared > 1000


@pytest.mark.parametrize("dtype", ["float64", "float32"])
def test_the_adapter_of_two_rivals_works_as_written_and_sums_in_float64_for_a_reason(tmp_path, dtype):
    path = tmp_path / "my_adapter.py"
    for source, reported in ((blocks("python")[3], False), (blocks("python")[3].replace(".double()", ""), True)):
        path.write_text(source)
        report = check(str(path), only=["rivals"], dtype=dtype)
        passed = {outcome.function.name for outcome in report.outcomes if outcome.status == "passed"}
        assert passed == {"agem_project", "lwf_distillation"}
        assert [outcome.case.id for outcome in report.failures] == (
            ["agem_project/agreement-that-float32-loses"] if reported and dtype == "float32" else []
        )


def test_the_example_in_python_conforms(capsys):
    exec(compile(blocks("python")[1], str(PAGE), "exec"), {})
    assert capsys.readouterr().out.startswith("True ")


def test_the_function_of_ones_own_is_checked_and_its_mistake_named(capsys):
    exec(compile("from sparcl_ref.verify import check\n" + blocks("python")[2], str(PAGE), "exec"), {})
    said = capsys.readouterr().out.strip()
    assert said
    assert f'prints "{said}".' in TEXT


def test_the_example_report_is_what_the_kit_prints():
    from sparcl_ref.verify.report import format_failure

    wrong = {"relu_forward": lambda x: x.clip(0), "relu_backward": lambda dy, x: dy * (x >= 0)}
    report = check(wrong, only=["layers"])
    table, failure = blocks("text")[0].strip().split("\n\n")
    assert table == report.text().split("\n\n")[1]
    assert failure == format_failure(report.failures[0])


def test_the_example_list_of_expected_failures_is_accepted():
    known = [case.id for case in load_cases()]
    assert set(parse(blocks("text")[1], known).values()) == {
        "groups are planned for 2.2",
        "kept as it is for old checkpoints",
    }


def test_every_option_is_on_the_page_and_every_default_right():
    for action in build_parser()._actions:
        for option in action.option_strings:
            assert option in TEXT or option in ("-h", "--help"), option
    assert f"limit of one call; {TIMEOUT:g} unless given" in TEXT
    assert PATIENCE == 3
    assert "After three such stops" in TEXT
