"""Layers, forward and backward: what goes in, what comes out, and the sentence each is held to."""

from __future__ import annotations

from sparcl_ref.verify.protocol.function import Argument, Function, Output

_X = Argument("x", "float (N, C, H, W): the input of the layer")
_FEATURES = Argument("x", "float (N, I): the input of the layer")
_ANY = Argument("x", "float, any shape: the input of the layer")
_DY = Argument("dy", "float, shape of the output: gradient of the loss with respect to the output")
_BIAS = Argument("bias", "float (O,), or None for a layer without one", default=None)
_GRAD_MASK = Argument(
    "grad_mask", "bool, shape of weight, or None: the entries whose gradient is formed; None means all", default=None
)
_KERNEL_SIZE = Argument("kernel_size", "int, or [rows, columns]")
_POOL_STRIDE = Argument("stride", "int, or [rows, columns], or None for the kernel size", default=None)
_PADDING = Argument("padding", "int, or [rows, columns]: on each side", default=0)
_KEEP = Argument("keep", "bool, shape of the input: the entries that are kept; this is the random draw")
_P = Argument("p", "float, 0 <= p < 1: the probability with which an entry was dropped")

_CONV_WEIGHT = Argument("weight", "float (O, C / groups, kh, kw)")
_LINEAR_WEIGHT = Argument("weight", "float (O, I)")
_NORM_WEIGHT = Argument("weight", "float (C,): the scale, gamma")
_EPS = Argument("eps", "float: added to the variance", default=1e-5)
_MODE = Argument(
    "mode",
    '"train", "eval" or "probe": statistics of the batch, the running ones, or those of the batch without touching the '
    "running ones",
    default="train",
)
_WINDOW = (
    Argument("stride", "int, or [rows, columns]", default=1),
    _PADDING,
    Argument("dilation", "int, or [rows, columns]: distance between the taps of the kernel", default=1),
    Argument("groups", "int: number of independent convolutions the channels are split into, in order", default=1),
)

_Y = Output("y", "float: the output of the layer")
_DX = Output("dx", "float, shape of x: gradient with respect to the input")
_DWEIGHT = Output("dweight", "float, shape of weight")
_DBIAS = Output("dbias", "float, one per output channel or feature; formed whether or not the layer has a bias")
_MASKED = "; exactly +0.0 in dweight where grad_mask is not set"
_IOFFE = "Ioffe and Szegedy, 2015"


def _layer(name: str, sentence: str, source: str, arguments: tuple, *outputs: Output) -> Function:
    return Function(name, "layers", arguments, outputs, sentence, source)


