"""Prices before training: from sizes alone, equal to what a run records, and refusing what a run would refuse."""

from __future__ import annotations

import dataclasses
import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sparcl_ref import assembly, run
from sparcl_ref.config import Config
from sparcl_ref.experiment import train
from sparcl_ref.forecast import forecast, in_all
from sparcl_ref.forecast_text import forecast_text, outcome_text
from sparcl_ref.streams import Dataset, load_dataset
from sparcl_ref.trial import Trial, tried, with_trial

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
    assert expected.disk_bytes["masks"] == sum(bits.nbytes for bits in result.history.mask_alive)
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


def test_a_trial_adds_what_depends_on_the_machine(digits) -> None:
    one = forecast(SMALL, digits)
    assert (one.seconds, one.peak_memory_bytes) == (None, None)
    trial = Trial(
        step=1.0, adjustments=(0.0,) * len(one.work.adjustments), peak_memory_bytes=7, weights_bytes=10, state_bytes=100
    )
    known = with_trial(one, trial)
    assert known.seconds == trial.seconds(one.work) == one.steps - one.work.refreshes
    assert known.peak_memory_bytes == 7
    assert known.disk_bytes == {**one.disk_bytes, "weights": 10, "checkpoints": 200}
    assert with_trial(one, Trial(failure="no")) == one


def priced(digits, seconds: float | None, memory: int | None = 1_000_000, **changes):
    item = dataclasses.replace(forecast(SMALL, digits), disk_bytes={"weights": 10}, **changes)
    return dataclasses.replace(item, seconds=seconds, peak_memory_bytes=memory)


@given(st.lists(st.integers(1, 9), min_size=1, max_size=8), st.integers(1, 4))
def test_runs_take_the_first_worker_that_is_free(digits, lengths, jobs) -> None:
    free = [5.0] * jobs  # by hand: second after second
    for length in lengths:
        first = free.index(min(free))
        free[first] += length
    whole = in_all([priced(digits, length) for length in lengths], jobs=jobs, start_seconds=5.0)
    assert whole.seconds == max(free)


def test_in_all_the_largest_runs_are_held_at_once_and_all_files_kept(digits, monkeypatch) -> None:
    monkeypatch.setattr("sparcl_ref.forecast.peak_bytes", lambda: 1000)
    items = [priced(digits, 1.0, memory) for memory in (3, 5, 4)]
    whole = in_all(items, jobs=2, start_seconds=0.0, compile_seconds=2.0)
    assert whole.peak_memory_bytes == 1000 + 5 + 4
    assert whole.train_flops == 3 * items[0].train_flops["exact"]
    assert whole.disk_bytes - in_all(items[:1], jobs=1, start_seconds=0).disk_bytes == 20
    assert (whole.seconds, whole.compile_seconds) == (2.0, 2.0), "compiling is apart"
    unknown = in_all([*items, priced(digits, None, None)], jobs=2, start_seconds=0.0)
    assert (unknown.seconds, unknown.peak_memory_bytes, unknown.disk_bytes) == (None, None, None)


def test_text_has_a_row_for_each_name_and_says_what_is_unknown(digits) -> None:
    one = priced(digits, 3.0)
    unsaid = priced(digits, None, None, name="mine", train_flops={"paper": None, "exact": None})
    items = [one, one, unsaid]
    text = forecast_text(items, in_all(items, jobs=2, start_seconds=0.0), jobs=2)
    rows = [row.split() for row in text.splitlines()]
    assert rows[1][:2] == ["SparCL-DER++", ".50"]
    assert rows[1][2:] == ["2", f"{one.train_flops['exact'] / 1e9:.2f}", "3.0", "1", "0.0"]
    assert rows[2] == ["mine", "1", *["unknown"] * 4]
    assert rows[3] == ["in", "all", "3", *["unknown"] * 4]
    assert max(map(len, text.splitlines())) <= 80


def test_what_is_known_nearly_is_not_called_exact(digits) -> None:
    exact = priced(digits, 3.0)
    nearly = dataclasses.replace(exact, name="nearly", nominal=True)
    text = {
        which: forecast_text(items, in_all(items, jobs=2, start_seconds=0.0), jobs=2)
        for which, items in {"exact": [exact], "both": [exact, nearly]}.items()
    }
    assert "GFLOPs are exact; seconds" in text["exact"]
    assert "about" not in text["exact"]
    assert "GFLOPs are exact but for those marked about" in " ".join(text["both"].split())
    assert [line.count("about ") for line in text["both"].splitlines()[1:4]] == [0, 1, 1], "and in all"
    assert max(map(len, text["both"].splitlines())) <= 80


