"""Known mistakes in counts of FLOPs and bytes."""

from __future__ import annotations

from sparcl_ref.masks import exact
from sparcl_ref.verify.adapters import numpy_cost as right
from sparcl_ref.verify.causes.cause import Cause, instead, scaled

_PASS = ("forward", "dx", "dw")


def _nothing(given):
    return None


def _halved(given):
    return 0.5


def _padding_skipped(**given):
    # Only positions at which the kernel lies inside the image.
    return instead(right.conv2d_flops, *_PASS, padding=lambda _: 0)(**given)


def _one_number(name, change):
    """`paper_memory_bytes` without a part of it."""

    def outputs(parameters, conv_outputs, batch_size, sparsity, gradient_sparsity):
        parts = {
            "activations": 2 * conv_outputs * batch_size,
            "weights": (1 - exact(sparsity)) * parameters,
            "gradients": (1 - exact(gradient_sparsity)) * parameters,
        }
        parts[name] *= change
        return {"memory_bytes": float(4 * sum(parts.values()))}

    return outputs


def _other_reading(reading, only=None):
    """Another reading, whatever is asked or where one alone is asked."""

    def outputs(**given):
        if only and given["reading"] != only:
            raise ValueError("another reading is asked")
        return instead(right.paper_train_flops, "train_flops", reading=lambda _: reading)(**given)

    return outputs


CAUSES = (
    *(cause for name, function in (("conv2d_flops", right.conv2d_flops), ("linear_flops", right.linear_flops))
      for cause in (
        Cause(name, "MACs reported as FLOPs", scaled(function, *_PASS, forward=_halved, dx=_halved, dw=_halved)),
        Cause(name, "a dense count: dead weights counted as well",
              instead(function, *_PASS, active=_nothing, grad_active=_nothing)),
        Cause(name, "a dense count: dead weights counted as well", instead(function, *_PASS, active=_nothing)),
        Cause(name, "the weight gradient counted for all living weights",
              instead(function, *_PASS, grad_active=_nothing)),
        Cause(name, "the input gradient of the first layer counted",
              instead(function, *_PASS, need_dx=lambda given: True)),
        Cause(name, "one sample instead of the batch", instead(function, *_PASS, batch=lambda given: 1)),
        Cause(name, "the input gradient counted for weights with a gradient only",
              lambda function=function, **given: {"dx": function(**given)[2] if given["need_dx"] else 0}),
    )),
    Cause("linear_flops", "biases counted",
          lambda batch, out_features, **given: {"forward": right.linear_flops(
              batch=batch, out_features=out_features, **given)[0] + 2 * batch * out_features}),
    Cause("linear_flops", "biases counted",
          lambda batch, out_features, **given: {"forward": right.linear_flops(
              batch=batch, out_features=out_features, **given)[0] + batch * out_features}),
    Cause("conv2d_flops", "positions on the padding not counted", _padding_skipped),
    Cause("conv2d_flops", "groups ignored", instead(right.conv2d_flops, *_PASS, groups=lambda given: 1)),
    Cause("conv2d_flops", "the input's size instead of the output's",
          instead(right.conv2d_flops, *_PASS, stride=lambda given: 1,
                  padding=lambda given: (given["kernel"][0] - 1) // 2)),
    Cause("trained_samples", "data removal left out",
          lambda samples, epochs, **_: {"trained_samples": samples * epochs}),
    Cause("trained_samples", "data removal without its cutoff: rho after every stage",
          instead(right.trained_samples, "trained_samples", cutoff=lambda given: given["epochs"])),
    Cause("paper_density", "layers without a mask thinned as well",
          lambda sparsity, **_: {"density": float(1 - exact(sparsity))}),
    Cause("paper_density", "the sparsity instead of the density",
          lambda **given: {"density": 1 - right.paper_density(**given)}),
    Cause("paper_train_flops", "MACs reported as FLOPs", scaled(right.paper_train_flops, "train_flops",
                                                                train_flops=_halved)),
    Cause("paper_train_flops", "every layer taken for prunable",
          instead(right.paper_train_flops, "train_flops", prunable_macs=lambda given: given["forward_macs"])),
    Cause("paper_train_flops", "gradient masks ignored",
          instead(right.paper_train_flops, "train_flops", gradient_sparsity=_nothing)),
    Cause("paper_train_flops", "sparsity ignored",
          instead(right.paper_train_flops, "train_flops", sparsity=_nothing, gradient_sparsity=_nothing)),
    *(Cause("paper_train_flops", f"another reading of gradient masks: {reading}",
            _other_reading(reading))
      for reading in ("half_of_dw", "dw_at_gradient_density", "both_at_gradient_density")),
    *(Cause("paper_train_flops", f"another reading of gradient masks by default: {reading}",
            _other_reading(reading, "half_of_dw"))
      for reading in ("dw_at_gradient_density", "both_at_gradient_density")),
    Cause("paper_memory_bytes", "activations counted once instead of forward and backward",
          _one_number("activations", exact("0.5"))),
    Cause("paper_memory_bytes", "activations of one sample instead of the batch",
          instead(right.paper_memory_bytes, "memory_bytes", batch_size=lambda given: 1)),
    Cause("paper_memory_bytes", "gradients not counted", _one_number("gradients", 0)),
    Cause("paper_memory_bytes", "gradients counted at the weights' density",
          instead(right.paper_memory_bytes, "memory_bytes", gradient_sparsity=lambda given: given["sparsity"])),
    Cause("sparse_weight_bytes", "indices not counted",
          instead(right.sparse_weight_bytes, "memory_bytes", index_bytes=lambda given: 0)),
    Cause("sparse_weight_bytes", "indices for parameters without a mask, too",
          instead(right.sparse_weight_bytes, "memory_bytes", dense=lambda given: 0,
                  living=lambda given: given["living"] + given["dense"])),
)  # fmt: skip
