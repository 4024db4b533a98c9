"""What runs need in memory against what there is, before they start."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sparcl_ref import memory, run, run_memory
from sparcl_ref.config import Config
from sparcl_ref.run_memory import require_memory_for_runs, run_parts
from sparcl_ref.streams import Dataset, load_dataset

#: 100 and 200 bytes, of which most are another part.
NEEDS = [{"weights": 90, "buffer": 10}, {"weights": 20, "buffer": 180}]


@pytest.mark.parametrize(
    ("available", "jobs", "says"),
    [
        (300, 2, None),
        (299, 2, "2 runs at a time need 0.0 GB of memory, and 0.0 GB are there; lower --jobs"),
        (200, 1, None),
        (199, 1, "the run needs .*; lower --buffer-size"),
        (199, 2, "2 runs at a time need .*; lower --buffer-size"),
        (None, 2, None),
    ],
)
def test_the_largest_runs_must_fit_side_by_side(available, jobs, says, monkeypatch):
    monkeypatch.setattr(run_memory, "available_bytes", lambda: available)
    if says is None:
        require_memory_for_runs(NEEDS, jobs=jobs)
        return
    with pytest.raises(ValueError, match=says):
        require_memory_for_runs(NEEDS, jobs=jobs)


@pytest.mark.parametrize(
    ("part", "lower"),
    [
        ("gradients", "--width"),
        ("masks", "--width"),
        ("activations", "--batch-size"),
        ("batch", "--batch-size"),
        ("data", "the size of --dataset"),
    ],
)
def test_what_to_lower_is_what_the_largest_part_comes_from(part, lower, monkeypatch):
    monkeypatch.setattr(run_memory, "available_bytes", lambda: 10)
    with pytest.raises(ValueError, match=f"needs 3.0 GB of memory, and 0.0 GB are there; lower {lower}$"):
        require_memory_for_runs([{"weights": 10**9, part: 2 * 10**9}], jobs=1)


@given(st.lists(st.integers(0, 2**70), min_size=1, max_size=5), st.integers(1, 5), st.integers(0, 2**70))
def test_so_many_at_a_time_are_refused_exactly_if_their_sum_is_not_there(sizes, jobs, available):
    needed = sum(sorted(sizes, reverse=True)[:jobs])
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(run_memory, "available_bytes", lambda: available)
        try:
            require_memory_for_runs([{"data": size} for size in sizes], jobs=jobs)
            refused = False
        except ValueError:
            refused = True
    assert refused == (needed > available)


def test_a_run_needs_its_forecast_and_its_own_data():
    digits = load_dataset("digits")
    few, many = (run_parts(Config(buffer_size=size), digits) for size in (100, 300))
    assert many["buffer"] == 3 * few["buffer"]
    assert many | {"buffer": 0} == few | {"buffer": 0}
    arrays = (digits.train_x, digits.train_y, digits.test_x, digits.test_y)
    assert few["data"] == sum(array.nbytes for array in arrays)


def test_a_run_for_which_there_is_no_memory_is_refused_before_anything_is_built(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(run_memory, "available_bytes", lambda: 10_000)
    monkeypatch.setattr("sparcl_ref.run.with_trials", pytest.fail)
    assert run.main(["--tiny"]) == 2
    said = capsys.readouterr()
    assert said.err.count("\n") == 1
    assert "2 runs at a time need 0.0 GB of memory, and 0.0 GB are there; lower --width" in said.err
    assert list(tmp_path.iterdir()) == []


def test_pricing_measures_only_what_fits(monkeypatch, capsys):
    from sparcl_ref import flops

    monkeypatch.setattr(memory, "available_bytes", lambda: 10_000_000)
    assert flops.main(["--width", "400"]) == 2
    assert "measuring the run, which --no-time leaves out, takes" in capsys.readouterr().err
    assert flops.main(["--width", "400", "--no-time"]) == 0


def test_a_network_is_described_without_its_memory():
    """Its arrays are asked for, and never touched: the pages of untouched zeros take no memory."""
    import resource

    from sparcl_ref.cost import describe_model

    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    spec = describe_model("convnet", input_shape=(1, 8, 8), classes=10, width=4000)
    # 0.9 GB of weights in float32, and as much of gradients.
    assert spec.parameters > 200_000_000
    assert 1024 * (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) < 200_000_000


def test_what_is_mapped_from_a_file_is_not_held(tmp_path):
    labels, images = np.arange(40) % 4, np.random.default_rng(0).random((40, 1, 500, 500))
    np.savez(tmp_path / "large.npz", train_x=images, train_y=labels, test_x=images[:4], test_y=labels[:4])
    config = Config(method="sgd", model="mlp", width=4, batch_size=10)
    mapped, held = load_dataset(tmp_path / "large.npz"), Dataset(images, labels, images[:4], labels[:4])
    small = held.test_x.nbytes + held.train_y.nbytes + held.test_y.nbytes
    assert run_parts(config, held)["data"] == small + images.nbytes
    assert run_parts(config, mapped)["data"] == small
