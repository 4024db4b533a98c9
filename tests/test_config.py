from __future__ import annotations

import dataclasses
import json
import math
from fractions import Fraction
from pathlib import Path
from types import NoneType
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sparcl_ref.config import Config, flag, own_settings
from sparcl_ref.methods import METHODS
from sparcl_ref.policies import POLICIES
from sparcl_ref.settings import is_setting, kinds
from sparcl_ref.sparcl.rules import PAPER, RELEASED

FIELDS = {item.name: item for item in dataclasses.fields(Config) if is_setting(item)}
#: Every setting there is, with the class that declares it; of several methods with one setting the first.
OWNERS: dict[str, type] = dict.fromkeys(FIELDS, Config)
for registry in (METHODS, POLICIES):
    OWNERS |= {name: registry[next(iter(owners))].Settings for name, owners in own_settings(registry).items()}
#: What else must be set for a setting to be there at all.
NEEDS: dict[str, dict[str, Any]] = {
    name: {kind: next(iter(owners))}
    for kind, registry in (("method", METHODS), ("policy", POLICIES))
    for name, owners in own_settings(registry).items()
    if getattr(Config(), kind) not in owners
}

#: What each setting refuses beside values of another type: the value, the message, and what else must be set for it.
REFUSED: list[tuple[str, Any, str, dict[str, Any]]] = [
    ("classes_per_task", 0, r"--classes-per-task must be at least 1, got 0", {}),
    ("augmentation", "flip", r"--augmentation must be one of none, crop_flip, got 'flip'", {}),
    ("model", "vgg", r"--model must be one of mlp, convnet, resnet18, resnet20, got 'vgg'", {}),
    ("width", 0, r"--width must be at least 1, got 0", {}),
    ("align", "both", r"--align must be one of none, wa, got 'both'", {}),
    ("method", "none", r"--method must be one of sgd, joint, er, der, derpp, .*, got 'none'", {}),
    ("head", "both", r"--head must be one of auto, full, single, got 'both'", {}),
    ("alpha", -0.1, r"--alpha must be at least 0, got -0\.1", {}),
    ("beta", -0.1, r"--beta must be at least 0, got -0\.1", {}),
    ("er_weight", -1, r"--er-weight must be at least 0, got -1", {"method": "er"}),
    ("buffer_size", 0, r"--buffer-size must be at least 1 for the rehearsal method derpp, got 0; .* --method sgd", {}),
    ("buffer_size", -1, r"--buffer-size must be at least 0, got -1", {"method": "sgd"}),
    ("replay_batch_size", 0, r"--replay-batch-size must be at least 1, got 0", {}),
    ("epochs", 0, r"--epochs must be at least 1, got 0", {}),
    ("batch_size", 0, r"--batch-size must be at least 1, got 0", {}),
    ("lr", 0.0, r"--lr must be above 0, got 0\.0", {}),
    ("lr_schedule", "linear", r"--lr-schedule must be one of constant, cosine, step, got 'linear'", {}),
    ("momentum", -0.1, r"--momentum must be in 0\.\.1, below 1, got -0\.1", {}),
    ("momentum", 1, r"--momentum must be in 0\.\.1, below 1, got 1", {}),
    ("nesterov", True, r"--nesterov needs a --momentum above 0", {}),
    ("weight_decay", -1e-9, r"--weight-decay must be at least 0, got -1e-09", {}),
    ("sparsity", -0.1, r"--sparsity must be in 0\.\.1, below 1 .*, got -0\.1", {}),
    ("sparsity", 1.0, r"--sparsity must be in 0\.\.1, below 1 .*, got 1\.0", {}),
    ("sparsity", 0.5, r"--sparsity needs a method that learns task by task, got joint", {"method": "joint"}),
    ("budgets", "lamp", r"--budgets must be one of uniform, er, erk, global, got 'lamp'", {}),
    ("budgets", "erk", r"--budgets erk needs rules that count", {"sparsity": 0.9, "profile": "released"}),
    ("budgets", "global", r"--budgets global needs rules that count", {"sparsity": 0.9, "structure": "filter"}),
    ("policy", "dense", r"--policy must be one of tdm, static.*, got 'dense'", {}),
    ("delta_k", 0, r"--delta-k must be at least 1, got 0", {}),
    ("delta_k", 1, r"delta_k must lie in 2\.\.50 .* got 1", {"sparsity": 0.9}),
    ("delta_k", 51, r"delta_k must lie in 2\.\.50 .* got 51", {"sparsity": 0.9}),
    ("delta_k", 51, r"delta_k must lie in 1\.\.50 .* got 51", {"sparsity": 0.9, "profile": "released"}),
    ("p_intra", 0.02, r"must not exceed 1, got 0\.99 \+ 0\.02; lower one", {"sparsity": 0.99, "profile": "released"}),
    ("p_inter", -0.01, r"--p-inter must be in 0\.\.1, got -0\.01", {}),
    ("p_inter", 1.01, r"--p-inter must be in 0\.\.1, got 1\.01", {}),
    ("p_intra", -0.01, r"--p-intra must be in 0\.\.1, got -0\.01", {}),
    ("p_intra", 1.01, r"--p-intra must be in 0\.\.1, got 1\.01", {}),
    ("structure", "row", r"--structure must be one of irregular, filter, .*, got 'row'", {}),
    ("importance", "cgi", r"--importance must be one of cwi, negated_cwi, magnitude, random, got 'cgi'", {}),
    ("importance_alpha", -0.5, r"--importance-alpha must be at least 0, got -0\.5", {}),
    ("importance_beta", -0.5, r"--importance-beta must be at least 0, got -0\.5", {}),
    ("importance_samples", 0, r"--importance-samples must be at least 1, got 0", {}),
    ("ddr_by", "chance", r"--ddr-by must be one of mistakes, shuffled, all_stages, random, got 'chance'", {}),
    ("ddr_rho", -0.1, r"--ddr-rho must be in 0\.\.1, got -0\.1", {}),
    ("ddr_rho", 1.1, r"--ddr-rho must be in 0\.\.1, got 1\.1", {}),
    ("ddr_cutoff", 0, r"--ddr-cutoff must be at least 1, got 0", {}),
    ("dgm_q", -0.01, r"--dgm-q must be in 0\.\.1 \(1 - sparsity\), got -0\.01", {}),
    ("dgm_q", 0.11, r"--dgm-q must be in 0\.\.0\.1 \(1 - sparsity\), got 0\.11", {"sparsity": 0.9}),
    ("dgm_interval", 0, r"--dgm-interval must be at least 1, got 0", {}),
    ("dtype", "float16", r"--dtype must be one of float32, float64, got 'float16'", {}),
    ("profile", "draft", r"--profile must be one of paper, released, got 'draft'", {}),
    ("mix", "shrink", r"rule shrink must come from paper or released", {}),
    ("mix", "shrunk=paper", r"unknown rule 'shrunk'; choose among .*shrink", {}),
    ("stream", "spilt", r"--stream must be one of split, permuted, rotated, got 'spilt'", {}),
    ("domains", 0, r"--domains must be at least 1, got 0", {"stream": "permuted"}),
    ("domains", 3, r"--domains needs a stream in which each task has all classes, got --stream split; ", {}),
    ("validation", 0.0, r"--validation must be above 0 and below 1, got 0\.0", {}),
    ("validation", 1.0, r"--validation must be above 0 and below 1, got 1\.0", {}),
    ("head", "single", r"--head single needs tasks with classes of their own, and every task", {"stream": "rotated"}),
    ("class_order", "random", r"--class-order has no effect where every task of --stream", {"stream": "rotated"}),
    ("classes_per_task", 5, r"--classes-per-task has no effect where every task", {"stream": "rotated"}),
    ("align", "wa", r"--align wa needs tasks with classes of their own, and every task of ", {"stream": "rotated"}),
    ("method", "icarl", r"--method icarl takes .* every task of --stream permuted has all", {"stream": "permuted"}),
    ("seed", -1, r"--seed must be at least 0, got -1", {}),
    ("engine", "torch", r"--engine must be one of auto, numpy, numba, got 'torch'", {}),
]

