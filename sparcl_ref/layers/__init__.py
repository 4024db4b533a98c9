"""Layers with explicit backward passes: images are ``(N, C, H, W)``, float32 or float64, the dtype kept throughout."""

from sparcl_ref.layers.base import Layer
from sparcl_ref.layers.batchnorm import BatchNorm1d, BatchNorm2d
from sparcl_ref.layers.composite import Composite
from sparcl_ref.layers.conv import Conv2d
from sparcl_ref.layers.costs import Footprint, Load, MultiplyAdds, NotStatedError
from sparcl_ref.layers.dropout import Dropout
from sparcl_ref.layers.flatten import Flatten
from sparcl_ref.layers.linear import Linear
from sparcl_ref.layers.parameter import Parameter
from sparcl_ref.layers.pooling import AvgPool2d, GlobalAvgPool2d, MaxPool2d
from sparcl_ref.layers.relu import ReLU
from sparcl_ref.layers.residual import Residual
from sparcl_ref.layers.sequential import Sequential
from sparcl_ref.layers.unchanged import debug

__all__ = [
    "AvgPool2d",
    "BatchNorm1d",
    "BatchNorm2d",
    "Composite",
    "Conv2d",
    "Dropout",
    "Flatten",
    "Footprint",
    "GlobalAvgPool2d",
    "Layer",
    "Linear",
    "Load",
    "MaxPool2d",
    "MultiplyAdds",
    "NotStatedError",
    "Parameter",
    "ReLU",
    "Residual",
    "Sequential",
    "debug",
]
