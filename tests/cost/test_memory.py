"""Predicted bytes against what Python's allocator saw."""

from __future__ import annotations

import dataclasses
import gc
import tracemalloc

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sparcl_ref.config import Config
from sparcl_ref.cost import describe, describe_model, held_memory, sparse_engine_memory
from sparcl_ref.cost.peak import Array, Meter, Pass, pass_peak
from sparcl_ref.experiment import build
from sparcl_ref.layers import (
    AvgPool2d,
    Conv2d,
    Dropout,
    Flatten,
    GlobalAvgPool2d,
    Linear,
    Load,
    MaxPool2d,
    ReLU,
    Residual,
    Sequential,
)
from sparcl_ref.models import Network, build_model
from sparcl_ref.streams import Dataset
from sparcl_ref.trainer import Trainer
from tests import strategies as own

# Channel-sized arrays and Python objects, which the prediction leaves out: some dozen layers of some kilobytes.
SMALL = 60_000


class Watch:
    """Bytes allocated since it was made, at most since the last `peak`."""

    def __init__(self) -> None:
        gc.collect()
        tracemalloc.start()
        self.base = tracemalloc.get_traced_memory()[0]

    def held(self) -> int:
        gc.collect()
        return tracemalloc.get_traced_memory()[0] - self.base

    def peak(self) -> int:
        highest = tracemalloc.get_traced_memory()[1] - self.base
        tracemalloc.reset_peak()
        return highest


@pytest.fixture
def watch():
    watching = Watch()
    yield watching
    tracemalloc.stop()


def alone(conv: Conv2d) -> Network:
    """A network of one convolution, whose working space nothing else hides."""
    layers = [conv, GlobalAvgPool2d(), Linear(conv.out_channels, 10)]
    return Network("alone", Sequential(layers), input_shape=(conv.in_channels, 32, 32), classes=10)


PASSES = {
    "mlp": (lambda: model_of("mlp", (1, 28, 28)), 32),
    "convnet-8": (lambda: model_of("convnet", (1, 8, 8), 64), 16),
    "convnet-28": (lambda: model_of("convnet", (1, 28, 28), 64), 32),
    "resnet20": (lambda: model_of("resnet20", (3, 32, 32), 8), 8),
    "resnet18-16": (lambda: model_of("resnet18", (3, 32, 32), 16), 16),
    "resnet18-64": (lambda: model_of("resnet18", (3, 32, 32), 64), 4),
    "stem": (lambda: alone(Conv2d(3, 64, 3, padding=1, bias=False)), 32),
    # Chunks of four samples: a second one of one sample, a second one of four.
    "stem-rest": (lambda: alone(Conv2d(3, 64, 3, padding=1, bias=False)), 5),
    "stem-two": (lambda: alone(Conv2d(3, 64, 3, padding=1, bias=False)), 8),
    "shortcut": (lambda: alone(Conv2d(16, 32, 1, stride=2, bias=False)), 32),
    "dropout": (lambda: dropping(), 64),
}


def model_of(name: str, shape: tuple[int, int, int], width: int | None = None) -> Network:
    return build_model(name, input_shape=shape, classes=10, width=width, rng=np.random.default_rng(0))


def dropping() -> Network:
    layers = [Flatten(), Linear(3072, 512), Dropout(0.5, rng=np.random.default_rng(0)), ReLU(), Linear(512, 10)]
    return Network("dropping", Sequential(layers), input_shape=(3, 32, 32), classes=10)


@pytest.mark.parametrize("name", PASSES)
def test_one_pass_of_a_model(watch, name):
    build_it, batch = PASSES[name]
    model = build_it()
    rng = np.random.default_rng(1)
    start = watch.held()
    x = rng.standard_normal((batch, *model.input_shape), dtype=np.float32)
    watch.peak()
    logits = model.forward(x, mode="train")
    kept = watch.held() - start
    model.backward(np.ones_like(logits), need_dx=False)
    peak = watch.peak() - start
    predicted = pass_peak(model.body, model.input_shape, batch=batch)
    # Arrays are counted one by one, NumPy's own buffers of some ten kilobytes are not.
    assert abs(predicted.kept_bytes - kept) <= SMALL
    assert abs(predicted.peak_bytes - peak) <= 0.005 * peak + SMALL
    assert predicted.peak_bytes == pytest.approx(peak, rel=0.05)


@settings(max_examples=25)
@given(own.conv_geometries(), own.pool_geometries(), st.booleans())
def test_arrays_of_a_pass_are_given_back(geometry, pooling, need_dx):
    """Whatever the layers: after backward nothing is held but what the caller was given."""
    keys = ("in_channels", "out_channels", "kernel_size", "stride", "padding", "dilation", "groups")
    conv = Conv2d(**{key: getattr(geometry, key) for key in keys})
    pools = [
        kind(pooling.kernel_size, stride=pooling.stride, padding=pooling.padding) for kind in (MaxPool2d, AvgPool2d)
    ]
    for layers, shape in [
        ([ReLU(), conv, Dropout(0.5, rng=None), Flatten()], geometry.input_shape),
        ([pools[0], Flatten()], pooling.input_shape),
        ([pools[1], GlobalAvgPool2d()], pooling.input_shape),
    ]:
        body, walk = Sequential(layers), Pass(Load(shape[0], 8))
        logits = walk.forward(body, walk.array(shape[1:]))
        dx = walk.backward(body, walk.array(logits.shape), need_dx=need_dx)
        assert (dx is not None) == need_dx
        del logits
        held = 8 * int(np.prod(shape))
        assert walk.meter.now_bytes == held * need_dx
        assert walk.meter.peak_bytes >= held