def test_forecast_and_measured_stand_side_by_side(digits) -> None:
    config = dataclasses.replace(SMALL, sparsity=None, method="sgd")
    expected = dataclasses.replace(forecast(config, digits), seconds=12.5, peak_memory_bytes=50_000_000)
    records = [
        dataclasses.replace(
            train(dataclasses.replace(config, seed=seed), dataset=digits, expected=expected),
            wall_seconds=10.0 + seed, peak_memory_bytes=60_000_000,
        ).record()
        for seed in range(2)
    ]  # fmt: skip
    assert records[1]["on_this_machine"] == {
        "seconds": {"forecast": 12.5, "measured": 11.0},
        "peak_memory_bytes": {"forecast": 50_000_000, "measured": 60_000_000},
    }
    *_, row = outcome_text(records).splitlines()
    flops = f"{expected.train_flops['exact'] / 1e9:.4g}"
    assert row.split() == ["SGD", "12.50", "10.50", "50.00", "60.00", flops, flops]
    bare = train(config, dataset=digits).record()
    assert bare["on_this_machine"]["seconds"]["forecast"] is None
    assert bare["on_this_machine"]["peak_memory_bytes"]["measured"] > 10_000_000
    assert outcome_text([bare]).splitlines()[-1].split()[1] == "unknown"


def test_estimate_prices_and_stops(capsys, tmp_path, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("sparcl_ref.training.train_all", lambda *args, **kwargs: pytest.fail("nothing is trained"))
    arguments = ["--model", "mlp", "--width", "8", "--epochs", "2", "--sparsity", "0.5", "--delta-k", "2", "--estimate"]
    assert run.main([*arguments, "--seeds", "3"]) == 0
    out = capsys.readouterr().out
    assert "train GFLOPs" in out
    assert "\nin all " in out
    assert run.main([*arguments, "--json"]) == 0
    said = json.loads(capsys.readouterr().out)
    (one,), whole = said["runs"], said["in_all"]
    assert one["train_flops"]["exact"] == whole["train_flops"] > 0
    assert 0 < one["seconds"] < whole["seconds"]
    assert 10_000_000 < one["peak_memory_bytes"] < whole["peak_memory_bytes"]
    assert one["disk_bytes"].keys() == {"summary", "metrics", "masks", "weights", "checkpoints"}
    assert sum(one["disk_bytes"].values()) < whole["disk_bytes"]
    assert list(tmp_path.iterdir()) == [], "and nothing is written"


def test_files_are_as_large_as_forecast(tmp_path, monkeypatch) -> None:
    arguments = ["--model", "convnet", "--width", "16", "--epochs", "2", "--sparsity", "0.5", "--delta-k", "2"]
    assert run.main([*arguments, "--out", str(tmp_path / "out"), "--json"]) == 0
    (weights,) = (tmp_path / "out" / "weights").iterdir()
    config = Config(model="convnet", width=16, epochs=2, sparsity=0.5, delta_k=2)
    digits = load_dataset("digits")
    known = with_trial(forecast(config, digits), tried(config, forecast(config, digits).work, digits)).disk_bytes
    # The weights but for the length of numbers in their JSON; text within a quarter.
    assert known["weights"] == pytest.approx(weights.stat().st_size, abs=100)
    for part, name in (("summary", "summary.json"), ("metrics", "metrics.csv")):
        assert known[part] == pytest.approx((tmp_path / "out" / name).stat().st_size, rel=0.3), name
    assert known["masks"] >= 0.3 * (tmp_path / "out" / "masks.npz").stat().st_size


def test_pixels_of_four_bytes_weigh_four_times_as_much_in_the_buffer(digits) -> None:
    wide = Dataset(
        name="wide",
        train_x=digits.train_x.astype(np.float32), train_y=digits.train_y,
        test_x=digits.test_x.astype(np.float32), test_y=digits.test_y,
    )  # fmt: skip
    one, four = (
        forecast(dataclasses.replace(SMALL, buffer_size=1000), data).memory_bytes["exact"] for data in (digits, wide)
    )
    pixels = 64 * (1000 + SMALL.batch_size)
    assert four - one == 3 * pixels


@pytest.mark.slow
@pytest.mark.parametrize("engine", ["numpy", "numba"])
def test_memory_is_held_within_a_tenth_of_the_forecast(engine, tmp_path) -> None:
    """Of a process, not of this one: libraries, data set, network, buffer, and what an engine keeps for reuse."""
    rng = np.random.default_rng(0)
    sizes = {"train": 2000, "test": 700}
    arrays = {f"{part}_x": rng.integers(0, 256, (size, 1, 28, 28), np.uint8) for part, size in sizes.items()}
    # Tasks of unequal size: their last batches differ.
    arrays |= {f"{part}_y": np.minimum(np.arange(size) % 11, 3) for part, size in sizes.items()}
    np.savez(tmp_path / "noise.npz", **arrays)
    arguments = [
        *["--dataset", str(tmp_path / "noise.npz"), "--model", "convnet", "--width", "32", "--engine", engine],
        *["--sparsity", "0.9", "--epochs", "2", "--delta-k", "2", "--no-ddr", "--out", str(tmp_path / "out")],
    ]
    assert run.main(arguments) == 0
    (record,) = json.loads((tmp_path / "out" / "summary.json").read_text())["methods"]
    memory = record["on_this_machine"]["peak_memory_bytes"]
    assert memory["forecast"] == pytest.approx(memory["measured"], rel=0.1)
