"""The squared distance to stored logits."""

from __future__ import annotations

from sparcl_ref.losses import mse_logits
from sparcl_ref.verify.areas.losses.cross_entropy import LOGITS, MEAN_FOR_EACH, PER_SAMPLE, classes_in_head
from sparcl_ref.verify.function import Argument, Output, specify
from sparcl_ref.verify.mistake import scaled

BUZZEGA = "Buzzega et al., 2020"


FUNCTIONS = (
    specify("mse_logits", "losses", mse_logits, BUZZEGA,
        "loss of a sample = mean over its C logits of (logit - stored)^2; the gradient of the mean over samples is "
        "2 (logit - stored) / (N C)",
        LOGITS, Argument("targets", "float (N, C): the logits stored with the samples"),
        PER_SAMPLE, Output("dlogits", "float (N, C): gradient of the mean over samples and logits"),
        scaled("mean over samples instead of over samples and logits", dlogits=classes_in_head),
        MEAN_FOR_EACH,
        scaled("the sum over logits instead of their mean", per_sample=classes_in_head),
        scaled("the factor 2 of the square's derivative missing", dlogits=0.5),
        scaled("the gradient of the sum instead of the mean", dlogits=lambda given: given["logits"].size),
    ),
)  # fmt: skip
