"""The recording: complete, of the very run that would happen without it, and readable as the choices of a replay."""

from __future__ import annotations

import itertools
import math
from collections import Counter

import numpy as np
import pytest

from sparcl_ref.config import Config
from sparcl_ref.experiment import build
from sparcl_ref.verify.traces.archive import Name, TraceReader
from sparcl_ref.verify.traces.canonical import CANONICAL, canonical_dataset, canonical_initial
from sparcl_ref.verify.traces.listening import Listener
from sparcl_ref.verify.traces.rules import rule_book

SPARSIFIABLE = ("conv2.weight", "conv3.weight")


@pytest.fixture(scope="module")
def tensors(reference) -> dict[str, np.ndarray]:
    with TraceReader(reference) as reader:
        return {name: reader.read(name) for name in reader.names}


def some(tensors: dict[str, np.ndarray], end: str) -> list[np.ndarray]:
    """Tensors whose names end so, in order."""
    return [array for name, array in tensors.items() if name.endswith(end)]


# --- what the file holds


def test_the_manifest_describes_every_tensor_in_order(reference, tensors):
    with TraceReader(reference) as reader:
        manifest, names = reader.manifest, reader.names
    assert [tensor["name"] for tensor in manifest["tensors"]] == list(names)
    assert len(set(names)) == len(names) > 5000
    assert all(Name.parse(name) for name in names)
    assert {tensor["rule"] for tensor in manifest["tensors"]} == set(manifest["rules"])
    assert manifest["complete"] is True
    assert Config.from_json(manifest["config"]) == CANONICAL
    assert reference.stat().st_size < 8_000_000
    growth = list(manifest["growth"].values())
    assert growth == sorted(growth)
    assert 1 <= growth[0] < growth[-1] < 1e4
    # Sums over 8 images of 8x8 positions are the longest: a kernel over 4 channels has 36 terms.
    assert manifest["terms"] == 8 * 8 * 8
    for tensor in manifest["tensors"]:
        array, rule = tensors[tensor["name"]], manifest["rules"][tensor["rule"]]
        assert (tensor["tolerance"] is None) == rule["exact"]
        if not rule["exact"]:
            growth_there = manifest["growth"][Name.parse(tensor["name"]).step]
            largest = float(np.abs(array).max()) if array.size else 0.0
            assert tensor["tolerance"] == pytest.approx(4 * math.sqrt(514) * 2.0**-52 * growth_there * largest)


def test_every_rule_has_a_sentence_and_a_source():
    book = rule_book()
    assert all(rule.sentence.endswith(".") and rule.source for rule in book.values())
    assert "output/Swish: as the reference computes it" in book["output/Swish"].sentence
    layers = {name.split("/")[1] for name in rule_book() if name.startswith("output/")}
    assert layers == {name.split("/")[1] for name in rule_book() if name.startswith("dx/")}


def test_an_ordinary_numpy_reads_it(reference, tensors):
    name = "task1.epoch2.step0/current/conv2/output"
    with np.load(reference, allow_pickle=False) as archive:
        assert np.array_equal(archive[name], tensors[name])


def test_everything_of_the_method_happens(tensors):
    happened: Counter[str] = Counter()
    importance: dict[str, np.ndarray] = {}
    masks = {name: tensors[f"start/choices/{name}/mask"] for name in SPARSIFIABLE}
    removed: dict[str, np.ndarray] = {}
    for text, array in tensors.items():
        name = Name.parse(text)
        if name.tensor == "importance":
            importance[name.layer] = array
        elif name.pass_name == "shrink" and name.tensor == "mask":
            gone, score = masks[name.layer] & ~array, importance[name.layer]
            assert gone.any()
            assert not (array & ~masks[name.layer]).any()
            assert score[array].min() >= score[gone].max()
            happened["tie"] += score[array].min() == score[gone].max()
            masks[name.layer], removed[name.layer] = array, gone
            happened["shrink"] += 1
        elif name.pass_name == "expand" and name.tensor == "mask":
            joined = array & ~masks[name.layer]
            happened["redrawn"] += int((joined & removed.pop(name.layer, np.zeros_like(joined))).any())
            happened["expand"] += 1
            masks[name.layer] = array
        elif name.tensor == "value" and name.layer in masks and name.pass_name in ("masked", "update"):
            assert not array[~masks[name.layer]].any()
    samples = some(tensors, "ddr/-/remaining")
    happened["removal"] = sum(len(a) > len(b) for a, b in itertools.pairwise(samples))
    slots = np.concatenate(some(tensors, "buffer/-/slots"))
    happened["turned away"] = int((slots == -1).sum())
    happened["replaced"] = int((slots[CANONICAL.buffer_size :] >= 0).sum())
    draws = list(zip(some(tensors, "replay_mse_slots"), some(tensors, "replay_ce_slots"), strict=True))
    happened["unlike draws"] = sum(not np.array_equal(np.sort(one), np.sort(other)) for one, other in draws)
    happened["short draw"] = sum(len(one) < CANONICAL.replay_batch_size for one, _ in draws)
    batches = some(tensors, "choices/-/batch")
    happened["partial batch"] = sum(len(batch) < CANONICAL.batch_size for batch in batches)
    happened["refresh"] = len(some(tensors, "dgm/conv2.weight/importance"))
    happened["reuse"] = len(some(tensors, "dgm/conv2.weight/gradient_mask")) - happened["refresh"]
    happened["wrong"] = int(sum(array.sum() for array in some(tensors, "ddr/-/misclassified")))
    order = tensors["start/choices/-/class_order"].reshape(-1, 2)
    happened["unsorted task"] = int((order[:, 0] > order[:, 1]).sum())
    assert len(batches) == 30
    kinds = {"shrink", "expand", "tie", "redrawn", "removal", "turned away", "replaced", "unlike draws", "short draw"}
    kinds |= {"partial batch", "refresh", "reuse", "wrong", "unsorted task"}
    assert set(happened) == kinds
    assert not [kind for kind, count in happened.items() if not count]


