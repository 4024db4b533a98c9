"""Compiled batch-norm, residual sum and ReLU in one pass, their gradients in one more, and max pooling.

A channel's image is visited by runs (`sparcl_ref.fast.layout.Layout.starts`), so that operands may lie in memory
differently. Each channel belongs to one thread; sums of a run are taken in the arrays' dtype, sums of runs in float64.
``zero`` is the 0 of that dtype: a literal would turn float32 arithmetic into float64.
"""

from __future__ import annotations

from numba import njit, prange

#: Sums may be reordered into vectors and products fused; NaN and infinity keep their meaning.
FAST = {"reassoc", "contract", "nsz", "arcp"}


@njit(parallel=True, cache=True, fastmath=FAST)
def moments(y, starts, plane, run, mean, var, zero):
    """Mean and biased variance of every channel, the variance from deviations."""
    count = len(starts) * run
    for c in prange(len(mean)):
        total = 0.0
        for start in starts:
            base = c * plane + start
            part = zero
            for i in range(run):
                part += y[base + i]
            total += part
        mean[c] = total / count
        centre = mean[c]
        total = 0.0
        for start in starts:
            base = c * plane + start
            part = zero
            for i in range(run):
                part += (y[base + i] - centre) * (y[base + i] - centre)
            total += part
        var[c] = total / count


@njit(parallel=True, cache=True, fastmath=FAST)
def normalise(y, ystarts, yplane, run, mean, scale, bias, relu, out, ostarts, oplane, zero):
    """``(y - mean) * scale + bias``, clipped at 0 if ``relu``."""
    for c in prange(len(mean)):
        m, s, b = mean[c], scale[c], bias[c]
        for r in range(len(ystarts)):
            source, target = c * yplane + ystarts[r], c * oplane + ostarts[r]
            if relu:
                for i in range(run):
                    z = (y[source + i] - m) * s + b
                    out[target + i] = zero if z <= zero else z
            else:
                for i in range(run):
                    out[target + i] = (y[source + i] - m) * s + b


@njit(parallel=True, cache=True, fastmath=FAST)
def normalise_add(y, ystarts, yplane, run, mean, scale, bias, side, sstarts, splane, out, ostarts, oplane, zero):
    """``relu((y - mean) * scale + bias + side)``; ``out`` may be ``side`` itself."""
    for c in prange(len(mean)):
        m, s, b = mean[c], scale[c], bias[c]
        for r in range(len(ystarts)):
            source, target, beside = c * yplane + ystarts[r], c * oplane + ostarts[r], c * splane + sstarts[r]
            for i in range(run):
                z = (y[source + i] - m) * s + b + side[beside + i]
                out[target + i] = zero if z <= zero else z


@njit(parallel=True, cache=True, fastmath=FAST)
def normalise_backward(
    dout, gstarts, gplane, act, astarts, aplane, relu, y, ystarts, yplane, run,
    mean, r, scale, share, dweight, dbias, dy, dstarts, dplane, zero,
):  # fmt: skip
    """Gradients of ``relu((y - mean) * scale + bias + anything)`` with scale = weight * r.

    With g = dL/d(argument of ReLU), that is ``dout`` where the output ``act`` is positive (everywhere without ReLU),
    dbias = sum g, dweight = r * sum g (y - mean), and, the statistics being those of the batch,
    dy = scale * (g - mean(g) - (y - mean) * r * mean(g xhat)); with running statistics dy = scale * g.
    ``share`` is the weight of one value in those means: one over their number, or 0 for running statistics.
    """
    for c in prange(len(mean)):
        m = mean[c]
        sum_g, sum_gy = 0.0, 0.0
        for k in range(len(ystarts)):
            source, upstream, active = c * yplane + ystarts[k], c * gplane + gstarts[k], c * aplane + astarts[k]
            part_g = zero
            part_gy = zero
            if relu:
                for i in range(run):
                    g = dout[upstream + i]  # read unconditionally, so that the loop becomes vectors
                    g = g if act[active + i] > zero else zero
                    part_g += g
                    part_gy += g * (y[source + i] - m)
            else:
                for i in range(run):
                    g = dout[upstream + i]
                    part_g += g
                    part_gy += g * (y[source + i] - m)
            sum_g += part_g
            sum_gy += part_gy
        dbias[c] = sum_g
        dweight[c] = sum_gy * r[c]
        s = scale[c]
        shift = -s * dbias[c] * share
        slope = -s * r[c] * dweight[c] * share
        for k in range(len(ystarts)):
            source, upstream, active = c * yplane + ystarts[k], c * gplane + gstarts[k], c * aplane + astarts[k]
            target = c * dplane + dstarts[k]
            if relu:
                for i in range(run):
                    g = dout[upstream + i]
                    g = g if act[active + i] > zero else zero
                    dy[target + i] = s * g + slope * (y[source + i] - m) + shift
            else:
                for i in range(run):
                    dy[target + i] = s * dout[upstream + i] + slope * (y[source + i] - m) + shift


@njit(parallel=True, cache=True, fastmath=FAST)
def relu_backward(dout, gstarts, gplane, act, astarts, aplane, run, channels, add, dx, dstarts, dplane, zero):
    """``dout`` where the output ``act`` is positive, else 0."""
    for c in prange(channels):
        for r in range(len(gstarts)):
            upstream, active, target = c * gplane + gstarts[r], c * aplane + astarts[r], c * dplane + dstarts[r]
            if add:
                for i in range(run):
                    g = dout[upstream + i]
                    dx[target + i] += g if act[active + i] > zero else zero
            else:
                for i in range(run):
                    g = dout[upstream + i]
                    dx[target + i] = g if act[active + i] > zero else zero


@njit(parallel=True, cache=True)
def window_max(x, starts, plane, columns, batch, channels, kernel, stride, padding, size, out, ostarts, oplane, winner):
    """Largest entry of each window; ``winner`` notes its tap, the first among equals in row-major order.

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


@njit(parallel=True, cache=True)
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
