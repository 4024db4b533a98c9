"""One's own functions answer where they can, and the reference elsewhere."""

from __future__ import annotations

import numpy as np
import pytest

from sparcl_ref.verify.areas import functions
from sparcl_ref.workbook.parts import Part, Parts


def test_own_function_answers_and_is_counted():
    parts = Parts({"relu_backward": lambda dy, x: 7 * dy})
    assert parts.relu_backward(np.ones(3), np.ones(3)).tolist() == [7.0, 7.0, 7.0]
    part = parts.used()["relu_backward"]
    assert (part.own_calls, part.other_calls) == (1, 0)


def test_reference_answers_for_what_is_not_there():
    parts = Parts({})
    assert parts.relu_backward(dy=np.ones(3), x=np.array([-1.0, 0.0, 1.0])).tolist() == [0.0, 0.0, 1.0]
    part = parts.used()["relu_backward"]
    assert (part.own_calls, part.other_calls) == (0, 1)
    assert list(parts.used()) == ["relu_backward"]


def test_reference_answers_calls_with_arguments_that_are_not_taken():
    part = Part(functions()["cross_entropy"], lambda logits, labels: (np.zeros(len(logits)), logits))
    logits, labels = np.arange(6.0).reshape(2, 3), np.array([1, 2])
    assert part(logits, labels)[0].tolist() == [0.0, 0.0]
    per_sample, dlogits = part(logits, labels, [1, 2])
    assert (per_sample > 0).all()
    assert dlogits[:, 0].tolist() == [0.0, 0.0]
    assert (part.own_calls, part.other_calls) == (1, 1)


def test_outputs_come_in_the_protocol_order_also_from_a_dict():
    def linear_backward(dy, x, weight):
        return {"dbias": np.full(1, 3.0), "dx": np.full(1, 1.0), "dweight": np.full(1, 2.0)}

    parts = Parts({"linear_backward": linear_backward})
    one = np.ones((1, 1))
    assert [float(array[0]) for array in parts.linear_backward(one, one, one)] == [1.0, 2.0, 3.0]


def test_own_function_that_writes_into_its_arguments_spoils_nothing():
    def relu_forward(x):
        x[x < 0] = 0
        return x

    x = np.array([-1.0, 1.0])
    assert Parts({"relu_forward": relu_forward}).relu_forward(x).tolist() == [0.0, 1.0]
    assert x.tolist() == [-1.0, 1.0]


def test_an_error_says_whose_it_is():
    def relu_forward(x):
        raise ZeroDivisionError("oh")

    with pytest.raises(ZeroDivisionError, match="oh") as caught:
        Parts({"relu_forward": relu_forward}).relu_forward(np.ones(1))
    assert caught.value.__notes__ == ["raised by your relu_forward"]


def test_unknown_names_are_refused_with_a_hint():
    with pytest.raises(ValueError, match="'relu_bakward' is no function of the protocol; did you mean 'relu_backward'"):
        Parts({"relu_bakward": np.sin})
    with pytest.raises(AttributeError, match="'nothing' is no function of the protocol"):
        _ = Parts({}).nothing


@pytest.mark.parametrize(("given", "named"), [((1, 2), {}), ((), {}), ((1,), {"y": 2})])
def test_a_call_that_does_not_fit_shows_how_it_is_called(given, named):
    with pytest.raises(TypeError, match=r"it is called as relu_forward\(x\) -> y"):
        Parts({}).relu_forward(*given, **named)
