"""A-GEM: the projection, what it remembers, and the run beside PyTorch."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import assume, given
from hypothesis import strategies as st

from sparcl_ref.methods.agem import AGEM, dot, overlap, project
from tests import tiny
from tests.methods.common import new_batch, rehearsal
from tests.methods.twin import BASE, REGIMES, Twin, assert_equal_for_30_steps, assert_same_bits, run_of

FORMS = ("paper", "mammoth")
SHAPES = [(3, 2), (4,), (1, 2, 2)]


class TorchAGEM(Twin):
    """The paper's algorithm, all gradients as one vector."""

    projected = 0

    def step(self, x, y, old):
        grads = self.gradients(self.current(x, y))
        if old:
            (samples,) = old
            loss = self.cross_entropy(self.net(self.images(samples.images)), torch.tensor(samples.labels))
            g, r = (torch.cat([each.reshape(-1) for each in of.values()]) for of in (grads, self.gradients(loss)))
            if g @ r < 0:
                type(self).projected += 1
                g = g - (g @ r) / (r @ r) * r
            parts = torch.split(g, [grad.numel() for grad in grads.values()])
            grads = {name: part.view_as(grads[name]) for name, part in zip(grads, parts, strict=True)}
        self.set_gradients(grads)


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("regime", REGIMES)
def test_it_trains_as_its_twin(form, regime) -> None:
    TorchAGEM.projected = 0
    assert_equal_for_30_steps(TorchAGEM, method="agem", form=form, **REGIMES[regime])
    assert TorchAGEM.projected >= 3


def vectors(seed: int, *, scale: float = 1.0) -> list[np.ndarray]:
    rng = np.random.default_rng(seed)
    return [scale * rng.standard_normal(shape) for shape in SHAPES]


@given(st.integers(0, 10_000), st.integers(0, 10_000), st.sampled_from([1e-6, 1.0, 1e4]))
def test_what_is_left_never_points_against_the_reference_and_is_no_longer(seed, other, scale) -> None:
    g, r = vectors(seed), vectors(other + 20_000, scale=scale)
    found = project(g, r)
    size = np.sqrt(dot(g, g) * dot(r, r))
    assert dot(found, r) >= -1e-13 * size  # the rounding of a sum of some ten products
    assert dot(found, found) <= dot(g, g) * (1 + 1e-13)
    # Nothing is lost but along r: what was taken away is a multiple of it, and not more than there was.
    flat = [np.concatenate([a.reshape(-1) for a in each]) for each in (g, r, found)]
    taken = flat[0] - flat[2]
    expected = min(0.0, flat[0] @ flat[1]) / (flat[1] @ flat[1]) * flat[1]
    np.testing.assert_allclose(taken, expected, rtol=1e-9, atol=1e-13)


@given(st.integers(0, 10_000), st.integers(0, 10_000))
def test_a_gradient_that_agrees_keeps_its_bits(seed, other) -> None:
    g, r = vectors(seed), vectors(other + 20_000)
    assume(dot(g, r) >= 0)
    assert all(a is b for a, b in zip(project(g, r), g, strict=True))


@given(st.integers(0, 10_000), st.integers(0, 10_000), st.floats(1e-3, 1e3))
def test_the_length_of_the_reference_does_not_matter(seed, other, factor) -> None:
    g, r = vectors(seed), vectors(other + 20_000)
    for a, b in zip(project(g, r), project(g, [factor * part for part in r]), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-10, atol=1e-12)


def test_a_reference_of_zeros_leaves_the_gradient() -> None:
    g = vectors(1)
    assert overlap(g, [0 * part for part in g]) == 0
    assert project(g, [-part for part in g])[0] == pytest.approx(0)


def test_sums_are_float64() -> None:
    g = [np.array([1e4, 1.0, -1e4], np.float32)]
    assert dot(g, [np.array([1e4, 1.0, 1e4], np.float32)]) == 1
    assert project(g, [-part for part in g])[0].dtype == np.float32


@pytest.mark.parametrize("form", FORMS)
def test_the_first_task_is_that_of_fine_tuning(form) -> None:
    runs = [run_of(method="agem", form=form, classes_per_task=6), run_of(method="sgd", classes_per_task=6)]
    assert_same_bits(*runs)


def test_mammoth_keeps_one_batch_of_each_task_and_the_paper_equal_shares() -> None:
    held = {form: run_of(method="agem", form=form, buffer_size=50).buffer.content().tasks for form in FORMS}
    assert np.bincount(held["mammoth"]).tolist() == [0, *[BASE.batch_size] * 3]
    assert np.bincount(held["paper"]).tolist() == [0, 16, 16, 16]


def test_gradients_are_apart_until_they_are_projected() -> None:
    net = tiny.network(batchnorm=True)
    method = rehearsal(AGEM, net)
    step = method.observe(new_batch())
    for parameter, grad in zip(net.parameters(), step.current_grads, strict=True):
        np.testing.assert_array_equal(parameter.grad, grad)
    flipped = [-grad for grad in step.current_grads]
    step.replay_grads = flipped
    method.after_backward(step)
    for parameter in net.parameters():
        assert abs(parameter.grad).max() < 1e-15
