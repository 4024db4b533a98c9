"""The page on adding something: its examples are one plugin, and each kind goes through run, cost and report."""

from __future__ import annotations

import importlib
import json
import re
import sys
from pathlib import Path

import numpy as np
import pytest

from sparcl_ref import flops, run, streams
from sparcl_ref.assembly import with_engine
from sparcl_ref.config import Config
from sparcl_ref.experiment import build
from sparcl_ref.extensions import REGISTRIES
from sparcl_ref.forecast import forecast
from sparcl_ref.layers import Layer
from sparcl_ref.methods import METHODS
from sparcl_ref.models import build_model
from sparcl_ref.streams import load_dataset
from tests.layers.common import check_against_torch, check_derivatives, upstream

PAGE = Path(__file__).parents[1] / "tutorials" / "pages" / "extend.md"
SMALL = [
    *["--model", "mlp", "--width", "8", "--epochs", "3", "--delta-k", "2", "--batch-size", "10", "--buffer-size", "20"]
]


@pytest.fixture(scope="module")
def plugin(tmp_path_factory) -> Path:
    """The examples of the page as a file."""
    path = tmp_path_factory.mktemp("plugin") / "sparcl_ref_page_examples.py"
    path.write_text("\n\n".join(re.findall(r"```python\n(.*?)```", PAGE.read_text(), flags=re.S)))
    return path


@pytest.fixture
def train(plugin, tmp_path, capsys):
    """Runs the command with the plugin; returns the record of its one run and what was printed."""

    def trained(*arguments: str):
        saved = [dict(known.added) for known in REGISTRIES]
        path = list(sys.path)
        try:
            code = run.main(["--plugin", str(plugin), *SMALL, *arguments, "--out", str(tmp_path / "out")])
        finally:
            for known, before in zip(REGISTRIES, saved, strict=True):
                known.added = before
            sys.path[:] = path
            sys.modules.pop(plugin.stem, None)
        out, err = capsys.readouterr()
        assert code == 0, err
        assert (tmp_path / "out" / "report.html").stat().st_size > 10_000
        (record,) = json.loads((tmp_path / "out" / "summary.json").read_text())["methods"]
        return record, out

    return trained


def test_a_method_of_ones_own_is_trained_counted_and_reported(train) -> None:
    record, out = train("--method", "anchor", "--strength", "0.3", "--sparsity", "0.5")
    assert record["name"] == "SparCL-Anchor .50"
    assert record["config"]["strength"] == 0.3
    assert record["train_flops"]["exact"] == record["predicted"]["train_flops"] > 0
    assert record["train_flops"]["paper"] > 0
    assert "SparCL-Anchor .50" in out


def test_a_policy_of_ones_own_moves_masks_and_goes_with_any_method(train) -> None:
    record, _ = train("--policy", "reshuffle", "--exchanged", "0.25", "--method", "er", "--sparsity", "0.5")
    assert record["name"] == "SparCL-ER .50 (reshuffled)"
    assert record["config"]["exchanged"] == 0.25
    assert record["train_flops"]["exact"] == record["predicted"]["train_flops"] > 0
    assert set(record["layer_sparsity"].values()) == {0.5}


def test_a_layer_of_ones_own_is_counted(train) -> None:
    record, _ = train("--model", "scaled", "--sparsity", "0.5")
    assert record["train_flops"]["exact"] == record["predicted"]["train_flops"] > 0
    assert record["memory_bytes"]["exact"] > 0


def test_a_layer_that_says_nothing_of_its_cost_trains_and_reads_unknown(train) -> None:
    record, out = train("--model", "unsaid", "--sparsity", "0.5")
    assert record["train_flops"] == {"paper": None, "exact": None}
    assert record["memory_bytes"] == {"paper": None, "exact": None, "exact_sparse_engine": None}
    assert record["class_il_accuracy"] > 0.15
    assert "unknown" in out


def test_a_rule_of_ones_own_decides_and_says_that_it_does_not_count(train) -> None:
    record, _ = train("--profile", "paper", "--mix", "shrink=keep-half", "--sparsity", "0.5", "--p-inter", "0")
    assert record["predicted"]["nominal"]
    assert record["config"]["mix"] == "shrink=keep-half"


