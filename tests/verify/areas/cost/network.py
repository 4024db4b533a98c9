"""Work and memory of training: inputs, oracle and wrong implementations."""

from __future__ import annotations

import math
from collections.abc import Iterator
from fractions import Fraction

import numpy as np

from tests import exact
from tests.verify.areas.cost.layer_flops import OPERATIONS
from tests.verify.spec import Arguments, CaseSpec, Oracle, Result, Tolerance, Wrong


def cases() -> Iterator[CaseSpec]:
    yield from _trained_samples()
    yield from _paper_density()
    yield from _paper_train_flops()
    yield from _memory()
    yield from _other_settings()


#: ResNet-18, width 64, 32x32 images: multiply-adds of a forward pass, and those outside stem, shortcuts and classifier.
RESNET18 = {"forward_macs": 555_422_720, "prunable_macs": 547_356_672}
RESNET18_MEMORY = {"parameters": 11_173_962, "conv_outputs": 614_400, "batch_size": 32}
#: Split CIFAR-10: five tasks of 10,000 samples, 50 epochs, whole and with the mean data fraction of .775.
ALL_SAMPLES, WITH_REMOVAL = 2_500_000, 1_937_500


def _trained_samples() -> Iterator[CaseSpec]:
    for name, kind, samples, epochs, delta_k, rho, cutoff, note in (
        ("cifar", "regular", 10000, 50, 5, "0.3", 4, "a mean fraction of .775"),
        ("tiny-imagenet", "regular", 10000, 100, 10, "0.3", 4, "stages of ten epochs"),
        ("digits", "adversarial", 359, 12, 3, "0.3", 4, "the last stage ends with the task and removes nothing"),
        ("few-epochs", "adversarial", 100, 7, 5, "0.3", 4, "one stage is reached, and the next is not complete"),
        ("no-removal", "edge", 100, 10, 5, "0", 4, "every epoch sees all samples"),
        ("all-removed", "edge", 90, 10, 2, "1", 3, "the last epochs see no sample"),
        ("no-stage", "edge", 100, 4, 5, "0.3", 4, "the task is over before a stage is"),
        ("odd-beyond-float32", "adversarial", 1_000_003, 27, 5, "0.3", 4, "a count that float32 does not hold"),
        ("odd-beyond-float32-again", "adversarial", 2_000_005, 11, 3, "0.2", 2, "a count that float32 does not hold"),
    ):
        arguments = {"samples": samples, "epochs": epochs, "delta_k": delta_k, "rho": rho, "cutoff": cutoff}
        yield CaseSpec("trained_samples", name, kind, note, arguments)


def _paper_density() -> Iterator[CaseSpec]:
    for name, kind, sparsity, changes, note in (
        ("published", "regular", "0.75", {}, "0.98548 (1 - s) + 0.01452: stem, shortcuts and classifier stay dense"),
        ("very-sparse", "regular", "0.95", {}, "what stays dense weighs most here"),
        ("dense", "edge", "0", {}, "1"),
        ("empty", "edge", "1", {}, "only the dense layers are left"),
        ("all-prunable", "edge", "0.9", {"prunable_macs": 555_422_720}, "1 - s"),
    ):
        yield CaseSpec("paper_density", name, kind, note, {"sparsity": sparsity} | RESNET18 | changes)


def _paper_train_flops() -> Iterator[CaseSpec]:
    dense = {"sparsity": None, "gradient_sparsity": None, "reading": "half_of_dw"}
    for name, kind, method, samples, changes, note in (
        ("derpp", "regular", "derpp", ALL_SAMPLES, {}, "13.89e15: five forward passes a sample"),
        ("er", "regular", "er", ALL_SAMPLES, {}, "11.11e15: four"),
        ("der", "adversarial", "der", ALL_SAMPLES, {}, "one draw, like ER"),
        ("sgd", "edge", "sgd", ALL_SAMPLES, {}, "8.33e15: nothing is replayed"),
        ("der-sparse", "adversarial", "der", WITH_REMOVAL, {"sparsity": "0.9", "gradient_sparsity": "0.92"},
         "one draw, like ER"),
        ("odd-beyond-float32", "adversarial", "derpp", 999, {"forward_macs": 1_000_003, "prunable_macs": 999_999},
         "a count that float32 does not hold"),
        ("tdm", "regular", "derpp", ALL_SAMPLES, {"sparsity": "0.75"}, "3.62e15"),
        ("tdm-ddr", "regular", "derpp", WITH_REMOVAL, {"sparsity": "0.75"}, "2.81e15: fewer samples"),
        ("sparcl", "regular", "derpp", WITH_REMOVAL, {"sparsity": "0.75", "gradient_sparsity": "0.8"}, "2.53e15"),
        ("sparcl-er", "regular", "er", WITH_REMOVAL, {"sparsity": "0.95", "gradient_sparsity": "0.96"}, "0.48e15"),
        ("dw-reading", "adversarial", "derpp", WITH_REMOVAL,
         {"sparsity": "0.75", "gradient_sparsity": "0.8", "reading": "dw_at_gradient_density"},
         "2.70e15: dW at the density of the gradients"),
        ("both-reading", "adversarial", "derpp", WITH_REMOVAL,
         {"sparsity": "0.75", "gradient_sparsity": "0.8", "reading": "both_at_gradient_density"},
         "2.60e15: both backward products at the density of the gradients"),
        ("no-samples", "edge", "derpp", 0, {"sparsity": "0.75"}, "nothing is trained on"),
    ):  # fmt: skip
        arguments = {"method": method, **RESNET18, "trained_samples": samples} | dense | changes
        yield CaseSpec("paper_train_flops", name, kind, note, arguments)


