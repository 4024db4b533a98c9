"""Pooling: inputs, oracle and wrong implementations."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from tests.verify.areas.layers.conv2d import pair
from tests.verify.areas.layers.relu import EQUAL
from tests.verify.draws import floats, integers
from tests.verify.spec import Arguments, CaseSpec, Oracle, Result, Tolerance, Wrong
from tests.verify.tensors import array, gradients, largest, tensor


def cases() -> Iterator[CaseSpec]:
    yield from _pools()
    yield from _global_pool()


def _pools() -> Iterator[CaseSpec]:
    #: name, kind, note on max pooling, note on average pooling (None: no case), image, arguments
    variants: list[tuple[str, str, str, str | None, np.ndarray, dict[str, Any], tuple[int, int]]] = [
        ("touching", "regular", "a stride that defaults to 1 instead of the kernel size",
         "a stride that defaults to 1 instead of the kernel size; a sum instead of a mean",
         floats("pool touching", (2, 2, 4, 6)), {"kernel_size": 2}, (2, 3)),
        ("overlapping", "regular", "an entry that wins several windows and keeps the last gradient only",
         "an entry of several windows that keeps the last gradient only", floats("pool overlapping", (1, 2, 5, 5)),
         {"kernel_size": 3, "stride": 1}, (3, 3)),
        ("odd-size", "edge", "a last window that does not fit: left out, its pixels get gradient 0",
         "a last window that does not fit: left out, its pixels get gradient 0", floats("pool odd", (1, 2, 5, 7)),
         {"kernel_size": 2}, (2, 3)),
        ("unequal-rows-and-columns", "edge", "pairs read as (columns, rows)", "pairs read as (columns, rows)",
         floats("pool pairs", (1, 2, 6, 5)), {"kernel_size": [3, 2], "stride": [1, 2], "padding": [1, 0]}, (6, 2)),
        ("padding", "adversarial", "padding with 0 wins where all entries are negative",
         "padded zeros left out of the divisor", floats("pool negative", (1, 2, 4, 4), low=-3.0, high=-1.0),
         {"kernel_size": 3, "stride": 2, "padding": 1}, (2, 2)),
        ("padding-again", "adversarial", "padding with 0 wins where all entries are negative",
         "padded zeros left out of the divisor", floats("pool negative again", (2, 1, 3, 5), low=-9.0, high=-0.5),
         {"kernel_size": [2, 3], "stride": 1, "padding": [1, 1]}, (4, 5)),
        ("padding-far-below", "adversarial", "padding with -1e4 or the like instead of minus infinity wins", None,
         floats("pool far", (1, 2, 4, 4), low=-30_000.0, high=-20_000.0), {"kernel_size": 2, "padding": 1}, (3, 3)),
        ("padding-further-below", "adversarial", "padding with -1e30 or the like wins", None,
         floats("pool further", (1, 1, 3, 3), low=-4.0, high=-2.0) * 2.0**110,
         {"kernel_size": 3, "stride": 2, "padding": 1}, (2, 2)),
        ("padding-furthest-below", "adversarial", "padding with -1e30 or the like wins", None,
         floats("pool furthest", (1, 2, 2, 5), low=-4.0, high=-2.0) * 2.0**115,
         {"kernel_size": 2, "stride": 1, "padding": [0, 1]}, (1, 6)),
        ("ties", "adversarial",
         "ties broken from the other end, or the gradient given to every winner or shared among them", None,
         integers("pool ties", (2, 2, 4, 4), low=0, high=2).astype(np.float64), {"kernel_size": 2}, (2, 2)),
        ("all-zero", "adversarial", "windows of zeros, as after a ReLU: the gradient goes to their first entry", None,
         np.zeros((1, 1, 4, 4)), {"kernel_size": 3, "stride": 1}, (2, 2)),
    ]  # fmt: skip
    for name, kind, max_note, mean_note, x, window, out in variants:
        dy = floats(f"pool dy {name}", (*x.shape[:2], *out))
        for layer, note in [("max_pool2d", max_note), ("avg_pool2d", mean_note)]:
            if note is not None:
                yield CaseSpec(f"{layer}_forward", name, kind, note, {"x": x, **window})
                yield CaseSpec(f"{layer}_backward", name, kind, note, {"dy": dy, "x": x, **window})


def _global_pool() -> Iterator[CaseSpec]:
    for name, kind, note, shape in [
        ("images", "regular", "a mean over channels; a sum; a division by the wrong size", (2, 3, 4, 5)),
        ("one-sample", "edge", "an axis of length 1 that is dropped", (1, 3, 2, 2)),
        ("one-pixel", "edge", "spatial axes that are kept: the result has shape (N, C)", (2, 3, 1, 1)),
        ("long-sum", "adversarial", "pixels summed in float32 in a float64 run", (1, 2, 16, 17)),
    ]:
        x = floats(f"global x {name}", shape)
        yield CaseSpec("global_avg_pool2d_forward", name, kind, note, {"x": x})
        dy = floats(f"global dy {name}", shape[:2])
        yield CaseSpec("global_avg_pool2d_backward", name, kind, note, {"dy": dy, "x": x})


# --- oracle -----------------------------------------------------------------------------------------------------------


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


_ORACLES = (
    max_pool2d_forward, max_pool2d_backward, avg_pool2d_forward, avg_pool2d_backward, global_avg_pool2d_forward,
    global_avg_pool2d_backward,
)  # fmt: skip
ORACLES: dict[str, Oracle] = {oracle.__name__: oracle for oracle in _ORACLES}


# --- wrong implementations --------------------------------------------------------------------------------------------


def pooled(x, kernel_size, stride, padding, *, function, **options):
    stride = pair(kernel_size if stride is None else stride)
    return function(x, pair(kernel_size), stride, pair(padding), **options)


def pool_gradient(dy, x, kernel_size, stride, padding, *, function, **options):
    x = tensor(x).requires_grad_()
    y = pooled(x, kernel_size, stride, padding, function=function, **options)
    return torch.autograd.grad(y, x, tensor(dy))[0].numpy()


def zero_padded_maximum(x, kernel_size, stride, padding):
    rows, columns = pair(padding)
    x = functional.pad(tensor(x), (columns, columns, rows, rows))
    return pooled(x, kernel_size, stride, 0, function=functional.max_pool2d).numpy()


def low_padded(x, kernel_size, stride, padding, low):
    """The maximum with some low number around the image instead of minus infinity."""
    rows, columns = pair(padding)
    x = functional.pad(x, (columns, columns, rows, rows), value=float(low))
    return pooled(x, kernel_size, stride, 0, function=functional.max_pool2d)


def low_padded_maximum(x, kernel_size, stride, padding, *, fault):
    return low_padded(tensor(x), kernel_size, stride, padding, fault if fault != "none" else -np.inf).numpy()


def low_padded_gradient(dy, x, kernel_size, stride, padding, *, fault):
    leaf = tensor(x).requires_grad_()
    y = low_padded(leaf, kernel_size, stride, padding, fault if fault != "none" else -np.inf)
    return torch.autograd.grad(y, leaf, tensor(dy))[0].numpy()


def shared_by_ties(dy, x, kernel_size, stride, padding):
    """Every window's gradient is shared equally among its winners, as torch.amax shares it."""
    leaf = tensor(x).requires_grad_()
    rows, columns = pair(padding)
    sides, steps = pair(kernel_size), pair(kernel_size if stride is None else stride)
    padded = functional.pad(leaf, (columns, columns, rows, rows), value=-np.inf)
    windows = padded.unfold(2, sides[0], steps[0]).unfold(3, sides[1], steps[1])
    return torch.autograd.grad(windows.amax(dim=(4, 5)), leaf, tensor(dy))[0].numpy()


