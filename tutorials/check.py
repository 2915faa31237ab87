"""Exercises that check themselves: one line says whether an answer is right, and if not, how far off it is."""

from __future__ import annotations

from typing import Any

import numpy as np

from minilwa import to_numpy


def check(name: str, yours: Any, true: Any, tolerance: float = 1e-6) -> None:
    """Print "ok    name", or where ``yours`` differs from ``true``; a wrong answer never raises.

    Both may be numbers, arrays of any device, sequences of numbers, or text. A number is right when it is off by at
    most ``tolerance`` times the largest finite |true| (or 1, if that is larger).
    """
    fault = difference(yours, true, tolerance)
    print(f"      {name}: {fault}" if fault else f"ok    {name}")


def difference(yours: Any, true: Any, tolerance: float) -> str:
    """What is wrong with ``yours``, in words; empty if nothing is."""
    if isinstance(true, str):
        same = isinstance(yours, str) and yours.strip().lower() == true.lower()
        return "" if same else f"true value {true!r}, yours {yours!r}"
    true = on_host(true).astype(float)
    try:
        array = on_host(yours)
    except ValueError:  # a ragged list
        array = np.array(None)
    if array.dtype.kind not in "biuf":  # None, ..., a function
        return f"true value {text(true)}, yours {'None' if yours is None else 'a ' + type(yours).__name__}"
    yours = array.astype(float)
    if yours.shape != true.shape:
        return f"true shape {true.shape}, yours {yours.shape}"
    scale = max(1.0, np.abs(true[np.isfinite(true)]).max(initial=0.0))
    with np.errstate(invalid="ignore"):  # inf - inf
        off = np.where((yours == true) | (np.isnan(yours) & np.isnan(true)), 0, np.abs(yours - true))
    off = np.where(np.isnan(off), np.inf, off)
    if not (off > tolerance * scale).any():
        return ""
    at = np.unravel_index(off.argmax(), off.shape)
    values = "true value {}, yours {}".format(*number_texts(true[at], yours[at]))
    if not true.ndim:
        return values
    wrong = int((off > tolerance * scale).sum())
    return f"at [{', '.join(str(int(i)) for i in at)}] {values} ({wrong} of {true.size} entries differ)"


def on_host(value: Any) -> np.ndarray:
    """A NumPy array of a value; a sequence may hold arrays of any device."""
    return np.asarray([on_host(part) for part in value]) if isinstance(value, (list, tuple)) else to_numpy(value)


def number_texts(a: float, b: float) -> tuple[str, str]:
    """Two numbers with as many digits as it takes to tell them apart: three at least, or none if both are whole."""
    a, b = a + 0.0, b + 0.0  # no -0
    if a != b and all(abs(x) < 1e16 and x == round(x) for x in (a, b) if np.isfinite(x)):
        return f"{a:.0f}", f"{b:.0f}"
    plain = all(x == 0 or 1e-3 <= abs(x) < 1e6 or not np.isfinite(x) for x in (a, b))
    for digits in range(3, 18):
        found = (f"{a:.{digits}f}", f"{b:.{digits}f}") if plain else (f"{a:.{digits}g}", f"{b:.{digits}g}")
        if found[0] != found[1]:
            break
    return found


def text(array: np.ndarray) -> str:
    """A number, or the shape of an array."""
    return number_texts(array.item(), np.nan)[0] if array.size == 1 else f"of shape {array.shape}"
