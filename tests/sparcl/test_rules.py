"""Profiles and mixtures of rules, and the regime under rules that are not the paper's."""

from __future__ import annotations

import dataclasses
import itertools

import numpy as np
import pytest

from sparcl_ref.config import Config
from sparcl_ref.models import build_model
from sparcl_ref.sparcl import decisions, released, structured
from sparcl_ref.sparcl.rules import PAPER, PROFILES, RELEASED, Rules, mixed_rules, rules_table
from tests import tiny
from tests.helpers import assert_positive_zero
from tests.sparcl.common import FixedProbe, no_probe, observation, regime

FIELDS = [item.name for item in dataclasses.fields(Rules)]


# --- profiles ---------------------------------------------------------------------------------------------------------


def test_the_two_profiles_differ_in_every_rule() -> None:
    assert PROFILES == {"paper": PAPER, "released": RELEASED}
    assert all(getattr(PAPER, name) != getattr(RELEASED, name) for name in FIELDS)


@pytest.mark.parametrize("name", ["initial_mask", "shrink", "importance", "grow", "gradient_mask", "freeze"])
def test_a_plain_function_where_a_rule_belongs_is_refused(name: str) -> None:
    def keep_half(mask: np.ndarray) -> np.ndarray:
        return mask

    with pytest.raises(TypeError, match=rf"^{name} must be a rule, made by @rule\(\) .* got function keep_half$"):
        dataclasses.replace(PAPER, **{name: keep_half})


def test_all_eleven_deviations_have_a_field_that_explains_itself() -> None:
    metadata = [item.metadata for item in dataclasses.fields(Rules)]
    assert sorted({entry["number"] for entry in metadata}) == list(range(1, 12))
    assert all(len(entry[key]) > 3 for entry in metadata for key in ("paper", "code", "changes"))


@pytest.mark.parametrize("name", FIELDS)
def test_any_single_rule_can_be_taken_from_the_other_profile(name) -> None:
    for profile, other in (("paper", "released"), ("released", "paper")):
        mixed = mixed_rules(profile, f"{name}={other}")
        for field in FIELDS:
            assert getattr(mixed, field) == getattr(PROFILES[other if field == name else profile], field)


def test_mixtures_may_be_empty_or_several() -> None:
    assert mixed_rules("paper") is not None
    assert mixed_rules("paper", "") == mixed_rules("paper", " , ") == PAPER
    mixed = mixed_rules("released", "shrink=paper, grow=paper")
    assert (mixed.shrink, mixed.grow, mixed.freeze) == (PAPER.shrink, PAPER.grow, RELEASED.freeze)


@pytest.mark.parametrize(
    ("profile", "mix", "message"),
    [
        ("draft", "", r"unknown profile 'draft'; choose one of paper, released"),
        ("paper", "shrunk=paper", r"unknown rule 'shrunk'; choose among initial_mask, .*, initialise"),
        ("paper", "shrink", r"rule shrink must come from paper or released, as in shrink=released; got ''"),
        ("paper", "shrink=draft", r"got 'draft'"),
    ],
)
def test_what_is_unknown_is_named(profile, mix, message) -> None:
    with pytest.raises(ValueError, match=message):
        mixed_rules(profile, mix)


@pytest.mark.parametrize(
    ("mix", "counts"),
    [
        ("", True),
        ("freeze=released", True),
        ("shrink=released", False),
        ("grow=released", False),
        ("initial_mask=released", False),
    ],
)
def test_budgets_are_counted_only_if_all_three_rules_count(mix, counts) -> None:
    assert mixed_rules("paper", mix).counts_budgets is counts
    assert not RELEASED.counts_budgets


def test_the_table_has_a_row_for_every_field_and_no_stray_columns() -> None:
    lines = rules_table().splitlines()
    assert len(lines) == 2 + len(FIELDS)
    assert all(line.replace("\\|", "").count("|") == 6 for line in lines)
    for line, item in zip(lines[2:], dataclasses.fields(Rules), strict=True):
        assert line.startswith(f"| {item.metadata['number']} | `{item.name}` | ")
        assert item.metadata["changes"].replace("|", "\\|") in line


# --- the regime under the published code's rules ----------------------------------------------------------------------


def test_a_released_run_starts_from_magnitudes_and_freezes_zeros() -> None:
    nets = [tiny.network(batchnorm=True) for _ in range(2)]
    for net in nets:
        for parameter in net.parameters():
            if parameter.name == "bn1.bias":
                parameter.value[...] = 0
    dense = {parameter.name: parameter.value.copy() for parameter in nets[0].parameters()}
    subject = regime(net=nets[0], profile="released", sparsity=0.6)
    for parameter in nets[0].parameters():
        if parameter.sparsifiable:
            mask = released.magnitude_initial_mask(dense[parameter.name], 0.6)
            np.testing.assert_array_equal(parameter.mask, mask)
            assert_positive_zero(parameter.value, call="dead", where=~mask)
        elif parameter.name == "bn1.bias":
            assert not parameter.mask.any()
        else:
            assert parameter.mask is None
    assert len(subject.parameters) == 2
    # Under the paper's rules nothing but the sparsifiable weights has a mask.
    regime(net=nets[1])
    assert [p.name for p in nets[1].parameters() if p.mask is not None] == ["conv2.weight", "fc.weight"]


