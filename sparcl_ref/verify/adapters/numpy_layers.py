"""The reference layers under the protocol's names: each call builds a layer, gives it its arrays and runs it."""

from __future__ import annotations

import numpy as np

from sparcl_ref import layers
from sparcl_ref.layers import Layer


def convolution(x, weight, bias, stride, padding, dilation, groups, grad_mask=None) -> layers.Conv2d:
    """A convolution with the given weight; without a bias its gradient is asked for all the same, so it has one."""
    layer = layers.Conv2d(
        x.shape[1], len(weight), weight.shape[2:],
        stride=stride, padding=padding, dilation=dilation, groups=groups, dtype=x.dtype,
    )  # fmt: skip
    return _filled(layer, weight, bias, grad_mask)


def affine(weight, bias, grad_mask=None) -> layers.Linear:
    """A linear layer with the given weight."""
    return _filled(layers.Linear(weight.shape[1], len(weight), dtype=weight.dtype), weight, bias, grad_mask)


def norm(weight, bias, running_mean, running_var, eps, momentum=0.1) -> layers.BatchNorm2d:
    """A batch normalisation with the given parameters and running statistics; None leaves what a new one has."""
    layer = layers.BatchNorm2d(len(weight), eps=eps, momentum=momentum, dtype=weight.dtype)
    if running_mean is not None:
        layer.running_mean[...] = running_mean
    if running_var is not None:
        layer.running_var[...] = running_var
    return _filled(layer, weight, bias, None)


def _filled(layer, weight, bias, grad_mask):
    layer.weight.value[...] = weight
    if bias is not None:
        layer.bias.value[...] = bias
    layer.weight.set_grad_mask(grad_mask)
    return layer


def through(layer: Layer, x: np.ndarray, dy: np.ndarray, mode: str = "train") -> np.ndarray:
    """Forward and backward; returns dx, gradients stay in the layer."""
    layer.forward(x, mode=mode)
    return layer.backward(dy)


def conv2d_forward(x, weight, bias, stride, padding, dilation, groups):
    return convolution(x, weight, bias, stride, padding, dilation, groups).forward(x, mode="train")


def conv2d_backward(dy, x, weight, stride, padding, dilation, groups, grad_mask):
    layer = convolution(x, weight, None, stride, padding, dilation, groups, grad_mask)
    return through(layer, x, dy), layer.weight.grad, layer.bias.grad


def linear_forward(x, weight, bias):
    return affine(weight, bias).forward(x, mode="train")


def linear_backward(dy, x, weight, grad_mask):
    layer = affine(weight, None, grad_mask)
    return through(layer, x, dy), layer.weight.grad, layer.bias.grad


def batchnorm2d_forward(x, weight, bias, running_mean, running_var, mode, momentum, eps):
    layer = norm(weight, bias, running_mean, running_var, eps, momentum)
    return layer.forward(x, mode=mode), layer.running_mean, layer.running_var


def batchnorm2d_backward(dy, x, weight, running_mean, running_var, mode, eps):
    layer = norm(weight, None, running_mean, running_var, eps)
    return through(layer, x, dy, mode), layer.weight.grad, layer.bias.grad


def relu_forward(x):
    return layers.ReLU().forward(x, mode="train")


def relu_backward(dy, x):
    return through(layers.ReLU(), x, dy)


def max_pool2d_forward(x, kernel_size, stride, padding):
    return layers.MaxPool2d(kernel_size, stride=stride, padding=padding).forward(x, mode="train")


def max_pool2d_backward(dy, x, kernel_size, stride, padding):
    return through(layers.MaxPool2d(kernel_size, stride=stride, padding=padding), x, dy)


def avg_pool2d_forward(x, kernel_size, stride, padding):
    return layers.AvgPool2d(kernel_size, stride=stride, padding=padding).forward(x, mode="train")


def avg_pool2d_backward(dy, x, kernel_size, stride, padding):
    return through(layers.AvgPool2d(kernel_size, stride=stride, padding=padding), x, dy)


def global_avg_pool2d_forward(x):
    return layers.GlobalAvgPool2d().forward(x, mode="train")


def global_avg_pool2d_backward(dy, x):
    return through(layers.GlobalAvgPool2d(), x, dy)


def dropout_forward(x, keep, p):
    # The layer draws for itself; here the draw is given.
    return layers.Dropout(p, rng=None)._thinned(x, keep)


def dropout_backward(dy, keep, p):
    return layers.Dropout(p, rng=None)._thinned(dy, keep)
