"""Expected values of the layers without weights: PyTorch's operators and autograd, in float64."""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
from torch import Tensor
from torch.nn import functional

from tests.verify.oracles_layers import Result, array, gradients, largest, tensor
from tests.verify.spec import Arguments, Oracle, Tolerance

EQUAL = Tolerance(0, 0.0, "values are selected, not computed")


def relu_forward(a: Arguments) -> Result:
    """torch.relu in float64."""
    return {"y": array(torch.relu(tensor(a["x"])))}, {"y": EQUAL}


def relu_backward(a: Arguments) -> Result:
    """Autograd of torch.relu in float64."""
    (dx,) = gradients(torch.relu, [tensor(a["x"])], tensor(a["dy"]))
    return {"dx": array(dx)}, {"dx": EQUAL}


def _window(a: Arguments) -> dict:
    return {key: a[key] for key in ("kernel_size", "stride", "padding")}


def _entries(a: Arguments) -> int:
    size = a["kernel_size"]
    return size * size if isinstance(size, int) else math.prod(size)


def _max_pool(a: Arguments) -> Callable[[Tensor], Tensor]:
    return lambda x: functional.max_pool2d(x, **_window(a))


def _avg_pool(a: Arguments) -> Callable[[Tensor], Tensor]:
    return lambda x: functional.avg_pool2d(x, **_window(a), count_include_pad=True)


def max_pool2d_forward(a: Arguments) -> Result:
    """torch.nn.functional.max_pool2d in float64."""
    return {"y": array(_max_pool(a)(tensor(a["x"])))}, {"y": EQUAL}


def max_pool2d_backward(a: Arguments) -> Result:
    """Autograd of torch.nn.functional.max_pool2d in float64."""
    return _collected(_max_pool(a), a, _entries(a))


def avg_pool2d_forward(a: Arguments) -> Result:
    """torch.nn.functional.avg_pool2d in float64, counting padded zeros."""
    return _averaged(_avg_pool(a), a, _entries(a))


def avg_pool2d_backward(a: Arguments) -> Result:
    """Autograd of torch.nn.functional.avg_pool2d in float64."""
    return _collected(_avg_pool(a), a, _entries(a))


def global_avg_pool2d_forward(a: Arguments) -> Result:
    """torch.mean over rows and columns in float64."""
    return _averaged(_global_mean, a, a["x"][0, 0].size)


def global_avg_pool2d_backward(a: Arguments) -> Result:
    """Autograd of torch.mean over rows and columns in float64."""
    return _collected(_global_mean, a, 1)


def _global_mean(x: Tensor) -> Tensor:
    return x.mean(dim=(2, 3))


def _averaged(operation: Callable[[Tensor], Tensor], a: Arguments, entries: int) -> Result:
    x = tensor(a["x"])
    tolerance = Tolerance(entries + 1, largest(operation(x.abs())), "the mean over a window")
    return {"y": array(operation(x))}, {"y": tolerance}


def _collected(operation: Callable[[Tensor], Tensor], a: Arguments, windows: int) -> Result:
    """``windows``: at most so many hold the same entry. Which entry wins a maximum depends on x, not on dy."""
    x, dy = tensor(a["x"]), tensor(a["dy"])
    (dx,) = gradients(operation, [x], dy)
    (reach,) = gradients(operation, [x], dy.abs())
    return {"dx": array(dx)}, {"dx": Tolerance(windows + 1, largest(reach), "upstream over the windows of an entry")}


def _dropped(name: str, values: Tensor, a: Arguments) -> Result:
    """What is kept, divided by 1 - p."""
    kept = torch.where(tensor(a["keep"]), values / (1 - a["p"]), torch.zeros_like(values))
    return {name: array(kept)}, {name: Tolerance(1, largest(kept), "one quotient, or a product with a rounded one")}


def dropout_forward(a: Arguments) -> Result:
    """torch.where of the kept inputs over 1 - p in float64."""
    return _dropped("y", tensor(a["x"]), a)


def dropout_backward(a: Arguments) -> Result:
    """torch.where of the kept upstream gradients over 1 - p in float64."""
    return _dropped("dx", tensor(a["dy"]), a)


ORACLES: dict[str, Oracle] = {
    oracle.__name__: oracle
    for oracle in (
        relu_forward,
        relu_backward,
        max_pool2d_forward,
        max_pool2d_backward,
        avg_pool2d_forward,
        avg_pool2d_backward,
        global_avg_pool2d_forward,
        global_avg_pool2d_backward,
        dropout_forward,
        dropout_backward,
    )
}
