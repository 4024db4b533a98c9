"""What a ledger records of a run's passes, updates and scores, and that it goes on after a stop."""

from __future__ import annotations

import json

import numpy as np

from sparcl_ref.cost import FlopLedger, MacTable, describe, pass_macs
from sparcl_ref.cost.flops import DIRECTIONS, PHASES, update_rule
from sparcl_ref.models import build_model


def small_model():
    return build_model("convnet", input_shape=(1, 8, 8), classes=3, width=4, rng=np.random.default_rng(0))


def test_ledger_sees_every_change_of_a_mask():
    model, ledger = small_model(), FlopLedger()
    layer = describe(model).layer("conv2")
    weight = dict(model.named_parameters())["conv2.weight"]
    few = np.zeros(weight.value.shape, dtype=bool)
    few[0, 0] = True
    expected = 0
    for mask, grad_mask, active, grads in [(None, None, 72, 72), (few, None, 9, 9), (few, few & False, 9, 0)]:
        weight.set_mask(mask)
        weight.set_grad_mask(grad_mask)
        ledger.record_pass("current", 5, model)
        expected += 5 * sum(pass_macs(layer, active=active, grad_active=grads))
        assert layer.weights == 72
        assert ledger.table.layer_macs()["conv2"] == expected
    assert ledger.train_flops == 2 * ledger.table.train_macs == 2 * sum(ledger.table.layer_macs().values())
    assert ledger.table.train_macs == sum(ledger.table.phase_macs().values())
    assert list(ledger.table.phase_macs()) == list(PHASES)


def test_ledger_state_goes_through_json_and_on():
    model, ledger = small_model(), FlopLedger(momentum=0.9)
    ledger.record_pass("probe", 4, model)
    ledger.record_update(model.parameters())
    ledger.record_scores(model)
    again = FlopLedger(momentum=0.9)
    again.load_state(json.loads(json.dumps(ledger.state())))
    for each in (ledger, again):
        each.record_pass("replay", 2, model)
        each.record_update(model.parameters())
    assert again.table == ledger.table
    assert again.table != MacTable()
    assert again.table.overhead_macs["optimizer"] == 2 * 2 * sum(p.value.size for p in model.parameters())
    assert again.table.overhead_macs["mask_updates"] == 2 * sum(p.value.size for p in model.sparsifiable())


def test_a_method_has_passes_of_its_own_kind():
    """They get rows after the three that every table has, count in the totals, and survive a state."""
    model, ledger = small_model(), FlopLedger()
    for kind, samples in (("fisher", 3), ("replay", 2), ("herding", 1)):
        ledger.record_pass(kind, samples, model)
    again = FlopLedger()
    again.load_state(json.loads(json.dumps(ledger.state())))
    one = sum(sum(pass_macs(layer)) for layer in describe(model).layers)
    for each in (ledger, again):
        assert list(each.table.phase_macs()) == [
            *PHASES,
            *(f"{d}_{k}" for k in ("fisher", "herding") for d in DIRECTIONS),
        ]
        assert sum(macs for phase, macs in each.table.phase_macs().items() if phase.endswith("_fisher")) == 3 * one
        assert each.table.train_macs == 6 * one


def test_a_pass_of_the_classifier_alone_needs_no_gradient_of_its_input():
    model, ledger = small_model(), FlopLedger()
    ledger.record_pass("warmup", 7, model, head=True)
    last = describe(model).layers[-1]
    for direction, macs in (("forward", last.weights), ("dx", 0), ("dw", last.weights)):
        row = ledger.table.macs[f"{direction}_warmup"]
        assert {name: count for name, count in row.items() if count} == ({last.name: 7 * macs} if macs else {})


def test_updates_cost_what_the_rule_says():
    assert update_rule() == (0, 1)  # w - lr g, where there is a g
    assert update_rule(weight_decay=0.1) == (2, 0)
    assert update_rule(momentum=0.9, nesterov=True, weight_decay=0.1) == (4, 0)
    model, ledger = small_model(), FlopLedger()
    weight = model.sparsifiable()[0]
    mask = np.zeros(weight.value.shape, dtype=bool)
    mask.flat[:10] = True
    grad_mask = mask.copy()
    grad_mask.flat[3:] = False
    weight.set_mask(mask)
    weight.set_grad_mask(grad_mask)
    ledger.record_update(model.parameters())
    others = sum(p.value.size for p in model.parameters()) - weight.value.size
    assert ledger.table.overhead_macs["optimizer"] == others + 3
