"""Every known mistake fails the frozen cases and is recognised by its numbers; nothing is made up where none fits."""

from __future__ import annotations

from collections import defaultdict
from functools import cache

import numpy as np
import pytest

from sparcl_ref.verify import check, protocol
from sparcl_ref.verify.cases import load_cases
from sparcl_ref.verify.causes import known_causes, mistaken_outputs
from tests.verify.world import NUMBERS, case, function
from tests.verify.world import protocol as protocol_of

FUNCTIONS = protocol.functions()
#: Written as the specification words them.
NAMED = (
    ("cwi", "|w| counted twice with zero gradients"),
    ("batchnorm2d_forward", "variance is unbiased"),
    ("batchnorm2d_forward", "variance is biased"),
    ("max_pool2d_backward", "ties broken from the other end"),
    ("shrink", "ties broken from the other end"),
    ("cross_entropy", "full-head loss where single-head is asked"),
    ("conv2d_flops", "MACs reported as FLOPs"),
    ("mse_logits", "mean over samples instead of over samples and logits"),
    ("linear_backward", "bias gradient averaged"),
    ("sgd_step", "velocity not masked"),
    ("budget", "floor without the half"),
    ("percentile_gradient_mask", "percentile over the living entries instead of all"),
    ("derpp_step", "one shared draw"),
    ("reservoir_add", "presentations that are not stored are not counted"),
)


@cache
def frozen():
    found = defaultdict(list)
    for one in load_cases():
        found[one.function].append(one)
    return found


def mistaken_adapter(cause):
    """Answers each case right but for what the mistake changes; finds the case again by its arguments."""
    own = FUNCTIONS[cause.function]
    answers = []
    for one in frozen()[own.name]:
        right = {output.name: one.expected.get(output.name) for output in own.outputs}
        answers.append(right | mistaken_outputs(cause, one, own))
    replies = iter(answers)
    return {own.name: lambda **given: next(replies)}


@pytest.mark.parametrize("name", FUNCTIONS)
def test_every_known_mistake_is_caught_and_named(name):
    causes = [cause for cause in known_causes() if cause.function == name]
    for cause in causes:
        report = check(mistaken_adapter(cause), cases=frozen()[name], functions={name: FUNCTIONS[name]})
        assert report.failures, f"no frozen case tells {cause.sentence!r} from the right answer"
        named = {sentence for outcome in report.failures for sentence in outcome.causes}
        assert cause.sentence in named, f"{cause.sentence!r} is taken for {sorted(named)}"
        assert {outcome.area for outcome in report.failures} == {FUNCTIONS[name].area}


def test_there_are_many_and_the_famous_ones_are_among_them():
    causes = known_causes()
    assert len({(cause.function, cause.sentence) for cause in causes}) > 200
    assert {cause.function for cause in causes} <= set(FUNCTIONS)
    for name, words in NAMED:
        assert any(cause.function == name and words in cause.sentence for cause in causes), words


def test_the_right_answer_has_no_cause():
    for outcome in check("numpy", only=("importance", "masks")).outcomes:
        assert (outcome.status, outcome.causes) == ("passed", ())


def test_numbers_that_fit_no_mistake_get_no_cause():
    rng = np.random.default_rng(0)
    report = check({"cwi": lambda weight, **_: rng.random(weight.shape)}, only=("cwi",))
    assert len(report.failures) == len(report.outcomes)
    assert {outcome.causes for outcome in report.failures} == {()}


def test_a_mistake_that_another_case_contradicts_gives_way():
    def halves_only(n, sparsity):
        # Floating point: wrong in some cases with a half, right in others, and right wherever rounding up matters.
        return int(np.floor((1 - float(sparsity)) * n + 0.5))

    report = check({"budget": halves_only}, only=("budget",))
    assert report.failures
    assert report.total().passed
    for outcome in report.failures:
        assert outcome.causes == ("binary floating point instead of the decimal as written",)


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        (lambda x: (2 * x).astype(np.float32).astype(np.float64), "right to the precision of float32"),
        (lambda x: -2 * x, "y has the wrong sign"),
        (lambda x: x / 2, "y is 0.25 times what it should be"),
        (lambda x: 2 * x + 1, ""),
    ],
)
def test_general_patterns_need_no_catalogue(answer, said):
    one = function("doubled")
    numbers = NUMBERS + 1 / 3
    given = {"arguments": {"x": numbers}, "expected": {"y": 2 * numbers}}
    report = check({"doubled": answer}, cases=[case(one, **given)], functions=protocol_of(one))
    assert said in report.failures[0].cause
    assert bool(said) == bool(report.failures[0].cause)


def test_a_transposed_matrix_and_an_inverted_mask_are_recognised():
    one = function("doubled")
    matrix = np.arange(6.0).reshape(2, 3)
    given = {"arguments": {"x": matrix}, "expected": {"y": 2 * matrix}}
    report = check({"doubled": lambda x: 2 * x.T}, cases=[case(one, **given)], functions=protocol_of(one))
    assert report.failures[0].cause == "y is transposed"
    mask = np.array([True, False, False])
    other = function("chosen", outputs=(protocol.Output("exact", "", exact=True),))
    given = {"arguments": {"x": NUMBERS}, "expected": {"exact": mask}}
    report = check({"chosen": lambda x: ~mask}, cases=[case(other, **given)], functions=protocol_of(other))
    assert report.failures[0].cause == "exact has true and false exchanged"