#: The edge that is still accepted.
ACCEPTED: list[dict[str, Any]] = [
    {"buffer_size": 0, "method": "sgd"},
    {"buffer_size": 1},
    {"width": 1, "replay_batch_size": 1, "classes_per_task": 1, "batch_size": 1},
    {"sparsity": 0},
    {"sparsity": 0.999},
    {"sparsity": 0.9, "method": "sgd"},
    {"sparsity": 0.9, "epochs": 5, "delta_k": 5},
    {"sparsity": 0.9, "epochs": 2, "delta_k": 2},
    {"sparsity": 0.9, "epochs": 1, "delta_k": 5, "p_inter": 0},
    {"sparsity": 0.9, "epochs": 1, "delta_k": 5, "policy": "static"},
    {"sparsity": 0, "epochs": 1, "delta_k": 5},
    {"sparsity": 0.9, "delta_k": 1, "profile": "released"},
    {"sparsity": 0.9, "epochs": 100_000, "profile": "released"},
    {"sparsity": 0.99, "p_intra": 0.01, "profile": "released"},
    {"sparsity": 0.999, "profile": "released", "policy": "static"},
    {"sparsity": 0.99, "p_intra": 0.02, "profile": "released", "epochs": 10},  # without an exchange in any epoch
    {"sparsity": 0.99, "p_intra": 0.02},  # the paper's targets are limited to 1
    {"epochs": 1, "delta_k": 5},
    {"sparsity": 0.9, "dgm_q": 0.1},  # 0.9 + 0.1 in exact decimals: all gradients masked
    {"dgm_q": 1},
    {"momentum": 0.99, "nesterov": True},
    {"momentum": 0},
    {"alpha": 0, "beta": 0, "weight_decay": 0, "importance_alpha": 0, "importance_beta": 0},
    {"method": "er", "er_weight": 0},
    {"p_inter": 1, "p_intra": 0, "ddr_rho": 1},
    {"p_inter": 0.0, "p_intra": 1.0, "ddr_rho": 0},
    {"budgets": "erk", "profile": "released"},  # dense: nothing to share
    {"budgets": "erk", "sparsity": 0.9},
    {"sparsity": 0.9, "profile": "released", "mix": "initial_mask=paper,shrink=paper,grow=paper", "budgets": "global"},
    {"mix": " shrink=released , "},
    {"seed": 2**70},
]


