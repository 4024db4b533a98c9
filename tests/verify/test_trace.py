"""The comparison of traces: what agrees passes, and of every single fault the first wrong tensor is named."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from sparcl_ref.verify import trace
from sparcl_ref.verify.record import record
from sparcl_ref.verify.trace import check
from sparcl_ref.verify.traces.archive import TraceReader
from sparcl_ref.verify.traces.canonical import RUNS
from tests.verify.faults import FAULTS
from tests.verify.rewriting import rewritten
from tests.verify.run_faults import RUN_FAULTS
from tests.verify.twin_trace import twin_trace

#: What the twin does not log: functional layers, probe gradients, FLOPs.
LACKING = {
    *(f"{term}/{tensor}" for term in ("current", "replay_mse", "replay_ce") for tensor in ("output", "input_gradient")),
    *("shrink/current_gradient", "shrink/buffer_gradient", "cost/flops"),
}


# --- what agrees


@pytest.mark.parametrize("run", RUNS)
def test_the_twin_replays_the_run_from_its_choices_and_agrees(run, recorded, replayed):
    report = check(replayed(run), recorded(run))
    assert report.first is None, report.text()
    assert report.ok
    assert report.unknown == []
    terms = {"er": {"replay_mse"}, "der": {"replay_ce"}, "derpp": set()}[run]
    assert set(report.not_provided) == {name for name in LACKING if name.split("/")[0] not in terms}
    assert report.compared > 3500
    assert report.values > 500_000
    assert "everything provided agrees" in report.text()
    assert "not provided: " in report.text()


@pytest.mark.parametrize("run", RUNS)
def test_the_twin_keeps_far_from_every_tolerance(run, recorded, replayed):
    # The tolerance is for any order of summation; two good implementations differ by a few per cent of it.
    worst = 0.0
    with TraceReader(recorded(run)) as ours, TraceReader(replayed(run)) as theirs:
        for tensor in ours.manifest["tensors"]:
            if tensor["tolerance"] and tensor["name"] in theirs:
                error = np.abs(ours.read(tensor["name"]) - theirs.read(tensor["name"]))
                worst = max(worst, float(error.max(initial=0.0)) / tensor["tolerance"])
    assert 0 < worst < 0.1


def test_the_same_run_twice_is_the_same_file(reference, tmp_path):
    again = record(tmp_path / "again.npz")
    assert again.read_bytes() == reference.read_bytes()
    report = check(again, reference)
    assert report.ok
    assert report.not_provided == {}


def test_without_a_reference_the_canonical_run_is_recorded(twin, reference, monkeypatch, tmp_path):
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    report = check(twin)
    assert report.ok
    assert report.compared == check(twin, reference).compared
    assert list(tmp_path.iterdir()) == []


def test_a_float32_trace_is_held_to_float32(reference, tmp_path):
    def single(name, array):
        return name, array.astype(np.float32) if array.dtype == np.float64 else array

    assert check(rewritten(reference, tmp_path / "single.npz", single), reference).ok

    def doubled(name, array):
        name, array = single(name, array)
        return name, array * (1.05 if name == "task1.epoch1.step0/current/conv2/output" else 1)

    report = check(rewritten(reference, tmp_path / "doubled.npz", doubled), reference)
    assert report.first.name == "task1.epoch1.step0/current/conv2/output"


def test_a_file_of_numpy_savez_is_a_trace_in_any_order(reference, tmp_path):
    with TraceReader(reference) as reader:
        names = [name for name in reader.names if "step0/current/" in name or "mask" in name]
        arrays = {name: reader.read(name) for name in reversed(names)}
    np.savez(tmp_path / "mine.npz", **arrays)
    report = check(tmp_path / "mine.npz", reference)
    assert report.ok
    assert report.compared + report.given == len(names)


# --- single faults


@pytest.mark.parametrize("fault", [*FAULTS, *RUN_FAULTS], ids=lambda fault: fault.name)
def test_a_fault_is_found_at_its_step_layer_and_tensor(fault, recorded, tmp_path, monkeypatch):
    reference = recorded(fault.run)
    if fault.patch is not None:
        fault.patch(monkeypatch)
    path = tmp_path / "mine.npz"
    if fault.ends:
        with pytest.raises(ValueError, match=fault.ends):
            twin_trace(reference, path, spoil=fault.spoil)
    else:
        twin_trace(reference, path, spoil=fault.spoil, until=fault.first.split("/")[0])
    report = check(path, reference)
    assert not report.ok
    assert report.first.name == fault.first
    assert fault.rule in report.rule.sentence
    text = report.text()
    assert fault.rule in text
    assert ("unfinished" in text) == bool(fault.ends)
    order = order_of(reference)
    assert all(order[name] < order[fault.first] for name in report.agreed_before)
    assert len(report.agreed_before) == trace.MEMORY
    assert report.after[0].step == report.first.name.split("/")[0]
    assert report.after[0].first[0] == report.first.name.partition("/")[2]
    json.dumps(report.json(), allow_nan=False)


def order_of(reference: Path) -> dict[str, int]:
    with TraceReader(reference) as reader:
        return {name: place for place, name in enumerate(reader.names)}


def test_the_report_says_where_how_far_and_what_followed(reference, tmp_path):
    fault = next(fault for fault in FAULTS if fault.name == "gradient off by 1e-6")
    report = check(twin_trace(reference, tmp_path / "mine.npz", spoil=fault.spoil), reference)
    first = report.first
    with TraceReader(reference) as reader:
        expected = reader.read(fault.first)
    assert first.expected == expected[first.index]
    assert abs(first.got - first.expected) == pytest.approx(1e-6, rel=1e-6)
    assert first.ulp == pytest.approx(1e-6 / np.spacing(abs(first.expected)), rel=1e-6)
    assert (first.bad, first.size) == (1, expected.size)
    assert report.same_tensor_agreed_at == "task2.epoch1.step0"
    # The twin leaves out much, but nothing between this tensor and the one before it.
    assert report.agreed_before[-1] == "task2.epoch1.step1/current/bn2.bias/gradient"
    assert (report.missing_before_count, report.missing_before) == (0, [])
    # The update takes it over, the next forward pass meets it, everything later has it.
    assert report.after[0].first[1:] == ["update/conv3.weight/gradient", "update/conv3.weight/velocity"]
    assert report.after[1].step == "task2.epoch1.step2"
    assert report.after[1].first[0] == "current/conv3/output"
    assert [step.step for step in report.after[2:5]] == ["task2.epoch1.end", "task2.epoch2.begin", "task2.epoch2.step0"]
    assert report.after[2].differ == 0
    assert report.after[4].differ > 100
    text = report.text()
    assert "task 2, epoch 1, step 1: pass current, conv3.weight, gradient differs" in text
    assert "this tensor last agreed at task 2, epoch 1, step 0" in text
    assert "more steps" in text


def test_gaps_before_the_divergence_are_named(reference, tmp_path):
    """With the layers between left out, the report lists them as places where the cause may lie."""
    at = "task1.epoch1.step0/current/"

    def change(name, array):
        if name.startswith((f"{at}conv", f"{at}bn", f"{at}relu", f"{at}pool")):
            return None
        return name, array + 1e-3 * (name == f"{at}linear/output")

    report = check(rewritten(reference, tmp_path / "mine.npz", change), reference)
    assert report.first.name == f"{at}linear/output"
    assert report.missing_before_count == 12
    assert report.missing_before[-1] == f"{at}pool/output"
    assert report.agreed_before[-1] == f"{at}-/input"
    assert "not provided between these and the divergence" in report.text()
