"""The compiled engine as an adapter: the layers it compiles, and its optimiser.

Average pooling, dropout, the losses and the rules are the reference's in this engine, too, and are not provided.
"""

from __future__ import annotations

import math

import numpy as np

from sparcl_ref import fast, layers
from sparcl_ref.layers import Layer, Parameter, Sequential
from sparcl_ref.models import Network
from sparcl_ref.verify.areas import optimizer
from sparcl_ref.verify.areas.layers.batchnorm2d import norm
from sparcl_ref.verify.areas.layers.conv2d import convolution
from sparcl_ref.verify.areas.layers.linear import affine


class _Typed(Sequential):
    """A chain with a parameter that nothing reads: an engine takes its dtype from the first parameter."""

    def __init__(self, chain: list[Layer], dtype: np.dtype):
        super().__init__(chain)
        self._unread = Parameter("unread", np.zeros(1, dtype))

    def own_parameters(self):
        return {"unread": self._unread}


def run(chain: list[Layer], x, output_shape, dy=None, mode: str = "train"):
    """The output of a compiled chain for images, or dx if there is a ``dy``."""
    features = math.prod(output_shape[1:])
    model = Network("one", _Typed(chain, x.dtype), input_shape=x.shape[1:], classes=features)
    compiled = fast.compile(model)
    y = compiled.forward(x, mode=mode).reshape(output_shape)
    return y if dy is None else compiled.backward(dy.reshape(len(dy), features))


def _windowed(layer, x, dy=None):
    return run([layer, layers.Flatten()], x, layer.forward(x, mode="eval").shape, dy)


def conv2d_forward(x, weight, bias, stride, padding, dilation, groups):
    return _windowed(convolution(x, weight, bias, stride, padding, dilation, groups), x)


def conv2d_backward(dy, x, weight, stride, padding, dilation, groups, grad_mask):
    layer = convolution(x, weight, None, stride, padding, dilation, groups, grad_mask)
    return _windowed(layer, x, dy), layer.weight.grad, layer.bias.grad


def _transform(layer, x, dy=None):
    return run([layers.Flatten(), layer], x.reshape(*x.shape, 1, 1), (len(x), layer.out_features), dy)


def linear_forward(x, weight, bias):
    return _transform(affine(weight, bias), x)


def linear_backward(dy, x, weight, grad_mask):
    layer = affine(weight, None, grad_mask)
    return _transform(layer, x, dy).reshape(x.shape), layer.weight.grad, layer.bias.grad


def batchnorm2d_forward(x, weight, bias, running_mean, running_var, mode, momentum, eps):
    layer = norm(weight, bias, running_mean, running_var, eps, momentum)
    return run([layer, layers.Flatten()], x, x.shape, mode=mode), layer.running_mean, layer.running_var


def batchnorm2d_backward(dy, x, weight, running_mean, running_var, mode, eps):
    layer = norm(weight, None, running_mean, running_var, eps)
    dx = run([layer, layers.Flatten()], x, x.shape, dy, mode=mode)
    return dx, layer.weight.grad, layer.bias.grad


def _as_images(array):
    return array if array.ndim == 4 else array.reshape(1, 1, 1, array.size)


def relu_forward(x):
    images = _as_images(x)
    return run([layers.ReLU(), layers.Flatten()], images, images.shape).reshape(x.shape)


def relu_backward(dy, x):
    images = _as_images(x)
    return run([layers.ReLU(), layers.Flatten()], images, images.shape, _as_images(dy)).reshape(x.shape)


def max_pool2d_forward(x, kernel_size, stride, padding, dy=None):
    return _windowed(layers.MaxPool2d(kernel_size, stride=stride, padding=padding), x, dy)


def max_pool2d_backward(dy, x, kernel_size, stride, padding):
    return max_pool2d_forward(x, kernel_size, stride, padding, dy)


def global_avg_pool2d_forward(x):
    return run([layers.GlobalAvgPool2d()], x, x.shape[:2])


def global_avg_pool2d_backward(dy, x):
    return run([layers.GlobalAvgPool2d()], x, x.shape[:2], dy)


def sgd_step(value, grad, velocity, mask, grad_mask, lr, momentum, nesterov, weight_decay):
    settings = {"momentum": momentum, "nesterov": nesterov, "weight_decay": weight_decay}
    return optimizer.sgd_step(value, grad, velocity, mask, grad_mask, lr, **settings, engine=fast.CompiledSGD)
