"""Known mistakes in losses and metrics."""

from __future__ import annotations

import numpy as np

from sparcl_ref.verify.adapters import numpy_training as right
from sparcl_ref.verify.causes.cause import Cause, instead, of, scaled

_LOSS = ("per_sample", "dlogits")
_ER = ("loss", "dlogits", "dreplay_logits")
_DERPP = ("loss", "dlogits", "ddark_logits", "dreplay_logits")
_STEP = ("w1", "b1", "w2", "b2", "logits")


def _nothing(given):
    return None


def _classes_in_head(given):
    return given["logits"].shape[1]


def _zeroed_logits(logits, labels, classes):
    zeroed = np.zeros_like(logits)
    zeroed[:, classes] = logits[:, classes]
    return dict(zip(_LOSS, right.cross_entropy(zeroed, labels), strict=True))


def _overflowing(logits, labels, classes):
    columns = np.arange(logits.shape[1]) if classes is None else np.asarray(classes)
    totals = np.exp(logits[:, columns]).sum(axis=1)
    return {"per_sample": np.log(totals) - logits[np.arange(len(labels)), labels]}


def _single_head_replay(weight):
    """The replayed samples' loss over the current task's classes, too."""

    def outputs(replay_logits, replay_labels, classes, **given):
        kept = np.full(replay_logits.shape, -np.inf)
        kept[:, classes] = replay_logits[:, classes]
        dreplay = np.exp(kept - kept.max(axis=1, keepdims=True))
        dreplay /= dreplay.sum(axis=1, keepdims=True)
        dreplay[np.arange(len(dreplay)), replay_labels] -= 1
        return {"dreplay_logits": given[weight] * dreplay / len(dreplay)}

    return outputs


def _later_logits(**given):
    stepped = dict(zip(_STEP, right.derpp_step(**given), strict=True))
    hidden = np.maximum(given["images"] @ stepped["w1"].T + stepped["b1"], 0)
    return stepped | {"logits": hidden @ stepped["w2"].T + stepped["b2"]}


def _head_masked_logits(fill, always):
    def outputs(**given):
        if given["head"] == "full" and not always:
            raise ValueError("no head mask")
        logits = right.derpp_step(**given)[-1]
        outside = np.setdiff1d(np.arange(logits.shape[1]), given["classes"])
        logits = logits.copy()
        logits[:, outside] = fill
        return {"logits": logits}

    return outputs


def _last_of_ties(arranged):
    def outputs(logits, labels, classes):
        columns = np.arange(logits.shape[1]) if classes is None else arranged(classes)
        z = logits[:, columns]
        best = columns[z.shape[1] - 1 - z[:, ::-1].argmax(axis=1)]
        return {"correct": best == labels}

    return outputs


def _places(logits, labels, classes):
    if classes is None:
        raise ValueError("places are classes")
    return {"correct": logits[:, classes].argmax(axis=1) == labels}


def _first_listed(logits, labels, classes):
    columns = np.asarray(classes)
    return {"correct": columns[logits[:, columns].argmax(axis=1)] == labels}


def _best_over(rows):
    """Forgetting with the maximum over other rows."""

    def outputs(matrix):
        tasks = matrix.shape[1]
        return {"value": np.mean([rows(matrix, j, tasks).max() - matrix[tasks, j] for j in range(tasks - 1)])}

    return outputs


def _mean_over_all_tasks(function):
    return scaled(function, "value", value=lambda given: 1 - 1 / given["matrix"].shape[1])


