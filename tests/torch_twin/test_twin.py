"""The twin's rules judged by numbers worked out by hand and by torch's own optimiser."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest
import torch

from . import Config, buffer, ddr, dgm, importance, losses, masks, models, optim, released, removal, tdm

F64 = torch.float64


def vector(*values: float) -> torch.Tensor:
    return torch.tensor(values, dtype=F64)


def bits(*values: int) -> torch.Tensor:
    return torch.tensor(values, dtype=torch.bool)


def test_models_have_published_sizes_and_sparsifiable_layers() -> None:
    net = models.resnet18(10)
    assert sum(p.numel() for p in net.parameters()) == 11_173_962
    names = models.sparsifiable(net)
    assert len(names) == 16
    assert sum(dict(net.named_parameters())[n].numel() for n in names) == 11_173_962 - 188_490
    assert {"layer2.0.shortcut.0.weight", "layer2.0.shortcut.1.running_var"} <= set(net.state_dict())
    assert len(models.sparsifiable(models.resnet20(10))) == 18
    assert models.sparsifiable(models.convnet(4, width=8, pools=(True, False))) == ["conv2.weight", "conv3.weight"]
    assert models.sparsifiable(models.mlp(64, 8, 4)) == ["fc2.weight"]


def test_single_head_equals_minus_infinity_and_leaves_other_logits_alone() -> None:
    logits = torch.tensor([[1.0, -2.0, 0.5, 3.0], [0.3, 0.1, -1.0, 2.0]], dtype=F64, requires_grad=True)
    labels = torch.tensor([2, 0])
    masked = logits.detach().clone()
    masked[:, [1, 3]] = -torch.inf
    expected = -torch.log_softmax(masked, dim=1)[[0, 1], labels].mean()
    loss = losses.cross_entropy(logits, labels, (0, 2))
    loss.backward()
    assert loss.item() == pytest.approx(expected.item(), rel=1e-15)
    assert torch.equal(logits.grad[:, [1, 3]], torch.zeros(2, 2, dtype=F64))
    assert losses.mse(vector(1, 2)[None], vector(0, 4)[None]).item() == 2.5  # (1 + 4) / 2


def test_importance_by_hand() -> None:
    w, current, replay = vector(-1, 0.5, 2), vector(4, -2, 0), vector(0, -3, 1)
    assert importance.cwi(w, current, replay, alpha=0.5, beta=1.0).tolist() == [3, 4.5, 3]
    assert importance.cgi(current, replay, alpha=0.5, beta=1.0).tolist() == [2, 4, 1]
    assert released.importance(w, vector(-2, 0, 4), 0.5).tolist() == [2, 0.5, 4]


def test_probe_weighs_chunks_by_size_and_leaves_statistics_alone() -> None:
    torch.manual_seed(0)
    net = models.convnet(3, width=4, pools=(True, False)).to(F64)
    x, y = torch.randn(5, 1, 4, 4, dtype=F64), torch.tensor([0, 1, 2, 1, 0])
    before = {n: v.clone() for n, v in net.state_dict().items()}
    found = importance.probe_gradients(net, ["conv2.weight"], x, y, chunk=3, loss=losses.cross_entropy)
    assert all(torch.equal(v, before[n]) for n, v in net.state_dict().items())
    weighted = (3 * losses.cross_entropy(net(x[:3]), y[:3]) + 2 * losses.cross_entropy(net(x[3:]), y[3:])) / 5
    expected = torch.autograd.grad(weighted, net.conv2.weight)[0]
    torch.testing.assert_close(found["conv2.weight"], expected, rtol=1e-12, atol=1e-14)


def test_budgets_are_exact() -> None:
    assert masks.active_count(5, 0.9) == 1  # 0.5 + 0.5, which floats round to 0.999...
    assert masks.active_count(576, Fraction(76, 100)) == 138  # 138.24
    assert [masks.active_count(7, s) for s in (0, 1, -0.01, 1.2)] == [7, 0, 7, 0]
    shapes = {"a": (2, 2), "b": (10, 30)}
    # s = .9 wants 30.4 of 304; dims 4 and 40: eps = 30.4 / 44, a would get 2.76, b 27.6
    assert masks.budgets(shapes, 0.9, "erk") == {("a",): 3, ("b",): 28}
    # s = .5 wants 152; eps = 152 / 44 would give a 13.8 of 4, so a is dense and b takes the other 148
    assert masks.erk_densities(shapes, 0.5) == {"a": 1, "b": Fraction(148, 300)}
    assert masks.budgets(shapes, 0.9, "global") == {("a", "b"): 30}


def test_shrink_grow_and_their_ties() -> None:
    kept, margin = masks.shrink(vector(9, 2, 5, 2, 2), bits(0, 1, 1, 1, 1), 3)
    assert kept.tolist() == [False, True, True, True, False]
    assert margin == masks.Margin(2, 2, 5)
    assert masks.shrink(vector(9, 1, 5, 2, 4), bits(0, 1, 1, 1, 1), 2)[1].relative == pytest.approx(0.4)
    assert masks.grow(bits(0, 1, 0, 0), torch.tensor([3]), 2).tolist() == [False, True, False, True]
    for bad in ([1], [0, 2], []):
        with pytest.raises(ValueError, match="growth"):
            masks.grow(bits(0, 1, 0, 0), torch.tensor(bad), 2)
    with pytest.raises(ValueError, match="NaN"):
        masks.shrink(vector(1, float("nan")), bits(1, 1), 1)
    shapes = {"a": (3, 4), "b": (5,)}
    random = masks.random_mask(shapes, 0.5, "global", np.random.default_rng(0))
    assert sum(int(m.sum()) for m in random.values()) == 9  # 8.5 + 0.5


def test_tdm_schedule() -> None:
    settings = {"delta_k": 5, "sparsity": 0.75, "p_inter": 0.01, "p_intra": 0.005}
    cycle = [("shrink", Fraction("0.755")), ("expand", Fraction("0.75"))]
    assert {e: tdm.actions(1, e, **settings) for e in range(1, 11) if tdm.actions(1, e, **settings)} == {
        5: cycle,
        10: cycle,
    }
    assert tdm.actions(2, 1, **settings) == [("expand", Fraction("0.74"))]
    assert tdm.actions(2, 5, **settings) == cycle


def test_released_schedule_of_fifty_epochs() -> None:
    settings = {"epochs": 50, "delta_k": 5, "sparsity": 0.75, "p_inter": 0.01, "p_intra": 0.01}
    found = {e: released.mask_actions(e, **settings) for e in range(50)}
    cycle = [("shrink", Fraction("0.76")), ("expand", Fraction("0.75"))]
    start, last = [("shrink", Fraction("0.75")), ("expand", Fraction("0.74"))], [("shrink", Fraction("0.75"))]
    expected = {0: start, **dict.fromkeys(range(5, 45, 5), cycle), 45: last}
    assert {e: todo for e, todo in found.items() if todo} == expected
    assert released.mask_actions(0, **{**settings, "p_inter": 0}) == last
    assert released.mask_actions(5, **{**settings, "p_intra": 0}) == last
    with pytest.raises(ValueError, match="above 1"):
        released.mask_actions(5, **{**settings, "sparsity": 0.995})


def test_released_rules_by_hand() -> None:
    w = vector(4, -1, 0, 3, 2)
    # sorted sizes 0 1 2 3 4: the 50th percentile is 2, the 60th 2.4
    assert released.initial_mask(w, 0.5).tolist() == [True, False, False, True, False]
    assert released.above_threshold(w.abs(), 0.5).tolist() == [True, False, False, True, False]
    assert released.above_threshold(w.abs(), 0.6).tolist() == [True, False, False, True, False]
    assert released.growth_count(vector(0, 0, 0, 0, 1), 0.5) == 1  # int(4 - 2.5)
    assert released.growth_count(vector(1, 1, 1, 1, 0), 0.5) == 0
    assert released.gradient_mask(w, 0.5).tolist() == [True, False, False, True, True]
    assert released.gradient_mask(vector(0, 0, 0, 5), 0.5).tolist() == [False, False, False, True]
    scores = released.ddr_scores(np.array([2, 0, 0]), np.array([True, True, False]), 50)
    assert scores.tolist() == [2, 0, 50]
    assert released.frozen_entries(torch.zeros(3)).tolist() == [False] * 3
    assert released.frozen_entries(torch.tensor([0.0] + [1.0] * 8)).sum() == 8
    assert released.frozen_entries(torch.tensor([0.0] + [1.0] * 9)) is None  # exactly a tenth
    assert [released.removed_per_stage(64, 0.3, stages) for stages in (1, 2, 4)] == [19, 9, 4]
    assert released.initial_mask(w, 0).all()
    assert not released.initial_mask(w, 0.999).any()
    assert [b.tolist() for b in released.full_batches(np.arange(5), 2)] == [[0, 1], [2, 3]]
    assert [released.replays(1, 9), released.replays(2, 0), released.replays(2, 9)] == [False, False, True]
    net = models.mlp(4, 5, 2)
    torch.manual_seed(3)
    expected = models.mlp(4, 5, 2).state_dict()
    released.default_initialisation(net, 3)
    assert all(torch.equal(v, expected[n]) for n, v in net.state_dict().items())


def test_ddr_sizes_and_selection() -> None:
    assert ddr.sizes(10_000, 0.3, 4) == [10_000, 9_250, 8_500, 7_750, 7_000]
    assert [ddr.finished_stage(e, delta_k=5, epochs=10) for e in (4, 5, 10)] == [None, 1, None]
    stays, margin = ddr.remove(np.array([0, 2, 3, 5, 6]), np.array([1, 0, 3, 1, 0, 2, 1]), 2)
    assert stays.tolist() == [2, 5, 6]
    assert margin == masks.Margin(1, 1, 3)
    assert ddr.remove(np.arange(400), np.arange(400) % 2, 300)[0].tolist() == list(range(201, 400, 2))


def test_counts_of_a_stage() -> None:
    kept = removal.Removal(Config(epochs=4, delta_k=2, ddr_rho=0.5, ddr_cutoff=1))
    kept.begin(4)
    for outcome in ((1, 0, 0, 1), (0, 0, 1, 1), (0, 0, 0, 1)):
        kept.count(np.arange(4), np.array(outcome, dtype=bool))
    assert kept.misclassified.tolist() == [2, 3, 2, 0]
    assert kept.flips.tolist() == [1, 0, 1, 0]
    assert kept.ever_correct.tolist() == [True, False, True, True]
    assert kept.close(1) is None
    assert kept.close(2) == masks.Margin(2, 2, 3)
    assert kept.remaining.tolist() == [1, 2]
    assert kept.misclassified.tolist() == kept.flips.tolist() == [0] * 4
    assert not kept.ever_correct.any()
    assert kept.previous.tolist() == [-1] * 4


def test_gradient_mask_by_hand() -> None:
    assert Config(sparsity=0.75).gradient_sparsity == Fraction(8, 10)
    assert dgm.keep_counts({"a": (10, 10)}, Fraction(8, 10), "global") == {"a": 20}
    kept, margin = dgm.gradient_mask(vector(9, 1, 3, 3, 2), bits(0, 1, 1, 1, 1), 2)
    assert kept.tolist() == [False, False, True, True, False]
    assert margin == masks.Margin(3, 2, 3)
    assert [dgm.refresh_due(i, 30) for i in (0, 29, 30)] == [True, False, True]


def test_reservoir_by_hand() -> None:
    assert [buffer.reservoir_slot(i, 2, j) for i, j in ((0, 9), (1, 9), (2, 1), (3, 2))] == [0, 1, 1, None]
    store = buffer.Buffer(2)
    images = np.arange(4).reshape(4, 1, 1, 1)
    store.add(images[:3], np.array([5, 6, 7]), np.ones((3, 2)), 1, np.array([-1, -1, 0]))
    store.add(images[3:], np.array([8]), np.zeros((1, 2)), 2, np.array([1]))
    found = store.content()
    assert found["images"].reshape(-1).tolist() == [2, 3]
    assert (found["labels"].tolist(), found["tasks"].tolist(), found["seen"]) == ([7, 8], [1, 2], 4)
    with pytest.raises(ValueError, match="reservoir draw"):
        buffer.reservoir_slot(4, 2, 5)


@pytest.mark.parametrize("nesterov", [False, True])
def test_sgd_is_torch_sgd_on_living_weights(nesterov: bool) -> None:
    settings = {"lr": 0.1, "momentum": 0.9, "nesterov": nesterov, "weight_decay": 0.05}
    reference = torch.nn.Parameter(vector(1, -2, 3))
    optimiser = torch.optim.SGD([reference], **settings)
    value, velocity, living = vector(1, -2, -0.0), torch.zeros(3, dtype=F64), bits(1, 1, 0)
    for gradient in (vector(1, 0, -1), vector(-2, 1, 1), vector(0, 0, 1)):
        reference.grad = gradient.clone()
        optimiser.step()
        optim.sgd_step(value, gradient, velocity, living, **settings)
        torch.testing.assert_close(value[:2], reference.detach()[:2], rtol=1e-14, atol=0)
        assert value[2].item() == velocity[2].item() == 0
        assert not bool(torch.signbit(value[2]))
