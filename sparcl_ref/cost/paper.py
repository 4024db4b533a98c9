"""The `paper` convention: how the published FLOPs and memory figures come about.

The arithmetic was derived from the published figures and reproduces all of them to their printed digits. It is not
what a run does: it charges forward passes of all batches but the backward pass of one, replay from the first task on,
and weights only.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from fractions import Fraction

from sparcl_ref.config import Config
from sparcl_ref.cost.flops import FLOPS_PER_MAC
from sparcl_ref.cost.schedule import epoch_plans, epoch_sizes
from sparcl_ref.cost.spec import ModelSpec
from sparcl_ref.masks import exact, round_half_up
from sparcl_ref.methods import METHODS, Method
from sparcl_ref.sparcl.dgm import gradient_sparsity

#: Ways to charge the backward pass under gradient masks; the first is the only one that matches every printed cell.
READINGS = {
    "half_of_dw": "the weight gradient costs half of what the living weights would",
    "dw_at_gradient_density": "the weight gradient costs as the weights with a gradient",
    "both_at_gradient_density": "both backward products cost as the weights with a gradient",
}

BYTES_PER_NUMBER = 4


def density(spec: ModelSpec, sparsity: float | Fraction) -> Fraction:
    """Multiply-adds of a sparse forward pass relative to a dense one: prunable layers at 1 - s, all others at 1.

    For ResNet-18 on 32x32 images d(s) = 0.98548 (1 - s) + 0.01452.
    """
    return 1 - exact(sparsity) * spec.sparsifiable_share


def paper_forwards(method: type[Method]) -> int:
    """Forward passes of a step: what the method says, or the batch and each draw from the buffer."""
    return 1 + method.draws_per_step if method.paper_forwards is None else method.paper_forwards


def step_cost(
    method: str,
    *,
    weight_density: Fraction = Fraction(1),
    gradient_density: Fraction | None = None,
    reading: str = "half_of_dw",
) -> Fraction:
    """Cost of training on one sample, in dense forward passes: those that the method's class states, and backward.

    ``weight_density`` is `density` at s; ``gradient_density`` that at s + q, or None if gradients are not masked, which
    makes all `READINGS` one.

    Raises
    ------
    ValueError
        If the method or the reading is unknown.
    """
    if reading not in READINGS:
        raise ValueError(f"unknown reading {reading!r}; choose one of {', '.join(READINGS)}")
    dx = dw = weight_density
    if gradient_density is not None:
        dw = weight_density / 2 if reading == "half_of_dw" else gradient_density
        dx = gradient_density if reading == "both_at_gradient_density" else weight_density
    return paper_forwards(METHODS.find(method)) * weight_density + dx + dw


def train_flops(
    spec: ModelSpec, config: Config, task_sizes: Sequence[int], *, reading: str = "half_of_dw"
) -> int | None:
    """Training FLOPs of a configuration under the `paper` convention.

    Forward FLOPs of the dense network x samples trained on in all epochs x `step_cost`, rounded half up. Expansion
    between tasks, probe passes, a method's own passes (unless `Passes.charged`) and the start without a buffer are not
    charged. None if a layer does not say its multiply-adds, or the method does not learn by steps.

    Raises
    ------
    ValueError
        If the reading of gradient masks is none of `READINGS`.
    """
    if spec.forward_macs is None or not config.method_class.learns:
        return None
    weights, gradients = Fraction(1), None
    if config.sparsity is not None:
        weights = density(spec, config.sparsity)
        if config.dgm:
            gradients = density(spec, gradient_sparsity(config.sparsity, config.dgm_q))
    cost = step_cost(config.method, weight_density=weights, gradient_density=gradients, reading=reading)
    trained = sum(sum(epoch_sizes(size, config)) for size in task_sizes)
    own = [passes for plan in epoch_plans(spec, config, task_sizes) for passes, _ in plan.beside]
    trained += sum(passes.samples for passes in own if passes.charged)
    return round_half_up(FLOPS_PER_MAC * spec.forward_macs * trained * cost)


def memory_bytes(spec: ModelSpec, config: Config, *, dense_rest: bool = False) -> int | None:
    """Training memory under the `paper` convention.

    4 bytes x (activations + (1 - s) P + (1 - s_g) P) with P all parameters and s_g the fraction of masked gradients.
    Activations are the outputs of the convolutions, once forward and once backward, for one batch. In a network
    without convolutions the linear layers stand in for them. ``dense_rest`` counts in full the parameters that stay
    dense (stem, shortcuts, classifier, batch-norm), which the published figures do not. Rounded half up; None if a
    layer does not say what is needed to know.
    """
    if spec.unknown:
        return None
    convs = [layer for layer in spec.layers if layer.kind == "conv"] or list(spec.layers)
    outputs = sum(math.prod(layer.output_shape) for layer in convs)
    s = exact(config.sparsity or 0)
    masked = s if config.sparsity is None or not config.dgm else gradient_sparsity(config.sparsity, config.dgm_q)
    pruned = sum(layer.weights for layer in spec.sparsifiable) if dense_rest else spec.parameters
    dead_or_masked = (s + masked) * pruned
    return round_half_up(BYTES_PER_NUMBER * (2 * outputs * config.batch_size + 2 * spec.parameters - dead_or_masked))
