"""What can be recorded, what is refused, and the choices of a recording read back."""

from __future__ import annotations

import dataclasses
import gc
import weakref
from pathlib import Path

import numpy as np
import pytest

from sparcl_ref.experiment import build
from sparcl_ref.streams import cut_batches
from sparcl_ref.verify import record as recording
from sparcl_ref.verify.record import record
from sparcl_ref.verify.traces.archive import TraceError, TraceReader
from sparcl_ref.verify.traces.canonical import CANONICAL, canonical_dataset, canonical_initial, dense_initial
from sparcl_ref.verify.traces.choices import read_choices
from sparcl_ref.verify.traces.rules import rule_book
from sparcl_ref.verify.traces.tensors import event_tensors


def test_the_choices_are_those_of_the_run(reference):
    choices, dataset = read_choices(reference), canonical_dataset()
    assert choices.config == CANONICAL.to_json()
    assert np.array_equal(choices.data["train_x"], dataset.train_x)
    assert choices.data["std"].tolist() == list(dataset.std)
    initial = canonical_initial()
    assert list(choices.initial) == list(initial)
    assert all(np.array_equal(choices.initial[name], initial[name]) for name in initial)
    assert {name: mask.sum() for name, mask in choices.masks.items()} == {"conv2.weight": 22, "conv3.weight": 43}
    trainer = build(CANONICAL, dataset)
    trainer.model.load_state_dict(initial)
    events = [event for event in trainer_events(trainer) if event.kind != "untrained"]
    remaining = np.zeros(0)
    replayed = list(choices.events())
    assert [(choice.kind, choice.task) for choice in replayed] == [(event.kind, event.task) for event in events]
    for choice, event in zip(replayed, events, strict=True):
        if choice.kind == "begin_task":
            remaining = choice.values["samples"]
            assert set(dataset.train_y[remaining]) == set(choice.values["classes"].tolist())
        elif choice.kind == "begin_epoch":
            assert choice.epoch == event.epoch
            batches = cut_batches(remaining, choice.values["permutation"], CANONICAL.batch_size)
            joins = {change.kind: change.indices for change in event.mask_changes}.get("expand", {})
            assert choice.joins.keys() == joins.keys()
            assert all(np.array_equal(choice.joins[name], joins[name]) for name in joins)
        elif choice.kind == "step":
            assert (choice.epoch, choice.step) == (event.epoch, event.step)
            assert np.array_equal(choice.values["batch"], batches[choice.step])
            assert len(choice.values["reservoir_draws"]) == len(choice.values["batch"])
            drawn = [choice.values[f"{term}_slots"] for term in event.observation.losses if term != "current"]
            assert all(np.array_equal(a, b) for a, b in zip(drawn, event.observation.draws, strict=True))
        elif choice.kind == "end_epoch":
            remaining = np.setdiff1d(remaining, event.removed)


def trainer_events(trainer):
    while not trainer.done:
        yield trainer.advance()


def test_choices_of_something_else_are_refused(tmp_path):
    np.savez(tmp_path / "plain.npz", a=np.ones(3))
    with pytest.raises(TraceError, match="give a reference that record"):
        read_choices(tmp_path / "plain.npz")


# --- other runs, and what cannot be recorded

SHORT = dataclasses.replace(CANONICAL, epochs=2, classes_per_task=3, ddr=False)


@pytest.mark.parametrize(
    ("changes", "there", "not_there"),
    [
        ({"model": "mlp", "width": 12, "momentum": 0.0}, "current/relu2/output", "velocity"),
        ({"method": "er"}, "replay_ce/-/loss", "replay_mse"),
        ({"method": "sgd"}, "ddr/-/correct", "buffer/-"),
        ({"budgets": "global"}, "shrink/conv3.weight/mask", "nowhere"),
        ({"policy": "static", "dgm": False}, "update/conv2.weight/velocity", "importance"),
        ({"dtype": "float32"}, "current/bn1/output", "nowhere"),
    ],
    ids=lambda value: "-".join(map(str, value.values())) if isinstance(value, dict) else "",
)
def test_other_configurations_can_be_recorded(tmp_path, changes, there, not_there):
    config = dataclasses.replace(SHORT, **changes)
    with TraceReader(record(tmp_path / "run.npz", config, dataset=canonical_dataset())) as reader:
        assert any(there in name for name in reader.names)
        assert not any(not_there in name for name in reader.names)
        dtypes = {reader.read(name).dtype for name in reader.names if name.endswith("/gradient")}
    assert dtypes == {np.dtype(config.dtype)}


