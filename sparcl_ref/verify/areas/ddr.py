"""Which samples leave: dynamic data removal."""

from __future__ import annotations

import math
from fractions import Fraction
from functools import partial

import numpy as np

from sparcl_ref.masks import exact
from sparcl_ref.sparcl import ddr
from sparcl_ref.sparcl.ddr import ddr_keep, ddr_sizes
from sparcl_ref.verify.areas.masks.selection import FROM_THE_END, falling, last_first, rising
from sparcl_ref.verify.areas.tdm import DELTA_K, EPOCH, EPOCHS
from sparcl_ref.verify.function import Argument, exactly, specify
from sparcl_ref.verify.mistake import Mistake, instead, more, of

CUTOFF = Argument("cutoff", "int: stages that remove data", 4)
POSITIONS = Argument("positions", "int (M,): the samples presented in a stage, in order; a sample may come again")
CORRECT = Argument("correct", "bool (M,): whether each presentation was classified correctly, before the update")
WRAPPED = "counts that wrap around at {:,}: kept in {} bits"
_EQ2 = "SparCL, equation (2)"


def _stagewise(base, samples, rho, cutoff):
    """Sizes with each stage rounded by itself, a share of the base that the task's size and what is left make."""
    left = [samples]
    for _ in range(cutoff):
        left.append(left[-1] - _half_up(exact(rho) * base(samples, left[-1]) / cutoff))
    return {"sizes": left}


def _sizes_by(rounded, read, samples, rho, cutoff):
    return {"sizes": [samples - rounded(read(rho) * samples * i / cutoff) for i in range(cutoff + 1)]}


def _half_up(number):
    return math.floor(number + Fraction(1, 2))


def misclassification_counts(samples, positions, correct):
    return stage(samples, positions, correct).wrong


def stage(samples, positions, correct) -> ddr.StageStatistics:
    """Statistics after presentations one by one: a batch holds a sample once, a stage may hold it often."""
    statistics = ddr.StageStatistics(samples)
    for place in range(len(positions)):
        statistics.add(positions[place : place + 1], correct[place : place + 1])
    return statistics


def _only_flips(samples, positions, correct):
    return {"counts": stage(samples, positions, correct).flips}


def _counted(samples, positions, counts, most=2**62, wraps_at=2**62):
    """Counts of some presentations, each sample's limited or begun again at 0."""
    found = np.bincount(positions[counts], minlength=samples)
    return {"counts": np.minimum(found, most) % wraps_at}


def _at_most_once(samples, positions, correct):
    return _counted(samples, positions, ~correct, most=1)


def _through_an_index(samples, positions, correct):
    counts = np.zeros(samples, dtype=np.int64)
    counts[positions] += ~correct  # NumPy adds to a repeated index once
    return {"counts": counts}


def completed_stage(epoch, epochs, delta_k, cutoff):
    found = ddr.completed_stage(epoch, epochs=epochs, delta_k=delta_k, cutoff=cutoff)
    return -1 if found is None else found


def _kept_samples(order):
    return lambda counts, keep: {"positions": np.sort(order(counts)[:keep])}


FUNCTIONS = (
    specify("ddr_sizes", "ddr", ddr_sizes, _EQ2,
        "after stage i floor(rho samples i / cutoff + 1/2) samples are gone in all, in exact decimals",
        Argument("samples", "int: size of the task"),
        Argument("rho", "str, a decimal: fraction removed in the end", "0.3"), CUTOFF,
        exactly("sizes", "int (cutoff + 1,): samples left after 0, 1, ..., cutoff stages"),
        Mistake("each stage rounded by itself instead of the total",
            partial(_stagewise, lambda samples, left: samples)),
        Mistake("a fraction of what is left instead of the task's size",
            partial(_stagewise, lambda samples, left: left)),
        Mistake("binary floating point instead of the decimal as written", partial(_sizes_by, _half_up, float)),
        Mistake("floor without the half", partial(_sizes_by, math.floor, exact)),
        Mistake("a half rounded to the even neighbour", partial(_sizes_by, round, exact)),
        Mistake("rounded to the nearest in floating point: halves to even, decimals in binary",
            partial(_sizes_by, round, float)),
    ),
    specify("misclassification_counts", "ddr", misclassification_counts, _EQ2,
        "during a stage each sample's misclassified presentations are counted, every one of them",
        Argument("samples", "int: samples of the task"), POSITIONS, CORRECT, exactly("counts", "int (samples,)"),
        Mistake("correct presentations counted instead of wrong ones",
            lambda samples, positions, correct: _counted(samples, positions, correct)),
        Mistake("a sample counted once at most", _at_most_once),
        Mistake("a sample that comes again counted once: += through an index array", _through_an_index),
        Mistake("only wrong presentations right after a correct one counted", _only_flips),
        *(Mistake(WRAPPED.format(2**bits, bits), lambda samples, positions, correct, bits=bits: _counted(
            samples, positions, ~correct, wraps_at=2**bits)) for bits in (8, 16)),
    ),
    specify("completed_stage", "ddr", completed_stage, _EQ2,
        "only a complete stage that another epoch follows removes data, and only up to the cutoff",
        EPOCH, EPOCHS, DELTA_K, CUTOFF,
        exactly("stage", "int: the stage, from 1, that ends with the epoch and removes data; else -1"),
        instead("a stage that the task ends with removes data, too", epochs=more("epochs", 1)),
        instead("the cutoff ignored", cutoff=of("epochs")),
        *(instead("epochs counted from 0", epoch=more("epoch", by), epochs=more("epochs", by)) for by in (1, -1)),
    ),
    specify("ddr_keep", "ddr", ddr_keep, _EQ2,
        "the samples misclassified most often stay; among equals the lowest original index goes first",
        Argument("counts", "int (n,): misclassifications of each remaining sample, by ascending original index"),
        Argument("keep", "int: how many stay"),
        exactly("positions", "int (keep,): ascending positions in counts of the samples that stay"),
        Mistake("ties broken from the other end", _kept_samples(falling)),
        Mistake("the samples misclassified least kept", _kept_samples(rising)),
        Mistake("positions by count instead of ascending",
            lambda counts, keep: {"positions": last_first(counts)[:keep]}),
        Mistake("positions by count instead of ascending",
            lambda counts, keep: {"positions": rising(counts)[len(counts) - keep :]}),
        *(instead(WRAPPED.format(2**bits, bits), counts=lambda given, bits=bits: given["counts"] % 2**bits)
            for bits in (8, 16)),
        instead(FROM_THE_END, keep=lambda given: given["keep"] or len(given["counts"])),
    ),
)  # fmt: skip
