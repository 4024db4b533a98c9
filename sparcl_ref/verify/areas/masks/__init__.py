"""Budgets and masks."""

from sparcl_ref.verify.areas.masks import budgets, exchange, selection

FUNCTIONS = (*budgets.FUNCTIONS, *selection.FUNCTIONS, *exchange.FUNCTIONS)
