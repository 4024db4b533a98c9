"""The networks of the experiments, with the parameter names their PyTorch counterparts have."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from sparcl_ref.layers import (
    BatchNorm2d,
    Conv2d,
    Flatten,
    GlobalAvgPool2d,
    Layer,
    Linear,
    MaxPool2d,
    Parameter,
    ReLU,
    Residual,
    Sequential,
)
from sparcl_ref.registry import Registry
from sparcl_ref.streams.npz import read_npz
from sparcl_ref.text import one_line


class Network(Layer):
    """A classifier: a `Sequential` body with what the rest of the package asks of a whole model.

    Parameters
    ----------
    name : str
    body : Sequential
        Maps ``(N, *input_shape)`` to logits ``(N, classes)``.
    input_shape : tuple of int
        ``(C, H, W)`` of one sample.
    classes : int
        Width of the head, all tasks together.
    """

    def __init__(self, name: str, body: Sequential, *, input_shape: tuple[int, int, int], classes: int):
        super().__init__()
        self.name = name
        self.body = body
        self.input_shape = tuple(input_shape)
        self.classes = classes
        self._parameters = []
        for dotted, parameter in self.named_parameters():
            parameter.name = dotted
            self._parameters.append(parameter)

    def children(self) -> dict[str, Layer]:
        return {"": self.body}

    def _forward(self, x, mode):
        if x.shape[1:] != self.input_shape:
            expected = ", ".join(map(str, self.input_shape))
            raise ValueError(f"{self.name}: input must have shape (N, {expected}), got {x.shape}")
        return self.body.forward(x, mode=mode), True

    def _backward(self, dy, cache, need_dx):
        return self.body.backward(dy, need_dx=need_dx)

    def parameters(self) -> list[Parameter]:
        """All parameters in PyTorch's order."""
        return list(self._parameters)

    def sparsifiable(self) -> list[Parameter]:
        """The parameters under SparCL's mask: every weight but those of the stem, 1x1 shortcuts and the classifier."""
        return [parameter for parameter in self._parameters if parameter.sparsifiable]

    def norms_after(self) -> dict[str, BatchNorm2d]:
        """The batch-norm that reads a layer's output next, by the name of that layer's weight."""
        found: dict[str, BatchNorm2d] = {}
        for _, layer in self.named_layers():
            for one, following in itertools.pairwise(_in_line(layer)):
                weight = one.own_parameters().get("weight")
                if weight is not None and isinstance(following, BatchNorm2d):
                    found[weight.name] = following
        return found

    def zero_grads(self) -> None:
        """Set every gradient to +0.0."""
        for parameter in self._parameters:
            parameter.grad.fill(0.0)

    def take_grads(self) -> Sequence[np.ndarray]:
        """Hand over all gradients, in the order of `parameters`, and start new ones at zero."""
        return [parameter.take_grad() for parameter in self._parameters]

    def set_grads(self, first: Sequence[np.ndarray], second: Sequence[np.ndarray] | None = None) -> None:
        """Set every gradient, in the order of `parameters`, to what is given, or to the sum of two."""
        for parameter, one, other in zip(self._parameters, first, first if second is None else second, strict=True):
            if second is None:
                parameter.grad[...] = one
            else:
                np.add(one, other, out=parameter.grad)

    def state_dict(self) -> dict[str, np.ndarray]:
        """Copies of all values and running statistics under their PyTorch names, in PyTorch's order."""
        return {name: np.array(array) for name, array in self._named_arrays()}

    def _named_arrays(self) -> Iterator[tuple[str, np.ndarray]]:
        """Values and running statistics themselves, layer by layer as PyTorch lists them."""
        for prefix, layer in self.named_layers():
            own = {name: parameter.value for name, parameter in layer.own_parameters().items()}
            for name, array in (own | layer.own_buffers()).items():
                yield f"{prefix}.{name}", array

    def load_state_dict(self, arrays: dict[str, Any]) -> None:
        """Take over what `state_dict` gave; masks stay as they are, dead entries stay zero.

        Raises
        ------
        ValueError
            If a name is missing or unknown, a shape differs, or something is no finite real number; nothing is changed
            then.
        """
        if not isinstance(arrays, Mapping):
            raise TypeError(f"{self.name}: a state is a mapping of names to arrays, got {type(arrays).__name__}")
        targets = dict(self._named_arrays())
        if missing := sorted(targets.keys() - arrays.keys()):
            names = ", ".join(missing)
            raise ValueError(f"{self.name}: the state lacks {names}; expected exactly the names of state_dict()")
        if unknown := sorted(arrays.keys() - targets.keys()):
            raise ValueError(f"{self.name}: the state has unknown names {', '.join(unknown)}; is it of another model?")
        checked = {name: self._checked(name, arrays[name], target.shape) for name, target in targets.items()}
        for name, target in targets.items():
            target[...] = checked[name]
        for parameter in self._parameters:
            parameter.clear_dead()
            parameter.changed()

    def _checked(self, name: str, given: Any, shape: tuple[int, ...]) -> np.ndarray:
        try:
            array = np.asarray(given)
        except Exception as error:  # PyTorch's tensors have reasons of their own
            raise ValueError(f"{self.name}: {name} cannot be read as an array ({one_line(error)})") from error
        if array.shape != shape:
            raise ValueError(f"{self.name}: {name} must have shape {shape}, got {array.shape}")
        if array.dtype.kind not in "fiu" or not np.isfinite(array).all():
            what = f"dtype {array.dtype}" if array.dtype.kind not in "fiu" else "a NaN or an infinity"
            raise ValueError(f"{self.name}: {name} must hold finite real numbers, got {what}")
        return array

    def save_npz(self, path: str | Path) -> None:
        """Write `state_dict` as an uncompressed .npz file, readable without pickle."""
        arrays: dict[str, Any] = dict(self.state_dict())
        with open(path, "wb") as file:
            np.savez(file, **arrays)

    def load_npz(self, path: str | Path) -> None:
        """Read what `save_npz` wrote, or PyTorch under the same names; raises as `read_npz` and `load_state_dict`."""
        self.load_state_dict(read_npz(Path(path)))

    def state(self) -> dict[str, Any]:
        """Parameters with masks, gradients and optimiser slots, and running statistics."""
        return {
            "parameters": {parameter.name: parameter.state() for parameter in self._parameters},
            "buffers": {name: array.copy() for name, array in self.named_buffers()},
        }

    def load_state(self, state: dict[str, Any]) -> None:
        """Take over what `state` returned."""
        for parameter in self._parameters:
            parameter.load_state(state["parameters"][parameter.name])
        for name, array in self.named_buffers():
            array[...] = state["buffers"][name]

    @property
    def _label(self) -> str:
        return self.name


