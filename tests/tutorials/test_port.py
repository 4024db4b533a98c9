"""The port of tutorial 09 is right, and each of its mistakes is one."""

from __future__ import annotations

import dataclasses
import importlib.util
import json
import sys
from fractions import Fraction

import numpy as np
import pytest

from sparcl_ref.config import Config
from sparcl_ref.streams import load_dataset
from sparcl_ref.verify.record import record
from sparcl_ref.verify.trace import check
from sparcl_ref.verify.traces.canonical import CANONICAL, canonical_dataset, canonical_initial
from tests.tutorials.notebooks import TUTORIALS

#: The event at which a port with each mistake first departs, and what does; None: equal to the reference throughout.
DEPARTS = {
    "Rules": None,
    "NoBuffer": "task1.epoch2.begin/shrink/conv2.weight/mask",
    "Multiplied": None,  # but for -0.0, which equals 0
    "TiesByChance": "task1.epoch2.begin/shrink/conv3.weight/mask",
    "OneChunk": "task1.epoch2.begin/shrink/conv2.weight/current_gradient",
    "MomentumOfTheDead": "task1.epoch2.step0/update/conv2.weight/velocity",
    "WholeHead": "task1.end/evaluation/-/task_il_accuracy",
}


@pytest.fixture(scope="module")
def port():
    yield from beside("port")


@pytest.fixture(scope="module")
def port_runs(port):
    yield from beside("port_runs")


def beside(name):
    """A module that stands beside the tutorials, importable while it is used."""
    spec = importlib.util.spec_from_file_location(name, TUTORIALS / f"{name}.py")
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    spec.loader.exec_module(module)
    yield module
    del sys.modules[name]


@pytest.fixture(scope="module")
def reference(tmp_path_factory):
    config = dataclasses.replace(CANONICAL, ddr=False, dgm=False)
    path = tmp_path_factory.mktemp("port") / "reference.npz"
    return record(path, config, dataset=canonical_dataset(), initial=canonical_initial(config))


def test_every_mistake_is_tried(port):
    assert {"Rules", *(rules.__name__ for rules in port.MISTAKES)} == set(DEPARTS)
    assert {port.planted(seed) for seed in range(40)} == set(port.MISTAKES)


@pytest.mark.parametrize("name", DEPARTS)
def test_a_replayed_run_departs_where_its_mistake_is(port, port_runs, reference, name, tmp_path):
    report = check(port_runs.replay(getattr(port, name), reference, tmp_path / "mine.npz"), reference)
    assert (report.first and report.first.name) == DEPARTS[name]
    assert report.complete
    assert not report.unknown
    assert report.compared == 956


@pytest.mark.parametrize("momentum", [0.0, 0.5])
def test_other_settings_are_followed_too(port, port_runs, momentum, tmp_path):
    config = Config(
        model="convnet", width=8, sparsity=0.8, epochs=3, delta_k=3, batch_size=10, replay_batch_size=7,
        classes_per_task=3, buffer_size=15, p_inter=0.1, p_intra=0.05, importance_alpha=1.0, importance_beta=0.25,
        importance_samples=12, alpha=0.3, beta=0.2, lr=0.05, momentum=momentum, ddr=False, dgm=False, dtype="float64",
        seed=4,
    )  # fmt: skip
    reference = record(tmp_path / "reference.npz", config, dataset=canonical_dataset())
    report = check(port_runs.replay(port.Rules, reference, tmp_path / "mine.npz"), reference)
    assert report.conforms, report.text()
    assert report.compared > 250


def test_all_rules_of_a_seed_start_alike_and_see_the_same(port, port_runs):
    """Ports of one seed differ by their mistake alone: one that changes no weight ends at the same accuracy."""
    dataset = load_dataset("digits")
    names = ("train_x", "train_y", "test_x", "test_y", "scale", "mean", "std")
    data = {name: getattr(dataset, name) for name in names}
    config = Config(width=4, sparsity=0.5, epochs=2, batch_size=64, delta_k=2, buffer_size=20)
    one, other = (port_runs.accuracy(rules, config, data, seed=3) for rules in (port.Rules, port.Multiplied))
    assert one == other
    assert 0 < one < 1
    assert port_runs.accuracy(port.Rules, config, data, seed=4) != one


def test_the_budget_is_counted_in_decimals(port):
    assert port.Rules.budget(5, Fraction("0.9")) == 1


def test_the_committed_accuracies_are_those_of_all_ports():
    kept = json.loads((TUTORIALS / "results" / "ports" / "accuracy.json").read_text())
    assert set(kept) == {*DEPARTS, "reference"}
    assert np.array(list(kept.values())).shape == (8, 5)
    # What changes no step changes no answer.
    assert kept["Rules"] == kept["Multiplied"] == kept["WholeHead"]
    assert np.array(list(kept.values())).min() > 0.5
