"""The rules on which the published code departs from the paper."""

from sparcl_ref.verify.areas.released import removal, structured, training, weights

FUNCTIONS = (*weights.FUNCTIONS, *training.FUNCTIONS, *removal.FUNCTIONS, *structured.FUNCTIONS)