def test_a_ranking_for_removal_of_ones_own_decides_who_leaves_and_costs_the_same(train) -> None:
    record, _ = train("--ddr-by", "hardest", "--sparsity", "0.5", "--epochs", "5", "--delta-k", "2")
    assert record["name"] == "SparCL-DER++ .50 (DDR hardest)"
    assert record["config"]["ddr_by"] == "hardest"
    assert record["train_flops"]["exact"] == record["predicted"]["train_flops"] > 0
    assert record["data_removed"]


def test_a_data_set_of_ones_own_is_found_by_name(train) -> None:
    record, _ = train("--dataset", "stripes", "--method", "joint", "--epochs", "12")
    assert record["class_order"] == [0, 1, 2, 3]
    assert record["class_il_accuracy"] > 0.9


def test_a_scenario_of_ones_own_makes_the_tasks(train) -> None:
    record, _ = train("--dataset", "stripes", "--stream", "two-ways-up", "--method", "er", "--sparsity", "0.5")
    assert len(record["class_il_matrix"]) == 3
    assert record["head"] == "full"
    assert record["task_il_accuracy"] is None


def test_derivatives_of_the_layer_on_the_page_are_right(plugin, monkeypatch) -> None:
    monkeypatch.syspath_prepend(plugin.parent)
    saved = [dict(known.added) for known in REGISTRIES]
    layer: Layer = importlib.import_module(plugin.stem).Scale(5, dtype=np.float64)
    sys.modules.pop(plugin.stem)  # where it stands, a later test registers nothing by importing it
    for known, before in zip(REGISTRIES, saved, strict=True):
        known.added = before
    rng = np.random.default_rng(0)
    layer.own_parameters()["weight"].value[...] = rng.standard_normal(5)
    x = rng.standard_normal((4, 5))
    dy = upstream(rng, x)
    check_derivatives(layer, x, dy)
    layer.own_parameters()["weight"].grad[...] = 0
    assert check_against_torch(layer, lambda x, weight: weight * x, x, dy) > 0


KINDS = ["method", "mask policy", "layer", "model", "rule", "data set", "conformance function"]


@pytest.mark.parametrize("kind", KINDS)
def test_every_file_the_page_names_exists(kind) -> None:
    (row,) = re.findall(rf"^\| {kind} \| (.*)$", PAGE.read_text(), flags=re.M)
    root = PAGE.parents[2]
    for named in re.findall(r"`([\w/]+\.py)`", row.split("|")[0]):
        folder, name = named.rsplit("/", 1) if "/" in named else ("", named)
        if name.isupper() or "NAME" in name or "AREA" in name:
            name = ""
        assert any((root / start / folder / name).exists() for start in ("", "sparcl_ref")), named


def test_a_plugin_that_fails_is_refused_in_one_line(tmp_path, capsys) -> None:
    broken = tmp_path / "broken_plugin.py"
    broken.write_text("1 / 0")
    for named, message in (
        (str(broken), "ZeroDivisionError: division by zero"),
        (str(tmp_path / "none.py"), "there is no such file"),
        ("no_such_module", "ModuleNotFoundError"),
    ):
        assert run.main(["--plugin", named, "--list"]) == 2
        err = capsys.readouterr().err
        assert message in err
        assert err.count("\n") == 1


