"""Inputs for FLOPs and memory."""

from __future__ import annotations

from collections.abc import Iterator

from tests.verify.spec import CaseSpec

#: ResNet-18, width 64, 32x32 images: multiply-adds of a forward pass, and those outside stem, shortcuts and classifier.
RESNET18 = {"forward_macs": 555_422_720, "prunable_macs": 547_356_672}
RESNET18_MEMORY = {"parameters": 11_173_962, "conv_outputs": 614_400, "batch_size": 32}
#: Split CIFAR-10: five tasks of 10,000 samples, 50 epochs, whole and with the mean data fraction of .775.
ALL_SAMPLES, WITH_REMOVAL = 2_500_000, 1_937_500


def cases() -> Iterator[CaseSpec]:
    yield from _conv2d_flops()
    yield from _linear_flops()
    yield from _trained_samples()
    yield from _paper_density()
    yield from _paper_train_flops()
    yield from _memory()


def _conv2d_flops() -> Iterator[CaseSpec]:
    shape = {"in_channels": 16, "out_channels": 32, "kernel": [3, 3], "size": [8, 8], "stride": 1, "padding": 1}
    shape |= {"groups": 1, "batch": 1, "active": None, "grad_active": None, "need_dx": True}
    for name, kind, changes, note in (
        ("dense", "regular", {}, "a multiply-add is two FLOPs; dX and dW each cost as much as the forward pass"),
        ("batch", "regular", {"batch": 32}, "every sample costs the same"),
        ("sparse", "regular", {"active": 1152}, "dead weights cost nothing in any pass"),
        ("gradient-mask", "regular", {"active": 1152, "grad_active": 922}, "a gradient mask spares dW alone"),
        ("first-layer", "adversarial", {"in_channels": 3, "need_dx": False}, "nobody needs the image's gradient"),
        ("odd-stride", "adversarial", {"size": [7, 10], "stride": 2}, "output sizes round down"),
        ("no-padding", "adversarial", {"size": [5, 6], "padding": 0}, "the output is smaller than the input"),
        ("wide-padding", "adversarial", {"padding": 3}, "positions on the padding count"),
        ("oblong", "adversarial", {"kernel": [1, 5], "size": [6, 11]}, "rows and columns differ in kernel and image"),
        ("groups", "adversarial", {"groups": 4}, "a filter sees the channels of its group only"),
        ("one-position", "edge", {"size": [3, 3], "padding": 0}, "the kernel fits once"),
        ("all-dead", "edge", {"active": 0}, "a layer without living weights"),
        ("no-gradient", "edge", {"active": 1152, "grad_active": 0}, "dW is not formed at all"),
        ("large", "edge", {"in_channels": 512, "out_channels": 512, "batch": 100_000}, "more than 32 bits hold"),
    ):
        yield CaseSpec("conv2d_flops", name, kind, note, shape | changes)


def _linear_flops() -> Iterator[CaseSpec]:
    shape = {"in_features": 512, "out_features": 10, "batch": 1, "active": None, "grad_active": None, "need_dx": True}
    for name, kind, changes, note in (
        ("dense", "regular", {}, "two FLOPs a weight; biases are not counted"),
        ("batch", "regular", {"batch": 32}, "every sample costs the same"),
        ("sparse", "regular", {"batch": 4, "active": 1280, "grad_active": 1024}, "a gradient mask spares dW alone"),
        ("first-layer", "adversarial", {"need_dx": False}, "no input gradient"),
        ("all-dead", "edge", {"active": 0}, "a layer without living weights"),
        ("no-samples", "edge", {"batch": 0}, "an empty buffer costs nothing"),
    ):
        yield CaseSpec("linear_flops", name, kind, note, shape | changes)


