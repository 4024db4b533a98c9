"""Runs that would die on a batch too small for the network are refused before they start, and no others."""

from __future__ import annotations

import dataclasses
import re

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sparcl_ref import experiment, models
from sparcl_ref.config import Config
from sparcl_ref.experiment import build, train
from sparcl_ref.forecast import forecast
from sparcl_ref.layers import BatchNorm1d, BatchNorm2d, Conv2d, Flatten, Layer, Linear, ReLU, Residual, Sequential
from sparcl_ref.models import Network
from sparcl_ref.pass_sizes import most_demanding
from sparcl_ref.policies import POLICIES
from sparcl_ref.streams import Dataset
from tests import strategies as own
from tests.noise import noise
from tests.policies.test_by_step import EveryThird

REFUSED = r"would have 1 of the 2 samples that BatchNorm2d\(\d\) of convnet needs at once; choose another --"
DIED = "needs more than one value per channel"
#: On images of 4x4 pixels its last batch-norm sees 1x1.
SMALL = Config(
    model="convnet", width=2, method="er", epochs=2, delta_k=2, batch_size=8, engine="numpy", dtype="float64"
)


def dies(config: Config, data: Dataset) -> bool:
    """Whether the run ends as one that was not refused would; anything else than that end is an error."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(experiment, "check_pass_sizes", lambda *run: None)
        trainer = build(config, data)
    try:
        for _ in trainer.events():
            pass
    except ValueError as error:
        if DIED not in str(error):
            raise
        return True
    return False


def refused(config: Config, data: Dataset) -> str:
    """What the forecast says against a run, if anything; building it must say the same."""
    said = []
    for ask in (forecast, build):
        try:
            ask(config, data)
            said.append("")
        except ValueError as error:
            said.append(str(error))
    assert said[0] == said[1]
    return said[0]


TRAINS = [
    {},
    {"method": "er-las", "batch_size": 5},  # one new sample, but joined by five
    {"method": "er-las", "batch_size": 15, "buffer_size": 1},
    {"method": "er-las", "batch_size": 3, "replay_batch_size": 1},
    {"method": "agem", "buffer_size": 4, "replay_batch_size": 2},
    {"method": "agem", "buffer_size": 9, "sparsity": 0.5, "importance": "magnitude"},
    {"method": "gdumb", "batch_size": 1, "buffer_size": 6, "buffer_passes": 2},
    {"method": "gdumb", "replay_batch_size": 1, "buffer_size": 16, "buffer_passes": 2},
    {"method": "icarl", "buffer_size": 1},  # no room for two exemplars
    {"method": "icarl", "batch_size": 7, "buffer_size": 8},
    {"method": "fdr", "buffer_size": 9},
    {"method": "ewc"},
    {"method": "lwf", "warmup_epochs": 2},
    {"batch_size": 4},
    {"batch_size": 5, "mix": "drop_last=released"},
    {"buffer_size": 9},
    {"buffer_size": 9, "sparsity": 0.5, "importance": "magnitude"},
    {"buffer_size": 10, "sparsity": 0.5},
    {"buffer_size": 9, "sparsity": 0.5, "policy": "static"},
    {"importance_samples": 17, "sparsity": 0.5},  # of 16
    {"replay_batch_size": 1, "method": "sgd"},
    {"buffer_size": 1, "sparsity": 0.5, "method": "sgd"},
    {"ddr_rho": 0.0625, "ddr_cutoff": 1, "delta_k": 1, "p_inter": 0, "sparsity": 0.5, "ddr": False},
]
DIES = [
    ({"method": "er-las", "batch_size": 1}, "^task 1, epoch 1: the last batch .* another --batch-size$"),
    (
        {"method": "er-las", "batch_size": 5, "mix": "replay_from_task=released"},
        "^task 1, epoch 1: the last batch of 16 samples, by --batch-size 5",
    ),
    ({"method": "agem", "buffer_size": 1}, "^task 2, epoch 1: a draw from the buffer .* another --buffer-size$"),
    ({"method": "agem", "replay_batch_size": 1}, "^task 2, epoch 1: a draw .* another --replay-batch-size$"),
    (
        {"method": "agem", "buffer_size": 9, "sparsity": 0.5},
        "^task 2, epoch 2: the last chunk of a probe of 9 samples of the buffer, ",
    ),
    ({"method": "icarl", "batch_size": 7, "buffer_size": 6}, "^task 2, epoch 1: the last batch of 22 samples"),
    (
        {"method": "gdumb", "buffer_size": 1, "buffer_passes": 1},
        "^task 1, epoch 2: the smallest batch of the method's own pass scratch .* another --buffer-size or --b",
    ),
    (
        {"method": "fdr", "form": "mammoth", "buffer_size": 9},
        "^task 1, epoch 2: the smallest batch of the method's own pass recording",
    ),
    ({"batch_size": 5}, "last batch of 16 samples, by --batch-size 5 .* another --batch-size$"),
    ({"batch_size": 1}, "last batch .* another --batch-size$"),
    ({"batch_size": 1, "mix": "drop_last=released"}, "last batch .* another --batch-size$"),
    ({"buffer_size": 1}, "a draw from the buffer .* another --buffer-size$"),
    ({"replay_batch_size": 1}, "a draw from the buffer .* another --replay-batch-size$"),
    ({"replay_batch_size": 1, "mix": "replay_from_task=released"}, "^task 2, epoch 1: a draw"),
    ({"buffer_size": 9, "sparsity": 0.5}, "chunk of a probe of 9 samples of the buffer.* another --buffer-size or "),
    (
        {"importance_samples": 9, "sparsity": 0.5},
        "a probe of 9 samples of the task, .* another --importance-samples or",
    ),
    (
        {"ddr_rho": 0.0625, "ddr_cutoff": 1, "batch_size": 7, "delta_k": 1, "p_inter": 0, "sparsity": 0.5},
        "^task 1, epoch 2: the last batch of 15 samples, .* another --batch-size, --ddr-rho or --ddr-cutoff$",
    ),
]


@pytest.mark.parametrize("changes", TRAINS, ids=str)
def test_what_trains_is_not_refused(changes: dict) -> None:
    config = dataclasses.replace(SMALL, **changes)
    assert not dies(config, noise([16, 16], side=4))
    assert refused(config, noise([16, 16], side=4)) == ""


@pytest.mark.parametrize(("changes", "why"), DIES, ids=str)
def test_what_dies_on_the_way_is_refused_before_it_starts(changes: dict, why: str) -> None:
    config = dataclasses.replace(SMALL, **changes)
    assert dies(config, noise([16, 16], side=4))
    assert re.search(why, said := refused(config, noise([16, 16], side=4))), said
    with pytest.raises(ValueError, match=REFUSED):
        train(config, dataset=noise([16, 16], side=4), on_event=lambda event: pytest.fail("it has begun"))


#: GDumb's buffer is filled by chance; the others' is not, in two tasks of two classes.
OTHERS = [{"method": name} for name in ("er-ace", "er-las", "agem", "fdr", "icarl", "lwf", "ewc", "oewc")]
OTHERS += [{"method": name, "form": "mammoth"} for name in ("agem", "fdr", "icarl")]


@given(st.sampled_from([{}, {}, {}, *OTHERS]), st.data())
def test_a_run_is_refused_exactly_if_it_dies(method: dict, data: st.DataObject) -> None:
    config = data.draw(own.run_configs(model="convnet", width=2, dtype="float64", engine="numpy", **method))
    # Mostly whole batches, or their rests would be the cause of nearly every end.
    config = dataclasses.replace(config, batch_size=max(2, config.batch_size))
    rest = data.draw(st.sampled_from([0, 0, 0, 1, 2]))
    sizes = [config.batch_size * data.draw(st.integers(1, 3)) + rest for _ in range(2)]
    said = refused(config, noise(sizes, side=4))
    if said == "" or re.search(REFUSED, said):
        assert dies(config, noise(sizes, side=4)) == bool(said), said


def test_a_buffer_that_is_filled_by_tasks_may_hold_less_than_it_could(monkeypatch) -> None:
    monkeypatch.setattr(BatchNorm2d, "least_samples", lambda self, shape: 3)
    config = dataclasses.replace(SMALL, method="agem", buffer_size=3)  # after two tasks one sample of each
    said = refused(config, noise([16, 16, 16], side=4))
    assert said.startswith("task 3, epoch 1: a draw from the buffer would have 2 of the 3 samples")


def test_larger_images_are_taken_in_any_portions() -> None:
    for changes in ({"batch_size": 1}, {"buffer_size": 1}):
        assert refused(dataclasses.replace(SMALL, **changes), noise([16, 16])) == ""


@pytest.mark.parametrize(("buffer", "samples"), [(13, 16), (16, 13), (16, 16)])
def test_probes_between_steps_are_foreseen_as_far_as_the_policy_says(buffer: int, samples: int, monkeypatch) -> None:
    policy = type(
        "Probing", (EveryThird,), {
            "probe_samples": property(lambda self: samples),
            "scores": lambda self, parameters, probe, rng: probe(parameters, samples)[0],
        },
    )  # fmt: skip
    monkeypatch.setitem(POLICIES.added, "probing", policy)
    config = dataclasses.replace(
        SMALL, policy="probing", sparsity=0.5, buffer_size=buffer, batch_size=4, ddr=False, dgm=False, width=4
    )
    data = noise([16, 16], side=4)
    assert (
        bool(re.search(f"probe of 13 samples of the {'buffer' if buffer == 13 else 'task'}", refused(config, data)))
        == dies(config, data)
        == (13 in (buffer, samples))
    )


@pytest.mark.parametrize(
    ("layer", "shape"),
    [
        (BatchNorm1d(3), (3,)),
        (BatchNorm1d(3), (3, 1)),
        (BatchNorm2d(3), (3, 1, 1)),
        (Sequential([Conv2d(1, 3, 4), BatchNorm2d(3), ReLU()]), (1, 4, 4)),
        (Residual(Sequential([Conv2d(3, 3, 1), BatchNorm2d(3)])), (3, 1, 1)),
        (Residual(Conv2d(3, 3, 1), Sequential([BatchNorm2d(3)])), (3, 1, 1)),
    ],
)
def test_single_values_per_channel_ask_for_two_samples(layer: Layer, shape: tuple[int, ...]) -> None:
    assert most_demanding(layer, shape) == (2, "BatchNorm1d(3)" if isinstance(layer, BatchNorm1d) else "BatchNorm2d(3)")
    x = np.ones((2, *shape), np.float32)
    layer.forward(x, mode="train")
    with pytest.raises(ValueError, match=DIED):
        layer.forward(x[:1], mode="train")


def test_layers_behind_one_that_does_not_say_its_shape_are_not_known() -> None:
    class Silent(ReLU):
        output_shape = Layer.output_shape

    assert most_demanding(Sequential([Silent(), BatchNorm1d(3)]), (3,)) == (1, "")
    assert most_demanding(Sequential([BatchNorm1d(3), Silent()]), (3,)) == (2, "BatchNorm1d(3)")


def test_a_model_of_ones_own_is_looked_at_too(monkeypatch) -> None:
    def normed(*, input_shape, classes, width=4, dtype=np.float32) -> Network:
        layers = [Flatten(), BatchNorm1d(16, dtype=dtype), Linear(16, classes, dtype=dtype)]
        return Network("normed", Sequential(layers), input_shape=input_shape, classes=classes)

    monkeypatch.setitem(models.MODELS.added, "normed", normed)
    config = dataclasses.replace(SMALL, model="normed", width=None)
    assert refused(config, noise([16, 16], side=4)) == ""
    assert "that BatchNorm1d(16) of normed needs" in refused(
        dataclasses.replace(config, batch_size=3), noise([16, 16], side=4)
    )