def _in_line(layer: Layer) -> list[Layer]:
    """The layers of nested Sequentials, in order."""
    if not isinstance(layer, Sequential):
        return [layer]
    return [inner for child in layer.layers.values() for inner in _in_line(child)]


def _conv3(fan_in: int, fan_out: int, dtype, *, stride: int = 1, sparsifiable: bool = True) -> Conv2d:
    """A 3x3 convolution that keeps the image's size at stride 1, and leaves the bias to the batch-norm after it."""
    return Conv2d(fan_in, fan_out, 3, stride=stride, padding=1, bias=False, dtype=dtype, sparsifiable=sparsifiable)


def mlp(*, input_shape, classes, width=256, dtype=np.float32) -> Network:
    """Two hidden layers of ``width`` units with ReLU; the middle weight matrix is sparsifiable."""
    layers = {
        "flatten": Flatten(),
        "fc1": Linear(math.prod(input_shape), width, dtype=dtype),
        "relu1": ReLU(),
        "fc2": Linear(width, width, dtype=dtype, sparsifiable=True),
        "relu2": ReLU(),
        "linear": Linear(width, classes, dtype=dtype),
    }
    return Network("mlp", Sequential(layers), input_shape=input_shape, classes=classes)


def convnet(*, input_shape, classes, width=64, dtype=np.float32) -> Network:
    """A stem of ``width / 2`` and two 3x3 convolutions of ``width`` channels, for 8x8 to 28x28 images.

    Each convolution is followed by batch-norm and ReLU, the first two by 2x2 max pooling, the last by global average
    pooling and the classifier. The two wide convolutions are sparsifiable.
    """
    if min(input_shape[1:]) < 4:
        raise ValueError(f"convnet: images must be at least 4x4 for its two poolings, got {input_shape[1:]}")
    if width < 2:
        raise ValueError(f"convnet: width must be at least 2, got {width}")
    stem = width // 2
    layers: dict[str, Layer] = {}
    for index, (fan_in, fan_out) in enumerate([(input_shape[0], stem), (stem, width), (width, width)], start=1):
        layers[f"conv{index}"] = _conv3(fan_in, fan_out, dtype, sparsifiable=index > 1)
        layers[f"bn{index}"] = BatchNorm2d(fan_out, dtype=dtype)
        layers[f"relu{index}"] = ReLU()
        if index < 3:
            layers[f"pool{index}"] = MaxPool2d(2)
    layers["pool"] = GlobalAvgPool2d()
    layers["linear"] = Linear(width, classes, dtype=dtype)
    return Network("convnet", Sequential(layers), input_shape=input_shape, classes=classes)


def _basic_block(fan_in: int, fan_out: int, stride: int, dtype) -> Residual:
    """Two 3x3 convolutions beside an identity, or beside a 1x1 convolution where the shape changes."""
    body = Sequential(
        {
            "conv1": _conv3(fan_in, fan_out, dtype, stride=stride),
            "bn1": BatchNorm2d(fan_out, dtype=dtype),
            "relu": ReLU(),
            "conv2": _conv3(fan_out, fan_out, dtype),
            "bn2": BatchNorm2d(fan_out, dtype=dtype),
        }
    )
    if stride == 1 and fan_in == fan_out:
        return Residual(body)
    shortcut = Conv2d(fan_in, fan_out, 1, stride=stride, bias=False, dtype=dtype)
    return Residual(body, Sequential([shortcut, BatchNorm2d(fan_out, dtype=dtype)]))