def _trained_samples() -> Iterator[CaseSpec]:
    for name, kind, samples, epochs, delta_k, rho, cutoff, note in (
        ("cifar", "regular", 10000, 50, 5, "0.3", 4, "a mean fraction of .775"),
        ("tiny-imagenet", "regular", 10000, 100, 10, "0.3", 4, "stages of ten epochs"),
        ("digits", "adversarial", 359, 12, 3, "0.3", 4, "the last stage ends with the task and removes nothing"),
        ("few-epochs", "adversarial", 100, 7, 5, "0.3", 4, "one stage is reached, and the next is not complete"),
        ("no-removal", "edge", 100, 10, 5, "0", 4, "every epoch sees all samples"),
        ("all-removed", "edge", 90, 10, 2, "1", 3, "the last epochs see no sample"),
        ("no-stage", "edge", 100, 4, 5, "0.3", 4, "the task is over before a stage is"),
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
        ("tdm", "regular", "derpp", ALL_SAMPLES, {"sparsity": "0.75"}, "3.62e15"),
        ("tdm-ddr", "regular", "derpp", WITH_REMOVAL, {"sparsity": "0.75"}, "2.81e15: fewer samples"),
        ("sparcl", "regular", "derpp", WITH_REMOVAL, {"sparsity": "0.75", "gradient_sparsity": "0.8"}, "2.53e15"),
        ("sparcl-er", "regular", "er", WITH_REMOVAL, {"sparsity": "0.95", "gradient_sparsity": "0.96"}, "0.48e15"),
        (
            "dw-reading",
            "adversarial",
            "derpp",
            WITH_REMOVAL,
            {"sparsity": "0.75", "gradient_sparsity": "0.8", "reading": "dw_at_gradient_density"},
            "2.70e15: dW at the density of the gradients",
        ),
        (
            "both-reading",
            "adversarial",
            "derpp",
            WITH_REMOVAL,
            {"sparsity": "0.75", "gradient_sparsity": "0.8", "reading": "both_at_gradient_density"},
            "2.60e15: both backward products at the density of the gradients",
        ),
        ("no-samples", "edge", "derpp", 0, {"sparsity": "0.75"}, "nothing is trained on"),
    ):
        arguments = {"method": method, **RESNET18, "trained_samples": samples} | dense | changes
        yield CaseSpec("paper_train_flops", name, kind, note, arguments)


def _memory() -> Iterator[CaseSpec]:
    for name, kind, changes, note in (
        ("dense", "regular", {"sparsity": "0", "gradient_sparsity": "0"}, "247 MB"),
        (
            "sparse",
            "regular",
            {"sparsity": "0.75", "gradient_sparsity": "0.75"},
            "180 MB: P is all parameters",
        ),
        (
            "round",
            "regular",
            {"parameters": 11_000_000, "sparsity": "0.75", "gradient_sparsity": "0.8"},
            "177 MB",
        ),
        ("one-sample", "edge", {"batch_size": 1, "sparsity": "0", "gradient_sparsity": "0"}, "few activations"),
        (
            "nearly-empty",
            "edge",
            {"parameters": 11_000_000, "sparsity": "0.99", "gradient_sparsity": "0.99"},
            "activations",
        ),
        (
            "gradients-alone",
            "adversarial",
            {"parameters": 1000, "sparsity": "0", "gradient_sparsity": "0.2"},
            "masked gradients, dense weights",
        ),
    ):
        yield CaseSpec("paper_memory_bytes", name, kind, note, RESNET18_MEMORY | changes)
    for name, kind, living, dense, value_bytes, index_bytes, note in (
        ("float32", "regular", 2_746_368, 188_490, 4, 4, "a value and an index each; dense ones need no index"),
        ("float64", "adversarial", 2_746_368, 188_490, 8, 4, "an index does not grow with the value"),
        ("short-index", "adversarial", 1_000, 10, 4, 2, "sizes are parameters"),
        ("none-living", "edge", 0, 188_490, 4, 4, "the dense ones remain"),
        ("none-dense", "edge", 100, 0, 4, 4, "everything is under a mask"),
    ):
        arguments = {"living": living, "dense": dense, "value_bytes": value_bytes, "index_bytes": index_bytes}
        yield CaseSpec("sparse_weight_bytes", name, kind, note, arguments)