OWN_KINDS = """
from dataclasses import dataclass
import numpy as np
from sparcl_ref import methods, models, policies
from sparcl_ref.layers import Dropout, Flatten, Linear, ReLU, Sequential
from sparcl_ref.methods import ER
from sparcl_ref.policies import Action, Policy
from sparcl_ref.masks import exact
from sparcl_ref.settings import OwnSettings, setting


class Freezing(ER):
    title, freezes = "Freezing", True

    def end_task(self, data):
        for parameter in self.model.sparsifiable():
            frozen = np.zeros(parameter.value.shape, bool) if parameter.frozen is None else parameter.frozen.copy()
            frozen.flat[np.flatnonzero(parameter.mask)[::4]] = True
            parameter.freeze(frozen)


class Twice(Policy):
    title = "twice"
    probes = probes_to_grow = True
    probe_samples = 9

    def actions(self, task, epoch, step=0):
        s = exact(self.schedule.sparsity)
        return (Action("shrink", s + exact("0.1")), Action("expand", s), Action("shrink", s + exact("0.05")),
                Action("expand", s))

    def scores(self, parameters, probe, rng):
        return [np.abs(p.value) + np.abs(g) for p, g in zip(parameters, probe(parameters, 9)[0])]

    def growth_scores(self, parameters, probe, rng):
        return [np.abs(g) for g in probe(parameters, 9)[0]]

    def grow(self, mask, weight, rng, *, active, sparsity, scores=None):
        dead = np.flatnonzero(~mask)
        best = dead[np.argsort(-scores.flat[dead], kind="stable")[: active - np.count_nonzero(mask)]]
        grown = mask.copy()
        grown.flat[best] = True
        return grown


class Doubled(Linear):
    def _forward(self, x, mode):
        y, cache = super()._forward(x, mode)
        return 2 * y, cache

    def _backward(self, dy, cache, need_dx):
        return super()._backward(2 * dy, cache, need_dx)


def doubled(*, input_shape, classes, width=8, dtype=np.float32, middle=Doubled):
    size = int(np.prod(input_shape))
    layers = {"flatten": Flatten(), "fc1": Linear(size, width, dtype=dtype), "relu": ReLU(),
              "fc2": middle(width, width, dtype=dtype, sparsifiable=True), "relu2": ReLU(),
              "drop": Dropout(0.2, rng=None), "linear": Linear(width, classes, dtype=dtype)}
    return models.Network("doubled", Sequential(layers), input_shape=input_shape, classes=classes)


def dense(**sizes):
    model = doubled(**sizes)
    for parameter in model.parameters():
        parameter.sparsifiable = False
    return model


@dataclass(frozen=True)
class Clashing(OwnSettings):
    momentum: float = setting(0.5, "clashes with a run's")


methods.register("freezing", Freezing)
policies.register("twice", Twice)
models.register("doubled", doubled)
models.register("dense", dense)
"""


@pytest.fixture
def own(tmp_path, monkeypatch):
    for known in REGISTRIES:
        monkeypatch.setattr(known, "added", {})
    (tmp_path / "own_kinds_of_a_test.py").write_text(OWN_KINDS)
    monkeypatch.syspath_prepend(tmp_path)
    yield importlib.import_module("own_kinds_of_a_test")
    sys.modules.pop("own_kinds_of_a_test")


SPARSE = {"model": "mlp", "width": 8, "epochs": 3, "delta_k": 2, "batch_size": 40, "buffer_size": 30, "sparsity": 0.5}


def test_frozen_entries_outlive_every_policy_to_the_bit(own) -> None:
    config = Config(**SPARSE, method="freezing", importance="random", momentum=0.9, weight_decay=1e-2)
    dataset = load_dataset("digits")
    assert forecast(config, dataset).nominal
    trainer, kept = build(config, dataset), {}
    for event in trainer.events():
        for parameter in trainer.model.sparsifiable():
            if parameter.frozen is not None:
                values = parameter.value[parameter.frozen]
                before = kept.get(parameter.name)
                if before is not None and event.kind != "end_task":
                    assert values.tobytes() == before
                kept[parameter.name] = values.tobytes()
    assert kept


def test_a_policy_may_act_several_times_and_grow_by_gradients_at_one_probe(own) -> None:
    config = Config(**SPARSE, policy="twice", ddr=False)
    dataset = load_dataset("digits")
    expected, trainer = forecast(config, dataset), build(config, dataset)
    for _ in trainer.events():
        pass
    assert trainer.ledger.train_flops == expected.train_flops["exact"]
    assert not expected.nominal
    assert {parameter.active for parameter in trainer.model.sparsifiable()} == {32}