def test_a_block_at_the_input_needs_no_input_gradient():
    """Its branches form none, and its own sum is spared too."""
    body, walk = Sequential([Residual(Conv2d(2, 2, 1), Conv2d(2, 2, 1)), Flatten()]), Pass(Load(3, 4))
    x = walk.array((2, 8, 8))
    logits = walk.forward(body, x)
    assert walk.backward(body, walk.array(logits.shape), need_dx=False) is None
    del logits
    assert walk.meter.now_bytes == 3 * 128 * 4  # the input, its caller's


def test_meter_frees_with_the_last_reference():
    meter = Meter()
    first = Array(meter, (10,), 10)
    view = Array(meter, (5, 2), 0, base=first)
    Array(meter, (), 5)
    del first
    assert (meter.now_bytes, meter.peak_bytes) == (10, 15)
    del view
    assert (meter.now_bytes, meter.peak_bytes) == (0, 15)


def test_shared_arrays_are_paid_for_once():
    """ReLU keeps its output, and the next layer the same array as its input."""
    both = Sequential({"relu": ReLU(), "flatten": Flatten(), "linear": Linear(50, 2, bias=False)})
    x, y, logits = 50, 50, 2
    assert pass_peak(both, (2, 5, 5), batch=3).kept_bytes == 4 * 3 * (x + y + logits)


def dataset(shape: tuple[int, int, int]) -> Dataset:
    rng = np.random.default_rng(0)
    labels = np.arange(160) % 4
    images = rng.integers(0, 256, (160, *shape), dtype=np.uint8)
    return Dataset(name="noise", train_x=images, train_y=labels, test_x=images[:4], test_y=labels[:4])


def trainer_before_its_second_step(config: Config, data: Dataset) -> Trainer:
    """The buffer is filled by then, and the next step has all its passes."""
    trainer = build(config, data)
    while trainer.cursor.updates < 1:
        trainer.advance()
    return trainer


# Width 64 with a small batch: there weights weigh more than activations.
STEPS = [
    ("convnet", (1, 8, 8), 64, 16),
    ("convnet", (1, 28, 28), 64, 32),
    ("resnet18", (3, 32, 32), 16, 8),
    ("resnet18", (3, 32, 32), 64, 2),
    ("resnet20", (3, 32, 32), 16, 8),
    ("mlp", (1, 28, 28), None, 32),
]


@pytest.mark.parametrize("sparsity", [None, 0.9])
@pytest.mark.parametrize(("name", "shape", "width", "batch"), STEPS)
def test_real_steps_hold_what_is_predicted(watch, name, shape, width, batch, sparsity):
    config = Config(
        model=name, width=width, sparsity=sparsity, batch_size=batch, buffer_size=50, importance_samples=2 * batch,
        engine="numpy", dgm_interval=1,  # gradient masks are chosen at every step: the fullest there is
    )  # fmt: skip
    data = dataset(shape)
    start = watch.held()
    trainer = trainer_before_its_second_step(config, data)
    watch.peak()
    replayed = len(trainer.advance().observation.draws)
    step = watch.peak() - start
    assert replayed == 2
    predicted = held_memory(describe(trainer.model), config)
    assert max(predicted.moments["pass"], predicted.moments["update"]) == pytest.approx(step, rel=0.05)
    if sparsity is None:
        assert "probe" not in predicted.moments
        return
    trainer.regime.policy.scores(trainer.regime.parameters, trainer.charged_probe, trainer.regime.rng)
    assert predicted.moments["probe"] == pytest.approx(watch.peak() - start, rel=0.05)
    assert predicted.total_bytes == max(predicted.moments.values()) == predicted.moments[predicted.moment]


def test_buffer_is_the_arrays_it_consists_of():
    config = Config(model="convnet", buffer_size=37, dtype="float64")
    trainer = build(config, dataset((3, 6, 6)))
    spec = describe(trainer.model)
    assert held_memory(spec, config).parts["buffer"] == trainer.buffer.nbytes
    assert "buffer" not in held_memory(spec, dataclasses.replace(config, method="sgd")).parts


def test_a_sparse_engine_saves_what_the_reference_cannot():
    spec = describe_model("resnet18", input_shape=(3, 32, 32), classes=10)
    dense = Config(model="resnet18", momentum=0.9)
    sparse = dataclasses.replace(dense, sparsity=0.9, p_inter=0)
    alive, prunable = 0, 0
    for layer in spec.sparsifiable:
        alive += int(layer.weights * 0.1 + 0.5)
        prunable += layer.weights
    rest = spec.parameters - prunable
    parts = sparse_engine_memory(spec, sparse).parts
    assert parts["weights"] == 4 * (alive + rest + spec.buffer_entries)
    assert parts["indices"] == 4 * alive
    assert parts["optimizer"] == 4 * (alive + rest)
    assert 4 * rest < parts["gradients"] < parts["optimizer"]  # .92 of the gradients are masked
    everything = sparse_engine_memory(spec, dense)
    assert "indices" not in everything.parts
    assert sparse_engine_memory(spec, sparse).total_bytes < everything.total_bytes
    # Dense arrays under masks cost more, not less.
    assert held_memory(spec, sparse).total_bytes > held_memory(spec, dense).total_bytes
    assert held_memory(spec, dense).parts["optimizer"] == 4 * spec.parameters


def test_float64_doubles_numbers():
    spec = describe_model("mlp", input_shape=(1, 8, 8), classes=10)
    single, double = (
        held_memory(spec, Config(model="mlp", method="sgd", dtype=kind)) for kind in ("float32", "float64")
    )
    for part in ("weights", "gradients"):
        assert double.parts[part] == 2 * single.parts[part]
