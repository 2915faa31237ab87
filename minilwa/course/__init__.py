"""The coursework: what its notebooks call, and how they are released and graded (``minilwa course``).

The assignments themselves, with solutions and hidden tests, are in ``tutorials/coursework`` of a clone and never in
the installed package, which every student has.
"""

from minilwa.course.checks import call, expect, require, same
from minilwa.course.numeric import numeric_rows, numeric_vjp

__all__ = ["call", "expect", "numeric_rows", "numeric_vjp", "require", "same"]
