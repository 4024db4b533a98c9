"""Known mistakes in the other rules of the method: schedules, data removal, gradient masks over time, replay."""

from __future__ import annotations

import math
from fractions import Fraction

import numpy as np

from sparcl_ref.masks import exact
from sparcl_ref.verify.adapters import numpy_rules as right
from sparcl_ref.verify.causes.cause import Cause, instead, more, of
from sparcl_ref.verify.causes.masks import falling, last_first, rising

_ACTIONS = ("kinds", "targets")


def _stagewise(samples, rho, cutoff):
    left = [samples]
    for _ in range(cutoff):
        left.append(left[-1] - math.floor(exact(rho) * samples / cutoff + Fraction(1, 2)))
    return {"sizes": left}


def _sizes_by(rounded):
    def outputs(samples, rho, cutoff):
        return {"sizes": [samples - rounded(exact(rho) * samples * i / cutoff) for i in range(cutoff + 1)]}

    return outputs


def _shrinking_base(samples, rho, cutoff):
    left = [samples]
    for _ in range(cutoff):
        left.append(left[-1] - math.floor(exact(rho) / cutoff * left[-1] + Fraction(1, 2)))
    return {"sizes": left}


def _no_regrowth(**given):
    kinds, targets = right.tdm_actions(**given)
    kept = np.array(
        [kind == 0 or (place == 0 or kinds[place - 1] != 0) for place, kind in enumerate(kinds)], dtype=bool
    )
    return {"kinds": kinds[kept], "targets": targets[kept]}


def _joined_first(**given):
    kinds, targets = right.tdm_actions(**given)
    order = np.argsort(-kinds, kind="stable")
    return {"kinds": kinds[order], "targets": targets[order]}


def _never_back(n, task, epochs, sparsity, p_inter, **_):
    expanded = max(exact(sparsity) - (exact(p_inter) if task > 1 else 0), 0) if exact(sparsity) else Fraction(0)
    return {"active": [right.budget(n, expanded)] * epochs}


def _only_flips(samples, positions, correct):
    return {"counts": right.stage(samples, positions, correct).flips}


def _at_most_once(samples, positions, correct):
    return {"counts": np.minimum(right.misclassification_counts(samples, positions, correct), 1)}


def _through_an_index(samples, positions, correct):
    counts = np.zeros(samples, dtype=np.int64)
    counts[positions] += ~correct  # NumPy adds to a repeated index once
    return {"counts": counts}


def _sizes_in_floats(samples, rho, cutoff):
    return {"sizes": [samples - math.floor(float(rho) * samples * i / cutoff + 0.5) for i in range(cutoff + 1)]}


def _kept_samples(order):
    return lambda counts, keep: {"positions": np.sort(order(counts)[:keep])}


def _dgm_of(refresh, score=None):
    """A step of dynamic gradient masking with another refresh or another importance."""

    def outputs(**given):
        fixed = given | {"iteration": 0 if refresh(given) else 1, "interval": 2}
        if score is not None:
            first, second = score(given)
            mask = right.dgm_step(**fixed | {"grad_current": first, "grad_replay": second})[0]
        else:
            mask = right.dgm_step(**fixed)[0]
        return {"grad_mask": mask, "grad": np.where(mask, given["grad_current"] + given["grad_replay"], 0.0)}

    return outputs


def _no_mask_between(**given):
    if _as_asked(given):
        raise ValueError("a refresh")
    return {"grad": np.where(given["mask"], given["grad_current"] + given["grad_replay"], 0.0)}


def _late(given):
    return given["iteration"] % given["interval"] == 1


def _as_asked(given):
    return right.is_refresh(given["iteration"], given["interval"])


def _silenced(given):
    return tuple(np.where(given["grad_mask"], given[name], 0.0) for name in ("grad_current", "grad_replay"))


def _summed(given):
    return given["grad_current"] + given["grad_replay"], np.zeros_like(given["grad_current"])


def _forgets_unstored(presented, capacity, draws):
    slots = []
    for draw in draws:
        slots.append(presented if presented < capacity else draw if draw < capacity else -1)
        presented += slots[-1] >= 0
    return {"slots": slots, "presented": presented}


def _frozen_count(presented, capacity, draws):
    slots = [presented if presented < capacity else draw if draw < capacity else -1 for draw in draws]
    return {"slots": slots}


def _fill(*, restart=False, first_wins=False, stored_only=False, highest=1):
    """Content when presentations are counted, or draws made, in another way: draws lie in 0..i - 1 + highest."""

    def outputs(capacity, batch_sizes, uniforms):
        holding, number, place = np.full(capacity, -1), 0, 0
        for size in batch_sizes:
            number, fresh = (0 if restart else number), set()
            for _ in range(size):
                slot = number if number < capacity else int(uniforms[place] * (number + highest))
                if slot < capacity and not (first_wins and slot in fresh):
                    holding[slot] = place
                    fresh.add(slot)
                number, place = number + (slot < capacity or not stored_only), place + 1
        return {"holding": holding}

    return outputs


