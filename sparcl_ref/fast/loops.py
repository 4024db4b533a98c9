"""Compiled loops over tiles: sparse sums of shifted rows, and dot products of rows.

Each output is written by one thread, so results do not depend on scheduling; sums run in the same order for any
number of threads.
"""

from __future__ import annotations

from numba import prange

from sparcl_ref.fast.jit import compiled
from sparcl_ref.fast.microkernel import (
    DOT_ROWS,
    VECTOR_BYTES,
    WIDE,
    dots_half,
    dots_one,
    dots_pair,
    dots_wide,
    gather_half,
    gather_one,
    gather_wide,
)


@compiled()
def _gather_rest(x, start, offs, vals, first, last, y, ystart, width, add):
    """``y[ystart : ystart + width]`` from weights first..last, for less than a whole tile."""
    lanes = VECTOR_BYTES // x.itemsize
    done = 0
    if width >= WIDE // 2 * lanes:
        gather_half(x, start, offs, vals, first, last, y, ystart, add)
        done = WIDE // 2 * lanes
    while width - done >= lanes:
        gather_one(x, start + done, offs, vals, first, last, y, ystart + done, add)
        done += lanes
    while done < width:
        if not add:
            y[ystart + done] = 0
        total = y[ystart + done]
        for k in range(first, last):
            total += vals[k] * x[start + offs[k] + done]
        y[ystart + done] = total
        done += 1


@compiled()
def _dots_rest(x, start, offs, first, last, dy, dystart, width, out):
    """Add to ``out[first:last]`` the products of ``dy[dystart : dystart + width]``, less than a tile, with the rows."""
    lanes = VECTOR_BYTES // x.itemsize
    done = 0
    if width >= WIDE // 2 * lanes:
        dots_half(x, start, 0, offs, first, last, dy, dystart, 0, out)
        done = WIDE // 2 * lanes
    while width - done >= lanes:
        dots_one(x, start + done, 0, offs, first, last, dy, dystart + done, 0, out)
        done += lanes
    while done < width:
        for k in range(first, last):
            out[k] += dy[dystart + done] * x[start + offs[k] + done]
        done += 1


@compiled(parallel=True)
def gather_rows(x, xbase, xrow, offs, vals, indptr, outs, y, ybase, yrow, yplane, rows, run, add, parts):
    """Sum shifted rows of x, each times a weight, into the rows of every output channel.

    Weights come in blocks of input channels small enough that what a tile sees of a block stays in the first-level
    cache while all output channels take from it.

    Parameters
    ----------
    xbase, xrow, ybase, yrow, yplane : int
        Where the first row of the first channel begins, and distances of rows and channels.
    offs, vals : ndarray of int32 and of float, shape (weights,)
        Shift and value of each weight, sorted by block, then output channel.
    indptr : ndarray of int64, shape (blocks * outs + 1,)
    outs, rows, run : int
        Output channels, rows per channel, numbers per row.
    parts : int
        Into how many ranges output channels are split, for machines with more threads than tiles.
    """
    width = WIDE * (VECTOR_BYTES // x.itemsize)
    tiles = -(-run // width)
    blocks = (len(indptr) - 1) // outs
    for task in prange(rows * tiles * parts):
        part = task % parts
        row = task // parts // tiles
        at = task // parts % tiles * width
        wide = min(width, run - at)
        xstart = xbase + row * xrow + at
        ystart = ybase + row * yrow + at
        for block in range(blocks):
            for out in range(part * outs // parts, (part + 1) * outs // parts):
                place = block * outs + out
                first, last = indptr[place], indptr[place + 1]
                if last > first or (block == 0 and not add):
                    into, more = ystart + out * yplane, add or block > 0
                    # The whole tile stays in line: a call would pass every array's shape and strides on the stack.
                    if wide == width:
                        gather_wide(x, xstart, offs, vals, first, last, y, into, more)
                    else:
                        _gather_rest(x, xstart, offs, vals, first, last, y, into, wide, more)


@compiled(parallel=True)
def dot_rows(x, xbase, xrow, offs, indptr, bounds, outs, dy, ybase, yrow, yplane, rows, run, out):
    """For every weight, the product of dy's rows with the rows of x that the weight sees, summed over all rows.

    Parameters
    ----------
    bounds : ndarray of int64, shape (threads + 1,)
        Each thread's range of output channels.
    out : ndarray of float, shape (weights,)
        Overwritten. All others as `gather_rows`, dy in the place of y.
    """
    width = WIDE * (VECTOR_BYTES // x.itemsize)
    tiles = -(-run // width)
    blocks = (len(indptr) - 1) // outs
    for part in prange(len(bounds) - 1):
        low, high = bounds[part], bounds[part + 1]
        for block in range(blocks):
            out[indptr[block * outs + low] : indptr[block * outs + high]] = 0
        for task in range(-(-rows // DOT_ROWS) * tiles):
            row = task // tiles * DOT_ROWS
            deep = min(DOT_ROWS, rows - row)
            at = task % tiles * width
            wide = min(width, run - at)
            xstart = xbase + row * xrow + at
            ystart = ybase + row * yrow + at
            for block in range(blocks):
                for channel in range(low, high):
                    place = block * outs + channel
                    first, last = indptr[place], indptr[place + 1]
                    if last == first:
                        continue
                    upstream = ystart + channel * yplane
                    if wide == width and deep == 2:
                        dots_pair(x, xstart, xrow, offs, first, last, dy, upstream, yrow, out)
                    elif wide == width:
                        dots_wide(x, xstart, 0, offs, first, last, dy, upstream, 0, out)
                    else:
                        for r in range(deep):
                            _dots_rest(x, xstart + r * xrow, offs, first, last, dy, upstream + r * yrow, wide, out)


@compiled(parallel=True)
def pick(source, index, target):
    """``target = source[index]``."""
    for k in prange(len(index)):
        target[k] = source[index[k]]


@compiled(parallel=True)
def scatter_add(values, index, target):
    """``target[index] += values``; no index may occur twice."""
    for k in prange(len(index)):
        target[index[k]] += values[k]
