"""What is timed: one convolution forward and backward, and one whole DER++ training step of resnet18."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import torch
from torch import nn
from torch.nn import functional as F  # noqa: N812 - PyTorch's own name for it

from sparcl_ref.experiment import with_engine
from sparcl_ref.layers import Conv2d
from sparcl_ref.masks import budget, random_mask
from sparcl_ref.methods import Batch, DERpp
from sparcl_ref.models import build_model
from sparcl_ref.replay import ReservoirBuffer
from sparcl_ref.sparcl.dgm import gradient_sparsity

Step = Callable[[], object]
FORMATS = {"torch": torch.contiguous_format, "torch channels-last": torch.channels_last}
CLASSES = 10


def convolutions(width: int) -> list[tuple[int, int, int, int, int]]:
    """The distinct convolutions of resnet18 on 32x32 images: in, out, size of the image, kernel, stride."""
    shapes = [(3, width, 32, 3, 1), (width, width, 32, 3, 1)]
    for stage, size in enumerate((32, 16, 8), start=1):
        fan_in, fan_out = width * 2 ** (stage - 1), width * 2**stage
        shapes += [(fan_in, fan_out, size, 3, 2), (fan_in, fan_out, size, 1, 2), (fan_out, fan_out, size // 2, 3, 1)]
    return shapes


def convolution_steps(shape: tuple[int, int, int, int, int], batch: int) -> dict[str, Step]:
    """Forward and backward of one convolution; the first layer's input gets no gradient on either side."""
    fan_in, fan_out, size, kernel, stride = shape
    need_dx = fan_in > 3
    rng = np.random.default_rng(0)
    x = rng.standard_normal((batch, fan_in, size, size)).astype(np.float32)
    layer = Conv2d(fan_in, fan_out, kernel, stride=stride, padding=kernel // 2, bias=False)
    layer.weight.value[...] = rng.standard_normal(layer.weight.value.shape) * 0.1
    dy = rng.standard_normal(layer.forward(x, mode="train").shape).astype(np.float32)

    def ours() -> None:
        layer.forward(x, mode="train")
        layer.backward(dy, need_dx=need_dx)

    steps: dict[str, Step] = {"numpy": ours}
    for name, memory_format in FORMATS.items():
        twin = nn.Conv2d(fan_in, fan_out, kernel, stride, kernel // 2, bias=False).to(memory_format=memory_format)
        inputs = torch.from_numpy(x).contiguous(memory_format=memory_format).requires_grad_(need_dx)
        upstream = torch.from_numpy(dy).contiguous(memory_format=memory_format)
        steps[name] = lambda twin=twin, inputs=inputs, upstream=upstream: twin(inputs).backward(upstream)
    return steps


class TorchBlock(nn.Module):
    """Two 3x3 convolutions beside an identity or a 1x1 convolution."""

    def __init__(self, fan_in: int, fan_out: int, stride: int):
        super().__init__()
        self.conv1 = nn.Conv2d(fan_in, fan_out, 3, stride, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(fan_out)
        self.conv2 = nn.Conv2d(fan_out, fan_out, 3, 1, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(fan_out)
        self.shortcut = nn.Sequential()
        if stride > 1 or fan_in != fan_out:
            self.shortcut = nn.Sequential(nn.Conv2d(fan_in, fan_out, 1, stride, bias=False), nn.BatchNorm2d(fan_out))

    def forward(self, x):
        y = F.relu(self.bn1(self.conv1(x)), inplace=True)
        return F.relu(self.bn2(self.conv2(y)) + self.shortcut(x), inplace=True)


def torch_resnet18(width: int) -> nn.Module:
    """The CIFAR variant of resnet18."""
    layers: list[nn.Module] = [nn.Conv2d(3, width, 3, 1, 1, bias=False), nn.BatchNorm2d(width), nn.ReLU(inplace=True)]
    fan_in = width
    for stage in range(4):
        for block in range(2):
            fan_out = width * 2**stage
            layers.append(TorchBlock(fan_in, fan_out, 2 if stage and not block else 1))
            fan_in = fan_out
    return nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(fan_in, CLASSES))


def torch_step(memory_format: torch.memory_format, *, width: int, batch: int) -> Step:
    """A dense DER++ step: three passes of the batch size, and an update."""
    torch.manual_seed(0)
    model = torch_resnet18(width).to(memory_format=memory_format)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.03)
    inputs = [torch.randn(batch, 3, 32, 32).contiguous(memory_format=memory_format) for _ in range(3)]
    labels, stored = torch.arange(batch) % CLASSES, torch.randn(batch, CLASSES)

    def step() -> None:
        optimizer.zero_grad()
        F.cross_entropy(model(inputs[0]), labels).backward()
        (0.1 * F.mse_loss(model(inputs[1]), stored)).backward()
        (0.5 * F.cross_entropy(model(inputs[2]), labels)).backward()
        optimizer.step()

    return step


def our_step(engine: str, *, width: int, batch: int, sparsity: float = 0.0, masked_gradients: bool = False) -> Step:
    """The same step with our engine, at a sparsity, with random masks of exact budgets."""
    rng = np.random.default_rng(0)
    network = build_model("resnet18", input_shape=(3, 32, 32), classes=CLASSES, width=width, rng=rng)
    for parameter in network.sparsifiable() if sparsity else ():
        size = parameter.value.size
        mask = random_mask(parameter.value.shape, budget(size, sparsity), rng)
        parameter.set_mask(mask)
        if masked_gradients:
            chosen = np.zeros(size, dtype=bool)
            kept = budget(size, gradient_sparsity(sparsity))
            chosen[rng.choice(np.flatnonzero(mask), size=kept, replace=False)] = True
            parameter.set_grad_mask(chosen.reshape(mask.shape))
    network, descent = with_engine(engine, network)
    buffer = ReservoirBuffer(
        4 * batch, image_shape=(3, 32, 32), image_dtype=np.float32, classes=CLASSES, logits_dtype=np.float32
    )
    images = rng.standard_normal((4 * batch, 3, 32, 32)).astype(np.float32)
    labels = np.arange(4 * batch) % CLASSES
    logits = rng.standard_normal((4 * batch, CLASSES)).astype(np.float32)
    buffer.add(images, labels, logits, task=1, rng=rng)
    method = DERpp(network, buffer=buffer, prepare=lambda raw: raw, rng=rng, replay_batch_size=batch)
    optimizer = descent(network.parameters())
    samples = Batch(images[:batch], images[:batch], labels[:batch], tuple(range(CLASSES)), 2)

    def step() -> None:
        method.observe(samples)
        optimizer.step(0.03)

    return step


def training_steps(sparsities: Sequence[float], *, width: int, batch: int) -> dict[str, Step]:
    """Dense PyTorch in both memory formats, the dense numpy engine, and the numba engine at each sparsity."""
    steps = {name: torch_step(chosen, width=width, batch=batch) for name, chosen in FORMATS.items()}
    steps["numpy 0"] = our_step("numpy", width=width, batch=batch)
    for sparsity in sparsities:
        name = f"numba {sparsity:g}"
        steps[name] = our_step("numba", width=width, batch=batch, sparsity=sparsity)
        if sparsity:
            masked = our_step("numba", width=width, batch=batch, sparsity=sparsity, masked_gradients=True)
            steps[f"{name} with gradient masks"] = masked
    return steps