def kind(name: str) -> type:
    """The one type of a setting's values, None aside."""
    (found,) = (kind for kind in kinds(OWNERS[name])[name] if kind is not NoneType)
    return found


def is_optional(name: str) -> bool:
    return NoneType in kinds(OWNERS[name])[name]


def value_of(config: Config, name: str) -> Any:
    return config.to_json()[name]


@pytest.mark.parametrize(("name", "value", "message", "others"), REFUSED, ids=lambda value: str(value)[:24])
def test_a_setting_out_of_range_is_named_with_what_is_accepted(name, value, message, others) -> None:
    Config(**{key: setting for key, setting in others.items() if key != name})  # the others alone are fine
    with pytest.raises(ValueError, match=message):
        Config(**others | {name: value})


def test_every_setting_that_has_a_range_is_among_them() -> None:
    # Data sets are looked up when a stream is built; the rest are switches.
    unlimited = {"dataset", "ddr", "dgm"}
    elsewhere = own_settings({name: METHODS[name] for name in tuple(METHODS)[5:]}).keys()
    elsewhere |= own_settings({name: POLICIES[name] for name in tuple(POLICIES)[1:]}).keys()
    assert OWNERS.keys() - unlimited - elsewhere <= {row[0] for row in REFUSED}


def outside(item: dataclasses.Field[Any]) -> list[Any]:
    """Values just beyond a setting's choices and bounds."""
    bounds = item.metadata["bounds"]
    beyond = [bounds[name] for name in ("above", "below") if name in bounds]
    beyond += [bounds[name] + step for name, step in (("at_least", -1), ("at_most", 1)) if name in bounds]
    return beyond + (["none-such"] if isinstance(item.default, str) else [])