def _memory() -> Iterator[CaseSpec]:
    for name, kind, changes, note in (
        ("dense", "regular", {"sparsity": "0", "gradient_sparsity": "0"}, "247 MB"),
        ("sparse", "regular", {"sparsity": "0.75", "gradient_sparsity": "0.75"}, "180 MB: P is all parameters"),
        ("round", "regular", {"parameters": 11_000_000, "sparsity": "0.75", "gradient_sparsity": "0.8"}, "177 MB"),
        ("one-sample", "edge", {"batch_size": 1, "sparsity": "0", "gradient_sparsity": "0"}, "few activations"),
        ("nearly-empty", "edge", {"parameters": 11_000_000, "sparsity": "0.99", "gradient_sparsity": "0.99"},
         "activations"),
        ("odd-beyond-float32", "adversarial",
         {"parameters": 33_554_433, "conv_outputs": 7, "batch_size": 1, "sparsity": "0", "gradient_sparsity": "1"},
         "bytes that float32 does not hold"),
        ("gradients-alone", "adversarial", {"parameters": 1000, "sparsity": "0", "gradient_sparsity": "0.2"},
         "masked gradients, dense weights"),
    ):  # fmt: skip
        yield CaseSpec("paper_memory_bytes", name, kind, note, RESNET18_MEMORY | changes)
    for name, kind, living, dense, value_bytes, index_bytes, note in (
        ("float32", "regular", 2_746_368, 188_490, 4, 4, "a value and an index each; dense ones need no index"),
        ("float64", "adversarial", 2_746_368, 188_490, 8, 4, "an index does not grow with the value"),
        ("short-index", "adversarial", 1_000, 10, 4, 2, "sizes are parameters"),
        ("none-living", "edge", 0, 188_490, 4, 4, "the dense ones remain"),
        ("none-dense", "edge", 100, 0, 4, 4, "everything is under a mask"),
        ("odd-beyond-float32", "adversarial", 5_592_407, 2, 1, 2, "bytes that float32 does not hold"),
        ("beyond-32-bits", "edge", 3_000_000_001, 5, 4, 4, "bytes that 32 bits do not hold"),
    ):
        arguments = {"living": living, "dense": dense, "value_bytes": value_bytes, "index_bytes": index_bytes}
        yield CaseSpec("sparse_weight_bytes", name, kind, note, arguments)


def _other_settings() -> Iterator[CaseSpec]:
    """Another value where the other cases have always the same: none of it may stand in code."""
    network = {"forward_macs": 1_000_000, "prunable_macs": 750_000}
    yield CaseSpec(
        "paper_density", "other-network", "regular", "0.98548 belongs to one network and is no constant",
        {"sparsity": "0.5", **network},
    )  # fmt: skip
    yield CaseSpec(
        "paper_train_flops", "other-network", "regular", "figures of one network fixed in the code",
        {"method": "er", **network, "trained_samples": 1000, "sparsity": "0.5", "gradient_sparsity": "0.6"},
    )  # fmt: skip
    yield CaseSpec(
        "paper_memory_bytes", "other-network", "regular", "figures of one network fixed in the code",
        {"parameters": 120_000, "conv_outputs": 5_000, "batch_size": 8, "sparsity": "0.5", "gradient_sparsity": "0.6"},
    )  # fmt: skip


# --- oracle -----------------------------------------------------------------------------------------------------------

