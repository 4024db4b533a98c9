"""Failures that may only be those of a part are told in a line; of many failures of one function the first in full."""

from __future__ import annotations

import json

import numpy as np
import pytest

from sparcl_ref.verify import check
from sparcl_ref.verify.adapters import numpy_engine
from sparcl_ref.verify.areas import functions
from sparcl_ref.verify.inheritance import inherited
from sparcl_ref.verify.report import IN_FULL, NAMED
from tests.verify.world import case, function, protocol

LOSSES = {name: getattr(numpy_engine, name) for name in ("cross_entropy", "mse_logits", "er_loss", "derpp_loss")}


def off(call, *outputs):
    """A function whose results are off by a number that no known mistake gives."""

    def wrong(**given):
        return tuple(np.asarray(value) * 1.0173 for value in call(**given))

    return wrong


def test_what_is_made_of_a_wrong_part_is_told_in_one_line():
    report = check({name: off(call) for name, call in LOSSES.items()}, only=list(LOSSES))
    assert {outcome.function.name for outcome in report.failures} == set(LOSSES)
    assert inherited(report.failures) == {"er_loss": "cross_entropy", "derpp_loss": "mse_logits"}
    text = report.text()
    for name, part in inherited(report.failures).items():
        (line,) = [line for line in text.splitlines() if f" {name} " in line]
        assert line.startswith(f"FAILED {name} (losses): ")
        assert line.endswith(f"may only inherit the failure of {part}")
    assert json.loads(json.dumps(report.json()))["inherited"] == inherited(report.failures)
    assert sum(row.failed for row in report.rows()) == len(report.failures), "they count as failed all the same"


def test_without_the_part_or_with_a_mistake_of_its_own_it_is_told_in_full():
    alone = check({"er_loss": off(LOSSES["er_loss"])}, only=["er_loss"])
    assert inherited(alone.failures) == {}
    assert "FAILED er_loss/" in alone.text()
    right = check({"cross_entropy": LOSSES["cross_entropy"], "er_loss": off(LOSSES["er_loss"])}, only=["losses"])
    assert inherited(right.failures) == {}

    def unweighted(**given):
        return LOSSES["er_loss"](**given | {"weight": 1.0})

    both = check({"cross_entropy": off(LOSSES["cross_entropy"]), "er_loss": unweighted}, only=["losses"])
    assert inherited(both.failures) == {}
    assert "looks like replay terms without their weights" in both.text()


def test_the_innermost_part_is_named():
    reservoir = ("reservoir_slot", "reservoir_add", "reservoir_fill")
    wrong = {
        "reservoir_slot": lambda presented, capacity, draw: 77,
        "reservoir_add": lambda presented, capacity, draws: (np.full(len(draws), 77), presented),
        "reservoir_fill": lambda capacity, batch_sizes, uniforms: np.full(capacity, 77),
    }
    found = inherited(check(wrong, only=list(reservoir)).failures)
    assert found == {"reservoir_add": "reservoir_slot", "reservoir_fill": "reservoir_slot"}


@pytest.mark.parametrize("failing", [1, IN_FULL, IN_FULL + 1, IN_FULL + NAMED, IN_FULL + NAMED + 5])
def test_a_few_failures_of_a_function_are_told_in_full_and_the_rest_named(failing):
    cases = [case("twice", f"case-{number}") for number in range(failing)]
    text = check({"twice": lambda x: 3.3 * x}, cases=cases, functions=protocol(function("twice"))).text()
    assert text.count("  rule  ") == min(failing, IN_FULL)
    further = [line for line in text.splitlines() if line.startswith("FAILED twice, further cases: ")]
    assert len(further) == (failing > IN_FULL)
    if further:
        assert further[0].count("case-") == min(failing - IN_FULL, NAMED)
        assert further[0].endswith(" and 5 more") == (failing > IN_FULL + NAMED)


def test_parts_are_functions_of_the_protocol_and_none_is_part_of_itself():
    known = functions()

    def parts(name, above=()):
        assert name not in above, (*above, name)
        return {name}.union(*(parts(part, (*above, name)) for part in known[name].uses))

    assert {part for name in known for part in parts(name)} <= set(known)
    assert sum(bool(one.uses) for one in known.values()) > 10
