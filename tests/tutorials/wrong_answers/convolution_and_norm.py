"""Of convolution and batch-norm."""

# ruff: noqa: F811 - many answers to one exercise have one name

from __future__ import annotations

import numpy as np

from tests.tutorials.wrong_answers.common import RIGHT, said


def convolution(**given):
    return RIGHT["conv2d_forward"](**given)


def convolution_backward(**given):
    return RIGHT["conv2d_backward"](**given)


@said("the kernel flipped: a convolution instead of a cross-correlation")
def conv2d_forward(x, weight, bias=None, stride=1, padding=0):
    return convolution(x=x, weight=weight[:, :, ::-1, ::-1], bias=bias, stride=stride, padding=padding)


@said("stride left out")
def conv2d_forward(x, weight, bias=None, stride=1, padding=0):
    return convolution(x=x, weight=weight, bias=bias, stride=1, padding=padding)


@said("padding left out")
def conv2d_forward(x, weight, bias=None, stride=1, padding=0):
    return convolution(x=x, weight=weight, bias=bias, stride=stride, padding=0)


@said("the bias left out")
def conv2d_forward(x, weight, bias=None, stride=1, padding=0):
    return convolution(x=x, weight=weight, stride=stride, padding=padding)


@said("dx through the kernel that is flipped, or not flipped, once too often")
def conv2d_backward(dy, x, weight, stride=1, padding=0):
    _, dweight, dbias = convolution_backward(dy=dy, x=x, weight=weight, stride=stride, padding=padding)
    flipped = weight[:, :, ::-1, ::-1]
    dx, _, _ = convolution_backward(dy=dy, x=x, weight=flipped, stride=stride, padding=padding)
    return dx, dweight, dbias


@said("dx has shape (2, 3, 0, 0), expected (2, 3, 5, 4)")
def conv2d_backward(dy, x, weight, stride=1, padding=0):
    dx, dweight, dbias = convolution_backward(dy=dy, x=x, weight=weight, stride=stride, padding=padding)
    dpadded = np.pad(dx, ((0, 0), (0, 0), (padding, padding), (padding, padding)))
    return dpadded[:, :, padding:-padding, padding:-padding], dweight, dbias


@said("bias gradient averaged over positions")
def conv2d_backward(dy, x, weight, stride=1, padding=0):
    dx, dweight, _ = convolution_backward(dy=dy, x=x, weight=weight, stride=stride, padding=padding)
    return dx, dweight, dy.mean(axis=(2, 3)).sum(axis=0)


@said("from one window alone: assigned instead of added up")
def conv2d_backward(dy, x, weight, stride=1, padding=0):
    _, dweight, dbias = convolution_backward(dy=dy, x=x, weight=weight, stride=stride, padding=padding)
    dpadded = np.pad(np.zeros_like(x), ((0, 0), (0, 0), (padding, padding), (padding, padding)))
    height, width = dy.shape[2:]
    for i in range(weight.shape[2]):
        for j in range(weight.shape[3]):
            rows, columns = slice(i, i + stride * height, stride), slice(j, j + stride * width, stride)
            dpadded[:, :, rows, columns] = np.einsum("nohw,oc->nchw", dy, weight[:, :, i, j])
    inside = dpadded[:, :, padding : padding + x.shape[2], padding : padding + x.shape[3]]
    return inside, dweight, dbias


def normalised(x, mean, var, weight, bias, eps):
    xhat = (x - mean[:, None, None]) / np.sqrt(var + eps)[:, None, None]
    return weight[:, None, None] * xhat + bias[:, None, None]


def norm(x, weight, bias, running_mean, running_var, mode, momentum, eps):
    return RIGHT["batchnorm2d_forward"](x, weight, bias, running_mean, running_var, mode, momentum, eps)


@said("variance is biased where the running estimate moves")
def batchnorm2d_forward(x, weight, bias, running_mean, running_var, mode="train", momentum=0.1, eps=1e-5):
    y, mean, var = norm(x, weight, bias, running_mean, running_var, mode, momentum, eps)
    if mode == "train":
        var = (1 - momentum) * running_var + momentum * x.var(axis=(0, 2, 3))
    return y, mean, var


@said("eps added to the standard deviation instead of the variance")
def batchnorm2d_forward(x, weight, bias, running_mean, running_var, mode="train", momentum=0.1, eps=1e-5):
    _, mean, var = norm(x, weight, bias, running_mean, running_var, mode, momentum, eps)
    m, v = (running_mean, running_var) if mode == "eval" else (x.mean(axis=(0, 2, 3)), x.var(axis=(0, 2, 3)))
    return normalised(x, m, (np.sqrt(v) + eps) ** 2, weight, bias, 0), mean, var


@said("momentum the other way round")
def batchnorm2d_forward(x, weight, bias, running_mean, running_var, mode="train", momentum=0.1, eps=1e-5):
    return norm(x, weight, bias, running_mean, running_var, mode, 1 - momentum, eps)


@said("running statistics moved in probe mode, which must not move them")
def batchnorm2d_forward(x, weight, bias, running_mean, running_var, mode="train", momentum=0.1, eps=1e-5):
    mode = "train" if mode == "probe" else mode
    return norm(x, weight, bias, running_mean, running_var, mode, momentum, eps)


@said("mean and variance taken for constants")
def batchnorm2d_backward(dy, x, weight, running_mean=None, running_var=None, mode="train", eps=1e-5):
    _, dweight, dbias = RIGHT["batchnorm2d_backward"](dy, x, weight, running_mean, running_var, mode, eps)
    var = running_var if mode == "eval" else x.var(axis=(0, 2, 3))
    return (weight / np.sqrt(var + eps))[:, None, None] * dy, dweight, dbias


@said("the term through the variance is missing")
def batchnorm2d_backward(dy, x, weight, running_mean=None, running_var=None, mode="train", eps=1e-5):
    dx, dweight, dbias = RIGHT["batchnorm2d_backward"](dy, x, weight, running_mean, running_var, mode, eps)
    if mode != "eval":
        r = 1 / np.sqrt(x.var(axis=(0, 2, 3)) + eps)[:, None, None]
        g = weight[:, None, None] * dy
        dx = r * (g - g.mean(axis=(0, 2, 3), keepdims=True))
    return dx, dweight, dbias
