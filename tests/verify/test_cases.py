"""The frozen cases: what the oracles say, what our own functions compute, choosy enough to tell right from wrong."""

from __future__ import annotations

from collections import defaultdict
from functools import cache

import numpy as np
import pytest

from sparcl_ref.verify import cases, difference
from sparcl_ref.verify.adapter import Returned, full_arguments
from sparcl_ref.verify.adapters import numba_engine, numpy_engine
from sparcl_ref.verify.areas import functions
from sparcl_ref.verify.check import check
from tests.verify import assembly, freeze
from tests.verify.spec import KINDS

NAMES = tuple(functions())

#: Outputs whose expected values are 0 but for rounding, which an answer of all zeros therefore matches.
ZERO_BUT_FOR_ROUNDING = {
    "batchnorm2d_backward/constant-upstream: dx",
    "batchnorm2d_backward/constant-upstream: dweight",
}
#: Logits of 2^110: their rounding alone, as a bound has it, could move a probability anywhere in 0..1. The loss tells.
ZERO_BUT_FOR_ROUNDING |= {f"cross_entropy/{name}-below: dlogits" for name in ("further", "furthest")}
#: The same in float32: there the two values of a channel are so far apart that eps alone keeps dx from being 0.
ZERO_IN_FLOAT32 = ZERO_BUT_FOR_ROUNDING | {"batchnorm2d_backward/two-values: dx"}


@cache
def frozen() -> dict[str, list[cases.Case]]:
    """The frozen cases by function."""
    found = defaultdict(list)
    for case in cases.load_cases():
        found[case.function].append(case)
    return dict(found)


def all_cases() -> list[cases.Case]:
    return [case for of_function in frozen().values() for case in of_function]


# --- what stands in the files -----------------------------------------------------------------------------------------


def test_inputs_and_oracles_of_this_folder_give_the_frozen_cases(made):
    found = freeze.as_cases(made)
    assert not list(freeze.differences(all_cases(), found))
    assert len(found) == len(all_cases()) > 900


def test_the_manifest_says_what_the_protocol_says():
    described = {name: assembly.described(function) for name, function in functions().items()}
    assert freeze.stored_manifest()["functions"] == described, "run python -m tests.verify.freeze"


@pytest.mark.parametrize("name", NAMES)
def test_the_oracle_agrees_on_the_frozen_inputs(name):
    """From the files alone: whatever made the inputs, the expected values belong to them."""
    function, oracle = functions()[name], assembly.oracles()[name]
    for case in frozen()[name]:
        outputs, _ = assembly.expectation(case.id, function, case.arguments, oracle)
        returned = {output: Returned(array, array.shape, array.dtype.name) for output, array in outputs.items()}
        compared, differences = difference.compare_case(case, returned)
        assert not differences, case.id
        assert compared == sum(array.size for array in case.expected.values())


@pytest.mark.parametrize("dtype", difference.DTYPES)
@pytest.mark.parametrize("name", NAMES)
def test_our_own_functions_agree(name, dtype):
    report = check(numpy_engine, cases=frozen()[name], dtype=dtype)
    asked = [case for case in frozen()[name] if case.dtype in ("", dtype)]
    assert [(o.case.id, o.status, o.line) for o in report.outcomes] == [(case.id, "passed", "") for case in asked]
    assert sum(outcome.compared for outcome in report.outcomes) > 0


@pytest.mark.parametrize("dtype", difference.DTYPES)
def test_the_compiled_engine_agrees_where_it_has_functions(dtype):
    report = check(numba_engine, dtype=dtype)
    assert report.conforms, [(outcome.case.id, outcome.line) for outcome in report.failures]
    assert report.total().passed > 100


@pytest.mark.parametrize("name", NAMES)
def test_every_function_is_met_in_the_usual_way_and_at_its_edges(name):
    kinds = [case.kind for case in frozen()[name]]
    assert set(kinds) <= set(KINDS)
    assert "regular" in kinds
    assert len(set(kinds)) > 1
    assert len(kinds) >= 3


