"""With right functions the loop comes to the numbers of the package; with others it uses what it is given."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from sparcl_ref import build
from sparcl_ref.workbook.training import Training, settings, train
from tests.workbook.few import few_digits

#: Both compute in float64 and differ in the order of sums only, some units in the last place a step; over some hundred
#: steps they grow to less than this part of the largest weight.
TOLERANCE = 1e-9


@pytest.fixture(scope="module")
def few():
    return few_digits()


def quiet(line):
    pass


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"seed": 3, "sparsity": 0.9, "delta_k": 3, "ddr_cutoff": 2, "dgm_interval": 2},
        {"importance_alpha": 1.5, "importance_beta": 0.25, "ddr_rho": 0.5, "buffer_size": 10, "dgm_q": 0.1},
        {"momentum": 0.5, "weight_decay": 0.001, "nesterov": True, "batch_size": 24, "replay_batch_size": 7},
    ],
)
def test_right_functions_give_the_packages_weights_masks_buffer_and_costs(changes, few):
    config = dataclasses.replace(settings(width=8, epochs=5), **changes)
    mine = Training({}, config, quiet, few)
    job = mine.run()
    trainer = build(config, few)
    removed = sum(0 if event.removed is None else len(event.removed) for event in trainer.events())
    assert removed > 0
    np.testing.assert_array_equal(job.matrix, trainer.history.class_il_matrix)
    assert job.flops == trainer.ledger.train_flops
    assert job.steps == trainer.cursor.updates
    values = {parameter.name: parameter for parameter in trainer.model.parameters()}
    for name, mask in mine.masks.items():
        np.testing.assert_array_equal(mask, values[name].mask)
    for name, value in trainer.model.state_dict().items():
        if value.dtype.kind == "i":  # batch-norm's count of batches, which nothing depends on
            continue
        np.testing.assert_allclose(mine.state[name], value, rtol=0, atol=TOLERANCE * max(1, np.abs(value).max()))
    kept = trainer.buffer.content()
    memory = mine.buffer.content()
    np.testing.assert_array_equal(memory.labels, kept.labels)
    np.testing.assert_array_equal(memory.images, kept.images)
    np.testing.assert_allclose(memory.logits, kept.logits, rtol=0, atol=1e-7)


def test_functions_given_are_used_even_if_they_are_wrong(few):
    called = []

    def relu_backward(dy, x):
        called.append(dy.shape)
        return dy

    config = settings(width=4, epochs=2)
    wrong, right = (train(own, config, quiet, dataset=few) for own in ({"relu_backward": relu_backward}, {}))
    assert wrong.own == {"relu_backward": len(called)}
    assert "relu_backward" not in wrong.stood_in
    assert not right.own
    assert not np.array_equal(wrong.matrix, right.matrix)


def test_it_tells_of_each_task_and_shows_who_computed_what(few):
    told = []
    job = train({"replay_size": lambda batch_size, presented, capacity: min(batch_size, presented, capacity)},
                settings(width=4, epochs=2), told.append, dataset=few)  # fmt: skip
    assert [line.split(",")[0] for line in told] == [f"after task {number}" for number in range(1, 6)]
    lines = str(job).splitlines()
    assert lines[1] == f"1 of {len(job.parts.used())} functions were yours"
    (row,) = (line.split() for line in lines if line.startswith("replay_size"))
    assert row[:3] == ["replay_size", "yours", f"{job.own['replay_size']:,}"]


def test_a_slow_function_is_named_before_the_time_is_spent(monkeypatch, few):
    told = []
    monkeypatch.setattr("sparcl_ref.workbook.training.LONG", 0.0)
    own = {"correct": lambda logits, labels: logits.argmax(axis=1) == labels}
    train(own, settings(width=2, epochs=2), told.append, dataset=few)
    assert told[0].startswith("this will take about")
    assert told[0].endswith("the slowest of yours is correct")


def test_settings_that_the_loop_does_not_follow_are_refused():
    config = dataclasses.replace(settings(), lr_schedule="cosine")
    with pytest.raises(ValueError, match=r"^lr_schedule must be constant here, got cosine; start from settings\(\)$"):
        train({}, config, quiet)
    with pytest.raises(ValueError, match=r"^method must be derpp here, got er; "):
        train({}, dataclasses.replace(settings(), method="er"), quiet)
    with pytest.raises(ValueError, match=r"^sparsity must be given here; "):
        train({}, settings(sparsity=None), quiet)


def test_a_layer_without_dead_weights_trains(few):
    config = settings(width=4, epochs=2, sparsity=0.0)
    job, trainer = train({}, config, quiet, dataset=few), build(config, few)
    for _ in trainer.events():
        pass
    np.testing.assert_array_equal(job.matrix, trainer.history.class_il_matrix)
