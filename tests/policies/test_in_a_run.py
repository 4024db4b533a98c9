"""What every policy keeps to in a run, whatever it chooses by: resume, costs, dead weights, engines, all methods."""

from __future__ import annotations

import copy
import dataclasses
from typing import Any

import pytest

from sparcl_ref.experiment import build
from sparcl_ref.forecast import forecast
from sparcl_ref.masks import BUDGETS
from sparcl_ref.methods import METHODS
from sparcl_ref.policies import POLICIES, Policy, Static
from sparcl_ref.policies.exchange import Exchange
from sparcl_ref.trial import tried
from tests import test_trainer
from tests.helpers import assert_close, assert_positive_zero
from tests.methods import test_in_a_run as of_methods
from tests.methods.twin import BASE, small_dataset
from tests.policies.twin import REGIMES
from tests.test_trainer import flattened


def variants() -> dict[str, dict[str, Any]]:
    """Every policy, in each of its forms and schedules; those that count steps change masks often enough."""
    found: dict[str, dict[str, Any]] = {}
    for name, kind in POLICIES.items():
        fields = dataclasses.fields(kind.Settings)
        found[name] = {"policy": name, "sparsity": 0.5} | {f.name: 3 for f in fields if f.name == "delta_t"}
        for field in fields:
            if field.name.endswith(("_form", "_schedule")):
                others = [choice for choice in field.metadata["choices"] if choice != field.default]
                found |= {f"{name} {other}": found[name] | {field.name: other} for other in others}
    return found


VARIANTS = variants()
DATASET = small_dataset()


def config_of(name: str, **settings: Any):
    return dataclasses.replace(BASE, **{"method": "derpp"} | VARIANTS[name] | settings)


def kind_of(name: str) -> type[Policy]:
    return POLICIES[VARIANTS[name]["policy"]]


@pytest.mark.parametrize("name", VARIANTS)
def test_it_is_resumed_at_every_event(name) -> None:
    settings = {**VARIANTS[name], "batch_size": 6, "epochs": 3, "width": 4, "method": "derpp"}
    test_trainer.test_continued_from_every_event_to_the_same_bits(small_dataset(classes=4, each=8), settings)