OWN = [("method", name, cls) for name, cls in METHODS.items()] + [("policy", *item) for item in POLICIES.items()]
OUTSIDE = [
    (kind, owner, item.name, value)
    for kind, owner, cls in OWN
    for item in dataclasses.fields(cls.Settings)
    for value in outside(item)
]


@pytest.mark.parametrize(("kind", "owner", "name", "value"), OUTSIDE)
def test_an_own_setting_out_of_range_is_refused_by_its_flag(kind, owner, name, value) -> None:
    with pytest.raises(ValueError, match=f"{flag(name)} must be"):
        Config(**{kind: owner, name: value})


def test_every_own_setting_has_a_range_or_is_a_switch() -> None:
    ranged = {(owner, name) for _, owner, name, _ in OUTSIDE}
    for _, owner, cls in OWN:
        for item in dataclasses.fields(cls.Settings):
            assert (owner, item.name) in ranged or isinstance(item.default, bool), (owner, item.name)


@pytest.mark.parametrize("settings", ACCEPTED, ids=str)
def test_the_edges_are_accepted(settings) -> None:
    config = Config(**settings)
    assert all(value_of(config, name) == value for name, value in settings.items())


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
@pytest.mark.parametrize("name", [name for name in OWNERS if kind(name) is float])
def test_numbers_must_be_finite(name, value) -> None:
    with pytest.raises(ValueError, match=rf"{flag(name)} must be a finite number, got {value}"):
        Config(**NEEDS.get(name, {}) | {name: value})


WRONG_TYPES: dict[type, list[Any]] = {
    str: [1, None, True, ["digits"]],
    int: ["5", 2.0, 2.5, None, True, np.float64(2), np.bool_(True)],
    float: ["0.5", None, False, [0.5], 1j, np.bool_(False)],
    bool: [0, 1, "yes", None, np.int64(1)],
}


@pytest.mark.parametrize(("name", "value"), [(name, value) for name in OWNERS for value in WRONG_TYPES[kind(name)]])
def test_a_value_of_another_type_is_refused(name, value) -> None:
    needed = NEEDS.get(name, {})
    if value is None and is_optional(name):
        assert Config(**needed | {name: None}) == Config(**needed)
        return
    for make in (lambda values: Config(**values), Config.from_json):
        with pytest.raises(ValueError, match=rf"^{flag(name)} must be .*got "):
            make(needed | {name: value})


@pytest.mark.parametrize(
    ("given", "stored"),
    [
        ({"lr": np.float64(0.5)}, 0.5),
        ({"lr": np.float32(0.5)}, 0.5),
        ({"alpha": np.float64(0.25)}, 0.25),
        ({"epochs": np.int64(7)}, 7),
        ({"nesterov": np.bool_(False)}, False),
        ({"dataset": Path("a") / "b.npz"}, "a/b.npz"),
        ({"sparsity": Fraction(1, 2)}, 0.5),
    ],
    ids=str,
)
def test_what_is_a_number_is_taken_and_stored_as_plain_python(given, stored) -> None:
    ((name, _),) = given.items()
    value = value_of(Config(**given), name)
    assert value == stored
    assert type(value) is type(stored)


def test_whole_numbers_pass_as_numbers() -> None:
    assert Config(lr=1, sparsity=0, epochs=7) == Config.from_json({"lr": 1, "sparsity": 0, "epochs": 7})


def test_defaults_are_the_methods() -> None:
    config = Config()
    published = {
        "method": "derpp", "align": "none", "alpha": 0.1, "beta": 0.5, "lr": 0.03, "lr_schedule": "constant",
        "momentum": 0.0, "nesterov": False, "weight_decay": 0.0, "batch_size": 32, "epochs": 50, "head": "auto",
        "importance_alpha": 0.5, "importance_beta": 1.0, "importance_samples": 256, "delta_k": 5, "p_inter": 0.01,
        "p_intra": 0.005, "budgets": "uniform", "ddr_rho": 0.3, "ddr_cutoff": 4, "dgm_q": None, "dgm_interval": 30,
        "ddr_by": "mistakes", "profile": "paper", "policy": "tdm", "ddr": True, "dgm": True, "sparsity": None,
    }  # fmt: skip
    assert published.items() <= config.to_json().items()
    assert Config(method="er").method_settings.er_weight == 1.0


