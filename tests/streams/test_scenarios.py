"""How a data set becomes tasks of all classes, and what a run of them measures and refuses."""

from __future__ import annotations

import dataclasses
import json

import numpy as np
import pytest
from hypothesis import given

from sparcl_ref import Config, build, load_dataset, run, train
from sparcl_ref.forecast import forecast
from sparcl_ref.randomness import own_stream
from sparcl_ref.report import aggregate, format_table
from sparcl_ref.streams import SCENARIOS, Dataset, Plan, Scenario, domain_incremental, joint
from sparcl_ref.streams.permuted import PERMUTED
from sparcl_ref.streams.rotated import ROTATED, rotation
from tests import strategies
from tests.streams.conftest import EXCERPT

SMALL = {"model": "mlp", "width": 8, "epochs": 3, "batch_size": 64, "engine": "numpy", "domains": 3}
SPARSE = Config(method="derpp", sparsity=0.5, delta_k=2, ddr_cutoff=1, stream="permuted", **SMALL)


def plan(seed=0, domains=3):
    return Plan(classes_per_task=2, class_order=tuple(range(10)), domains=domains, rng=np.random.default_rng(seed))


@pytest.mark.parametrize("scenario", [PERMUTED, ROTATED])
def test_every_task_has_all_images_and_classes(scenario):
    digits = load_dataset("digits")
    stream = scenario.make(digits, plan())
    assert not stream.class_incremental
    assert not scenario.class_incremental
    assert [task.number for task in stream.tasks] == [1, 2, 3]
    assert stream.training is stream.tasks
    n = len(digits.train_x)
    for t, task in enumerate(stream.tasks):
        assert task.classes == tuple(range(10))
        assert task.train_index.tolist() == list(range(t * n, (t + 1) * n))
        np.testing.assert_array_equal(stream.dataset.train_y[task.train_index], digits.train_y, strict=True)
        np.testing.assert_array_equal(stream.dataset.test_y[task.test_index], digits.test_y, strict=True)
        transform = stream.dataset.train_x.transforms[t]
        np.testing.assert_array_equal(stream.dataset.train_x[task.train_index], transform(digits.train_x))
        np.testing.assert_array_equal(stream.dataset.test_x[task.test_index], transform(digits.test_x))
    together = joint(stream)
    assert together.training[0].train_index.tolist() == list(range(3 * n))
    assert together.tasks is stream.tasks
    assert not together.class_incremental


@given(strategies.seeds())
def test_orders_and_angles_come_from_the_scenarios_generator(seed):
    digits = load_dataset("digits")
    orders = [transform.order for transform in PERMUTED.make(digits, plan(seed)).dataset.train_x.transforms]
    rng = np.random.default_rng(seed)
    assert [order.tolist() for order in orders] == [rng.permutation(64).tolist() for _ in range(3)]
    angles = [transform.degrees for transform in ROTATED.make(digits, plan(seed)).dataset.train_x.transforms]
    assert angles == np.random.default_rng(seed).uniform(0, 180, 3).tolist()


def test_seeds_and_methods_see_what_they_should():
    def orders(**changed):
        stream = build(dataclasses.replace(SPARSE, **changed)).stream
        return [transform.order.tolist() for transform in stream.dataset.train_x.transforms]

    rng = own_stream(0, "scenario permuted")
    assert orders() == [rng.permutation(64).tolist() for _ in range(3)], "drawn from nobody else's stream"
    assert orders() == orders(method="er", sparsity=None)
    assert orders() != orders(seed=1)
    assert len(orders(domains=None)) == 5


@pytest.mark.parametrize("stream", ["permuted", "rotated"])
@pytest.mark.parametrize("validation", [None, 0.3])
def test_a_sparse_run_costs_what_was_forecast_and_measures_no_task_il(stream, validation):
    config = dataclasses.replace(SPARSE, stream=stream, validation=validation)
    assert config.effective_head == "full"
    expected = forecast(config, load_dataset("digits"))
    result = train(config)
    assert result.train_flops["exact"] == expected.train_flops["exact"]
    assert result.steps == expected.steps
    assert len(result.data_removed) == 3, "data removal works on images that are made when asked for"
    record = json.loads(json.dumps(result.record()))
    assert np.shape(record["class_il_matrix"]) == (4, 3)
    assert record["task_il_matrix"] is record["task_il_accuracy"] is result.task_il_accuracy is None
    assert record["forgetting"] is not None
    row = format_table(aggregate([record])).splitlines()[3].split()
    assert row[3] == "-", "where the percent of Task-IL stands"


def test_learning_a_task_again_under_the_same_transform_needs_no_learning():
    """Task 2 is task 1 turned by nothing: what was learned holds, so that indices and transforms belong together."""
    digits = load_dataset("digits")
    stream = domain_incremental(digits, [rotation(0.0, 8, 8), rotation(0.0, 8, 8)])
    np.testing.assert_array_equal(stream.dataset.train_x[stream.tasks[1].train_index], digits.train_x, strict=True)


def test_a_page_and_a_table_are_made_of_it(tmp_path, capsys, monkeypatch):
    """On real images, in a worker process, which is told where they are."""
    monkeypatch.setenv("SPARCL_REF_DATA", str(tmp_path))
    data = ["--dataset", "fashion-mnist", "--data-dir", str(EXCERPT)]
    given_settings = ["--stream", "rotated", "--method", "er", "--domains", "2", "--validation", "0.2"]
    rest = ["--model", "mlp", "--width", "4", "--epochs", "1", "--engine", "numpy", "--out", str(tmp_path / "run")]
    assert run.main([*data, *given_settings, *rest]) == 0
    printed = capsys.readouterr()
    assert "Accuracies are those on 0.2 of the training images, set aside for validation." in printed.out
    assert "warning: fashion-mnist is an excerpt here, 2,500 of 60,000 training and 500 of 10,000 test" in printed.err
    summary = json.loads((tmp_path / "run" / "summary.json").read_text())
    assert summary["dataset"]["stream"] == "rotated"
    assert summary["dataset"]["validation"] == 0.2
    assert summary["methods"][0]["task_il_matrix"] is None
    page = (tmp_path / "run" / "report.html").read_text()
    assert "Class-IL accuracy in %" in page
    assert "Task-IL accuracy in %" not in page


def test_more_tasks_than_fit_into_memory_are_refused_at_once():
    with pytest.raises(
        ValueError, match=r"^--domains 10000000000000 takes 287,520,000,000,000,000 bytes of memory, and"
    ):
        forecast(Config(stream="permuted", **SMALL | {"domains": 10**13}), load_dataset("digits"))


def halves(dataset: Dataset, plan: Plan):
    """A scenario from outside: the images as they are, then upside down."""
    return domain_incremental(dataset, [rotation(0.0, 8, 8), rotation(180.0, 8, 8)])


def test_a_scenario_from_outside():
    SCENARIOS.register("flipped", Scenario("right way up, then upside down", class_incremental=False, make=halves))
    try:
        trainer = build(Config(stream="flipped", method="er", **SMALL))
        assert len(trainer.stream.tasks) == 2
        with pytest.raises(ValueError, match=r"^there is a stream named 'split' already"):
            SCENARIOS.register("split", ROTATED)
        with pytest.raises(TypeError, match=r"^stream 'mine': register a Scenario, "):
            SCENARIOS.register("mine", halves)
    finally:
        del SCENARIOS.added["flipped"]
