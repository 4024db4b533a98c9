"""Every published cost figure from the formulas, and the readings of what is unpublished."""

from __future__ import annotations

import dataclasses
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sparcl_ref.config import Config
from sparcl_ref.cost import describe_model, paper
from sparcl_ref.cost.published import CELLS, DATASETS, compare, rounds_to
from tests import strategies as own

RESNET = describe_model("resnet18", input_shape=(3, 32, 32), classes=10)
TASKS = [10_000] * 5
# Forward passes per step as the paper counts them.
FORWARDS = {"sgd": 1, "joint": 1, "er": 2, "der": 2, "derpp": 3}

# (table, method, sparsity, data set) to the print, typed here a second time from the method's statement.
PRINTED = {
    ("main", "oEWC", None, "Split CIFAR-10"): 8.3,
    ("main", "LwF", None, "Split CIFAR-10"): 8.3,
    ("main", "A-GEM", None, "Split CIFAR-10"): 11.1,
    ("main", "ER", None, "Split CIFAR-10"): 11.1,
    ("main", "DER++", None, "Split CIFAR-10"): 13.9,
    ("main", "SparCL-ER", 0.75, "Split CIFAR-10"): 2.0,
    ("main", "SparCL-ER", 0.9, "Split CIFAR-10"): 0.9,
    ("main", "SparCL-ER", 0.95, "Split CIFAR-10"): 0.5,
    ("main", "SparCL-DER++", 0.75, "Split CIFAR-10"): 2.5,
    ("main", "SparCL-DER++", 0.9, "Split CIFAR-10"): 1.1,
    ("main", "SparCL-DER++", 0.95, "Split CIFAR-10"): 0.6,
    ("main", "DER++", None, "Split Tiny-ImageNet"): 22.2,
    ("main", "SparCL-DER++", 0.75, "Split Tiny-ImageNet"): 4.0,
    ("main", "SparCL-DER++", 0.9, "Split Tiny-ImageNet"): 1.8,
    ("main", "SparCL-DER++", 0.95, "Split Tiny-ImageNet"): 1.0,
    ("ablation", "DER++", None, "Split CIFAR-10"): 13.9,
    ("ablation", "DER++ with TDM", 0.75, "Split CIFAR-10"): 3.6,
    ("ablation", "DER++ with TDM, DDR", 0.75, "Split CIFAR-10"): 2.8,
    ("ablation", "DER++ with TDM, DDR, DGM", 0.75, "Split CIFAR-10"): 2.5,
    ("memory", "DER++", None, "Split CIFAR-10"): 247,
    ("memory", "SparCL-DER++, weights sparse", 0.75, "Split CIFAR-10"): 180,
    ("memory", "SparCL-DER++, weights and gradients sparse", 0.75, "Split CIFAR-10"): 177,
}


@pytest.mark.parametrize("cell", CELLS, ids=lambda cell: f"{cell.table}-{cell.title}-{cell.sparsity}-{cell.printed}")
def test_every_cell_rounds_to_its_print(cell):
    record = compare(cell)
    key = cell.table, cell.title, cell.sparsity, cell.dataset
    assert record["printed"] == float(cell.printed) == PRINTED[key]
    decimals = len(cell.printed.partition(".")[2])
    assert round(record["ours"], decimals) == PRINTED[key]
    assert record["agrees"]
    assert record["difference"] == pytest.approx(record["ours"] - PRINTED[key])
    assert {"method", "sparsity", "dataset", "quantity", "printed", "ours", "rule", "exact"} <= set(record)


def test_no_cell_is_missing():
    assert {(cell.table, cell.title, cell.sparsity, cell.dataset) for cell in CELLS} == set(PRINTED)
    assert len(CELLS) == len(PRINTED)


# Readings to three digits, in 1e15 FLOPs at .75, .90 and .95.
READINGS = {
    ("derpp", "dw_at_gradient_density"): (2.70, 1.17, 0.67),
    ("er", "dw_at_gradient_density"): (2.14, 0.93, 0.53),
    ("derpp", "both_at_gradient_density"): (2.60, 1.13, 0.64),
    ("er", "both_at_gradient_density"): (2.03, 0.89, 0.51),
    ("derpp", "half_of_dw"): (2.53, 1.10, 0.62),
    ("er", "half_of_dw"): (1.97, 0.85, 0.48),
}


@pytest.mark.parametrize(("method", "reading"), READINGS)
def test_readings_of_gradient_masking(method, reading):
    for sparsity, expected in zip((0.75, 0.9, 0.95), READINGS[method, reading], strict=True):
        config = Config(model="resnet18", method=method, sparsity=sparsity)
        assert round(paper.train_flops(RESNET, config, TASKS, reading=reading) / 1e15, 2) == expected