def test_every_setting_explains_itself() -> None:
    assert all(len(item.metadata["help"]) > 5 for item in FIELDS.values())


def test_a_configuration_cannot_be_changed() -> None:
    with pytest.raises(dataclasses.FrozenInstanceError):
        Config().lr = 1.0


# --- what follows from the settings -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("settings", "effective"),
    [
        ({}, "full"),
        ({"sparsity": 0.0}, "single"),
        ({"sparsity": 0.9}, "single"),
        ({"sparsity": 0.9, "method": "sgd"}, "single"),
        ({"sparsity": 0.9, "stream": "permuted"}, "full"),
        ({"sparsity": 0.9, "head": "full"}, "full"),
        ({"head": "single"}, "single"),
    ],
    ids=str,
)
def test_sparcl_trains_with_the_single_head_unless_told_otherwise(settings, effective) -> None:
    assert Config(**settings).effective_head == effective


def test_sparse_is_a_sparsity_of_zero_too() -> None:
    assert [Config(sparsity=s).sparse for s in (None, 0, 0.0, 0.5)] == [False, True, True, True]


def test_replay_batches_are_as_large_as_the_others_unless_given() -> None:
    assert Config(batch_size=7).effective_replay_batch_size == 7
    assert Config(batch_size=7, replay_batch_size=3).effective_replay_batch_size == 3


def test_who_rehearses() -> None:
    rehearsing = [name for name in METHODS if Config(method=name).rehearses]
    assert {"er", "der", "derpp"} <= set(rehearsing)
    assert not {"sgd", "joint"} & set(rehearsing)


def test_rules_are_the_profiles_and_p_intra_follows_them() -> None:
    assert Config().rules == PAPER
    released = Config(profile="released")
    assert released.rules == RELEASED
    assert (Config().policy_settings.p_intra, released.policy_settings.p_intra) == (0.005, 0.01)
    assert Config(profile="released", p_intra=0.002).policy_settings.p_intra == 0.002
    mixed = Config(mix="shrink=released").rules
    assert mixed == dataclasses.replace(PAPER, shrink=RELEASED.shrink)
    assert Config(mix="p_intra=released").policy_settings.p_intra == 0.01


# --- warnings ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("epochs", "delta_k", "cutoff", "reached"),
    [(50, 5, 4, 4), (21, 5, 4, 4), (20, 5, 4, 3), (10, 5, 4, 1), (5, 5, 4, 0), (6, 5, 1, 1), (6, 2, 4, 2)],
)
def test_stages_that_are_not_reached_are_announced(epochs, delta_k, cutoff, reached) -> None:
    config = Config(sparsity=0.9, epochs=epochs, delta_k=delta_k, ddr_cutoff=cutoff)
    lines = config.warnings()
    assert len(lines) == (reached < cutoff)
    for line in lines:
        assert line.startswith(f"data removal reaches only {reached} of {cutoff} stages: ")
        assert f"stage of {delta_k} epochs" in line
        assert f"{epochs} epochs per task" in line


@pytest.mark.parametrize("settings", [{"sparsity": None}, {"ddr": False}, {"ddr_rho": 0.0}], ids=str)
def test_no_warning_where_nothing_would_be_removed(settings) -> None:
    assert Config(**{"sparsity": 0.9, "epochs": 5} | settings).warnings() == []
    assert Config(sparsity=0.9, epochs=5).warnings()


# --- JSON -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("settings", [{}, *ACCEPTED], ids=str)
def test_json_round_trip(settings) -> None:
    config = Config(**settings)
    written = config.to_json()
    own = {item.name for part in (config.method_settings, config.policy_settings) for item in dataclasses.fields(part)}
    assert set(written) == FIELDS.keys() | own
    text = json.dumps(written, allow_nan=False)
    assert Config.from_json(json.loads(text)) == config


