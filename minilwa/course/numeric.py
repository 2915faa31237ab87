"""Derivatives by central differences, to check answers with: slow, no use at kinks, and independent of all calculus.

Tests and given functions use them. An answer may not: `checks` sees the calls.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np


def numeric_vjp(function: Callable[..., np.ndarray], g: np.ndarray, *inputs: np.ndarray, step: float = 1e-5) -> list:
    """The gradient of ``(g * function(*inputs)).sum()`` for every input."""
    cotangents = []
    for i, a in enumerate(inputs):
        cotangent = np.zeros_like(a)
        for place in np.ndindex(*a.shape):
            shift = np.zeros_like(a)
            shift[place] = step
            up, down = (function(*inputs[:i], a + s, *inputs[i + 1 :]) for s in (shift, -shift))
            cotangent[place] = (g * (up - down)).sum() / (2 * step)
        cotangents.append(cotangent)
    return cotangents


def numeric_rows(
    function: Callable[[np.ndarray], np.ndarray],
    x: np.ndarray,
    columns: Sequence[int] | np.ndarray | None = None,
    step: float = 1e-5,
) -> np.ndarray:
    """The derivative of ``function``, ``(N, D)`` to ``(N, K)``, at ``x``: ``(N, K, D)``, or ``columns`` of it."""
    shifts = step * np.eye(x.shape[1])[slice(None) if columns is None else columns]
    return np.stack([(function(x + s) - function(x - s)) / (2 * step) for s in shifts], axis=-1)
