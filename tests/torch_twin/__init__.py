"""An independent SparCL in PyTorch, by autograd: the oracle for the NumPy package.

It was written from the method's statement alone and shares no line, helper or table with the package it judges. A test
feeds both sides the same random decisions as index arrays (initial weights and masks, growth indices, batches, replay
draws, reservoir draws) and compares what comes out after every event. Everything that is *not* random (which mask
action an epoch takes, what is shrunk away, which gradients are silenced, which samples leave, which slot a sample goes
to) the twin decides itself.

Numbering: tasks and epochs count from 1, iterations of an epoch and flat (C-order) indices from 0.

Readings
--------
Where the statement leaves room, the plainest reading was taken. Each of these is a choice:

Models and parameters
 1. The stem is the first conv or linear layer, of whatever kind; in the mlp that is `fc1`, so only `fc2` is
    sparsifiable. `Config.sparsifiable` overrides the list. Global budgets and their ties run through the layers in
    registration order.
 2. Average pooling before the classifier is global, whatever the input size.

Steps
 3. B, B', B'' are three forward passes in train mode in this order, so running statistics are updated three times a
    step. ER and DER draw once (B'), DER++ twice.
 4. Plain SGD has no buffer, whatever `buffer_size` says; the buffer term of an importance is then 0.
 5. Momentum lives on across tasks. It starts at 0, so the first step gives the gradient itself, as PyTorch's does.
 6. The regime (masks, DDR, DGM) belongs to SparCL: with `sparsity=None` nothing of it acts.
 7. Correctness is argmax over the raw logits of the training pass, the lowest class among equals.

Importance and masks
 8. The "first" samples of a probe are those of the lowest original index among the remaining. Both parts are chunked by
    `batch_size`, not by the replay batch size. The average over chunks is taken before the absolute value. In (1) the
    task part is single-head, the buffer part is over all logits.
 9. Actions 2 and 3 of the schedule meet at e = delta_k in every task after the first (e mod delta_k = 0 there), so
    "shrink to s" never stands alone. A task's last epoch, K, acts like any other when delta_k divides it.
10. ERK: density of a layer proportional to (sum of its shape's dimensions) / (number of its weights), capped at 1, the
    rest re-solved, everything in exact fractions; then floor(density * n + 1/2) per layer. The sum may differ from the
    uniform total by rounding.
11. `global`: one budget over all sparsifiable weights together; random start, shrink and growth are over their union.
12. A target that asks for more than lives (shrink) or less than lives (growth) changes nothing.

DGM
13. Kept gradients per layer: the budget of that layer for sparsity s + q (ERK is solved anew for s + q), never more
    than are living. Under `global` budgets the layers' counts are those of `uniform` for s + q.
14. With DGM on, `gradient_masks` equal the masks from a mask action until the refresh at iteration 0.
15. s, q, rho, p_inter and p_intra are exact decimals, Fraction(str(x)); default q = (1 - s) / 5 exactly. s + q clamps
    to [0, 1].

DDR
16. Counts are cleared after every complete stage, those beyond the cutoff and the task's last one included, and at a
    new task.
17. Nothing warns about unreachable stages: the twin has no user.

Released profile
18. Where delta_k > K - delta_k, the first phase of the schedule goes first.
19. Targets (s - p_inter, s + p_intra, s, s + q) are taken as exact decimals and then rounded to float once, as if
    typed; percentile(x, 100 * target) and int(zeros - target * n) are float arithmetic, with `numpy.percentile`. A
    negative growth count is none.
20. The initial mask's percentile is 100 * s, but for the special cases s = 0 and s >= .999.
21. A weight that is above the threshold but exactly 0 is dead after the update (mask = value != 0), as rule 5 says.
22. A grown weight still exactly 0 loses its optimiser state at the update that finds it so.
23. The gradient of rule 6 is zero at dead weights before the percentile is taken (that is what "and g != 0" is for).
24. The one importance coefficient is `importance_alpha`. Weight decay is not part of "the gradient left".
25. Flips of rule 7 count between consecutive presentations *within* the window; the first presentation of a window
    flips nothing. A sample not presented in the window (it was in a skipped partial batch) cannot go. Fewest points
    go first; ties, excluded from parity, go by lowest index.
26. "The mask is updated before data are removed": removal happens in `begin_epoch`, after the mask action.
27. Rule 8 freezes the zero *entries* of a non-sparsifiable parameter with more than 10 % zeros; its other entries
    train, under a gradient mask by rule 6. Sparsifiable weights always have their mask, even where s < 10 %.
28. Only uniform budgets exist there.
29. Masks are re-derived from values at updates only; an epoch without an action leaves them as they are.

Left out: structured kinds, joint training, augmentation (its results can be passed to `step`), learning-rate schedules
and the ablations of the importance.
"""

from __future__ import annotations

from .config import Config
from .trainer import Twin

__all__ = ["Config", "Twin"]