CAUSES = (
    *(cause for name, function, outputs in (
        ("tdm_actions", right.tdm_actions, _ACTIONS), ("tdm_active_counts", right.tdm_active_counts, ("active",)),
    ) for cause in (
        Cause(name, "the expansion between tasks left out", instead(function, *outputs, task=lambda given: 1)),
        Cause(name, "an expansion before the first task, too", instead(function, *outputs, task=lambda given: 2)),
        Cause(name, "p_inter and p_intra exchanged",
              instead(function, *outputs, p_inter=of("p_intra"), p_intra=of("p_inter"))),
    )),
    Cause("tdm_actions", "epochs counted from 0", instead(right.tdm_actions, *_ACTIONS, epoch=more("epoch", 1))),
    Cause("tdm_actions", "epochs counted from 0", instead(right.tdm_actions, *_ACTIONS, epoch=more("epoch", -1))),
    Cause("tdm_actions", "nothing joins after a shrink", _no_regrowth),
    Cause("tdm_actions", "weights join before others leave", _joined_first),
    Cause("tdm_active_counts", "the expansion between tasks never taken back", _never_back),
    Cause("ddr_sizes", "each stage rounded by itself instead of the total", _stagewise),
    Cause("ddr_sizes", "a fraction of what is left instead of the task's size", _shrinking_base),
    Cause("ddr_sizes", "binary floating point instead of the decimal as written", _sizes_in_floats),
    Cause("ddr_sizes", "floor without the half", _sizes_by(math.floor)),
    Cause("ddr_sizes", "a half rounded to the even neighbour", _sizes_by(round)),
    Cause("misclassification_counts", "correct presentations counted instead of wrong ones",
          instead(right.misclassification_counts, "counts", correct=lambda given: ~given["correct"])),
    Cause("misclassification_counts", "a sample counted once at most", _at_most_once),
    Cause("misclassification_counts", "a sample that comes again counted once: += through an index array",
          _through_an_index),
    Cause("misclassification_counts", "only wrong presentations right after a correct one counted", _only_flips),
    Cause("completed_stage", "a stage that the task ends with removes data, too",
          instead(right.completed_stage, "stage", epochs=more("epochs", 1))),
    Cause("completed_stage", "the cutoff ignored",
          instead(right.completed_stage, "stage", cutoff=of("epochs"))),
    *(Cause("completed_stage", "epochs counted from 0",
            instead(right.completed_stage, "stage", epoch=more("epoch", by), epochs=more("epochs", by)))
      for by in (1, -1)),
    Cause("ddr_keep", "ties broken from the other end", _kept_samples(falling)),
    Cause("ddr_keep", "the samples misclassified least kept", _kept_samples(rising)),
    Cause("ddr_keep", "positions by count instead of ascending",
          lambda counts, keep: {"positions": last_first(counts)[:keep]}),
    Cause("gradient_sparsity", "q = 0.2 instead of 0.2 (1 - s)",
          lambda sparsity, q: {"gradient_sparsity": float(min(1, exact(sparsity) + Fraction(1, 5)))}),
    Cause("gradient_sparsity", "q taken of the living weights instead of the whole layer",
          lambda sparsity, q: {"gradient_sparsity": float(exact(sparsity) + exact(q) * (1 - exact(sparsity)))}),
    Cause("is_refresh", "iterations counted from 1",
          instead(right.is_refresh, "refresh", iteration=more("iteration", 1))),
    Cause("is_refresh", "no refresh at iteration 0",
          lambda iteration, interval: {"refresh": iteration > 0 and right.is_refresh(iteration, interval)}),
    Cause("dgm_step", "importance of gradients that the mask in force has already silenced",
          _dgm_of(_as_asked, _silenced)),
    Cause("dgm_step", "the size of the gradients' sum instead of the sum of their sizes", _dgm_of(_as_asked, _summed)),
    Cause("dgm_step", "importance of the current batch's gradient alone",
          _dgm_of(_as_asked, lambda given: (given["grad_current"], np.zeros_like(given["grad_replay"])))),
    Cause("dgm_step", "a refresh in every iteration", _dgm_of(lambda given: True)),
    Cause("dgm_step", "no refresh where one is due", _dgm_of(lambda given: False)),
    Cause("dgm_step", "refreshed one iteration late", _dgm_of(_late)),
    Cause("dgm_step", "alpha and beta exchanged",
          instead(right.dgm_step, "grad_mask", "grad", alpha=of("beta"), beta=of("alpha"))),
    Cause("dgm_step", "no gradient mask between refreshes", _no_mask_between),
    Cause("dgm_step", "the update sees gradients where the gradient mask is not set",
          lambda **given: {"grad": np.where(given["mask"], given["grad_current"] + given["grad_replay"], 0.0)}),
    Cause("reservoir_slot", "presentations counted from 1",
          instead(right.reservoir_slot, "slot", presented=more("presented", 1))),
    Cause("reservoir_slot", "the draw used while a slot is free",
          lambda presented, capacity, draw: {"slot": draw if draw < capacity else -1}),
    Cause("reservoir_add", "presentations that are not stored are not counted", _forgets_unstored),
    Cause("reservoir_add", "the count stands still within a batch", _frozen_count),
    Cause("reservoir_fill", "the count of presentations starts anew with each batch", _fill(restart=True)),
    Cause("reservoir_fill", "within a batch the earlier sample keeps its slot", _fill(first_wins=True)),
    Cause("reservoir_fill", "presentations that are not stored are not counted", _fill(stored_only=True)),
    Cause("reservoir_fill", "the draw in 0..i - 1 instead of 0..i", _fill(highest=0)),
    Cause("replay_size", "the batch size whatever the buffer holds", lambda batch_size, **_: {"count": batch_size}),
    Cause("replay_size", "the capacity taken for what is filled",
          lambda batch_size, capacity, **_: {"count": min(batch_size, capacity)}),
)  # fmt: skip
