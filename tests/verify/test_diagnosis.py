"""Every known mistake fails the frozen cases and is recognised by its numbers; nothing is made up where none fits."""

from __future__ import annotations

import dataclasses
from collections import defaultdict
from functools import cache

import numpy as np
import pytest

from sparcl_ref.verify import check
from sparcl_ref.verify.areas import functions
from sparcl_ref.verify.areas.layers.linear import linear_backward
from sparcl_ref.verify.cases import load_cases
from sparcl_ref.verify.diagnosis import mistaken_outputs
from sparcl_ref.verify.function import Output
from sparcl_ref.verify.mistake import Mistake
from sparcl_ref.verify.patterns import NARROW
from tests.verify.world import NUMBERS, case, function, protocol

FUNCTIONS = functions()
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


def mistaken_adapter(own, mistake):
    """Answers each case right but for what the mistake changes, in the order of the cases."""
    answers = []
    for one in frozen()[own.name]:
        right = {output.name: one.expected.get(output.name) for output in own.outputs}
        answers.append(right | mistaken_outputs(mistake, one, own))
    replies = iter(answers)
    return {own.name: lambda **given: next(replies)}


@pytest.mark.parametrize("name", FUNCTIONS)
def test_every_known_mistake_is_caught_and_named(name):
    for mistake in FUNCTIONS[name].mistakes:
        adapter = mistaken_adapter(FUNCTIONS[name], mistake)
        report = check(adapter, cases=frozen()[name], functions={name: FUNCTIONS[name]})
        assert report.failures, f"no frozen case tells {mistake.sentence!r} from the right answer"
        named = {sentence for outcome in report.failures for sentence in outcome.causes}
        assert mistake.sentence in named, f"{mistake.sentence!r} is taken for {sorted(named)}"
        assert {outcome.area for outcome in report.failures} == {FUNCTIONS[name].area}


def test_there_are_many_and_the_famous_ones_are_among_them():
    known = {(one.name, mistake.sentence) for one in FUNCTIONS.values() for mistake in one.mistakes}
    assert len(known) > 200
    for name, words in NAMED:
        assert any(words in mistake.sentence for mistake in FUNCTIONS[name].mistakes), words


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


def test_a_mistake_behind_one_of_two_wrong_outputs_gives_way_to_one_behind_both():
    def averaged(dy, x, weight, grad_mask):
        dx, dweight, dbias = linear_backward(dy, x, weight, grad_mask)
        return dx, dweight / max(1, len(x)), dbias / max(1, len(x))

    for outcome in check({"linear_backward": averaged}, only=("linear_backward",)).failures:
        (sentence,) = outcome.causes
        assert sentence.startswith("parameter gradients averaged over the batch")


def test_a_mistake_that_explains_most_failures_is_named_in_part():
    def mostly_from_one(iteration, interval):
        return iteration == 1 if interval == 1 else (iteration + 1) % interval == 0

    report = check({"is_refresh": mostly_from_one}, only=("is_refresh",))
    counted = [outcome.causes for outcome in report.failures]
    words = f"iterations counted from 1 (in part: it explains {sum(map(bool, counted))} of {len(counted)} failed cases)"
    assert len(counted) > sum(map(bool, counted)) > len(counted) / 2
    assert set(counted) == {(words,), ()}


def test_a_mistake_that_explains_few_failures_is_not_named():
    def neither(grad_current, grad_buffer, alpha, beta):
        if np.any(grad_buffer):
            return alpha * np.abs(grad_current) + 7
        return alpha * np.abs(grad_current) + 3

    assert {outcome.causes for outcome in check({"cgi": neither}, only=("cgi",)).failures} == {()}


DOUBLED = function("doubled")


def test_of_two_mistakes_that_explain_as_many_failures_in_part_neither_is_named():
    def tripled(sentence, unless):
        return Mistake(sentence, lambda x: {} if x[0] == unless else {"y": 3 * x})

    for exceptions, named in (((1.0, 2.0), set()), ((1.0, 1.0), {"one"}), ((1.0, 9.0), {"two"})):
        mistakes = tuple(map(tripled, ("one", "two"), exceptions))
        one = dataclasses.replace(DOUBLED, mistakes=mistakes[:1] if exceptions == (1.0, 1.0) else mistakes)
        inputs = (np.array([first, 1.0]) for first in (1.0, 2.0, 3.0))
        cases = [case(one, str(i), arguments={"x": x}, expected={"y": 2 * x}) for i, x in enumerate(inputs)]
        report = check({"doubled": lambda x: 3 * x}, cases=cases, functions=protocol(one))
        causes = {sentence.split(" (")[0] for outcome in report.failures for sentence in outcome.causes}
        assert causes == named