@given(st.floats(0, 0.999), st.floats(0, 1e300), st.integers(0, 2**70))
def test_json_round_trip_keeps_every_bit(sparsity, weight_decay, seed) -> None:
    config = Config(sparsity=sparsity, weight_decay=weight_decay, seed=seed)
    assert Config.from_json(json.loads(json.dumps(config.to_json()))) == config


def test_settings_left_out_take_their_defaults() -> None:
    assert Config.from_json({}) == Config()
    assert Config.from_json({"method": "er"}) == Config(method="er")


def test_a_file_of_an_earlier_version_is_read() -> None:
    # They held the settings of every method, and a switch for TDM.
    old = {"method": "er", "alpha": 0.3, "beta": 0.5, "er_weight": 0.7, "sparsity": 0.9, "tdm": False, "p_inter": 0.02}
    assert Config.from_json(old) == Config(method="er", er_weight=0.7, sparsity=0.9, policy="static")


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        (
            {"method": "er", "alpha": 0.1},
            r"--alpha is a setting of the method der, derpp.*; er has none of that name",
        ),
        ({"er_weight": 1.0}, r"--er-weight is a setting of the method er\b.*; derpp has none"),
        ({"policy": "static", "p_inter": 0.1}, r"--p-inter is a setting of the policy tdm; static has none"),
        ({"epoch": 3}, r"there is no setting 'epoch'; see --help"),
    ],
    ids=str,
)
def test_a_setting_of_another_method_is_refused_with_its_owner(settings, message) -> None:
    with pytest.raises(ValueError, match=message):
        Config(**settings)


def test_replace_carries_over_what_the_new_method_and_policy_know() -> None:
    config = Config(method="derpp", alpha=0.3, beta=0.7, sparsity=0.9, p_inter=0.02)
    assert dataclasses.replace(config, method="der").method_settings.alpha == 0.3
    assert dataclasses.replace(config, method="sgd", buffer_size=0).to_json().keys() & {"alpha", "beta"} == set()
    assert dataclasses.replace(config, seed=1).policy_settings.p_inter == 0.02
    assert dataclasses.replace(config, alpha=0.4).to_json() == config.to_json() | {"alpha": 0.4}


@pytest.mark.parametrize(
    ("settings", "title"),
    [
        ({}, "DER++"),
        ({"head": "single"}, "DER++ (single head)"),
        ({"sparsity": 0.9}, "SparCL-DER++ .90"),
        ({"sparsity": 0, "method": "er"}, "SparCL-ER 0"),
        ({"sparsity": 0.975}, "SparCL-DER++ .975"),
        ({"sparsity": 0.5, "policy": "static", "dgm": False}, "SparCL-DER++ .50 (no TDM, no DGM)"),
        ({"sparsity": 0.5, "importance": "negated_cwi", "budgets": "erk"}, "SparCL-DER++ .50 (by negated cwi, erk)"),
        ({"sparsity": 0.5, "ddr_by": "all_stages"}, "SparCL-DER++ .50 (DDR all stages)"),
        ({"sparsity": 0.5, "ddr_by": "random", "ddr": False}, "SparCL-DER++ .50 (no DDR)"),
    ],
    ids=str,
)
def test_what_tables_call_a_run(settings, title) -> None:
    assert Config(**settings).title == title


def test_unknown_settings_are_named() -> None:
    with pytest.raises(ValueError, match=r"unknown settings epoch, sparsty in the configuration; see --help"):
        Config.from_json({"sparsty": 0.9, "epochs": 5, "epoch": 5})


def test_values_that_are_out_of_range_are_refused_from_json_too() -> None:
    with pytest.raises(ValueError, match=r"--sparsity must be in 0\.\.1"):
        Config.from_json({"sparsity": 1.2})


def test_flags_are_the_names_with_dashes() -> None:
    assert flag("dgm_interval") == "--dgm-interval"
