"""Structured kinds of the published code: which kernels and blocks are empty, which live, and what that silences."""

from __future__ import annotations

import numpy as np

from sparcl_ref.sparcl import structured
from sparcl_ref.sparcl.structured import keep_kernels_per_filter, kernels_to_grow, silent_filters
from sparcl_ref.verify.areas.masks.budgets import SPARSITY
from sparcl_ref.verify.areas.released.weights import LIVING
from sparcl_ref.verify.function import Argument, exactly, specify
from sparcl_ref.verify.mistake import Mistake

KERNELS = Argument("weight", "float (out, in, kh, kw): dead entries are 0")
_SOURCE = "SparCL's published code, structured sparsity"


def _balanced(weight, sparsity, *, share):
    """The kernels that stay, with another share to remove."""
    norms = np.linalg.norm(weight.reshape(*weight.shape[:2], -1), axis=2)
    removed = int(norms.shape[1] * share(weight, float(sparsity)))
    alive = np.ones(norms.shape, dtype=bool)
    np.put_along_axis(alive, np.argsort(norms, axis=1, kind="stable")[:, :removed], False, axis=1)
    return {"mask": alive[:, :, None, None] & (weight != 0)}


def _at_least_none(weight, sparsity):
    return max(0.0, 1 - (1 - sparsity) * 9 / 4) if weight.shape[2] == 3 else sparsity


def _squares_alone(weight, sparsity):
    return 1 - (1 - sparsity) * 9 / 4 if weight.shape[2:] == (3, 3) else sparsity


def grow_column_blocks(weight, sparsity, joining):
    return structured.grow_column_blocks(weight, sparsity, joining)


def _all_zero(weight, sparsity):
    return {"empty": ~(weight != 0).any(axis=(2, 3))}


def _only_places(weight, sparsity, joining):
    blocks = np.zeros(weight.size // structured.BLOCK, dtype=bool)
    blocks[joining] = True
    rows = blocks.reshape(len(weight) // structured.BLOCK, 1, -1)
    return {"mask": np.repeat(rows, structured.BLOCK, axis=1).reshape(weight.shape)}


FUNCTIONS = (
    specify("keep_kernels_per_filter", "released", keep_kernels_per_filter, _SOURCE,
        "of each output channel's kernels in ascending order of norm order[:int(in t)] die, t = 1 - (1 - s) 9 / 4 for "
        "kernels of three rows and s for others; a negative int(in t) slices as Python does: all but the last go",
        KERNELS, SPARSITY, LIVING,
        Mistake("no kernel removed where the count is negative", lambda weight, sparsity:
            _balanced(weight, sparsity, share=_at_least_none)),
        Mistake("the share of patterns for 3x3 kernels alone, not for 3x1", lambda weight, sparsity:
            _balanced(weight, sparsity, share=_squares_alone)),
        Mistake("s of the kernels removed, whatever patterns take", lambda weight, sparsity:
            _balanced(weight, sparsity, share=lambda weight, sparsity: sparsity)),
    ),
    specify("kernels_to_grow", "released", kernels_to_grow, _SOURCE,
        "kernels whose weights sum to 0 are empty; int(empty - t in) of them join in each output channel, in double "
        "precision, t as for kernels that die, and none where no kernel of the layer is empty",
        KERNELS, SPARSITY,
        exactly("empty", "bool (out, in)"), exactly("joining", "int (out,): kernels that join"),
        Mistake("a kernel empty only if all of its weights are 0", _all_zero),
    ),
    specify("grow_column_blocks", "released", grow_column_blocks, _SOURCE,
        "what is not 0 lives, and so do all weights of the drawn blocks: four neighbouring output channels at one "
        "input position, empty because their weights sum to 0; int(empty - s blocks) are drawn",
        Argument("weight", "float (out, in, kh, kw), out a multiple of 4: dead entries are 0"), SPARSITY,
        Argument("joining", "int (m,): the drawn blocks, counted in C order of (out / 4, in, kh, kw)"), LIVING,
        Mistake("the blocks that join alone", _only_places),
    ),
    specify("silent_filters", "released", silent_filters, _SOURCE,
        "where an output channel's weights sum to 0 under the initial mask, the scale and the offset of the batch-norm "
        "behind it start at 0",
        KERNELS, exactly("silent", "bool (out,)"),
        Mistake("only channels whose weights are all 0", lambda weight: {"silent": ~(weight != 0).any(axis=(1, 2, 3))}),
    ),
)  # fmt: skip