def doubled(answer, *inputs):
    """Failures of a function that is to double its input."""
    cases = [case(DOUBLED, str(i), arguments={"x": x}, expected={"y": 2 * x}) for i, x in enumerate(inputs)]
    return check({"doubled": answer}, cases=cases, functions=protocol(DOUBLED)).failures


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        (lambda x: -2 * x, "y has the wrong sign"),
        (lambda x: x / 2, "y is 0.25 times what it should be"),
        (lambda x: 2 * x + 1, ""),
    ],
)
def test_general_patterns_need_no_catalogue(answer, said):
    (failure,) = doubled(answer, NUMBERS + 1 / 3)
    assert (failure.pattern, failure.causes) == (said, ())


@pytest.mark.parametrize("after", [0.0, 1e-12], ids=["at the end", "on the way"])
def test_float32_is_named_by_its_roundings(after):
    thirds = NUMBERS + 1 / 3
    failures = doubled(lambda x: (2 * x).astype(np.float32).astype(np.float64) + after, thirds, thirds[1:])
    assert [failure.causes for failure in failures] == [(NARROW,), (NARROW,)]


def test_one_result_that_is_a_float32_number_is_enough():
    (failure,) = doubled(lambda x: (2 * x).astype(np.float32).astype(np.float64), NUMBERS + 1 / 3)
    assert failure.causes == (NARROW,)


def test_a_narrow_output_beside_a_right_one_is_named():
    one = function("both", outputs=(Output("y", ""), Output("z", "")))
    inputs = (NUMBERS, NUMBERS + 1 / 3)  # halves are float32 numbers, thirds of one output are not
    cases = [case(one, str(i), arguments={"x": x}, expected={"y": 2 * x, "z": x / 3}) for i, x in enumerate(inputs)]
    answer = {"both": lambda x: ((2 * x).astype(np.float32).astype(np.float64), x / 3)}
    report = check(answer, cases=cases, functions=protocol(one))
    assert [outcome.causes for outcome in report.outcomes] == [(), (NARROW,)]


def test_a_small_constant_is_not_taken_for_float32():
    thirds = NUMBERS + 1 / 3
    assert {failure.causes for failure in doubled(lambda x: 2 * x + 1e-8, thirds, thirds[:2])} == {()}


def test_float32_that_a_passed_case_excludes_is_not_named():
    thirds = NUMBERS + 1 / 3
    narrow_once = doubled(
        lambda x: (2 * x).astype(np.float32 if len(x) == 3 else float).astype(float), thirds, thirds[:2]
    )
    assert [failure.causes for failure in narrow_once] == [()]


def test_a_transposed_matrix_and_an_inverted_mask_are_recognised():
    (failure,) = doubled(lambda x: 2 * x.T, np.arange(6.0).reshape(2, 3))
    assert failure.pattern == "y is transposed"
    mask = np.array([True, False, False])
    other = function("chosen", outputs=(Output("exact", "", exact=True),))
    given = {"arguments": {"x": NUMBERS}, "expected": {"exact": mask}}
    report = check({"chosen": lambda x: ~mask}, cases=[case(other, **given)], functions=protocol(other))
    assert report.failures[0].pattern == "exact has true and false exchanged"


def test_float32_is_no_cause_where_one_failure_is_larger():
    """A variance that is limited by eps from below is nearly right where it is large, and far off where it is not."""

    def limited(x, weight, bias, running_mean, running_var, mode, momentum, eps):
        right = functions()["batchnorm2d_forward"].reference
        y, mean, variance = right(x, weight, bias, running_mean, running_var, mode, momentum, eps)
        scale = np.sqrt((running_var if mode == "eval" else x.var((0, 2, 3))) + eps)
        wrong = np.sqrt(np.maximum(scale**2 - eps, eps))
        shape = (1, -1, 1, 1)
        return (y - bias.reshape(shape)) * (scale / wrong).reshape(shape) + bias.reshape(shape), mean, variance

    named = functions()["batchnorm2d_forward"]
    sentence = "the variance limited from below by eps instead of eps added"
    for one, causes in ((named, {sentence}), (dataclasses.replace(named, mistakes=()), set())):
        report = check({named.name: limited}, cases=frozen()[named.name], functions={named.name: one})
        assert {cause for outcome in report.failures for cause in outcome.causes} == causes


def test_the_living_rounded_in_floating_point_are_not_taken_for_the_dead_rounded_up():
    report = check({"budget": lambda n, sparsity: round((1 - min(max(float(sparsity), 0), 1)) * n)}, only=["budget"])
    causes = {sentence for outcome in report.failures for sentence in outcome.causes}
    assert causes == {"rounded to the nearest in floating point: halves to even, decimals in binary"}