def test_a_released_run_shrinks_by_the_last_gradient_without_a_probe() -> None:
    subject, rng = regime(profile="released", epochs=8, p_intra=0.1), np.random.default_rng(0)
    for parameter in subject.parameters:
        parameter.add_grad(rng.standard_normal(parameter.value.shape))
    weights = [parameter.value.copy() for parameter in subject.parameters]
    grads = [parameter.grad.copy() for parameter in subject.parameters]
    shrunk, grown = subject.before_epoch(1, 3, no_probe)
    assert (shrunk.kind, grown.kind) == ("shrink", "expand")
    for parameter, weight, grad in zip(subject.parameters, weights, grads, strict=True):
        importance = np.abs(weight) + 0.5 * np.abs(grad)
        kept = (importance > np.percentile(importance, 60)) & (weight != 0)
        left = np.flatnonzero((weight != 0) & ~kept)
        assert shrunk.indices[parameter.name].tolist() == left.tolist()
        zeros = int((~kept).sum())
        assert len(grown.indices[parameter.name]) == max(0, int(zeros - 0.5 * weight.size)) > 0
        np.testing.assert_array_equal(parameter.value != 0, kept)


def test_a_released_gradient_mask_ranks_the_whole_gradient() -> None:
    subject = regime(profile="released", dgm_q=0.2)
    subject.before_step(1, 1, 0, no_probe)
    step = observation(subject, 4)
    subject.after_backward(0, step)
    for index, parameter in enumerate(subject.model.parameters()):
        if parameter.sparsifiable:
            whole = step.current_grads[index] + step.replay_grads[index]
            chosen = (np.abs(whole) >= np.percentile(np.abs(whole), 70)) & (whole != 0)
            np.testing.assert_array_equal(parameter.grad_mask, chosen)
            assert chosen.any()


def test_a_released_run_removes_what_was_least_forgotten() -> None:
    subject, everything = regime(profile="released", ddr_cutoff=2, ddr_rho=0.5), np.arange(4)
    subject.begin_task(4)
    # 0 is forgotten twice, 1 never right, 2 wrong once and then right, 3 always right.
    for correct in ([1, 0, 0, 1], [0, 0, 1, 1], [1, 0, 1, 1], [0, 0, 1, 1]):
        subject.count(everything, everything, np.array(correct, dtype=bool))
    assert decisions.score_flips(subject.statistics, 6).tolist() == [2, 6, 0, 0]
    assert decisions.score_misclassified(subject.statistics, 6).tolist() == [2, 4, 1, 0]
    assert subject.end_stage(2, everything, 4).tolist() == [0, 1, 3]


def test_a_released_stage_removes_the_truncated_number_and_nothing_unseen() -> None:
    subject = regime(profile="released", ddr_cutoff=2, ddr_rho=0.3)  # 19.2 are 19 to go: 9 after each stage
    remaining = np.arange(64)
    subject.begin_task(64)
    seen = remaining[1:]
    subject.count(remaining, seen, np.ones(63, dtype=bool))  # all right: the lowest go first
    remaining = subject.end_stage(2, remaining, 64)
    assert remaining.tolist() == [0, *range(10, 64)]
    subject.count(remaining, remaining[:-1], np.arange(54) >= 5)
    remaining = subject.end_stage(4, remaining, 64)
    assert len(remaining) == 46
    assert {0, 10, 11, 12, 13, 63} <= set(remaining.tolist())  # never right, and never seen
    # Fewer were seen than ought to go.
    few = regime(profile="released", ddr_cutoff=1, ddr_rho=0.5)
    few.begin_task(8)
    few.count(np.arange(8), np.array([3, 6]), np.ones(2, dtype=bool))
    assert few.end_stage(2, np.arange(8), 8).tolist() == [0, 1, 2, 4, 5, 7]


def test_gradients_of_parameters_with_frozen_zeros_are_masked_too() -> None:
    net = tiny.network(batchnorm=True)
    scale = dict(net.named_parameters())["bn2.weight"]
    scale.value[...] = [1.0, 0.0, 2.0]
    subject = regime(net=net, profile="released", dgm_q=0.1)
    assert scale.mask.tolist() == [True, False, True]
    subject.before_step(1, 1, 0, no_probe)
    step = observation(subject, 4)
    index = [parameter.name for parameter in net.parameters()].index("bn2.weight")
    step.current_grads[index][...], step.replay_grads[index][...] = [3.0, 0.0, -1.0], [-1.0, 0.0, 0.5]
    scale.grad[...] = [2.0, 0.0, -0.5]
    assert subject.after_backward(0, step)
    assert scale.grad_mask.tolist() == [True, False, False]  # the 60th percentile of 0, .5 and 2 is 0.8
    assert scale.grad.tolist() == [2.0, 0.0, 0.0]
    subject.before_epoch(1, 2, no_probe)
    assert scale.grad_mask is None


