"""What the workbook asks for, in its order."""

from __future__ import annotations

from typing import NamedTuple


class Exercise(NamedTuple):
    """A function of the protocol to write, and the optional arguments that it has to take here."""

    function: str
    takes: tuple[str, ...] = ()

    def __str__(self) -> str:
        return " with ".join([self.function, *self.takes])


#: In the order of the tutorials.
EXERCISES = (
    Exercise("linear_forward"),
    Exercise("linear_backward"),
    Exercise("relu_forward"),
    Exercise("relu_backward"),
    Exercise("cross_entropy"),
    Exercise("conv2d_forward"),
    Exercise("conv2d_backward"),
    Exercise("batchnorm2d_forward"),
    Exercise("batchnorm2d_backward"),
    Exercise("correct"),
    Exercise("forgetting"),
    Exercise("reservoir_slot"),
    Exercise("replay_size"),
    Exercise("mse_logits"),
    Exercise("cross_entropy", takes=("classes",)),
    Exercise("derpp_loss"),
    Exercise("apply_mask"),
    Exercise("budget"),
    Exercise("random_mask"),
    Exercise("shrink"),
    Exercise("grow"),
    Exercise("cwi"),
    Exercise("tdm_actions"),
    Exercise("misclassification_counts"),
    Exercise("ddr_sizes"),
    Exercise("completed_stage"),
    Exercise("ddr_keep"),
    Exercise("cgi"),
    Exercise("gradient_sparsity"),
    Exercise("gradient_mask"),
    Exercise("sgd_step"),
    Exercise("conv2d_flops"),
    Exercise("linear_flops"),
)
