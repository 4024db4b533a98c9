"""Compiled batch-norm, residual sum and ReLU in one pass, their gradients in one more, and max pooling.

A channel's image is visited by runs (`sparcl_ref.fast.layout.Layout.starts`), so that operands may lie in memory
differently. Each channel belongs to one thread; sums of a run are taken in the arrays' dtype, sums of runs in float64.
``zero`` is the 0 of that dtype: a literal would turn float32 arithmetic into float64.
"""

from __future__ import annotations

import numpy as np
from numba import njit, prange

from sparcl_ref.fast.jit import compiled

#: Sums may be reordered into vectors and products fused; NaN and infinity keep their meaning.
FAST = {"reassoc", "contract", "nsz", "arcp"}


@njit(inline="always")
def _run(buffer, plane, channel, starts, k, run):
    """One run of a channel: loops over slices become vectors, where sums of indices would be checked for their sign."""
    first = channel * plane + starts[k]
    return buffer[first : first + run]


@compiled(fastmath=FAST)
def _moments(y, plane, channel, starts, run, zero):
    """Mean and biased variance of one channel, the variance from deviations."""
    count = len(starts) * run
    total = 0.0
    for k in range(len(starts)):
        seen = _run(y, plane, channel, starts, k, run)
        part = zero
        for i in range(run):
            part += seen[i]
        total += part
    mean = type(zero)(total / count)
    total = 0.0
    for k in range(len(starts)):
        seen = _run(y, plane, channel, starts, k, run)
        part = zero
        for i in range(run):
            part += (seen[i] - mean) * (seen[i] - mean)
        total += part
    return mean, total / count


@compiled(parallel=True, fastmath=FAST)
def normalise(
    y, ystarts, yplane, run, measure, mean, var, r, eps, weight, bias, relu,
    side, sstarts, splane, out, ostarts, oplane, zero,
):  # fmt: skip
    """``(y - mean) * weight * r + bias (+ side)`` with r = 1 / sqrt(var + eps), clipped at 0 if ``relu``.

    One visit per channel, which stays in the second-level cache while its moments are taken and it is normalised.
    ``measure`` says whether mean and variance are to be taken from y, and noted, or are given; r is noted. ``side`` may
    be ``out`` itself; an empty one stands for no sum.
    """
    add = len(side) > 0
    for c in prange(len(mean)):
        if measure:
            mean[c], var[c] = _moments(y, yplane, c, ystarts, run, zero)
        r[c] = 1 / np.sqrt(var[c] + eps)
        m, s, b = mean[c], weight[c] * r[c], bias[c]
        for k in range(len(ystarts)):
            source, target = _run(y, yplane, c, ystarts, k, run), _run(out, oplane, c, ostarts, k, run)
            if add:
                beside = _run(side, splane, c, sstarts, k, run)
                for i in range(run):
                    target[i] = (source[i] - m) * s + b + beside[i]
            else:
                for i in range(run):
                    target[i] = (source[i] - m) * s + b
            if relu:
                for i in range(run):
                    z = target[i]
                    target[i] = zero if z <= zero else z


@compiled(parallel=True, fastmath=FAST)
def normalise_backward(
    dout, gstarts, gplane, act, astarts, aplane, relu, y, ystarts, yplane, run,
    mean, r, weight, share, dweight, dbias, dy, dstarts, dplane, zero,
):  # fmt: skip
    """Gradients of ``relu((y - mean) * weight * r + bias + anything)``.

    With g = dL/d(argument of ReLU), that is ``dout`` times 1 where the output ``act`` is positive and 0 elsewhere (a
    product, as in the reference: NaN stays NaN; without ReLU ``dout`` itself), dbias = sum g,
    dweight = r * sum g (y - mean), and, the statistics being those of the batch,
    dy = weight * r * (g - mean(g) - (y - mean) * r * mean(g xhat)); with running statistics dy = weight * r * g.
    ``share`` is the weight of one value in those means: one over their number, or 0 for running statistics. With ReLU,
    ``dout`` becomes g: whoever needs it after this finds it there.
    """
    for c in prange(len(mean)):
        m = mean[c]
        one = type(zero)(1)
        sum_g, sum_gy = 0.0, 0.0
        for k in range(len(ystarts)):
            g, source = _run(dout, gplane, c, gstarts, k, run), _run(y, yplane, c, ystarts, k, run)
            if relu:
                active = _run(act, aplane, c, astarts, k, run)
                for i in range(run):
                    g[i] *= one if active[i] > zero else zero
            part_g = zero
            part_gy = zero
            for i in range(run):
                part_g += g[i]
                part_gy += g[i] * (source[i] - m)
            sum_g += part_g
            sum_gy += part_gy
        dbias[c] = sum_g
        dweight[c] = sum_gy * r[c]
        s = weight[c] * r[c]
        shift = -s * dbias[c] * share
        slope = -s * r[c] * dweight[c] * share
        for k in range(len(ystarts)):
            g, source = _run(dout, gplane, c, gstarts, k, run), _run(y, yplane, c, ystarts, k, run)
            target = _run(dy, dplane, c, dstarts, k, run)
            if share > zero:
                for i in range(run):
                    target[i] = s * g[i] + slope * (source[i] - m) + shift
            else:
                for i in range(run):
                    target[i] = s * g[i]


@compiled(parallel=True)
def copy_runs(source, sstarts, splane, run, channels, add, target, tstarts, tplane):
    """Copy (or add) images from one layout to another."""
    for c in prange(channels):
        for k in range(len(sstarts)):
            seen, into = _run(source, splane, c, sstarts, k, run), _run(target, tplane, c, tstarts, k, run)
            if add:
                for i in range(run):
                    into[i] += seen[i]
            else:
                for i in range(run):
                    into[i] = seen[i]


@compiled(parallel=True)
def window_max(x, starts, plane, columns, batch, channels, kernel, stride, padding, size, out, ostarts, oplane, winner):
    """Largest entry of each window; ``winner`` notes its tap, the first among equals in row-major order, or a NaN's.

    ``size`` is (rows, columns) of the input, and ``columns`` those of the output; starts are per pixel.
    """
    for c in prange(channels):
        for p in range(len(ostarts)):
            top, left = p // columns * stride[0] - padding[0], p % columns * stride[1] - padding[1]
            target = c * oplane + ostarts[p]
            note = (c * len(ostarts) + p) * batch
            fresh = True
            for tap in range(kernel[0] * kernel[1]):
                row, column = top + tap // kernel[1], left + tap % kernel[1]
                if row < 0 or column < 0 or row >= size[0] or column >= size[1]:
                    continue
                source = c * plane + starts[row * size[1] + column]
                for n in range(batch):
                    z = x[source + n]
                    if fresh or z > out[target + n] or z != z:
                        out[target + n] = z
                        winner[note + n] = tap
                fresh = False


@compiled(parallel=True)
def window_max_backward(
    dout, gstarts, gplane, winner, columns, batch, channels, kernel, stride, padding, size, dx, starts, plane
):
    """Add each window's gradient to the entry that won; dx has been set before."""
    for c in prange(channels):
        for p in range(len(gstarts)):
            top, left = p // columns * stride[0] - padding[0], p % columns * stride[1] - padding[1]
            upstream = c * gplane + gstarts[p]
            note = (c * len(gstarts) + p) * batch
            for n in range(batch):
                tap = winner[note + n]
                row, column = top + tap // kernel[1], left + tap % kernel[1]
                dx[c * plane + starts[row * size[1] + column] + n] += dout[upstream + n]