BYTES = 4
#: What a step computes beside the batch: nothing, one draw, two draws.
BATCHES = {"sgd": 1, "er": 2, "der": 2, "derpp": 3}


def trained_samples(a: Arguments) -> Result:
    """Epoch after epoch, in integers on the decimal as written."""
    total, left = 0, a["samples"]
    for epoch in range(1, a["epochs"] + 1):
        total += left
        stage, rest = divmod(epoch, a["delta_k"])
        if rest == 0 and stage <= a["cutoff"]:
            left = a["samples"] - exact.gone(a["samples"], a["rho"], stage, a["cutoff"])
    return {"trained_samples": total}, {}


def density(sparsity: str | None, a: Arguments) -> Fraction:
    dead = Fraction(sparsity or 0) * a["prunable_macs"]
    return (a["forward_macs"] - dead) / a["forward_macs"]


def paper_density(a: Arguments) -> Result:
    """Exact fractions."""
    tolerance = Tolerance(3, 2.0, "a share of dense and one of prunable layers, each at most 1")
    return {"density": float(density(a["sparsity"], a))}, {"density": tolerance}


def paper_train_flops(a: Arguments) -> Result:
    """Exact fractions."""
    weights = density(a["sparsity"], a)
    dx = dw = weights
    if a["gradient_sparsity"] is not None:
        gradients = density(a["gradient_sparsity"], a)
        dx, dw = {
            "half_of_dw": (weights, weights / 2),
            "dw_at_gradient_density": (weights, gradients),
            "both_at_gradient_density": (gradients, gradients),
        }[a["reading"]]
    dense = OPERATIONS * a["forward_macs"] * a["trained_samples"]
    cost = dense * (BATCHES[a["method"]] * weights + dx + dw)
    # 1 - s dead is a difference of two numbers near 1, so what is off is off in units of the dense cost.
    magnitude = float(dense * (BATCHES[a["method"]] + 2))
    tolerance = Tolerance(6, magnitude, "forward passes and two backward products, in units of the dense cost")
    return {"train_flops": float(cost)}, {"train_flops": tolerance}


def paper_memory_bytes(a: Arguments) -> Result:
    """Exact fractions."""
    activations = 2 * a["conv_outputs"] * a["batch_size"]
    kept = [(1 - Fraction(a[name])) * a["parameters"] for name in ("sparsity", "gradient_sparsity")]
    found = BYTES * (activations + sum(kept))
    if found.denominator != 1:
        raise ValueError(f"choose inputs that give whole bytes, not {found}")
    magnitude = BYTES * (activations + 2 * a["parameters"])
    tolerance = Tolerance(4, float(magnitude), "activations, weights and gradients")
    return {"memory_bytes": float(found)}, {"memory_bytes": tolerance}


def sparse_weight_bytes(a: Arguments) -> Result:
    """Integer arithmetic."""
    return {"memory_bytes": a["living"] * (a["value_bytes"] + a["index_bytes"]) + a["dense"] * a["value_bytes"]}, {}


ORACLES: dict[str, Oracle] = {
    oracle.__name__: oracle
    for oracle in (trained_samples, paper_density, paper_train_flops, paper_memory_bytes, sparse_weight_bytes)
}


# --- wrong implementations --------------------------------------------------------------------------------------------


def trained(samples, epochs, delta_k, rho, cutoff, *, fault):
    total, left = 0, samples
    for epoch in range(1, epochs + 1):
        stage, rest = divmod(epoch, delta_k)
        before, share = left, Fraction(rho) * (1 if fault == "at once" else Fraction(stage, cutoff))
        if rest == 0 and (stage <= cutoff or fault == "beyond the cutoff"):
            left = max(0, samples - math.floor(share * samples + Fraction(1, 2)))
        total += left if fault == "before the epoch" else before
    return samples * epochs if fault == "never" else total


def density_by_hand(sparsity, forward_macs, prunable_macs):
    return 1 - Fraction(sparsity) * Fraction(prunable_macs, forward_macs)


