"""Layers, forward and backward."""

from sparcl_ref.verify.areas.layers import batchnorm2d, conv2d, dropout, linear, pooling, relu

FUNCTIONS = (
    *conv2d.FUNCTIONS,
    *linear.FUNCTIONS,
    *batchnorm2d.FUNCTIONS,
    *relu.FUNCTIONS,
    *pooling.FUNCTIONS,
    *dropout.FUNCTIONS,
)
