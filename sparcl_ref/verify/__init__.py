"""The conformance kit: hold any other implementation of SparCL against this one, case by case.

From the command line ``python -m sparcl_ref.verify my_adapter.py``; from Python `check`.
"""

from sparcl_ref.verify.adapter import OutsideRange
from sparcl_ref.verify.check import check, select
from sparcl_ref.verify.outcome import Outcome
from sparcl_ref.verify.report import Report

__all__ = ["Outcome", "OutsideRange", "Report", "check", "select"]