def train(method, forward_macs, prunable_macs, trained_samples, sparsity, gradient_sparsity, reading, *, fault):
    prunable_macs = forward_macs if fault == "everything prunable" else prunable_macs
    weights = density_by_hand(sparsity or "0", forward_macs, prunable_macs)
    dx = dw = weights
    if gradient_sparsity is not None and fault != "gradient mask ignored":
        gradients = density_by_hand(gradient_sparsity, forward_macs, prunable_macs)
        dx, dw = {
            "half_of_dw": (weights, gradients if fault == "density by default" else weights / 2),
            "dw_at_gradient_density": (weights, gradients),
            "both_at_gradient_density": (gradients, gradients),
        }[reading]
    batches = {"sgd": 1, "er": 2, "der": 3 if fault == "two draws" else 2, "derpp": 3}[method]
    backward = batches if fault == "replay backward" else 1
    unit = (1 if fault == "macs" else 2) * forward_macs * trained_samples
    return float(unit * (batches * weights + backward * (dx + dw)))


def memory(parameters, conv_outputs, batch_size, sparsity, gradient_sparsity, *, fault):
    activations = (1 if fault == "once" else 2) * conv_outputs * (1 if fault == "one sample" else batch_size)
    gradients = Fraction(sparsity if fault == "one sparsity" else gradient_sparsity)
    weights = (1 - Fraction(sparsity)) * parameters
    return float((8 if fault == "eight bytes" else 4) * (activations + weights + (1 - gradients) * parameters))


WRONG = (
    Wrong("samples-float32", "trained_samples", "samples are counted in float32",
        lambda **given: np.float32(trained(**given, fault=""))),
    Wrong("train-float32", "paper_train_flops", "FLOPs are counted in float32",
        lambda **given: np.float32(train(**given, fault="")), likely="something on the way is float32"),
    Wrong("memory-float32", "paper_memory_bytes", "bytes are counted in float32",
        lambda **given: np.float32(memory(**given, fault="")), likely="something on the way is float32"),
    Wrong("weights-float32", "sparse_weight_bytes", "bytes are counted in float32",
        lambda living, dense, value_bytes, index_bytes: (
            np.float32(living) * np.float32(value_bytes + index_bytes) + np.float32(dense * value_bytes))),
    Wrong("samples-before", "trained_samples", "data leave before the epoch that ends a stage", trained,
        fault="before the epoch"),
    Wrong("samples-cutoff", "trained_samples", "data leave beyond the cutoff", trained, fault="beyond the cutoff"),
    Wrong("samples-at-once", "trained_samples", "all that goes goes after the first stage", trained, fault="at once"),
    Wrong("samples-never", "trained_samples", "data removal is not charged", trained, fault="never",
        likely="data removal left out"),
    Wrong("density-everything", "paper_density", "every layer is prunable", lambda sparsity, **_: 1 - float(sparsity),
        likely="layers without a mask thinned as well"),
    Wrong("density-swapped", "paper_density", "sparsity is taken for density",
        lambda sparsity, **macs: float(density_by_hand(1 - Fraction(sparsity), **macs))),
    Wrong("train-macs", "paper_train_flops", "MACs reported as FLOPs", train, fault="macs",
        likely="MACs reported as FLOPs"),
    Wrong("train-replay-backward", "paper_train_flops", "backward passes of replay are charged", train,
        fault="replay backward"),
    Wrong("train-density", "paper_train_flops", "dW at gradient density by default", train, fault="density by default",
        likely="another reading of gradient masks by default: dw_at_gradient_density"),
    Wrong("train-no-mask", "paper_train_flops", "gradient masks spare nothing", train, fault="gradient mask ignored",
        likely="gradient masks ignored"),
    Wrong("train-two-draws", "paper_train_flops", "DER draws twice", train, fault="two draws"),
    Wrong("train-everything", "paper_train_flops", "every layer is prunable", train, fault="everything prunable",
        likely="every layer taken for prunable"),
    Wrong("memory-once", "paper_memory_bytes", "activations are kept once", memory, fault="once",
        likely="activations counted once instead of forward and backward"),
    Wrong("memory-one-sample", "paper_memory_bytes", "activations of one sample", memory, fault="one sample",
        likely="activations of one sample instead of the batch"),
    Wrong("memory-one-sparsity", "paper_memory_bytes", "gradients are as sparse as weights", memory,
        fault="one sparsity", likely="gradients counted at the weights' density"),
    Wrong("memory-eight", "paper_memory_bytes", "eight bytes a number", memory, fault="eight bytes"),
    Wrong("weights-no-index", "sparse_weight_bytes", "indices take no space",
        lambda living, dense, value_bytes, **_: (living + dense) * value_bytes, likely="indices not counted"),
    Wrong("weights-dense-index", "sparse_weight_bytes", "dense parameters have indices too",
        lambda living, dense, value_bytes, index_bytes: (living + dense) * (value_bytes + index_bytes),
        likely="indices for parameters without a mask, too"),
)  # fmt: skip