def test_residual_blocks_have_outputs_of_their_own():
    config = dataclasses.replace(SHORT, model="resnet18", width=2)
    trainer = build(config, canonical_dataset())
    events = event_tensors(trainer, dense_initial(config, canonical_dataset()))
    step = next(tensors for tensors in events if tensors[0].name.step.endswith("step0"))
    names = [str(entry.name) for entry in step]
    assert len(set(names)) == len(names)
    rules = {str(entry.name): entry.rule for entry in step}
    at = "task1.epoch1.step0/current"
    assert rules[f"{at}/layer2.0/output"] == "output/Residual"
    assert rules[f"{at}/layer2.0.shortcut.0/output"] == "output/Conv2d"
    assert rules[f"{at}/layer1.0/input_gradient"] == "dx/Residual"
    assert set(rules.values()) <= set(rule_book())


@pytest.mark.parametrize(
    "changes",
    [
        {"sparsity": None},
        {"profile": "released"},
        {"mix": "freeze=released"},
        {"structure": "filter"},
        {"importance": "random"},
        {"augmentation": "crop_flip"},
        {"engine": "numba"},
    ],
    ids=lambda changes: "-".join(changes),
)
def test_what_cannot_be_recorded_is_refused(tmp_path, changes):
    with pytest.raises(ValueError, match="record: expected a sparse run with the NumPy engine"):
        record(tmp_path / "run.npz", dataclasses.replace(SHORT, **changes), dataset=canonical_dataset())
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("changes", [{"method": "er-ace"}, {"method": "fdr"}, {"align": "wa"}], ids=str)
def test_methods_that_no_rule_describes_are_refused(tmp_path, changes):
    with pytest.raises(
        ValueError, match="record: a trace describes the passes of sgd, er, der, derpp, without --align"
    ):
        record(tmp_path / "run.npz", dataclasses.replace(SHORT, **changes), dataset=canonical_dataset())
    assert list(tmp_path.iterdir()) == []


def test_a_run_that_hangs_on_rounding_is_refused_and_leaves_no_file(tmp_path):
    """Weights of one value whose gradients are exactly zero: equal here, and one rounding apart elsewhere."""
    initial = canonical_initial()
    initial["conv3.weight"][:, 0] = 1e-3
    with pytest.raises(ValueError, match=r"task1\.epoch2\.begin/.*conv3\.weight.* hangs on rounding"):
        record(tmp_path / "run.npz", CANONICAL, dataset=canonical_dataset(), initial=initial)
    assert list(tmp_path.iterdir()) == []


def test_a_file_that_cannot_be_written_is_one_line(tmp_path):
    with pytest.raises(TraceError, match="cannot be written"):
        record(tmp_path / "no" / "such" / "folder.npz")


def test_recording_holds_one_event_not_the_run(tmp_path, monkeypatch):
    """When an event is handed over, of all earlier ones at most the last is still held."""
    events, sizes, alive = recording.event_tensors, [], []

    def watched(trainer, initial):
        seen: list[weakref.ref] = []
        for tensors in events(trainer, initial):
            alive.append(sum(reference() is not None for reference in seen))
            seen += [weakref.ref(tensor.array) for tensor in tensors]
            sizes.append(len(tensors))
            yield tensors

    monkeypatch.setattr(recording, "event_tensors", watched)
    record(tmp_path / "run.npz", SHORT, dataset=canonical_dataset())
    assert sum(sizes) > 10 * max(sizes)
    assert 0 < max(alive) <= max(sizes)


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no device that is always full")
@pytest.mark.filterwarnings("error::pytest.PytestUnraisableExceptionWarning")
def test_a_full_disk_is_one_error_and_a_device_stays(tmp_path):
    place = tmp_path / "trace.npz"
    place.symlink_to("/dev/full")
    with pytest.raises(OSError, match="No space left"):
        record(place)
    gc.collect()  # nothing is left that would complain now
    assert place.is_symlink()
