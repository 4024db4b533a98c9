"""The PyTorch twin as an adapter of the conformance kit: `python -m sparcl_ref.verify tests/torch_twin/adapter.py`.

Layers are `torch.nn.functional`, their backward passes autograd; losses, the optimizer and the rules (in the files
beside this one) are the twin's own. Everything runs in the dtype of the arrays it is given, which may be NumPy's or
tensors; sparsities are decimal strings, which the twin reads as exact fractions.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional

from tests.torch_twin import losses, optim, step
from tests.torch_twin.adapter_masks import *  # noqa: F403
from tests.torch_twin.adapter_released import *  # noqa: F403
from tests.torch_twin.adapter_schedules import *  # noqa: F403
from tests.torch_twin.config import Config

as_array = torch.from_numpy
# Its arrays are small: a second thread gains nothing, and waits where the cores have other work to do.
torch.set_num_threads(1)


def _gradients(operation: Callable[..., Tensor], inputs: Sequence[Tensor], dy: Tensor) -> tuple[Tensor, ...]:
    """Derivatives of sum(operation(*inputs) * dy) with respect to each input."""
    leaves = [each.clone().requires_grad_() for each in inputs]
    return torch.autograd.grad(operation(*leaves), leaves, dy)


# -- layers ------------------------------------------------------------------------------------------------------------


def _affine_backward(
    operation: Callable[..., Tensor], dy: Tensor, x: Tensor, weight: Tensor, grad_mask: Tensor | None
) -> tuple[Tensor, Tensor, Tensor]:
    dx, dweight, dbias = _gradients(operation, [x, weight, weight.new_zeros(len(weight))], dy)
    optim.clear(dweight, grad_mask)
    return dx, dweight, dbias


def conv2d_forward(x, weight, bias, **window):
    return functional.conv2d(x, weight, bias, **window)


def conv2d_backward(dy, x, weight, grad_mask, **window):
    return _affine_backward(lambda *args: functional.conv2d(*args, **window), dy, x, weight, grad_mask)


def linear_forward(x, weight, bias):
    return functional.linear(x, weight, bias)


def linear_backward(dy, x, weight, grad_mask):
    return _affine_backward(functional.linear, dy, x, weight, grad_mask)


def batchnorm2d_forward(x, weight, bias, running_mean, running_var, mode, momentum, eps):
    tracked = (None, None) if mode == "probe" else (running_mean, running_var)
    y = functional.batch_norm(x, *tracked, weight, bias, training=mode != "eval", momentum=momentum, eps=eps)
    return y, running_mean, running_var


def batchnorm2d_backward(dy, x, weight, running_mean, running_var, mode, eps):
    tracked = (running_mean, running_var) if mode == "eval" else (None, None)

    def normalise(x: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
        return functional.batch_norm(x, *tracked, weight, bias, training=mode != "eval", eps=eps)

    return _gradients(normalise, [x, weight, torch.zeros_like(weight)], dy)


def relu_forward(x):
    return functional.relu(x)


def relu_backward(dy, x):
    return _gradients(functional.relu, [x], dy)


def max_pool2d_forward(x, **window):
    return functional.max_pool2d(x, **window)


def max_pool2d_backward(dy, x, **window):
    return _gradients(lambda x: functional.max_pool2d(x, **window), [x], dy)


def avg_pool2d_forward(x, **window):
    return functional.avg_pool2d(x, **window)


def avg_pool2d_backward(dy, x, **window):
    return _gradients(lambda x: functional.avg_pool2d(x, **window), [x], dy)


def global_avg_pool2d_forward(x):
    return x.mean(dim=(2, 3))


def global_avg_pool2d_backward(dy, x):
    return _gradients(global_avg_pool2d_forward, [x], dy)


def dropout_forward(x, keep, p):
    return x * keep / (1 - p)


def dropout_backward(dy, keep, p):
    return _gradients(lambda x: dropout_forward(x, keep, p), [dy], dy)


# -- losses, one step, the optimizer -----------------------------------------------------------------------------------


def cross_entropy(logits, labels, classes):
    (dlogits,) = _gradients(lambda z: losses.cross_entropy(z, labels, classes), [logits], logits.new_ones(()))
    # One sample at a time: the mean over one is its own loss.
    rows = zip(logits.split(1), labels.split(1), strict=True)
    return torch.stack([losses.cross_entropy(z, label, classes) for z, label in rows]), dlogits


def mse_logits(logits, targets):
    (dlogits,) = _gradients(lambda z: losses.mse(z, targets), [logits], logits.new_ones(()))
    return torch.stack([losses.mse(z, target) for z, target in zip(logits, targets, strict=True)]), dlogits


def _mean(loss: Callable[[Tensor, Tensor], Tensor], logits: Tensor, targets: Tensor) -> Tensor:
    """The twin does not replay from an empty buffer: such a term is 0."""
    return loss(logits, targets) if len(logits) else logits.sum()


def er_loss(logits, labels, replay_logits, replay_labels, classes, weight):
    def loss(z: Tensor, old: Tensor) -> Tensor:
        return losses.cross_entropy(z, labels, classes) + weight * _mean(losses.cross_entropy, old, replay_labels)

    passes = logits, replay_logits
    return loss(*passes), *_gradients(loss, passes, logits.new_ones(()))


def derpp_loss(
    logits, labels, dark_logits, dark_targets, replay_logits, replay_labels, classes, alpha, beta
):  # fmt: skip
    def loss(z: Tensor, dark: Tensor, old: Tensor) -> Tensor:
        replayed = alpha * _mean(losses.mse, dark, dark_targets)
        return (
            losses.cross_entropy(z, labels, classes) + replayed + beta * _mean(losses.cross_entropy, old, replay_labels)
        )

    passes = logits, dark_logits, replay_logits
    return loss(*passes), *_gradients(loss, passes, logits.new_ones(()))


def derpp_step(
    w1, b1, w2, b2, images, labels, classes, buffer_images, buffer_labels, buffer_logits,
    dark_draw, replay_draw, head, alpha, beta, lr,
):  # fmt: skip
    layers = nn.Linear(*w1.T.shape), nn.ReLU(), nn.Linear(*w2.T.shape)
    model = nn.Sequential(*layers).to(w1.dtype)
    model.load_state_dict({"0.weight": w1, "0.bias": b1, "2.weight": w2, "2.bias": b2})
    draws = [
        step.Replayed(buffer_images[slots], buffer_labels[slots], buffer_logits[slots])
        for slots in (dark_draw, replay_draw)
        if len(slots)
    ]
    config = Config(method="derpp", head=head, sparsity=None, alpha=alpha, beta=beta, dtype=w1.dtype)
    seen = step.observe(model, config, images, labels, classes, draws)
    moved = []
    for name, parameter in model.named_parameters():
        value, gradient = parameter.detach().clone(), seen.current[name] + seen.replay[name]
        moved.append(sgd_step(value, gradient, torch.zeros_like(value), None, None, lr, 0.0, False, 0.0)[0])
    return *moved, seen.logits


def sgd_step(value, grad, velocity, mask, grad_mask, lr, momentum, nesterov, weight_decay):
    counted = grad.clone()
    optim.clear(counted, mask if grad_mask is None else grad_mask)
    settings = {"lr": lr, "momentum": momentum, "nesterov": nesterov, "weight_decay": weight_decay}
    optim.sgd_step(value, counted, velocity, mask, **settings)
    return value, velocity


def correct(logits, labels, classes):
    columns = torch.tensor(sorted(range(logits.shape[1]) if classes is None else classes))
    return columns[logits[:, columns].argmax(dim=1)] == labels
