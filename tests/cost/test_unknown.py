"""A layer of one's own: it trains whatever it says, and costs what it says, or nobody knows what."""

from __future__ import annotations

import json

import numpy as np
import pytest

from sparcl_ref.config import Config
from sparcl_ref.cost import FlopLedger, describe, held_memory, paper, predict, sparse_engine_memory
from sparcl_ref.cost.breakdown import removals, savings
from sparcl_ref.cost.conventions import conventions
from sparcl_ref.cost.flops import pass_macs
from sparcl_ref.cost.record import cost_record
from sparcl_ref.cost.record_text import cost_text
from sparcl_ref.layers import Flatten, Footprint, Layer, Linear, MultiplyAdds, Parameter, ReLU, Residual, Sequential
from sparcl_ref.models import Network, he_normal, initialise
from sparcl_ref.optimizers import SGD

SPARSE = Config(model="mlp", sparsity=0.5, epochs=4, delta_k=1, p_inter=0, batch_size=8)


class Mixing(Layer):
    """y = x (U + U^T): a weight that each sample meets twice, and no word about what that costs."""

    def __init__(self, features: int):
        super().__init__()
        self.mix = Parameter("mix", np.eye(features, dtype=np.float32), sparsifiable=True)

    def own_parameters(self):
        return {"mix": self.mix}

    def _forward(self, x, mode):
        return x @ (self.mix.value + self.mix.value.T), x

    def _backward(self, dy, x, need_dx):
        product = x.T @ dy
        self.mix.add_grad(product + product.T)
        return dy @ (self.mix.value + self.mix.value.T) if need_dx else None


class Shaped(Mixing):
    """It says its shape and its multiply-adds, not its memory."""

    kind = "mixing"

    def output_shape(self, shape):
        return shape

    def multiply_adds(self, shape):
        return MultiplyAdds({"mix": 2}, forward=7, dx=5)


class Stated(Shaped):
    """It says everything."""

    def footprint(self, shape, load):
        size = self.mix.value.size * load.item_bytes
        return Footprint(keeps_input=True, forward_bytes=size, backward_bytes=2 * size)


def network(layer: Layer) -> Network:
    """Two linear layers with one of one's own between them, beside an identity."""
    layers = {
        "flatten": Flatten(),
        "fc1": Linear(16, 6, sparsifiable=True),
        "relu": ReLU(),
        "own": Residual(Sequential({"mixing": layer})),
        "fc2": Linear(6, 3),
    }
    net = Network("own", Sequential(layers), input_shape=(1, 4, 4), classes=3)
    initialise(net, np.random.default_rng(0), he_normal)
    return net


@pytest.mark.parametrize("kind", [Mixing, Shaped, Stated])
def test_it_trains(kind):
    model = network(kind(6))
    rng = np.random.default_rng(1)
    x, target = rng.standard_normal((32, 1, 4, 4), dtype=np.float32), rng.standard_normal((32, 3), dtype=np.float32)
    optimizer, ledger, losses = SGD(model.parameters()), FlopLedger(), []
    for _ in range(50):
        error = model.forward(x, mode="train") - target
        losses.append(float((error**2).mean()))
        model.zero_grads()
        model.backward(error / len(x), need_dx=False)
        ledger.record_pass("current", len(x), model)
        ledger.record_update(model.parameters())
        ledger.record_scores(model)
        optimizer.step(0.05)
    assert losses[-1] < 0.8 * losses[0]
    assert not np.array_equal(dict(model.named_parameters())["own.mixing.mix"].value, np.eye(6))
    assert (ledger.train_flops is None) == (kind is Mixing)
    assert ledger.table.overhead_macs["optimizer"] == 50 * sum(p.value.size for p in model.parameters())


def test_what_it_does_not_say_is_unknown():
    spec = describe(network(Mixing(6)))
    assert spec.unknown == "Mixing does not say its output shape"
    assert spec.forward_macs is None
    assert spec.layers == ()
    assert spec.parameters == 16 * 6 + 6 + 36 + 6 * 3 + 3
    for config in (SPARSE, Config(method="sgd")):
        prediction = predict(spec, config, [20, 30])
        assert prediction.train_flops is None
        assert prediction.table.train_macs is None
        assert prediction.table.phase_macs() == {}
        assert prediction.steps > 0
        assert paper.train_flops(spec, config, [20, 30]) is None
        assert paper.memory_bytes(spec, config) is None
        assert held_memory(spec, config) is None
        assert sparse_engine_memory(spec, config) is None
        for parts in savings(spec, config, [20, 30]).values():
            assert {(part.change_flops, part.total_flops) for part in parts} == {(None, None)}
        (row,) = conventions(spec, config, [20, 30])
        assert (row.value, row.value_text) == (None, "unknown")
    rows = removals(spec, SPARSE, [20, 30])
    assert {row.saved_flops for row in rows} == {None}
    assert (rows[0].task, rows[0].removed) == (1, 2)


