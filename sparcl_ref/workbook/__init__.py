"""SparCL from scratch: the reader writes its functions, the kit grades them, and those that are right train a network.

>>> from sparcl_ref.workbook import Workbook
>>> work = Workbook()
>>> def relu_backward(dy, x):
...     return dy * (x >= 0)
>>> print(work.check(relu_backward))
relu_backward: 2 of 6 cases fail, such as zeros: dx[0] is off, got -1.52022, expected 0
  looks like the derivative at 0 taken as 1: >= instead of >
0 of 33
"""

from sparcl_ref.workbook.exercises import EXERCISES
from sparcl_ref.workbook.progress import Workbook
from sparcl_ref.workbook.training import settings, train

__all__ = ["EXERCISES", "Workbook", "settings", "train"]
