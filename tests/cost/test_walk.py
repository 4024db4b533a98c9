"""Going through an epoch step by step gives what the closed form gives, where both can say it."""

from __future__ import annotations

import dataclasses

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sparcl_ref.cost import describe_model, predict
from sparcl_ref.methods import METHODS
from sparcl_ref.policies import POLICIES, TDM
from tests import strategies as own

SPEC = describe_model("convnet", input_shape=(1, 8, 8), classes=4, width=6)


class SteppedTDM(TDM):
    """Moves before epochs alone, as TDM does, but says that it might move within them."""

    by_step = True


@given(own.run_configs(budgets="uniform", mix=""), own.task_sizes(), st.sampled_from(sorted(METHODS)))
def test_epochs_without_a_change_cost_what_the_closed_form_says(config, sizes, method) -> None:
    if METHODS[method].joint or METHODS[method].own_masks or config.policy != "tdm" or not config.sparse:
        return
    config = dataclasses.replace(config, method=method)
    closed = predict(SPEC, config, sizes)
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(POLICIES.added, "stepped", SteppedTDM)
        stepped = predict(SPEC, dataclasses.replace(config, policy="stepped"), sizes)
    assert stepped.table == closed.table
    assert stepped.pass_samples == closed.pass_samples
    for one, other in zip(stepped.epochs, closed.epochs, strict=True):
        assert (one.steps, one.scored, one.probed, one.held) == (other.steps, other.scored, other.probed, other.held)
        assert sum(number for number, _ in one.updates) == sum(number for number, _ in other.updates)