FUNCTIONS = (
    _layer(
        "conv2d_forward",
        "y[n,o,h,w] = bias[o] + sum over c,i,j of weight[o,c,i,j] * x[n, c, h*stride - padding + i*dilation, "
        "w*stride - padding + j*dilation], with x zero outside the image: cross-correlation, the kernel is not flipped",
        "cross-correlation",
        (_X, _CONV_WEIGHT, _BIAS, *_WINDOW),
        _Y,
    ),
    _layer(
        "conv2d_backward",
        "dweight sums dy times the input each tap saw over samples and positions, dx sums dy times weight over the "
        "positions and taps that saw the pixel, dbias sums dy; nothing is averaged" + _MASKED,
        "derivative of conv2d_forward",
        (_DY, _X, _CONV_WEIGHT, *_WINDOW, _GRAD_MASK),
        _DX,
        _DWEIGHT,
        _DBIAS,
    ),
    _layer(
        "linear_forward",
        "y = x weight^T + bias",
        "affine map",
        (_FEATURES, _LINEAR_WEIGHT, _BIAS),
        _Y,
    ),
    _layer(
        "linear_backward",
        "dx = dy weight, dweight = dy^T x, dbias = sum of dy over samples; nothing is averaged" + _MASKED,
        "derivative of linear_forward",
        (Argument("dy", "float (N, O)"), _FEATURES, _LINEAR_WEIGHT, _GRAD_MASK),
        _DX,
        _DWEIGHT,
        _DBIAS,
    ),
    _layer(
        "batchnorm2d_forward",
        "y = weight * (x - mean) / sqrt(var + eps) + bias per channel; train and probe take mean and biased variance "
        "of the batch, eval the running ones; train alone moves running = (1 - momentum) * running + momentum * batch, "
        "the variance unbiased",
        _IOFFE,
        (
            _X,
            _NORM_WEIGHT,
            Argument("bias", "float (C,): the offset, beta"),
            Argument("running_mean", "float (C,): before the call"),
            Argument("running_var", "float (C,): before the call"),
            _MODE,
            Argument("momentum", "float: weight of the newest batch in the running estimates", default=0.1),
            _EPS,
        ),
        _Y,
        Output("running_mean", "float (C,): after the call"),
        Output("running_var", "float (C,): after the call"),
    ),
    _layer(
        "batchnorm2d_backward",
        "with xhat = (x - mean) / sqrt(var + eps): dbias = sum of dy, dweight = sum of dy * xhat, and in train and "
        "probe mode dx = weight / sqrt(var + eps) * (dy - mean(dy) - xhat * mean(dy * xhat)), because mean and "
        "variance depend on x; in eval mode they are constants and dx = weight / sqrt(var + eps) * dy",
        _IOFFE,
        (
            _DY,
            _X,
            _NORM_WEIGHT,
            Argument("running_mean", "float (C,), or None outside eval mode", default=None),
            Argument("running_var", "float (C,), or None outside eval mode", default=None),
            _MODE,
            _EPS,
        ),
        _DX,
        _DWEIGHT,
        _DBIAS,
    ),
    _layer("relu_forward", "y = max(x, 0) entry by entry; NaN stays NaN", "rectified linear unit", (_ANY,), _Y),
    _layer(
        "relu_backward",
        "dx = dy where x > 0, else 0: the derivative at 0 is taken as 0",
        "derivative of relu_forward",
        (_DY, _ANY),
        _DX,
    ),
    _layer(
        "max_pool2d_forward",
        "the largest entry of each window; padding never wins; windows that would leave the padded image are not taken",
        "max pooling",
        (_X, _KERNEL_SIZE, _POOL_STRIDE, _PADDING),
        _Y,
    ),
    _layer(
        "max_pool2d_backward",
        "dy goes to the entry that won its window, the first in row-major order among equals; where windows overlap an "
        "entry collects from each one it won",
        "derivative of max_pool2d_forward",
        (_DY, _X, _KERNEL_SIZE, _POOL_STRIDE, _PADDING),
        _DX,
    ),
    _layer(
        "avg_pool2d_forward",
        "the mean of each window over its kh * kw entries, the zeros of the padding included",
        "average pooling",
        (_X, _KERNEL_SIZE, _POOL_STRIDE, _PADDING),
        _Y,
    ),
    _layer(
        "avg_pool2d_backward",
        "each entry of a window receives dy / (kh * kw); where windows overlap an entry collects from each",
        "derivative of avg_pool2d_forward",
        (_DY, _X, _KERNEL_SIZE, _POOL_STRIDE, _PADDING),
        _DX,
    ),
    _layer(
        "global_avg_pool2d_forward",
        "y[n,c] = mean of x[n,c,:,:]",
        "average pooling",
        (_X,),
        Output("y", "float (N, C)"),
    ),
    _layer(
        "global_avg_pool2d_backward",
        "dx[n,c,h,w] = dy[n,c] / (H * W)",
        "derivative of global_avg_pool2d_forward",
        (Argument("dy", "float (N, C)"), Argument("x", "float (N, C, H, W): the input; only its shape matters")),
        _DX,
    ),
    _layer(
        "dropout_forward",
        "y = x / (1 - p) where keep is set, else 0 (inverted dropout, train mode)",
        "Srivastava et al., 2014",
        (_ANY, _KEEP, _P),
        _Y,
    ),
    _layer(
        "dropout_backward",
        "dx = dy / (1 - p) where keep is set, else 0",
        "derivative of dropout_forward",
        (_DY, _KEEP, _P),
        _DX,
    ),
)
