"""What the words on the page mean."""

from __future__ import annotations

import re

from sparcl_ref.report.page.markup import Markup, element, joined

#: A term and, after a colon, its definition; further lines of that are indented.
TERMS = """\
Class-IL: Accuracy when the network has to choose among all classes of all tasks, without being told the task; after the
  last task, mean over tasks. The harder number, and the one that tells more.
Task-IL: The same when the task is known and the choice is among its own classes alone.
Forgetting: How many points accuracy on a task has fallen from its best since it was learned, mean over all tasks but
  the last. Less is better.
Backward transfer: What learning later tasks did to earlier ones: accuracy at the end minus accuracy right after
  learning. Negative where there is forgetting.
Forward transfer: What earlier tasks did for a task not learned yet, against the untrained network.
Learning accuracy: Accuracy on each task right after learning it, mean over tasks.
Sparsity: Fraction of the prunable weights that are dead: exactly zero, and not trained. A dash is a dense network.
Head: Whether the loss on new samples ranges over all classes (full) or over those of the current task (single).
Train FLOPs, paper: Floating-point operations of the whole training, two per multiply-add, as the paper counts them.
Train FLOPs, exact: The same for the work a sparse engine has to do in this very run: every living weight at every
  output position, backward passes of replayed samples and the probes of importance included.
Times fewer: Train FLOPs of a dense entry, named under the table, divided by those of the row. It is the one whose
  method most SparCL entries have.
Best trades: SparCL entries that no other one beats in both accuracy and train FLOPs; of more than three the most
  accurate, the cheapest and one between.
Unknown: A cost that some part of the network has not said.
Memory: Bytes while training: weights, gradients and activations (paper), or everything the run holds, rehearsal buffer
  and indices of sparse weights included (exact).
Seconds: Wall time of one run on this machine, beside whatever else it was doing; an engine that multiplies dead weights
  too gains nothing here.
"""


def glossary() -> Markup:
    """The terms and their definitions."""
    pairs = (" ".join(entry.split()).split(": ", 1) for entry in re.split(r"\n(?=\S)", TERMS))
    terms = joined(joined([element("dt", term), element("dd", meaning)]) for term, meaning in pairs)
    return element("dl", terms, class_="glossary")
