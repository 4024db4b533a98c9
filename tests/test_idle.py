"""Settings that another setting switches off: each changes nothing there, and the command says so."""

from __future__ import annotations

import dataclasses
from typing import Any

import pytest

from sparcl_ref.config import Config
from sparcl_ref.experiment import build
from sparcl_ref.methods import METHODS
from sparcl_ref.policies import POLICIES
from sparcl_ref.presets import idle
from tests.methods.twin import BASE, assert_same_bits, small_dataset

DATASET = small_dataset()
#: What switches something off, and other values of what is off then.
OFF: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {
    "set paper": ({"policy": "set", "set_form": "paper"}, {"delta_t": 2, "t_end": 0.2, "mask_schedule": "once"}),
    "set": ({"policy": "set", "drop": 0.0}, {"delta_t": 2, "t_end": 0.2, "mask_schedule": "once"}),
    "rigl": ({"policy": "rigl", "drop": 0.0}, {"delta_t": 2, "t_end": 0.2, "mask_schedule": "once"}),
    "tdm": ({"p_inter": 0.0, "p_intra": 0.0}, {"importance": "random", "importance_samples": 3}),
    "tdm magnitude": ({"importance": "magnitude"}, {"importance_samples": 3}),
    "tdm random": ({"importance": "random"}, {"importance_samples": 3}),
    "lps": ({"method": "lps", "share_by_choice": False}, {"adaptive_ratio": 0.3, "mask_admm_epochs": 1}),
    "lps rho": ({"method": "lps", "rho": 0.0}, {"mask_admm_epochs": 1}),
    "packnet": ({"method": "packnet", "post_prune_epochs": 0}, {"post_prune_lr": 0.5}),
    "lwf distil": ({"method": "lwf", "distil_weight": 0.0}, {"temperature": 7.0}),
    "lwf warmup": ({"method": "lwf", "warmup_epochs": 0}, {"warmup_lr": 0.9}),
    "fdr": ({"method": "fdr", "form": "mammoth"}, {"alpha": 5.0}),
    "ewc": ({"method": "ewc", "strength": 0.0}, {"fisher": "empirical"}),
    "oewc": ({"method": "oewc", "strength": 0.0}, {"fisher": "empirical", "gamma": 0.1}),
    "oewc mammoth": ({"method": "oewc", "form": "mammoth"}, {"fisher": "empirical"}),
}


def of(name: str, **more: Any) -> Config:
    switch, _ = OFF[name]
    sparse = {} if "method" in switch else {"method": "sgd", "sparsity": 0.5}
    return dataclasses.replace(BASE, **sparse, **switch, **more)


@pytest.mark.parametrize("name", OFF)
def test_what_is_switched_off_changes_no_bit_and_is_told(name) -> None:
    usual, others = of(name), OFF[name][1]
    own = {**dict(usual.method_settings.idle()), **dict(usual.policy_settings.idle())}
    assert own.keys() == others.keys()
    runs = [build(usual, DATASET), build(of(name, **others), DATASET)]
    for run in runs:
        for _ in run.events():
            pass
    assert_same_bits(*runs)
    for setting in others:
        (line,) = idle([usual], [setting])
        assert line == f"--{setting.replace('_', '-')} has no effect with {own[setting]}"
        switched = {flag.strip().split()[0].removeprefix("no-") for flag in own[setting].split("--") if flag.strip()}
        assert switched <= {key.replace("_", "-") for key in OFF[name][0]}


def test_at_their_defaults_nothing_is_switched_off() -> None:
    for method in METHODS:
        assert [*Config(method=method).method_settings.idle()] == []
    for policy in POLICIES:
        assert [*Config(policy=policy).policy_settings.idle()] == []


@pytest.mark.parametrize("method", ["packnet", "lps", "wsn", "joint"])
@pytest.mark.parametrize("setting", ["policy", "budgets", "ddr", "delta_k", "p_inter", "dgm_interval"])
def test_where_sparsity_would_be_refused_nobody_is_sent_there(method, setting) -> None:
    (line,) = idle([Config(method=method)], [setting])
    why = "which learns all tasks at once" if method == "joint" else "which says itself which weights live"
    assert line == f"--{setting.replace('_', '-')} has no effect for the method {method}, {why}"
