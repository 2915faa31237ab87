"""What the test cells of an assignment say: call a student's function, compare, and report what was wrong.

The same cells run in a student's kernel, where the function is a function, and in the grader, where it stands for one
in another process. So arguments and results are plain in both: arrays, numbers, text, lists and dicts of them.
"""

from __future__ import annotations

import builtins
import os
import sys
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np

import minilwa

PACKAGE = os.path.dirname(os.path.abspath(minilwa.__file__))
# what an answer may use: the data, and what the data need
ALLOWED = tuple(os.path.join(PACKAGE, name) for name in ("course", "data", "backend.py", "files.py", "errors.py"))
NUMERIC = os.path.join(PACKAGE, "course", "numeric.py")  # for checking: an answer is to be derived
INPUTS_SHOWN = 400  # characters


class CheckFailed(AssertionError):
    """An answer is wrong; the message says how, or gives a hint only where the test is hidden."""

    def _render_traceback_(self) -> list[str]:
        """What Jupyter shows: the message, and where the answer raised an exception, not the lines of this file."""
        frames = traceback.extract_tb(self.__cause__.__traceback__ if self.__cause__ else None)
        answer = [frame for frame in frames if not frame.filename.startswith(PACKAGE)]
        return [f"{type(self).__name__}: {self}", *traceback.format_list(answer)]


class Raised(Exception):
    """An answer raised an exception in its own process: what it was, and its type's name."""

    def __init__(self, told: str, kind: str) -> None:
        super().__init__(told)
        self.kind = kind


def expect(
    function: Callable[..., Any], arguments: tuple, wanted: Any, hint: str | None = None, tolerance: float = 1e-6
) -> None:
    """CheckFailed unless ``function(*arguments)`` is ``wanted``; with a ``hint`` nothing else is told."""
    found = call(function, *arguments, hint=hint)
    same(found, wanted, function.__name__, hint, tolerance, inputs=arguments)


def call(function: Callable[..., Any], *arguments: Any, hint: str | None = None) -> Any:
    """The plain result of a student's function, which works on copies and may not call minilwa's own."""
    try:
        with alone():
            return plain(function(*plain(arguments, functions=True)))
    except CheckFailed:
        raise
    except (Exception, SystemExit) as error:  # whatever an answer raises, it is wrong
        raised = error if isinstance(error, Raised) else Raised(describe_error(error), type(error).__name__)
        if hint is None:
            raise CheckFailed(f"{function.__name__} raised {raised}") from error
        # no more than the kind, since the text could tell what a hidden test put in
        kind = raised.kind if hasattr(builtins, raised.kind) else "an exception"
        raise CheckFailed(f"{hint} ({kind} was raised)") from error


def require(holds: Any, message: str) -> None:
    """CheckFailed with ``message`` unless ``holds``."""
    if not holds:
        raise CheckFailed(message)


def same(
    found: Any, wanted: Any, what: str, hint: str | None = None, tolerance: float = 1e-6, inputs: tuple = ()
) -> None:
    """CheckFailed unless ``found`` has the structure, the shapes and, to ``tolerance``, the numbers of ``wanted``."""
    difference = difference_of(found, wanted, what, tolerance)
    if difference:
        shown = "".join(f"\n  input {i + 1}: {shorten(value)}" for i, value in enumerate(inputs))
        raise CheckFailed(hint or difference + shown)


def difference_of(found: Any, wanted: Any, what: str, tolerance: float) -> str:
    """How ``found`` differs from ``wanted``, or an empty string."""
    if isinstance(wanted, dict):
        if not isinstance(found, dict) or set(found) != set(wanted):
            return f"{what}: expected a dict with {', '.join(wanted)}, yours {shorten(found)}"
        parts = [(found[key], wanted[key], f"{what}[{key!r}]") for key in wanted]
        return next(filter(None, (difference_of(*part, tolerance) for part in parts)), "")
    if isinstance(wanted, (list, tuple)):
        if not isinstance(found, (list, tuple)) or len(found) != len(wanted):
            return f"{what}: expected {len(wanted)} values, yours {shorten(found)}"
        parts = [(found[i], wanted[i], f"{what}[{i}]") for i in range(len(wanted))]
        return next(filter(None, (difference_of(*part, tolerance) for part in parts)), "")
    if isinstance(wanted, str):
        return "" if found == wanted else f"{what}: true value {wanted!r}, yours {shorten(found)}"
    return array_difference(found, np.asarray(wanted), what, tolerance)