def test_only_the_default_reading_gives_every_print():
    def all_agree(reading: str) -> bool:
        records = [(compare(cell), cell) for cell in CELLS]
        return all(
            rounds_to(record["readings"][reading], cell.printed) for record, cell in records if record["readings"]
        )

    assert [reading for reading in paper.READINGS if all_agree(reading)] == ["half_of_dw"]


@pytest.mark.parametrize(("sparsity", "expected"), [(0.75, 3.62), (0.9, 1.57), (0.95, 0.886)])
def test_masks_alone(sparsity, expected):
    config = Config(model="resnet18", sparsity=sparsity, ddr=False, dgm=False)
    flops = paper.train_flops(RESNET, config, TASKS) / 1e15
    assert round(flops, 2 if expected > 1 else 3) == expected
    density = 0.98548 * (1 - sparsity) + 0.01452
    assert flops == pytest.approx(13.885568 * density, rel=1e-4)


def test_unit_and_dense_methods():
    unit = 2 * 555_422_720 * 10_000 * 50 * 5
    for method, units in {"sgd": 3, "er": 4, "der": 4, "derpp": 5}.items():
        assert paper.train_flops(RESNET, Config(model="resnet18", method=method), TASKS) == units * unit
    assert [paper.step_cost(method) for method in ("sgd", "er", "derpp")] == [3, 4, 5]


def test_stages_of_other_lengths_give_other_data_fractions():
    """What ties Tiny-ImageNet's stages to 10 epochs: with 5 the fraction is .7375 and the print would be 3.8."""
    spec = describe_model("resnet18", input_shape=(3, 64, 64), classes=200)
    config = Config(model="resnet18", sparsity=0.75, epochs=100, delta_k=10)
    tasks = DATASETS["Split Tiny-ImageNet"]["tasks"]
    assert round(paper.train_flops(spec, config, tasks) / 1e16, 1) == 4.0
    assert round(paper.train_flops(spec, dataclasses.replace(config, delta_k=5), tasks) / 1e16, 1) == 3.8


@pytest.mark.parametrize(
    ("settings", "megabytes", "with_dense_rest"),
    [
        ({"sparsity": None}, 246.7, 246.7),
        ({"sparsity": 0.75, "dgm": False}, 179.6, 180.8),
        ({"sparsity": 0.75}, 177.4, 178.6),
    ],
)
def test_memory(settings, megabytes, with_dense_rest):
    config = Config(model="resnet18", **settings)
    assert round(paper.memory_bytes(RESNET, config) / 1e6, 1) == megabytes
    assert round(paper.memory_bytes(RESNET, config, dense_rest=True) / 1e6, 1) == with_dense_rest


@pytest.mark.parametrize(("sparsity", "share"), [(None, 2), (0.5, 0.5 + 0.4)])
def test_memory_without_convolutions_is_that_of_the_linear_layers(sparsity, share):
    spec = describe_model("mlp", input_shape=(1, 8, 8), classes=10, width=16)
    numbers = 64 * 16 + 16 + 16 * 16 + 16 + 16 * 10 + 10
    config = Config(model="mlp", sparsity=sparsity, batch_size=32)
    # Outputs of 16, 16 and 10 features, forward and backward, and the living weights and formed gradients.
    assert paper.memory_bytes(spec, config) == round(4 * (2 * (16 + 16 + 10) * 32 + share * numbers))


@given(own.run_configs(), own.task_sizes())
def test_sparsity_scales_only_prunable_layers(config, task_sizes):
    spec = describe_model("convnet", input_shape=(1, 8, 8), classes=4, width=6)
    dense = dataclasses.replace(config, sparsity=None)
    full = paper.train_flops(spec, dense, task_sizes)
    assert full == 2 * spec.forward_macs * config.epochs * sum(task_sizes) * (FORWARDS[config.method] + 2)
    if config.sparse:
        masked = paper.train_flops(spec, dataclasses.replace(config, ddr=False, dgm=False), task_sizes)
        stays = sum(layer.forward_macs for layer in spec.layers if not layer.sparsifiable)
        goes = spec.forward_macs - stays
        share = (stays + (1 - Fraction(str(config.sparsity))) * goes) / spec.forward_macs
        assert abs(masked - full * share) <= Fraction(1, 2)
        assert paper.train_flops(spec, config, task_sizes) <= masked


@given(st.integers(0, 10**6), st.integers(0, 3))
def test_rounding_to_a_print(thousandths, decimals):
    value = thousandths / 1000
    printed = f"{value:.{decimals}f}"
    assert rounds_to(float(printed), printed)
    assert not rounds_to(float(printed) + 0.51 * 10**-decimals, printed)
    assert not rounds_to(float(printed) - 0.51 * 10**-decimals, printed)


def test_unknown_names_are_refused():
    with pytest.raises(ValueError, match="unknown reading 'none'; choose one of half_of_dw"):
        paper.train_flops(RESNET, Config(model="resnet18"), TASKS, reading="none")
    with pytest.raises(ValueError, match="unknown method 'gem'; choose one of sgd"):
        paper.step_cost("gem")