def test_records_hold_null_and_texts_say_unknown():
    record = json.loads(json.dumps(cost_record(describe(network(Mixing(6))), SPARSE, [20, 30]), allow_nan=False))
    assert record["train_flops"] == {"paper": None, "exact": None}
    assert record["model"]["forward_macs"] is None
    assert record["phase_macs"] is record["overhead_macs"] is None
    assert record["memory_bytes"]["exact"] == {"total": None, "moment": None, "parts": {}}
    text = cost_text(record)
    assert "unknown MACs forward per sample: Mixing does not say its output shape" in text
    assert "train FLOPs, exact convention: unknown" in text
    assert "paper convention" in text
    assert "None" not in text
    assert " 0.0" not in text


def test_a_ledger_that_does_not_know_goes_on_not_knowing():
    ledger, again = FlopLedger(), FlopLedger()
    ledger.record_pass("current", 4, network(Mixing(6)))
    again.load_state(json.loads(json.dumps(ledger.state())))
    assert again.table == ledger.table
    assert again.train_flops is ledger.train_flops is None
    assert ledger.table != FlopLedger().table


def test_memory_alone_may_be_unknown():
    spec = describe(network(Shaped(6)))
    assert spec.unknown == ""
    assert predict(spec, SPARSE, [20, 30]).train_flops > 0
    assert held_memory(spec, SPARSE) is None
    record = cost_record(spec, SPARSE, [20, 30])
    assert record["memory_bytes"]["exact"]["total"] is None
    assert "this engine" in cost_text(record)


def test_what_it_says_is_counted_and_forecast():
    model = network(Stated(6))
    spec = describe(model)
    assert [layer.name for layer in spec.layers] == ["fc1", "own.mixing.mix", "own.mixing.products", "fc2"]
    assert [layer.kind for layer in spec.layers] == ["linear", "mixing", "mixing", "linear"]
    assert [pass_macs(layer) for layer in spec.layers] == [(96, 0, 96), (72, 72, 72), (7, 5, 0), (18, 18, 18)]
    assert [layer.parameter for layer in spec.sparsifiable] == ["fc1.weight", "own.mixing.mix"]
    mask = np.eye(6, dtype=bool)
    model.body.layers["own"].body.layers["mixing"].mix.set_mask(mask)
    ledger = FlopLedger()
    ledger.record_pass("replay", 10, model)
    assert ledger.table.layer_macs() == {
        "fc1": 10 * 192, "own.mixing.mix": 10 * 36, "own.mixing.products": 10 * 12, "fc2": 10 * 54
    }  # fmt: skip
    assert held_memory(spec, SPARSE).total_bytes > 0
    # fc1 is drawn, a layer that states no fan-in starts as it was built.
    np.testing.assert_array_equal(network(Stated(6)).parameters()[2].value, np.eye(6))


def test_a_backward_pass_that_forgets_the_gradient_is_named():
    class Forgetful(Stated):
        def _backward(self, dy, x, need_dx):
            return None

    layer = Forgetful(2)
    layer.forward(np.ones((3, 2), dtype=np.float32), mode="train")
    with pytest.raises(TypeError, match=r"Forgetful: _backward must return the input's gradient .* got None"):
        layer.backward(np.ones((3, 2), dtype=np.float32))


def test_a_layer_around_layers_may_speak_for_them():
    """Parameters of layers within are counted by their dotted names, whatever way values take through them."""

    class Twice(Layer):
        def __init__(self):
            super().__init__()
            self.inner = Linear(6, 6)

        def children(self):
            return {"inner": self.inner}

        def output_shape(self, shape):
            return shape

        def multiply_adds(self, shape):
            return MultiplyAdds({"inner.weight": 2})

    spec = describe(Network("own", Sequential([Flatten(), Twice(), Linear(6, 2)]), input_shape=(1, 2, 3), classes=2))
    assert [(layer.name, layer.parameter) for layer in spec.layers] == [
        ("1.inner", "1.inner.weight"),
        ("2", "2.weight"),
    ]
    assert [pass_macs(layer) for layer in spec.layers] == [(72, 0, 72), (12, 12, 12)]
