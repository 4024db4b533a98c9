"""Prices before training: from sizes alone, equal to what a run records, and refusing what a run would refuse."""

from __future__ import annotations

import dataclasses
import json

import numpy as np
import pytest

from sparcl_ref import assembly, run
from sparcl_ref.config import Config
from sparcl_ref.experiment import train
from sparcl_ref.forecast import estimated_seconds, forecast, forecast_text
from sparcl_ref.streams import Dataset, load_dataset

SMALL = Config(model="mlp", width=8, epochs=2, delta_k=2, batch_size=16, buffer_size=20, sparsity=0.5)


@pytest.fixture(scope="module")
def digits() -> Dataset:
    return load_dataset("digits")


@pytest.mark.parametrize("changes", [{}, {"method": "er", "sparsity": None}, {"method": "joint", "sparsity": None}])
def test_a_run_records_what_was_forecast(digits, changes) -> None:
    config = dataclasses.replace(SMALL, **changes)
    expected, events = forecast(config, digits), []
    result = train(config, dataset=digits, on_event=lambda event: events.append(event.kind))
    assert result.train_flops == expected.train_flops
    assert result.memory_bytes == expected.memory_bytes
    assert result.predicted == {"train_flops": expected.train_flops["exact"], "nominal": expected.nominal}
    assert result.steps == expected.steps == events.count("step")
    assert events.count("end_epoch") == expected.epochs
    assert result.name == expected.name == config.title


def test_nothing_is_built_for_it(digits, monkeypatch) -> None:
    def built(*args, **kwargs):
        raise AssertionError("a forecast builds no network, no method and no buffer")

    for name in ("build_model", "build_method", "ReservoirBuffer"):
        monkeypatch.setattr(assembly, name, built)
    assert forecast(dataclasses.replace(SMALL, model="resnet18", buffer_size=10**9), digits).memory_bytes["exact"] > 1e9


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"batch_size": 300}, "--batch-size must not exceed the smallest task's"),
        ({"ddr_rho": 1.0, "ddr_cutoff": 1, "epochs": 3}, "--ddr-rho 1.0 leaves none of the smallest task's"),
        ({"class_order": "0,1"}, "class order must contain each of 0..9"),
        ({"model": "convnet", "width": 1}, "width must be at least 2"),
    ],
    ids=str,
)
def test_what_a_run_would_refuse_is_refused_here(digits, changes, message) -> None:
    with pytest.raises(ValueError, match=message):
        forecast(dataclasses.replace(SMALL, **changes), digits)


def test_seconds_are_passes_and_updates_at_their_measured_times(digits, monkeypatch) -> None:
    monkeypatch.setattr("sparcl_ref.forecast.pass_and_update_seconds", lambda model, batch: (2.0, 0.5))
    expected = forecast(SMALL, digits)
    assert estimated_seconds(expected, SMALL, digits) == expected.pass_samples / 16 * 2 + expected.steps * 0.5


def test_text_has_a_row_for_each_name_and_says_what_is_unknown(digits) -> None:
    one = forecast(SMALL, digits)
    unsaid = dataclasses.replace(
        one, name="mine", train_flops=dict.fromkeys(one.train_flops), memory_bytes=dict.fromkeys(one.memory_bytes)
    )
    text = forecast_text([one, one, unsaid], [3.0, 3.0, 4.0], jobs=2)
    rows = text.splitlines()
    assert [row.split()[0] for row in rows[1:3]] == ["SparCL-DER++", "mine"]
    assert rows[2].split()[1:] == ["unknown", "unknown", "4.0"]
    assert rows[3].startswith("about 5 s in all")


def test_estimate_prices_and_stops(capsys, tmp_path, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("sparcl_ref.training.train_all", lambda *args, **kwargs: pytest.fail("nothing is trained"))
    arguments = ["--model", "mlp", "--width", "8", "--epochs", "2", "--sparsity", "0.5", "--delta-k", "2", "--estimate"]
    assert run.main(arguments) == 0
    out = capsys.readouterr().out
    assert "train GFLOPs (exact)" in out
    assert run.main([*arguments, "--json"]) == 0
    (priced,) = json.loads(capsys.readouterr().out)
    assert priced["train_flops"]["exact"] > 0
    assert priced["seconds"] >= 0
    assert list(tmp_path.iterdir()) == [], "and nothing is written"


def test_pixels_of_four_bytes_weigh_four_times_as_much_in_the_buffer(digits) -> None:
    wide = Dataset.from_arrays(
        "wide",
        train_x=digits.train_x.astype(np.float32), train_y=digits.train_y,
        test_x=digits.test_x.astype(np.float32), test_y=digits.test_y,
    )  # fmt: skip
    one, four = (
        forecast(dataclasses.replace(SMALL, buffer_size=1000), data).memory_bytes["exact"] for data in (digits, wide)
    )
    pixels = 64 * (1000 + SMALL.batch_size)
    assert four - one == 3 * pixels


def test_a_result_has_its_measures_as_attributes(digits) -> None:
    result = train(dataclasses.replace(SMALL, sparsity=None, method="sgd"), dataset=digits)
    record = result.record()
    assert result.class_il_accuracy == record["class_il_accuracy"] == np.mean(record["class_il_matrix"][-1])
    assert result.task_il_accuracy == record["task_il_accuracy"] == np.mean(record["task_il_matrix"][-1])
