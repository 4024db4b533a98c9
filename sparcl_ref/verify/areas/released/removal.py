"""Rule 7 of the published code: how many samples leave after a stage, and which can."""

from __future__ import annotations

import numpy as np

from sparcl_ref.sparcl.ddr import ddr_keep, ddr_sizes
from sparcl_ref.sparcl.released import keep_with_unpresented, truncated_ddr_sizes
from sparcl_ref.verify.areas.ddr import CUTOFF
from sparcl_ref.verify.function import Argument, exactly, specify
from sparcl_ref.verify.mistake import Mistake


def _rounded_up(samples, rho, cutoff):
    removed = samples - ddr_sizes(samples, rho=rho, cutoff=1)[1]
    return {"sizes": [samples - stage * -(-removed // cutoff) for stage in range(cutoff + 1)]}


def _all_can_go(scores, presented, keep):
    return {"positions": ddr_keep(scores, keep)}


def _others_do_not_count(scores, presented, keep):
    able = np.flatnonzero(presented)
    return {"positions": able[ddr_keep(scores[able], min(keep, len(able)))]}


FUNCTIONS = (
    specify("truncated_ddr_sizes", "released", truncated_ddr_sizes, "SparCL's published code, rule 7",
        "each stage removes int(N / cutoff) samples, N = floor(rho samples + 1/2) in exact decimals",
        Argument("samples", "int: size of the task"),
        Argument("rho", "str, a decimal: fraction to remove in the end", "0.3"), CUTOFF,
        exactly("sizes", "int (cutoff + 1,): samples left after 0, 1, ..., cutoff stages"),
        Mistake("the paper's cumulative half-up counts instead of truncated ones",
            lambda samples, rho, cutoff: {"sizes": ddr_sizes(samples, rho=rho, cutoff=cutoff)}),
        Mistake("each stage rounded up instead of truncated", _rounded_up),
    ),
    specify("keep_with_unpresented", "released", keep_with_unpresented, "SparCL's published code, rule 7",
        "of the samples presented in the stage those of lowest score go, among equals the lowest index first; one that "
        "was not presented stays, even if fewer go than asked",
        Argument("scores", "int (n,): of each remaining sample, by ascending original index"),
        Argument("presented", "bool (n,): trained on at least once in the stage"),
        Argument("keep", "int: how many stay, if enough can go"),
        exactly("positions", "int (m,): ascending positions in scores of the samples that stay"),
        Mistake("samples that were never presented go, too", _all_can_go),
        Mistake("only presented samples stay", _others_do_not_count),
    ),
)  # fmt: skip
