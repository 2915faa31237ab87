"""Jacobian rows as a first-class idea: many cotangents, one backward pass."""

from __future__ import annotations

import operator
from collections.abc import Callable, Sequence
from typing import Any

from minilwa.backend import Array, namespace
from minilwa.errors import InputError
from minilwa.tape import vjp

TOGETHER = 2000


def jacobian_rows(
    function: Callable[..., Any], x: Array, rows: Sequence[int] | None = None, chunk: int | None = None
) -> tuple[Array, Array]:
    """The value of ``function`` and rows of its derivative by ``x``, sample by sample.

    With a network this is the paper's alpha ``(N, K)`` and T = d alpha / dx ``(N, K, *x.shape[1:])`` (section 2); with
    ``network.logits`` it is z and the rows J. ``rows`` picks classes, in that order: ``(N, len(rows), ...)``. ``chunk``
    rows at most go into one backward pass (`TOGETHER` rows of all samples unless given). That bounds the memory beyond
    the result and the forward pass: for each of those rows of each sample it is at most three times the largest array
    that the forward pass of one sample makes, the columns of a convolution included. InputError unless the value is
    ``(N, K)``, ``rows`` are of its classes and ``chunk`` >= 1.
    """
    value, pullback = vjp(function, x)
    if value.ndim != 2 or len(value) != len(x):
        raise InputError("function", f"a value of shape {value.shape}", f"({len(x)}, K), one row a sample")
    xp = namespace(x)
    samples, classes = value.shape
    wanted = _whole("rows", range(classes) if rows is None else rows)
    if not wanted or min(wanted) < 0 or max(wanted) >= classes:
        raise InputError("rows", wanted, f"class numbers from 0 to {classes - 1}")
    (chunk,) = _whole("chunk", [max(1, TOGETHER // max(1, samples)) if chunk is None else chunk])
    if chunk < 1:
        raise InputError("chunk", chunk, "a number of rows >= 1")
    numbers = xp.arange(classes) if rows is None else xp.asarray(wanted)
    T = None if chunk >= len(wanted) else xp.empty((samples, len(wanted), *x.shape[1:]), dtype=value.dtype)
    for start in range(0, len(wanted), chunk):
        picked = numbers[start : start + chunk, None, None] == xp.arange(classes)  # (R, 1, K)
        cotangents = xp.broadcast_to(picked, (len(picked), samples, classes)).astype(value.dtype)
        found = xp.moveaxis(pullback(cotangents)[0], 0, 1)  # (N, R, *x.shape[1:])
        if T is None:
            return value, found
        T[:, start : start + chunk] = found
    return value, T


def _whole(argument: str, numbers: Any) -> list[int]:
    try:
        return [operator.index(number) for number in numbers]
    except TypeError:
        raise InputError(argument, numbers, "whole numbers") from None