def _resnet(name: str, *, widths, blocks, input_shape, classes, dtype) -> Network:
    """The CIFAR family: a 3x3 stem without pooling, stages that halve the image, global average pooling, classifier."""
    if widths[0] < 1:
        raise ValueError(f"{name}: width must be at least 1, got {widths[0]}")
    stem = _conv3(input_shape[0], widths[0], dtype, sparsifiable=False)
    layers: dict[str, Layer] = {"conv1": stem, "bn1": BatchNorm2d(widths[0], dtype=dtype), "relu": ReLU()}
    fan_in = widths[0]
    for stage, fan_out in enumerate(widths, start=1):
        first = _basic_block(fan_in, fan_out, 1 if stage == 1 else 2, dtype)
        others = [_basic_block(fan_out, fan_out, 1, dtype) for _ in range(blocks - 1)]
        layers[f"layer{stage}"] = Sequential([first, *others])
        fan_in = fan_out
    layers["pool"] = GlobalAvgPool2d()
    layers["linear"] = Linear(fan_in, classes, dtype=dtype)
    return Network(name, Sequential(layers), input_shape=input_shape, classes=classes)


def resnet18(*, input_shape, classes, width=64, dtype=np.float32) -> Network:
    """ResNet-18 for CIFAR (He et al. 2016, with a 3x3 stem): 11,173,962 parameters at width 64 and 10 classes.

    Four stages of two blocks with ``width`` times 1, 2, 4, 8 channels; 16 of its 20 convolutions are sparsifiable.
    """
    widths = [width * factor for factor in (1, 2, 4, 8)]
    return _resnet("resnet18", widths=widths, blocks=2, input_shape=input_shape, classes=classes, dtype=dtype)


def resnet20(*, input_shape, classes, width=16, dtype=np.float32) -> Network:
    """ResNet-20 for CIFAR (He et al. 2016, section 4.2), with 1x1 convolutions as shortcuts where the shape changes.

    Three stages of three blocks with ``width`` times 1, 2, 4 channels; 18 of its 21 convolutions are sparsifiable.
    """
    widths = [width * factor for factor in (1, 2, 4)]
    return _resnet("resnet20", widths=widths, blocks=3, input_shape=input_shape, classes=classes, dtype=dtype)


MODELS: Registry[Callable[..., Network]] = Registry(
    "model", {"mlp": mlp, "convnet": convnet, "resnet18": resnet18, "resnet20": resnet20}
)
#: Add a model of one's own: ``register("mine", make)``, made like the functions above.
register = MODELS.register


def initialise(network: Network, rng: np.random.Generator, draw: Callable[..., np.ndarray]) -> None:
    """Draw the parameters of every layer that states a fan-in, in forward order; those of others start as built.

    ``rng`` is the stream named "init", ``draw`` a function like `he_normal`. The draws are float64 whatever the
    network's dtype, so that a float32 and a float64 network of one seed start at the same weights up to rounding.
    """
    for _, layer in network.named_layers():
        if layer.fan_in is not None:
            for name, parameter in layer.own_parameters().items():
                parameter.value[...] = draw(parameter.value.shape, layer.fan_in, rng, bias=name == "bias")
                parameter.clear_dead()
                parameter.changed()


def he_normal(shape: tuple[int, ...], fan_in: int, rng: np.random.Generator, *, bias: bool) -> np.ndarray:
    """Weights from N(0, 2 / fan_in) (He et al. 2015), biases 0: activations keep their variance from layer to layer."""
    return np.zeros(shape) if bias else rng.standard_normal(shape) * np.sqrt(2.0 / fan_in)


def pytorch_default(shape: tuple[int, ...], fan_in: int, rng: np.random.Generator, *, bias: bool) -> np.ndarray:
    """Weights and biases from U(-1, 1) / sqrt(fan_in), what PyTorch's convolution and linear layers start from."""
    return rng.uniform(-1.0, 1.0, shape) / np.sqrt(fan_in)


def build_model(
    name: str,
    *,
    input_shape: tuple[int, int, int],
    classes: int,
    width: int | None = None,
    dtype: Any = np.float32,
    rng: np.random.Generator,
    draw: Callable[..., np.ndarray] = he_normal,
) -> Network:
    """Build a network by its name in `MODELS`, and `initialise` it.

    ``input_shape`` is (C, H, W), ``classes`` the outputs of the classifier, ``width`` the channels of the first stage
    (units of the mlp; None takes the model's own default), ``dtype`` float32 or float64.

    Raises
    ------
    ValueError
        If the name is unknown or the shape too small for the model.
    """
    extra = {} if width is None else {"width": width}
    network = MODELS.find(name)(input_shape=tuple(input_shape), classes=classes, dtype=dtype, **extra)
    initialise(network, rng, draw)
    return network