def ceil_maximum(x, **window):
    return pooled(tensor(x), **window, function=functional.max_pool2d, ceil_mode=True).numpy()


def last_of_equals(dy, x, kernel_size, stride, padding):
    """Turning the image around makes the last winner the first, where the windows still lie alike."""
    size = [n + 2 * p for n, p in zip(x.shape[2:], pair(padding), strict=True)]
    stride = pair(kernel_size if stride is None else stride)
    rest = [(n - k) % s for n, k, s in zip(size, pair(kernel_size), stride, strict=True)]
    rows, columns = (p - r for p, r in zip(pair(padding), rest, strict=True))
    flipped = tensor(x).flip(2, 3).requires_grad_()
    top, left = pair(padding)
    edge = functional.pad(flipped, (columns, left, rows, top), value=-np.inf)
    y = functional.max_pool2d(edge, pair(kernel_size), stride)
    return torch.autograd.grad(y, flipped, tensor(dy).flip(2, 3))[0].flip(2, 3).numpy()


def without_padding_counted(x, **window):
    return pooled(tensor(x), **window, function=functional.avg_pool2d, count_include_pad=False).numpy()


def undivided(dy, x, kernel_size, stride, padding):
    area = np.prod(pair(kernel_size))
    window = {"kernel_size": kernel_size, "stride": stride, "padding": padding}
    return pool_gradient(dy, x, **window, function=functional.avg_pool2d) * area


WRONG = (
    *(Wrong(f"max-pool-{low}", "max_pool2d_forward", f"padded with {low}", low_padded_maximum, fault=low,
        likely="padded with a low number instead of minus infinity") for low in ("-1e4", "-1e9", "-1e30")),
    *(Wrong(f"max-pool-gradient-{low}", "max_pool2d_backward", f"padded with {low}", low_padded_gradient, fault=low,
        likely="gradients lost to a padding that wins windows")
        for low in ("0", "-1e4", "-1e30")),
    Wrong("max-pool-shared", "max_pool2d_backward", "equal winners share the gradient", shared_by_ties,
        likely="the gradient shared among equal winners"),
    Wrong("max-pool-zero-padding", "max_pool2d_forward", "zeros of the padding can win", zero_padded_maximum,
        likely="padded with zeros, which win against negative entries"),
    Wrong("max-pool-ceil", "max_pool2d_forward", "windows that leave the image are taken", ceil_maximum),
    Wrong("max-pool-last", "max_pool2d_backward", "of equal entries the last gets the gradient", last_of_equals,
        likely="ties broken from the other end"),
    Wrong("avg-pool-inside", "avg_pool2d_forward", "the padding is left out of the mean", without_padding_counted,
        likely="the zeros of the padding not counted"),
    Wrong("avg-pool-undivided", "avg_pool2d_backward", "the gradient is not divided by the area", undivided,
        likely="not divided by the window's size"),
    Wrong("global-pool-sum", "global_avg_pool2d_forward", "a sum instead of a mean", lambda x: x.sum(axis=(2, 3)),
        likely="the sum instead of the mean"),
    Wrong("global-pool-undivided", "global_avg_pool2d_backward", "the gradient is not divided by the area",
        lambda dy, x: np.broadcast_to(dy[:, :, None, None], x.shape).copy(),
        likely="not divided by the number of pixels"),
)  # fmt: skip
