"""Jacobian rows as a first-class idea: many cotangents, one backward pass."""

from __future__ import annotations

import operator
from collections.abc import Callable, Sequence
from typing import Any

from minilwa.backend import Array, namespace
from minilwa.errors import InputError
from minilwa.tape import vjp


def jacobian_rows(
    function: Callable[..., Any], x: Array, rows: Sequence[int] | None = None, chunk: int | None = None
) -> tuple[Array, Array]:
    """The value of ``function`` and rows of its derivative by ``x``, sample by sample.

    With a network this is the paper's alpha ``(N, K)`` and T = d alpha / dx ``(N, K, *x.shape[1:])`` (section 2); with
    ``network.logits`` it is z and the rows J. ``rows`` picks classes, in that order: ``(N, len(rows), ...)``.
    ``chunk`` rows at most go into one backward pass, which bounds the memory beyond the result itself.
    """
    value, pullback = vjp(function, x)
    if value.ndim != 2 or len(value) != len(x):
        raise InputError("function", f"a value of shape {value.shape}", f"({len(x)}, K), one row a sample")
    xp = namespace(x)
    samples, classes = value.shape
    wanted = _whole("rows", range(classes) if rows is None else rows)
    if not wanted or min(wanted) < 0 or max(wanted) >= classes:
        raise InputError("rows", wanted, f"class numbers from 0 to {classes - 1}")
    (chunk,) = _whole("chunk", [len(wanted) if chunk is None else chunk])
    if chunk < 1:
        raise InputError("chunk", chunk, "a number of rows >= 1")
    parts = []
    for start in range(0, len(wanted), chunk):
        picked = xp.asarray(wanted[start : start + chunk])[:, None, None] == xp.arange(classes)  # (R, 1, K)
        cotangents = xp.broadcast_to(picked, (len(picked), samples, classes)).astype(value.dtype)
        parts.append(pullback(cotangents)[0])  # (R, N, *x.shape[1:])
    stacked = parts[0] if len(parts) == 1 else xp.concatenate(parts)
    return value, xp.moveaxis(stacked, 0, 1)


def _whole(argument: str, numbers: Any) -> list[int]:
    try:
        return [operator.index(number) for number in numbers]
    except TypeError:
        raise InputError(argument, numbers, "whole numbers") from None