@pytest.mark.parametrize("engine", ["numpy", "numba"])
def test_a_layer_with_passes_of_its_own_is_run_by_itself_in_either_engine(own, engine) -> None:
    rng = np.random.default_rng(0)
    model = build_model("doubled", input_shape=(1, 2, 2), classes=3, rng=rng)
    other, _ = with_engine(engine, model)
    x = rng.standard_normal((5, 1, 2, 2)).astype(np.float32)
    hidden = np.maximum(x.reshape(5, 4) @ model.state_dict()["fc1.weight"].T, 0)
    hidden = np.maximum(2 * hidden @ model.state_dict()["fc2.weight"].T, 0)
    logits = hidden @ model.state_dict()["linear.weight"].T
    np.testing.assert_allclose(other.forward(x, mode="eval"), logits, rtol=1e-4, atol=1e-5)


def test_dropout_draws_from_the_runs_own_stream_and_resumes(own) -> None:
    config = Config(**{**SPARSE, "model": "doubled", "sparsity": None}, method="sgd")
    dataset = load_dataset("digits")
    straight = build(config, dataset)
    for _ in range(20):
        straight.advance()
    resumed = build(config, dataset)
    resumed.load_state(straight.state())
    for trainer in (straight, resumed):
        for _ in range(10):
            trainer.advance()
    assert straight.model.state_dict()["fc1.weight"].tobytes() == resumed.model.state_dict()["fc1.weight"].tobytes()


def test_a_network_without_sparsifiable_weights_is_refused_before_training(own) -> None:
    with pytest.raises(ValueError, match="--sparsity needs sparsifiable weights, and dense has none"):
        forecast(Config(**{**SPARSE, "model": "dense"}), load_dataset("digits"))


def test_an_own_setting_that_every_run_has_is_refused(own, monkeypatch) -> None:
    monkeypatch.setattr(own.Freezing, "Settings", own.Clashing)
    with pytest.raises(ValueError, match="freezing declares a setting 'momentum', which every run has"):
        Config(method="freezing")


def test_what_workers_could_not_be_told_of_is_refused_before_the_run(own, tmp_path, monkeypatch, capsys) -> None:
    monkeypatch.chdir(tmp_path)
    streams.register("hidden", lambda: load_dataset("digits"))
    assert run.main(["--method", "sgd", "--epochs", "1", "--width", "4"]) == 2
    err = capsys.readouterr().err
    assert "the data set 'hidden' cannot be sent to worker processes" in err
    assert err.count("\n") == 1


def test_a_definition_made_anew_takes_the_old_ones_place(own) -> None:
    before = METHODS.find("freezing")
    again = type("Freezing", (before,), {"__module__": before.__module__})
    METHODS.register("freezing", again)
    assert METHODS.find("freezing") is again


def test_every_documented_group_of_entry_points_is_the_one_asked_for() -> None:
    groups = set(
        re.findall(
            r"`(sparcl_ref\.\w+)`", re.search(r"entry point of the group (.*?)\.\s", PAGE.read_text(), flags=re.S)[0]
        )
    )
    assert groups == {known.group for known in REGISTRIES if known.kind != "augmentation"}


def test_flops_prices_what_a_plugin_brings(plugin, own, capsys, monkeypatch) -> None:
    monkeypatch.delitem(sys.modules, plugin.stem, raising=False)
    request = ["--model", "scaled", "--method", "anchor", "--sparsity", "0.5", "--no-time"]
    assert flops.main(["--plugin", str(plugin), *request]) == 0
    assert "SparCL-Anchor .50" in capsys.readouterr().out
    sys.modules.pop(plugin.stem, None)


def test_seeds_with_class_orders_of_their_own_are_priced_one_by_one() -> None:
    common = {"sparsity": 0.5, "class_order": "random", "width": 4, "epochs": 5, "delta_k": 2}
    configs = [Config(**common, seed=seed) for seed in range(3)]
    datasets, forecasts = run.check(configs)
    assert [item.train_flops for item in forecasts] == [forecast(c, datasets["digits"]).train_flops for c in configs]
    assert len({item.train_flops["exact"] for item in forecasts}) > 1