def test_the_silent_channel_gives_exact_zeros(tensors):
    relu = [a for name, a in tensors.items() if name.endswith(("current/relu2/output", "replay_ce/relu2/output"))]
    assert len(relu) == 30 + 29
    assert not any(array[:, 0].any() for array in relu)
    assert all(array[:, 1:].any() for array in relu)


def test_passes_follow_the_network_and_gradients_add_up(tensors):
    at = "task2.epoch1.step1"
    outputs = [n.split("/")[2] for n in tensors if n.startswith(f"{at}/replay_ce/") and n.endswith("/output")]
    trunk = ["conv1", "bn1", "relu1", "pool1", "conv2", "bn2", "relu2", "pool2", "conv3", "bn3", "relu3", "pool"]
    assert outputs == [*trunk, "linear"]
    backward = [n.split("/")[2] for n in tensors if n.startswith(f"{at}/current/") and n.endswith("/input_gradient")]
    assert backward == ["linear", *reversed(trunk[1:])]
    for name in ("conv1.weight", "conv3.weight", "linear.bias"):
        total = tensors[f"{at}/current/{name}/gradient"] + tensors[f"{at}/replay/{name}/gradient"]
        assert np.array_equal(total, tensors[f"{at}/update/{name}/gradient"])
    x, weight = tensors[f"{at}/current/pool/output"], tensors["task2.epoch1.step0/update/linear.weight/value"]
    bias = tensors["task2.epoch1.step0/update/linear.bias/value"]
    np.testing.assert_allclose(tensors[f"{at}/current/linear/output"], x @ weight.T + bias, rtol=1e-12, atol=1e-14)
    flops = np.array(some(tensors, "cost/-/flops"))
    assert flops.dtype == np.int64
    assert (np.diff(flops.sum(axis=1)) > 0).all()


# --- the run is not disturbed


def test_listening_changes_no_bit_of_the_run(tensors):
    trainer = build(CANONICAL, canonical_dataset())
    trainer.model.load_state_dict(canonical_initial())
    for _ in trainer.events():
        pass
    last = "task3.epoch4.step1"
    for name, array in trainer.model.state_dict().items():
        assert np.array_equal(array, tensors[f"{last}/update/{name}/value"]), name
    for parameter in trainer.model.parameters():
        assert np.array_equal(parameter.slots["momentum"], tensors[f"{last}/update/{parameter.name}/velocity"])
    memory = trainer.buffer.content()
    assert np.array_equal(memory.logits, tensors[f"{last}/buffer/-/logits"])
    assert trainer.ledger.train_flops == tensors[f"{last}/cost/-/flops"].sum()
    assert trainer.history.class_il_matrix[-1] == tensors["task3.end/evaluation/-/class_il_accuracy"].tolist()


def test_listening_leaves_nothing_behind():
    trainer, other = build(CANONICAL, canonical_dataset()), build(CANONICAL, canonical_dataset())
    owners = [trainer, trainer.regime.policy, *(layer for _, layer in trainer.model.named_layers())]
    before = [set(vars(owner)) for owner in owners]
    listener = Listener(trainer)
    with listener.listening():
        assert [set(vars(owner)) for owner in owners] != before
        for run in (trainer, other):
            while run.cursor.updates < 1:
                run.advance()
        assert len(listener.take().passes) == 1  # the other trainer was not heard
        while trainer.cursor.epoch < 2:
            listener.take()
            trainer.advance()
        notes = listener.take()
        assert notes.probe_gradients is not None
        assert notes.passes == []  # probes are no passes of a step
    assert [set(vars(owner)) for owner in owners] == before
    trainer.advance()
    assert listener.take().passes == []


# --- the further runs


@pytest.mark.parametrize(
    ("run", "terms", "left"), [("er", {"replay_ce"}, (16, 13, 10, 6)), ("der", {"replay_mse"}, (16, 12, 8))]
)
def test_the_further_runs_have_what_the_first_leaves_out(run, terms, left, recorded):
    with TraceReader(recorded(run)) as reader:
        held = {name: reader.read(name) for name in reader.names}
        config = Config.from_json(reader.manifest["config"])
    assert (config.head, config.nesterov, config.method) == ("full", True, run)
    assert config.lr_schedule != "constant"
    passes = {Name.parse(name).pass_name for name in held}
    assert passes & {"replay_mse", "replay_ce"} == terms
    sizes = [len(array) for array in some(held, "ddr/-/remaining")]
    assert set(sizes) == set(left)
    # A share of what remains would leave others.
    share, remaining = config.ddr_rho / config.ddr_cutoff, [left[0]]
    for _ in left[1:]:
        remaining.append(remaining[-1] - int(share * remaining[-1] + 0.5))
    assert remaining[-1] != left[-1]
    norms: Counter[str] = Counter()
    for text, array in held.items():
        name = Name.parse(text)
        if name.pass_name == "update" and name.tensor == "gradient":
            norms[name.step] += float((array**2).sum())
    assert sum(norm > 1 for norm in norms.values()) > len(norms) / 2
    rows = [array for name, array in held.items() if "/current/-/logits_gradient" in name]
    assert all((row != 0).all() for row in rows), "every class takes part"
