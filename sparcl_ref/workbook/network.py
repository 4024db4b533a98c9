"""The network of the tiny job, put together from functions of the protocol: its forward pass, and the chain rule."""

from __future__ import annotations

from typing import Any

import numpy as np

from sparcl_ref.workbook.parts import Parts

#: Convolutions, each followed by batch-norm and ReLU, the first two by max pooling; then the mean of each channel.
STAGES = (1, 2, 3)
#: Weights that have a mask.
MASKED = ("conv2.weight", "conv3.weight")

#: Arrays by the names that PyTorch would give them.
Arrays = dict[str, np.ndarray]


def forward(parts: Parts, state: Arrays, x: np.ndarray, mode: str) -> tuple[np.ndarray, list[Any]]:
    """Logits of images (N, C, H, W), and what `backward` needs; in mode "train" running statistics move."""
    kept: list[Any] = []
    for i in STAGES:
        u = parts.conv2d_forward(x, state[f"conv{i}.weight"], padding=1)
        names = [f"bn{i}.{name}" for name in ("weight", "bias", "running_mean", "running_var")]
        v, state[names[2]], state[names[3]] = parts.batchnorm2d_forward(u, *(state[name] for name in names), mode=mode)
        h = parts.relu_forward(v)
        kept.append((x, u, v, h))
        x = parts.max_pool2d_forward(h, 2) if i < STAGES[-1] else parts.global_avg_pool2d_forward(h)
    return parts.linear_forward(x, state["linear.weight"], state["linear.bias"]), [*kept, x, mode]


def backward(parts: Parts, state: Arrays, dlogits: np.ndarray, kept: list[Any]) -> Arrays:
    """Gradients of all weights from that of the logits, last layer first."""
    *stages, features, mode = kept
    grads: Arrays = {}
    dx, grads["linear.weight"], grads["linear.bias"] = parts.linear_backward(dlogits, features, state["linear.weight"])
    for i, (x, u, v, h) in reversed(list(zip(STAGES, stages, strict=True))):
        last = i == STAGES[-1]
        dh = parts.global_avg_pool2d_backward(dx, h) if last else parts.max_pool2d_backward(dx, h, 2)
        dv = parts.relu_backward(dh, v)
        norm = f"bn{i}"
        scale = state[f"{norm}.weight"]
        du, grads[f"{norm}.weight"], grads[f"{norm}.bias"] = parts.batchnorm2d_backward(dv, u, scale, mode=mode)
        dx, grads[f"conv{i}.weight"], _ = parts.conv2d_backward(du, x, state[f"conv{i}.weight"], padding=1)
    return grads


def train_flops(parts: Parts, shapes: dict[str, tuple[int, ...]], size: int, samples: int, masks: Any) -> int:
    """FLOPs of a forward and a backward pass of so many images of ``size`` by ``size`` pixels.

    ``masks`` maps names of weights to living entries and to those whose gradient is formed; others live everywhere.
    """
    total, side = 0, size
    for i in STAGES:
        name = f"conv{i}.weight"
        out, into, *kernel = shapes[name]
        living, formed = masks.get(name, (None, None))
        alive: dict[str, Any] = {"active": living, "grad_active": formed}
        shape: dict[str, Any] = {"kernel": kernel, "size": [side, side], "padding": 1, "batch": samples}
        total += sum(int(n) for n in parts.conv2d_flops(into, out, **shape, **alive, need_dx=i > 1))
        side = side // 2 if i < STAGES[-1] else side
    classes, features = shapes["linear.weight"]
    return total + sum(int(n) for n in parts.linear_flops(features, classes, batch=samples))
