"""Of FLOPs."""

# ruff: noqa: F811 - many answers to one exercise have one name

from __future__ import annotations

from tests.tutorials.wrong_answers.common import RIGHT, said


def flops(name, given, **changes):
    return RIGHT[name](**given | changes)


@said("MACs reported as FLOPs")
def conv2d_flops(
    in_channels, out_channels, kernel, size, stride=1, padding=0, batch=1, active=None, grad_active=None, need_dx=True
):
    return [count // 2 for count in flops("conv2d_flops", locals())]


@said("the weight gradient counted for all living weights")
def conv2d_flops(
    in_channels, out_channels, kernel, size, stride=1, padding=0, batch=1, active=None, grad_active=None, need_dx=True
):
    return flops("conv2d_flops", locals(), grad_active=None)


@said("the input's size instead of the output's")
def conv2d_flops(
    in_channels, out_channels, kernel, size, stride=1, padding=0, batch=1, active=None, grad_active=None, need_dx=True
):
    active = in_channels * out_channels * kernel[0] * kernel[1] if active is None else active
    grad_active = active if grad_active is None else grad_active
    places = 2 * batch * size[0] * size[1]
    return places * active, places * active * need_dx, places * grad_active


@said("MACs reported as FLOPs")
def linear_flops(in_features, out_features, batch=1, active=None, grad_active=None, need_dx=True):
    return [count // 2 for count in flops("linear_flops", locals())]


@said("biases counted")
def linear_flops(in_features, out_features, batch=1, active=None, grad_active=None, need_dx=True):
    forward, dx, dw = flops("linear_flops", locals())
    return forward + 2 * batch * out_features, dx, dw


@said("a dense count: dead weights counted as well")
def linear_flops(in_features, out_features, batch=1, active=None, grad_active=None, need_dx=True):
    return flops("linear_flops", locals(), active=None, grad_active=None)
