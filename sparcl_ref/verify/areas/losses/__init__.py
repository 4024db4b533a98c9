"""Losses, and a whole step of DER++."""

from sparcl_ref.verify.areas.losses import cross_entropy, derpp_step, mse_logits, replay

FUNCTIONS = (*cross_entropy.FUNCTIONS, *mse_logits.FUNCTIONS, *replay.FUNCTIONS, *derpp_step.FUNCTIONS)
