"""What the workbook says of each function, and what it counts."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from sparcl_ref.verify.areas import functions
from sparcl_ref.workbook import EXERCISES, Workbook


@pytest.fixture
def work():
    return Workbook()


def test_every_exercise_is_a_function_of_the_protocol_and_takes_arguments_of_it():
    known = functions()
    for exercise in EXERCISES:
        names = [argument.name for argument in known[exercise.function].arguments]
        assert set(exercise.takes) <= set(names)
    assert len(set(EXERCISES)) == len(EXERCISES) == 33


def test_a_right_function_counts_until_it_is_no_longer_right(work):
    def relu_backward(dy, x):
        return np.where(x > 0, dy, 0)

    def spoilt(dy, x):
        return dy * (x >= 0)

    graded = work.check(relu_backward)
    assert str(graded) == "relu_backward: right, 6 cases\n1 of 33"
    assert work.right == {"relu_backward": relu_backward}
    spoilt.__name__ = "relu_backward"
    graded = work.check(spoilt)
    assert str(graded).splitlines()[1:] == ["  looks like the derivative at 0 taken as 1: >= instead of >", "0 of 33"]
    assert work.right == {}
    assert work.functions == {"relu_backward": spoilt}


def test_an_exercise_may_ask_for_more_than_the_one_before(work):
    def cross_entropy(logits, labels):
        return right(logits, labels)

    def with_classes(logits, labels, classes=None):
        return right(logits, labels, classes=classes)

    right = functions()["cross_entropy"].reference
    assert work.check(cross_entropy).progress == "1 of 33"
    with_classes.__name__ = "cross_entropy"
    assert work.check(with_classes).progress == "2 of 33"
    assert [exercise.takes for exercise in work.done] == [(), ("classes",)]


def test_progress_lists_what_is_to_do(work):
    assert repr(work).startswith("0 of 33 done; to do: linear_forward, linear_backward, relu_forward,")
    known = functions()
    for name in {exercise.function for exercise in EXERCISES} - {"cross_entropy"}:

        def one(*, _name=name, **given):
            return known[_name].right(**given)

        one.__name__ = name
        work.check(one)
    assert repr(work) == "31 of 33 done; to do: cross_entropy, cross_entropy with classes"


def test_functions_beyond_the_exercises_are_graded_and_used(work):
    def global_avg_pool2d_forward(x):
        return x.mean(axis=(2, 3))

    graded = work.check(global_avg_pool2d_forward)
    assert graded.answer.state == "right"
    assert graded.progress == "0 of 33"
    assert list(work.right) == ["global_avg_pool2d_forward"]


def test_what_is_no_function_of_the_protocol_is_refused(work):
    def relu_bakward(dy, x):
        return dy

    with pytest.raises(ValueError, match="no function 'relu_bakward'; did you mean 'relu_backward'"):
        work.check(relu_bakward)
    with pytest.raises(TypeError, match=r"check takes the function, as in check\(relu_backward\), got NoneType"):
        work.check(None)


def test_a_notebook_shows_answer_count_and_the_report_of_what_is_wrong(work):
    def relu_forward(x):
        return np.fmax(x, 0)

    page = work.check(relu_forward)._repr_html_()
    assert "looks like NaN turned into 0" in page
    assert "<b>0 of 33</b>" in page
    assert "FAILED relu_forward/not-a-number" in page


def test_it_trains_with_what_is_right_alone(work, monkeypatch):
    def relu_forward(x):
        return np.maximum(x, 0)

    def relu_backward(dy, x):
        return dy

    for function in (relu_forward, relu_backward):
        work.check(function)
    taken = []
    monkeypatch.setattr("sparcl_ref.workbook.progress.train", lambda own, config: taken.append((own, config)))
    work.train(width=4, seed=7)
    ((own, config),) = taken
    assert own == {"relu_forward": relu_forward}
    assert (config.width, config.seed, config.dtype) == (4, 7, "float64")


def test_a_function_that_writes_into_its_argument_does_not_count(work):
    def relu_backward(dy, x):
        dy[x <= 0] = 0
        return dy

    graded = work.check(relu_backward)
    assert str(graded) == "relu_backward: writes into dy, which others still need; work on a copy\n0 of 33"
    assert work.right == {}

    def copied(dy, x):
        dy = dy.copy()
        dy[x <= 0] = 0
        return dy

    copied.__name__ = "relu_backward"
    assert work.check(copied).progress == "1 of 33"


@pytest.mark.parametrize(
    ("call", "kind", "message"),
    [
        (lambda work: work.check(len), ValueError, r"^the protocol has no function 'len'$"),
        (lambda work: work.check(3), TypeError, r"^check takes the function, as in check\(relu_backward\), got int$"),
        (
            lambda work: work.train(methd="er"),
            TypeError,
            r"^train takes width, epochs, sparsity and seed, got 'methd'$",
        ),
        (
            lambda work: work.train(epoch=5),
            TypeError,
            r"^train takes width, epochs, sparsity and seed, got 'epoch'; did you mean 'epochs'\?$",
        ),
        (lambda work: work.train(epochs=0), ValueError, r"^epochs must be at least 1, got 0$"),
        (lambda work: work.train(epochs=1), ValueError, r"^epochs must be at least 2, .* got 1$"),
        (lambda work: work.train(sparsity=2), ValueError, r"^sparsity must be in 0\.\.1, below 1 .*, got 2"),
        (lambda work: work.train(seed="x"), ValueError, r"^seed must be a whole number, got 'x'$"),
    ],
)
def test_what_cannot_be_meant_is_refused_in_a_line_that_a_notebook_shows_alone(work, call, kind, message):
    with pytest.raises(kind, match=message) as refused:
        call(work)
    assert "--" not in str(refused.value)
    assert refused.value._render_traceback_() == [f"{kind.__name__}: {refused.value}"]


def test_an_error_is_told_with_the_readers_own_line(work):
    """Not with one of the watch that looks what the function writes into."""

    def relu_backward(dy, x):
        return dy[:, :, :, :, :, :, 0]

    line = relu_backward.__code__.co_firstlineno + 1
    said = str(work.check(relu_backward))
    assert f"(line {line} of {Path(__file__).name})" in said
