"""Mistakes that learners make in the workbook, each with words of what the kit says of it."""

from importlib import import_module

from tests.tutorials.wrong_answers.common import WRONG

__all__ = ["WRONG"]

for _part in ("a_network", "convolution_and_norm", "rehearsal", "weights", "data_and_gradients", "counting"):
    import_module(f"{__name__}.{_part}")