# --- the regime with structured sparsity ------------------------------------------------------------------------------


@pytest.mark.parametrize("structure", structured.STRUCTURES)
def test_structured_masks_follow_their_own_rules_without_a_probe(structure) -> None:
    shrink, grow, _ = structured.STRUCTURES[structure]
    net = tiny.stack([3, 8, 12, 8, 4])
    dense = {parameter.name: parameter.value.copy() for parameter in net.parameters()}
    subject = regime(net=net, structure=structure, sparsity=0.6, p_intra=0.1, p_inter=0.3)
    for parameter in subject.parameters:
        np.testing.assert_array_equal(parameter.mask, shrink(dense[parameter.name], 0.6))
    weights = [parameter.value.copy() for parameter in subject.parameters]
    rng = np.random.default_rng()
    rng.bit_generator.state = subject.rng.bit_generator.state
    (expanded,) = subject.before_epoch(2, 1, no_probe)
    for parameter, weight in zip(subject.parameters, weights, strict=True):
        expected = weight != 0 if grow is None else grow(weight, 0.3, rng)
        np.testing.assert_array_equal(parameter.mask, expected)
    assert (expanded.count > 0) == (structure == "column-block-4")
    subject.before_epoch(2, 2, no_probe)
    if grow is None:
        for parameter, weight in zip(subject.parameters, weights, strict=True):
            np.testing.assert_array_equal(parameter.mask, shrink(weight, "0.7"))


@pytest.mark.parametrize("structure", structured.STRUCTURES)
@pytest.mark.parametrize(("sparsity", "alive"), [(0, True), (0.999, False)])
def test_structured_runs_start_dense_at_0_and_empty_at_999(structure, sparsity, alive) -> None:
    net = tiny.stack([3, 8, 12, 8, 4])
    for parameter in regime(net=net, structure=structure, sparsity=sparsity, policy="static").parameters:
        assert np.all(parameter.mask == alive)


@pytest.mark.parametrize("profile", ["paper", "released"])
@pytest.mark.parametrize("structure", ["irregular", *structured.STRUCTURES])
def test_dead_filters_silence_the_batch_norm_behind_them(structure, profile) -> None:
    net = build_model("resnet18", input_shape=(1, 8, 8), classes=4, width=8, rng=np.random.default_rng(0))
    before = {name: parameter.value.copy() for name, parameter in net.named_parameters()}
    subject = regime(net=net, structure=structure, profile=profile, sparsity=0.5)
    after = dict(net.named_parameters())
    behind = {}
    for stage, block, number in itertools.product((1, 2, 3, 4), (0, 1), (1, 2)):
        # As the published code finds them: by the name of the convolution.
        behind[f"layer{stage}.{block}.bn{number}"] = f"layer{stage}.{block}.conv{number}.weight"
    assert sorted(behind.values()) == sorted(parameter.name for parameter in subject.parameters)
    for name, parameter in after.items():
        conv = behind.get(name.rpartition(".")[0])
        dead = np.zeros(len(parameter.value), dtype=bool)
        if structure == "filter" and conv is not None:
            dead = ~after[conv].mask.any(axis=(1, 2, 3))
            assert 0.4 < dead.mean() <= 0.6
        if parameter.sparsifiable:
            continue
        np.testing.assert_array_equal(parameter.value[~dead], before[name][~dead])
        assert not parameter.value[dead].any()
        if profile == "paper" or (name.endswith(".weight") and not dead.any()):
            assert parameter.mask is None
        elif name.endswith(".weight"):
            np.testing.assert_array_equal(parameter.mask, ~dead)
        else:
            assert not parameter.mask.any()


def test_a_tenth_of_dead_filters_masks_no_scale() -> None:
    net = build_model("convnet", input_shape=(1, 8, 8), classes=4, width=20, rng=np.random.default_rng(0))
    regime(net=net, structure="filter", profile="released", sparsity=0.1)  # 19 * 0.1: two of 20 die
    scale = dict(net.named_parameters())["bn3.weight"]
    assert np.count_nonzero(scale.value == 0) == 2
    assert scale.mask is None


def test_irregular_masks_ask_for_a_probe() -> None:
    subject, probe = regime(structure="irregular"), FixedProbe()
    subject.before_epoch(1, 2, probe)
    assert probe.calls == 1


# --- the shape of the fields ------------------------------------------------------------------------------------------


def test_paper_schedule_is_algorithm_1_whatever_the_epochs() -> None:
    settings = {"sparsity": 0.9, "delta_k": 2, "p_inter": 0.01, "p_intra": 0.005}
    for task, epoch in ((1, 1), (2, 1), (2, 2), (2, 3)):
        assert PAPER.schedule(task, epoch, epochs=50, **settings) == PAPER.schedule(task, epoch, epochs=2, **settings)


def test_effective_rules_of_a_configuration() -> None:
    config = Config(profile="released", mix="drop_last=paper,replay_from_task=paper")
    assert config.rules == dataclasses.replace(RELEASED, drop_last=False, replay_from_task=1)
