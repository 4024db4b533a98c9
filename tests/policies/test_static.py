"""The mask that never moves: the control of every other policy."""

from __future__ import annotations

import dataclasses

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from sparcl_ref.config import Config
from sparcl_ref.experiment import build
from sparcl_ref.streams import load_dataset
from tests import strategies as own


@given(own.sparsities(max_value=0.99), st.integers(1, 5), st.integers(1, 9))
def test_it_never_acts_and_asks_for_nothing(sparsity, task, epoch) -> None:
    policy = Config(sparsity=sparsity, policy="static").make_policy()
    assert policy.actions(task, epoch) == ()
    assert not policy.probes


def test_masks_of_a_whole_run_are_those_of_its_start_and_those_tdm_starts_from() -> None:
    config = Config(
        model="mlp", width=6, sparsity=0.5, policy="static", epochs=2, delta_k=2, batch_size=50, buffer_size=10
    )
    dataset = load_dataset("digits")
    trainer = build(config, dataset)
    before = [parameter.mask.copy() for parameter in trainer.model.sparsifiable()]
    for _ in trainer.events():
        pass
    moving = build(dataclasses.replace(config, policy="tdm"), dataset)
    for mask, parameter, other in zip(before, trainer.model.sparsifiable(), moving.model.sparsifiable(), strict=True):
        np.testing.assert_array_equal(parameter.mask, mask)
        np.testing.assert_array_equal(other.mask, mask)
        assert 0 < np.count_nonzero(mask) < mask.size