CAUSES = (
    Cause("cross_entropy", "full-head loss where single-head is asked",
          instead(right.cross_entropy, *_LOSS, classes=_nothing)),
    Cause("cross_entropy", "the gradient of the sum over samples instead of their mean",
          scaled(right.cross_entropy, *_LOSS, dlogits=lambda given: len(given["logits"]))),
    Cause("cross_entropy", "logits outside the task set to 0 instead of minus infinity", _zeroed_logits),
    Cause("cross_entropy", "exponentials that overflow: the largest logit is not subtracted first", _overflowing),
    Cause("cross_entropy", "the mean over samples and logits instead of over samples",
          scaled(right.cross_entropy, *_LOSS, dlogits=lambda given: 1 / _classes_in_head(given))),
    Cause("mse_logits", "mean over samples instead of over samples and logits",
          scaled(right.mse_logits, *_LOSS, dlogits=_classes_in_head)),
    Cause("mse_logits", "the sum over logits instead of their mean",
          scaled(right.mse_logits, *_LOSS, per_sample=_classes_in_head)),
    Cause("mse_logits", "the factor 2 of the square's derivative missing",
          scaled(right.mse_logits, *_LOSS, dlogits=lambda given: 0.5)),
    Cause("mse_logits", "the gradient of the sum instead of the mean",
          scaled(right.mse_logits, *_LOSS, dlogits=lambda given: given["logits"].size)),
    *(cause for name, function, names, weights in (
        ("er_loss", right.er_loss, _ER, ("weight",)), ("derpp_loss", right.derpp_loss, _DERPP, ("alpha", "beta")),
    ) for cause in (
        Cause(name, "full-head loss where single-head is asked", instead(function, *names, classes=_nothing)),
        Cause(name, "single-head loss on replayed samples, which are always over all logits",
              _single_head_replay(weights[-1])),
        Cause(name, "replay terms without their weights",
              instead(function, *names, **dict.fromkeys(weights, lambda given: 1.0))),
        Cause(name, "gradients of replayed samples without their weights",
              lambda function=function, names=names, weights=weights, **given: {
                  key: value for key, value in instead(
                      function, *names, **dict.fromkeys(weights, lambda _: 1.0))(**given).items()
                  if key.startswith(("ddark", "dreplay"))}),
    )),
    Cause("derpp_loss", "alpha and beta exchanged",
          instead(right.derpp_loss, *_DERPP, alpha=of("beta"), beta=of("alpha"))),
    Cause("derpp_step", "one shared draw for both replay terms",
          instead(right.derpp_step, *_STEP, replay_draw=of("dark_draw"))),
    Cause("derpp_step", "one shared draw for both replay terms",
          instead(right.derpp_step, *_STEP, dark_draw=of("replay_draw"))),
    Cause("derpp_step", "the two draws exchanged",
          instead(right.derpp_step, *_STEP, dark_draw=of("replay_draw"), replay_draw=of("dark_draw"))),
    Cause("derpp_step", "full-head loss where single-head is asked",
          instead(right.derpp_step, *_STEP, head=lambda given: "full")),
    Cause("derpp_step", "single-head loss where full-head is asked",
          instead(right.derpp_step, *_STEP, head=lambda given: "single")),
    Cause("derpp_step", "alpha and beta exchanged",
          instead(right.derpp_step, *_STEP, alpha=of("beta"), beta=of("alpha"))),
    Cause("derpp_step", "logits stored from a pass after the update", _later_logits),
    *(Cause("derpp_step", "stored logits masked to the task's classes", _head_masked_logits(fill, always))
      for fill in (0.0, -np.inf) for always in (False, True)),
    Cause("correct", "the whole head decides where the task's classes are asked",
          instead(right.correct, "correct", classes=_nothing)),
    *(Cause("correct", "ties broken from the other end", _last_of_ties(arranged))
      for arranged in (np.sort, np.asarray)),
    Cause("correct", "places among the task's classes taken for classes", _places),
    Cause("correct", "among equals the class listed first wins instead of the lowest", _first_listed),
    Cause("forgetting", "the last row is a candidate for the maximum, so that nothing can be negative",
          _best_over(lambda matrix, j, tasks: matrix[j + 1 :, j])),
    Cause("forgetting", "accuracies from before a task was learned are candidates for the maximum",
          _best_over(lambda matrix, j, tasks: matrix[:tasks, j])),
    Cause("forgetting", "accuracies from before a task was learned are candidates for the maximum",
          _best_over(lambda matrix, j, tasks: matrix[1:tasks, j])),
    Cause("forgetting", "limited to 0, where tasks that later ones helped make it negative",
          lambda matrix: {"value": max(0.0, right.forgetting(matrix))}),
    Cause("forgetting", "divided by T instead of T - 1", _mean_over_all_tasks(right.forgetting)),
    Cause("backward_transfer", "divided by T instead of T - 1", _mean_over_all_tasks(right.backward_transfer)),
    Cause("backward_transfer", "divided by T instead of T - 1",
          lambda matrix: {"value": np.mean(matrix[-1] - np.diagonal(matrix[1:]))}),
    Cause("backward_transfer", "the sign of forgetting", scaled(right.backward_transfer, "value", value=lambda _: -1)),
    Cause("backward_transfer", "one row too early: the accuracy before a task is learned",
          lambda matrix: {"value": np.mean(matrix[-1, :-1] - np.diagonal(matrix)[:-1])}),
    Cause("forward_transfer", "one row too late: the accuracy after a task is learned",
          lambda matrix: {"value": np.mean((np.diagonal(matrix[1:]) - matrix[0])[1:])}),
    Cause("forward_transfer", "divided by T instead of T - 1", _mean_over_all_tasks(right.forward_transfer)),
    Cause("forward_transfer", "the untrained network's accuracy not subtracted",
          lambda matrix: {"value": np.diagonal(matrix)[1:].mean()}),
    Cause("average_accuracy", "the diagonal instead of the last row", instead(right.learning_accuracy, "value")),
    Cause("average_accuracy", "the mean over the whole matrix", lambda matrix: {"value": matrix[1:].mean()}),
    Cause("average_accuracy", "the mean over the whole matrix", lambda matrix: {"value": matrix.mean()}),
    Cause("learning_accuracy", "the last row instead of the diagonal", instead(right.average_accuracy, "value")),
    Cause("learning_accuracy", "the diagonal of the matrix with its untrained row",
          lambda matrix: {"value": np.diagonal(matrix).mean()}),
)  # fmt: skip
