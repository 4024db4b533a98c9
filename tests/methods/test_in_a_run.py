"""What every method keeps to in a run, whatever it learns by: resume, costs, memory, dead weights, both engines."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np
import pytest

from sparcl_ref import checkpoint
from sparcl_ref.config import Config
from sparcl_ref.cost import describe, held_memory
from sparcl_ref.cost.extent import extent_of
from sparcl_ref.cost.predict import predict
from sparcl_ref.cost.sizes import held_after
from sparcl_ref.experiment import build
from sparcl_ref.forecast import forecast
from sparcl_ref.methods import METHODS
from sparcl_ref.streams import Dataset
from sparcl_ref.trial import tried
from tests import test_trainer
from tests.helpers import assert_close, assert_positive_zero
from tests.methods.twin import BASE, REGIMES, small_dataset
from tests.test_trainer import flattened


def variants() -> dict[str, dict[str, Any]]:
    """Every method, in each of its forms."""
    found: dict[str, dict[str, Any]] = {}
    for name, kind in METHODS.items():
        forms = [f.metadata["choices"] for f in dataclasses.fields(kind.Settings) if f.name == "form"]
        for form in forms[0] if forms else [None]:
            short = {f.name: 2 for f in dataclasses.fields(kind.Settings) if f.name == "buffer_passes"}
            found[f"{name} {form}" if form else name] = {"method": name, **short, **({"form": form} if form else {})}
    return found


VARIANTS = variants()
#: Those that learn task by task, and those of them that leave masks to a policy.
GRADUAL = {name: one for name, one in VARIANTS.items() if not METHODS[one["method"]].joint}
SPARSE = {name: one for name, one in GRADUAL.items() if not METHODS[one["method"]].own_masks}
DATASET = small_dataset()


def with_regime(variant: dict[str, Any], regime: str) -> Config:
    return dataclasses.replace(BASE, **variant, **REGIMES[regime])


def fullest(name: str) -> dict[str, Any]:
    """The variant with all of SparCL that it goes with."""
    return {**GRADUAL[name], **(REGIMES["sparse"] if name in SPARSE else {"sparsity": None})}


@pytest.mark.parametrize("name", GRADUAL)
def test_it_is_resumed_at_every_event(name) -> None:
    # More than one task, a buffer, momentum, augmentation, all parts of SparCL.
    test_trainer.test_continued_from_every_event_to_the_same_bits(
        small_dataset(classes=4, each=8), {**fullest(name), "batch_size": 6, "epochs": 2, "ddr": False, "width": 4}
    )


CASES = [(name, regime) for regime in REGIMES for name in (SPARSE if regime == "sparse" else VARIANTS)]


@pytest.mark.parametrize(("name", "regime"), CASES)
def test_its_cost_is_known_before_and_dead_weights_stay_dead(name, regime) -> None:
    check_a_run(with_regime(VARIANTS[name], regime), DATASET)


#: Those that tell old classes from new ones, or have no room for a class twice.
NEEDS_OWN_CLASSES = ("gdumb paper", "icarl paper", "icarl mammoth", "packnet", "lps", "wsn")


@pytest.mark.parametrize(("name", "regime"), [case for case in CASES if case[0] not in NEEDS_OWN_CLASSES])
def test_so_it_is_where_every_task_has_all_classes(name, regime) -> None:
    config = dataclasses.replace(with_regime(VARIANTS[name], regime), stream="permuted", domains=3, buffer_size=30)
    check_a_run(config, small_dataset(classes=4, each=6))


@pytest.mark.parametrize("name", NEEDS_OWN_CLASSES)
def test_what_cannot_learn_the_same_classes_again_is_refused(name) -> None:
    variant = VARIANTS[name]
    with pytest.raises(ValueError, match=rf"^--method {variant['method']}.*, and every task of --stream rotated has "):
        dataclasses.replace(BASE, **variant, stream="rotated")
    if name == "gdumb paper":
        dataclasses.replace(BASE, **variant | {"form": "mammoth"}, stream="rotated")


def check_a_run(config: Config, dataset: Dataset) -> None:
    """Run it beside its forecast."""
    expected, trainer = forecast(config, dataset), build(config, dataset)
    held: dict[int, int] = {}
    most = 0
    for event in trainer.events():
        if trainer.buffer is not None:
            held[event.task] = len(trainer.buffer)
        state = trainer.method.state()
        most = max(most, sum(leaf[1].nbytes for leaf in leaves(state) if isinstance(leaf[1], np.ndarray)))
    sizes = [len(task.train_index) for task in trainer.stream.training]
    table = predict(describe(trainer.model), config, sizes).table
    assert table.state()["macs"] == trainer.ledger.table.state()["macs"]
    assert table == trainer.ledger.table
    assert expected.train_flops["exact"] == trainer.ledger.train_flops
    assert expected.savings["exact"][-1]["total_flops"] == expected.train_flops["exact"]
    kind = config.method_class
    assert expected.nominal == kind.by_chance(config.method_settings)
    if kind.rehearses and kind.fills == "tasks" and not expected.nominal:
        assert held == {tasks: held_after(config, sizes[:tasks]) for tasks in range(len(sizes) + 1)}
    spec = describe(trainer.model)
    given = config.method_settings, extent_of(spec, config, sizes)
    usual = {"weights", "gradients", "optimizer", "masks", "buffer", "batch", "activations", "working_space"}
    always = dict(kind.archive_bytes(*given))
    own = [
        {part: size for part, size in parts.items() if part not in usual and size}
        for parts in (always, always | kind.phase_bytes(*given))
    ]
    kept = max(sum(parts.values()) for parts in own)
    # Counters and lists of classes are too small to be counted.
    assert kept <= most <= kept + 200
    memory = held_memory(spec, config, task_sizes=sizes)
    assert {part: size for part, size in memory.parts.items() if part not in usual} == own[memory.moment == "phase"]
    if config.sparse:
        for parameter in trainer.model.sparsifiable():
            assert assert_positive_zero(parameter.value, call=parameter.name, where=~parameter.mask) > 0


@pytest.mark.parametrize("name", GRADUAL)
def test_a_checkpoint_keeps_it_to_the_bit(name) -> None:
    config = dataclasses.replace(BASE, **fullest(name))
    trainer, other = build(config, DATASET), build(config, DATASET)
    while trainer.cursor.task < 2 or trainer.cursor.step < 2:
        trainer.advance()
    state = trainer.state()
    read = checkpoint.decode(bytes(checkpoint.encode(state)))
    assert dict(flattened(read)) == dict(flattened(state))
    other.load_state(read)
    for run in (trainer, other):
        for _ in run.events():
            pass
    assert dict(flattened(other.state())) == dict(flattened(trainer.state()))


@pytest.mark.parametrize(("name", "regime"), CASES)
def test_a_trial_says_how_long_it_takes(name, regime) -> None:
    config = with_regime(VARIANTS[name], regime)
    work = forecast(config, DATASET).work
    found = tried(config, work, DATASET)
    assert found.seconds(work) > 0
    assert work.own_samples == ()
    phases = {
        "ewc": ("fisher",), "oewc": ("fisher",), "gdumb": ("scratch",), "packnet": ("retraining",),
        "lps": ("admm", "retraining"),
    }  # fmt: skip
    assert tuple(kind for kind, _ in work.phases) == phases.get(config.method, ())
    assert all(seconds > 0 for seconds in found.phases)
    assert work.refreshes == 0 or config.method != "gdumb"


def leaves(value, path=""):
    """Every leaf of a state, arrays as they are."""
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list | tuple) else None
    if items is None:
        yield path, value
    else:
        for key, item in items:
            yield from leaves(item, f"{path}/{key}")


def test_every_variant_has_a_name_of_its_own() -> None:
    assert len({Config(**variant).title for variant in VARIANTS.values()}) == len(VARIANTS)


@pytest.mark.parametrize("name", GRADUAL)
def test_both_engines_train_it_alike(name) -> None:
    # Few steps: engines sum in other orders, and a choice of masks that hangs on rounding would part them.
    settings = {**fullest(name), "epochs": 2, "ddr": False}
    runs = []
    for engine in ("numpy", "numba"):
        trainer = build(dataclasses.replace(BASE, **settings, engine=engine), DATASET)
        while trainer.cursor.task < 2 or trainer.cursor.updates < 10:
            trainer.advance()
        runs.append(dict(flattened_arrays(trainer.state()["model"])) | dict(flattened_arrays(trainer.method.state())))
    assert runs[0].keys() == runs[1].keys()
    for path, array in runs[0].items():
        if array.size:
            assert_close(runs[1][path], array, call=path, rtol=1e-8, atol=1e-9)


def flattened_arrays(state):
    return [(path, leaf) for path, leaf in leaves(state) if isinstance(leaf, np.ndarray) and leaf.dtype != bool]


def test_states_share_nothing_with_the_run() -> None:
    for variant in GRADUAL.values():
        trainer = build(with_regime(variant, "dense"), DATASET)
        while trainer.cursor.task < 2 or trainer.cursor.updates < 14:
            trainer.advance()
        before = dict(flattened(trainer.method.state()))
        for _, leaf in leaves(trainer.method.state()):
            if isinstance(leaf, np.ndarray):
                leaf[...] = 1
        assert dict(flattened(trainer.method.state())) == before, variant