@pytest.mark.parametrize("name", VARIANTS)
def test_it_is_resumed_before_and_after_every_change_of_masks(name) -> None:
    config = config_of(name)
    straight, before, states = build(config, DATASET), None, []
    while not straight.done:
        before = copy.deepcopy(straight.state())
        if straight.advance().mask_changes:
            states += [before, copy.deepcopy(straight.state())]
    assert bool(states) == (kind_of(name) is not Static)
    few = [*states[:2], *states[len(states) // 4 * 2 :][:2], *states[-2:]]  # the first, one between, the last
    for state in few:
        resumed = build(config, DATASET)
        resumed.load_state(state)
        for _ in resumed.events():
            pass
        assert dict(flattened(resumed.state())) == dict(flattened(straight.state()))


def learns(name: str, variant: dict[str, Any]) -> bool:
    return METHODS[variant["method"]].learns or not kind_of(name).spends


#: Both with replay in every step, with a second update, and with a memory that changes after tasks.
OFTEN = ("derpp", "fdr mammoth", "agem paper")
CASES = [
    (name, method, regime)
    for name in VARIANTS
    for method, variant in of_methods.SPARSE.items()
    for regime in REGIMES
    if learns(name, variant) and (regime != "alone" or method in OFTEN)
]


@pytest.mark.parametrize(("name", "method", "regime"), CASES)
def test_with_every_method_its_cost_is_known_before_and_dead_weights_stay_dead(name, method, regime) -> None:
    of_methods.check_a_run(config_of(name, **of_methods.SPARSE[method] | REGIMES[regime]), DATASET)


@pytest.mark.parametrize("changes", [
    {"budgets": "er"}, {"budgets": "erk"}, {"stream": "permuted", "domains": 2, "width": 2}, {"batch_size": 7},
    {"momentum": 0.0, "weight_decay": 0.0}, {"dgm_interval": 3, "buffer_size": 40},
], ids=str)  # fmt: skip
@pytest.mark.parametrize("name", VARIANTS)
def test_so_it_is_with_other_settings(name, changes) -> None:
    of_methods.check_a_run(config_of(name, **changes), small_dataset(classes=4, each=12))


@pytest.mark.parametrize("name", VARIANTS)
def test_dead_entries_are_positive_zero_after_every_event(name) -> None:
    trainer, looked_at = build(config_of(name), DATASET), 0
    for _ in trainer.events():
        for parameter in trainer.model.sparsifiable():
            for array in (parameter.value, parameter.grad, *parameter.slots.values()):
                looked_at += assert_positive_zero(array, call=parameter.name, where=~parameter.mask)
    assert looked_at > 1000


@pytest.mark.parametrize("name", VARIANTS)
def test_masks_keep_their_number_of_weights(name) -> None:
    trainer = build(config_of(name), DATASET)
    always = issubclass(kind_of(name), Exchange | Static)
    for event in trainer.events():
        if always or (event.kind == "end_task" and trainer.done):
            assert [parameter.active for parameter in trainer.model.sparsifiable()] == [36, 72]


@pytest.mark.parametrize("name", VARIANTS)
def test_it_goes_with_budgets_of_all_layers_together(name) -> None:
    assert "global" in BUDGETS
    trainer = build(config_of(name, budgets="global"), DATASET)
    for _ in trainer.events():
        pass
    assert sum(parameter.active for parameter in trainer.model.sparsifiable()) == 108


@pytest.mark.parametrize("name", VARIANTS)
def test_with_the_published_codes_rules_it_runs_too(name) -> None:
    trainer = build(config_of(name, profile="released"), DATASET)
    for _ in trainer.events():
        pass
    assert trainer.history.class_il_matrix[-1]


@pytest.mark.parametrize("name", VARIANTS)
def test_both_engines_train_it_alike(name) -> None:
    runs = []
    for engine in ("numpy", "numba"):
        trainer = build(config_of(name, engine=engine, epochs=2, ddr=False), DATASET)
        while trainer.cursor.task < 2 or trainer.cursor.updates < 10:
            trainer.advance()
        runs.append(trainer.model.state_dict())
    for path, array in runs[0].items():
        assert_close(runs[1][path], array, call=path, rtol=1e-8, atol=1e-9)


@pytest.mark.parametrize("name", VARIANTS)
def test_a_trial_says_how_long_it_takes(name) -> None:
    config = config_of(name)
    work, events = forecast(config, DATASET).work, [*build(config, DATASET).events()]
    changes = [event for event in events if event.mask_changes]
    assert sum(count for _, count in work.adjustments) == len(changes)
    steps = [event for event in events if event.kind == "step"]
    spent = [event for event in steps if event.mask_changes and config.policy_class.spends]
    assert work.steps == len(steps) - len(spent)
    trial = tried(config, work, DATASET)
    assert trial.seconds(work) > 0
    # A step that is spent takes a step's time, and not that of its choice alone.
    assert all(took > 0 for took in trial.adjustments)


@pytest.mark.parametrize("name", VARIANTS)
def test_passes_of_spent_steps_are_a_kind_of_their_own(name) -> None:
    config = config_of(name, ddr=False, dgm=False)
    trainer, events = build(config, DATASET), []
    for event in trainer.events():
        events.append((event.kind, bool(event.mask_changes), len(event.indices) if event.kind == "step" else 0))
    phases = trainer.ledger.table.phase_macs()
    kind = config.policy_class.spends
    own = {phase for phase in phases if phase.split("_")[1] not in ("current", "replay", "probe")}
    assert own == ({f"{way}_{kind}" for way in ("forward", "dx", "dw")} if kind else set())
    # What is counted as new is every sample of the steps that update, and of no other.
    macs = trainer.ledger.table.macs["forward_current"]["linear"]
    new = sum(count for what, changed, count in events if what == "step" and not (changed and kind))
    per_sample = trainer.model.parameters()[-2].value.size
    assert macs == new * per_sample


def test_every_variant_has_a_name_of_its_own() -> None:
    assert len({config_of(name).title for name in VARIANTS}) == len(VARIANTS)
