"""Budgets, masks, and how sparse trainers choose them."""

from sparcl_ref.verify.areas.masks import budgets, exchange, selection, trainers

FUNCTIONS = (*budgets.FUNCTIONS, *selection.FUNCTIONS, *trainers.FUNCTIONS, *exchange.FUNCTIONS)
