"""Of the rules of rivals each mistake is told by its own name and by no other, in our words and written apart."""

from __future__ import annotations

import numpy as np
import pytest

from sparcl_ref.verify.areas import functions
from sparcl_ref.verify.check import check
from tests.verify.assembly import wrong
from tests.verify.test_diagnosis import frozen, mistaken_adapter
from tests.verify.wrong import judge

RIVALS = {name: function for name, function in functions().items() if function.area == "rivals"}
WRONG = [entry for entry in wrong() if entry.function in RIVALS]


@pytest.mark.parametrize("name", RIVALS)
def test_a_known_mistake_is_called_by_its_name_alone(name):
    function = RIVALS[name]
    for mistake in function.mistakes:
        report = check(mistaken_adapter(function, mistake), cases=frozen()[name], functions={name: function})
        assert {sentence for outcome in report.failures for sentence in outcome.causes} == {mistake.sentence}


@pytest.mark.parametrize("entry", WRONG, ids=lambda entry: entry.name)
def test_an_implementation_with_one_mistake_hears_of_that_alone(entry):
    causes = judge(entry, frozen()[entry.function]).causes
    assert len(causes) == 1
    assert entry.likely in causes[0]


def test_every_known_mistake_has_an_implementation_that_makes_it():
    for name, function in RIVALS.items():
        likely = [entry.likely for entry in WRONG if entry.function == name]
        assert all(likely)
        unmade = [m.sentence for m in function.mistakes if not any(words in m.sentence for words in likely)]
        assert not unmade, name


def answers(name, case):
    """What the reference says to a case, by output."""
    function = RIVALS[name]
    (one,) = (one for one in frozen()[name] if one.id == f"{name}/{case}")
    return one, function.right(**one.arguments)


def test_a_gradient_that_agrees_is_wanted_to_the_bit():
    unchanged = [case for case in frozen()["agem_project"] if not case.tolerance["weight_grad"].magnitude]
    assert len(unchanged) >= 6
    for case in unchanged:
        assert np.array_equal(case.expected["weight_grad"], case.arguments["weight_grad"])
        last = {name: np.nextafter(case.arguments[name], 9) for name in ("weight_grad", "bias_grad")}
        assert check({"agem_project": lambda last=last, **_: last}, cases=[case]).failures


@pytest.mark.parametrize("name", ["er_ace_loss", "lwf_distillation", "fisher_information", "icarl_loss"])
def test_what_takes_no_part_is_wanted_as_exactly_zero(name):
    marked = [(case, output) for case in frozen()[name] for output, tolerance in case.tolerance.items()
              if tolerance.zeros is not None]  # fmt: skip
    assert len(marked) >= 2
    for case, output in marked:
        right = case.expected
        off = right | {output: np.where(case.tolerance[output].zeros, 1e-30, right[output])}
        assert check({name: lambda off=off, **_: off}, cases=[case]).failures
        assert check({name: lambda right=right, **_: right}, cases=[case]).conforms


def test_fewer_exemplars_are_a_prefix_of_more():
    orders = [answers("herding_order", f"{count}-of-eight")[0].expected["order"] for count in ("two", "four", "all")]
    assert [len(order) for order in orders] == [2, 4, 8]
    assert all(np.array_equal(orders[2][: len(order)], order) for order in orders)


def test_the_length_of_the_reference_gradient_does_not_matter():
    found = [answers("agem_project", f"{size}-reference")[0].expected["weight_grad"] for size in ("short", "long")]
    assert np.array_equal(*found)