def test_every_argument_is_varied_and_every_output_compared():
    """An argument that has one value in all cases could be ignored by an adapter; an output never expected, too."""
    for name, function in functions().items():
        given = [full_arguments(case, function) for case in frozen()[name]]
        for argument in function.arguments:
            values = {_key(each[argument.name]) for each in given}
            assert len(values) > 1, f"{name}: {argument.name} is always the same"
        compared = {output for case in frozen()[name] for output in case.expected}
        assert compared == {output.name for output in function.outputs}, name


def _key(value):
    return cases.array_sha256(value) if isinstance(value, np.ndarray) else repr(value)


def test_floating_inputs_are_numbers_of_float32():
    for case in (case for case in all_cases() if case.dtype != "float64"):
        for name, value in case.arguments.items():
            if isinstance(value, np.ndarray) and value.dtype == np.float64:
                assert np.array_equal(value.astype(np.float32), value, equal_nan=True), f"{case.id}: {name}"


# --- tolerances -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("dtype", "excused"), [("float64", ZERO_BUT_FOR_ROUNDING), ("float32", ZERO_IN_FLOAT32)], ids=difference.DTYPES
)
def test_no_tolerance_accepts_zeros(dtype, excused):
    """Where anything but 0 is expected, an answer of all zeros fails."""
    accepted = set()
    for case in all_cases():
        for name, expected in case.expected.items():
            zeros = np.zeros(expected.shape, dtype)
            off = difference.compare_output(name, zeros, expected, case.tolerance.get(name), dtype=dtype)
            if off is None and np.any(expected != 0):
                accepted.add(f"{case.id}: {name}")
    assert accepted == excused


def in_float32(name):
    """A function of ours that works in float32 and returns what its caller's dtype asks for."""

    def narrowed(**arguments):
        floats = {k for k, v in arguments.items() if isinstance(v, np.ndarray) and v.dtype == np.float64}
        arguments = {k: v.astype(np.float32) if k in floats else v for k, v in arguments.items()}
        outputs = getattr(numpy_engine, name)(**arguments)
        if not isinstance(outputs, tuple):
            return np.asarray(outputs).astype(np.float64)
        return tuple(None if output is None else np.asarray(output).astype(np.float64) for output in outputs)

    return narrowed


def computing(area):
    """Functions of an area whose floating outputs are computed from floating inputs, not selected among them."""
    return [
        name
        for name, function in functions().items()
        if function.area == area
        and any(tolerance.magnitude for case in frozen()[name] for tolerance in case.tolerance.values())
        and any(np.asarray(value).dtype == np.float64 for value in frozen()[name][0].arguments.values())
    ]


def test_work_done_in_float32_is_seen_in_a_float64_run():
    suspects = [*computing("layers"), *computing("losses"), *computing("importance"), *computing("rivals"), "sgd_step"]
    # A maximum pool adds up a few upstream gradients where windows overlap; that is work too.
    assert {"conv2d_forward", "max_pool2d_backward", "derpp_step", "probe_gradient", "cwi", "agem_project"} <= set(
        suspects
    )
    for name in suspects:
        report = check({name: in_float32(name)}, cases=frozen()[name])
        assert any(outcome.status == "failed" for outcome in report.outcomes), name


def test_the_order_of_summation_is_free():
    """Terms added one by one, from either end, stay within the tolerances of the longest sums."""
    (case,) = (case for case in frozen()["linear_forward"] if case.id.endswith("/long-sum"))
    x, weight, bias = (case.arguments[name] for name in ("x", "weight", "bias"))
    for dtype in difference.DTYPES:
        terms = (x[:, None, :] * weight).astype(dtype)
        for ordered in (terms, terms[..., ::-1]):
            # cumsum adds strictly from left to right.
            y = np.cumsum(ordered, axis=-1, dtype=dtype)[..., -1] + bias.astype(dtype)
            assert difference.compare_case(case, {"y": Returned(y, y.shape, y.dtype.name)}, dtype=dtype)[1] == []