def array_difference(found: Any, wanted: np.ndarray, what: str, tolerance: float) -> str:
    """How an array or a number differs from ``wanted``, at the place where it differs most."""
    if found is None or isinstance(found, (str, dict, list)):
        return f"{what}: expected an array or a number, yours {shorten(found)}"
    got = np.asarray(found)
    if got.shape != wanted.shape:
        return f"{what}: true shape {wanted.shape}, yours {got.shape}"
    with np.errstate(invalid="ignore", over="ignore"):
        error = np.abs(got.astype(float) - wanted.astype(float))
        allowed = tolerance * (1 + np.abs(np.where(np.isfinite(wanted), wanted, 0)))
        wrong = ~((got == wanted) | (np.isnan(got) & np.isnan(wanted)) | (error <= allowed))
    if not wrong.any():
        return ""
    worst = np.unravel_index(np.where(wrong, np.nan_to_num(error, nan=np.inf), -1).argmax(), got.shape)
    at = f" at {tuple(int(i) for i in worst)}" if got.ndim else ""
    return f"{what}: true value {wanted[worst]:.6g}, yours {got[worst]:.6g}{at}"


def plain(value: Any, functions: bool = False) -> Any:
    """A copy made of arrays, numbers, text, lists and dicts, and functions if wanted; TypeError if there is more."""
    if value is None or isinstance(value, (bool, int, float, str)):
        return value
    if isinstance(value, (np.ndarray, np.generic)) and value.dtype.kind in "biuf":
        return np.array(value)
    if isinstance(value, (list, tuple)):
        return [plain(item, functions) for item in value]
    if isinstance(value, dict) and all(isinstance(key, str) for key in value):
        return {key: plain(item, functions) for key, item in value.items()}
    if functions and callable(value):
        return unwatched(value)
    raise TypeError(f"{type(value).__name__} where arrays, numbers, lists and dicts are expected")


@contextmanager
def alone() -> Iterator[None]:
    """CheckFailed at the end if minilwa's own functions were called meanwhile, however they were come by."""
    used: set[str] = set()

    def watch(frame, event, argument):
        code = frame.f_code
        if event == "call" and closed(code.co_filename):
            used.add(f"{os.path.basename(code.co_filename)}: {code.co_name}")

    before = sys.getprofile()
    sys.setprofile(watch)
    try:
        yield
        switched_off = sys.getprofile() is not watch
    finally:
        sys.setprofile(before)
    if used or switched_off:
        what = f"calls minilwa's own ({', '.join(sorted(used)[:3])})" if used else "switches the check off"
        raise CheckFailed(f"The answer {what}: write it yourself, with NumPy.")


def closed(file: str) -> bool:
    """Whether a file is minilwa's own and none that an answer may use."""
    return file.startswith(PACKAGE) and (file == NUMERIC or not file.startswith(ALLOWED))


def unwatched(given: Callable[..., Any]) -> Callable[..., Any]:
    """``given``, a function that the test hands over, which may call what it likes."""

    def function(*arguments: Any) -> Any:
        watch = sys.getprofile()
        sys.setprofile(None)
        try:
            return given(*arguments)
        finally:
            sys.setprofile(watch)

    return function


def describe_error(error: BaseException) -> str:
    """An exception in one line."""
    text = " ".join(str(error).split())[:300]
    return f"{type(error).__name__}: {text}" if text else type(error).__name__


def shorten(value: Any) -> str:
    """A value on one line, cut where it is long."""
    with np.printoptions(precision=4, threshold=20, edgeitems=2, suppress=True):
        text = " ".join(repr(value).split())
    return text if len(text) <= INPUTS_SHOWN else text[:INPUTS_SHOWN] + " ..."
