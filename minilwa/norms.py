"""The p-norms of vectors, their duals, the direction in which a linear function grows fastest, and their balls.

A norm is named "l1", "l2", "linf", or by a number p >= 1 (math.inf too). Vectors lie along the last axis. Values are
scaled by their largest component first, so that nothing overflows or underflows on the way to the result.
"""

from __future__ import annotations

import math

import numpy as np

from minilwa.backend import Array, namespace, normal, uniform
from minilwa.errors import InputError

Norm = str | float

NAMED = {"l1": 1.0, "l2": 2.0, "linf": math.inf}


def exponent(norm: Norm) -> float:
    """p of ``norm``: a name ("l1", "l2", "linf") or a number p >= 1. InputError for anything else."""
    p = NAMED.get(norm.lower(), math.nan) if isinstance(norm, str) else norm
    if isinstance(p, bool) or not isinstance(p, (int, float)) or not p >= 1:
        raise InputError("norm", repr(norm), '"l1", "l2", "linf" or a number p >= 1')
    return float(p)


def dual(norm: Norm) -> float:
    """The exponent q of the dual norm: 1/p + 1/q = 1 (section 1.1)."""
    p = exponent(norm)
    return math.inf if p == 1 else 1.0 if p == math.inf else p / (p - 1)


def length(v: Array, norm: Norm = "l2") -> Array:
    """||v||_p along the last axis: ``(..., D)`` to ``(...)``."""
    xp = namespace(v)
    p = exponent(norm)
    size = xp.abs(v)
    if p == 1:
        return size.sum(axis=-1)
    largest = size.max(axis=-1)
    if p == math.inf:
        return largest
    size /= xp.where(largest > 0, largest, 1)[..., None]
    return largest * (size**p).sum(axis=-1) ** (1 / p)


def dual_length(v: Array, norm: Norm = "l2") -> Array:
    """||v||_* = max of <v, r> over ||r|| <= 1, where || || is ``norm``: ``(..., D)`` to ``(...)``."""
    return length(v, dual(norm))


def steepest(v: Array, norm: Norm = "l2") -> Array:
    """The r ``(..., D)`` with ||r|| = 1 and <v, r> = ||v||_*; 0 where v = 0.

    For l1 it is the unit vector of the first largest component, for linf the sign, which is 0 where v is.
    """
    xp = namespace(v)
    p = exponent(norm)
    if p == math.inf:
        return xp.sign(v)
    size = xp.abs(v)
    if p == 1:
        first = size.argmax(axis=-1)[..., None] == xp.arange(v.shape[-1])
        return xp.sign(v) * first
    largest = size.max(axis=-1, keepdims=True)
    if p == 2:
        v = v / xp.where(largest > 0, largest, 1)
        total = length(v, 2)[..., None]
        return v / xp.where(total > 0, total, 1)
    size /= xp.where(largest > 0, largest, 1)
    r = xp.sign(v) * size ** (dual(p) - 1)  # equality in Hoelder's inequality: |r|^p is proportional to |v|^q
    total = length(r, p)[..., None]
    return r / xp.where(total > 0, total, 1)


def rescale(v: Array, radius: float | Array, norm: Norm = "l2") -> Array:
    """``v`` ``(N, ...)`` with every sample's norm set to ``radius`` (a number or ``(N,)``); a zero stays zero."""
    xp, flat = namespace(v), v.reshape(len(v), -1)
    total = length(flat, norm)
    most = np.finfo(v.dtype).maxexp - 2
    power = xp.clip(xp.frexp(total)[1], -most, most)
    unit = xp.ldexp(xp.ones_like(total), -power)  # a power of two rounds nothing, and keeps the factor a normal number
    factor = xp.where(total > 0, radius / xp.where(total > 0, total * unit, 1), 0).astype(v.dtype)
    return (flat * unit[:, None] * factor[:, None]).reshape(v.shape)


def check_ball(norm: Norm) -> None:
    """InputError unless ``norm`` is L2 or Linf, the two whose balls `project` and `draw_in_ball` know."""
    if exponent(norm) not in {2, math.inf}:
        raise InputError("norm", repr(norm), '"l2" or "linf"')


def project(r: Array, radius: float | Array, norm: Norm) -> Array:
    """The nearest point to ``r`` ``(N, *shape)``, in L2, of the ball ||r|| <= ``radius``, a number or ``(N,)``."""
    xp, flat = namespace(r), r.reshape(len(r), -1)
    c = xp.full(len(r), radius, dtype=r.dtype)[:, None]
    if exponent(norm) == math.inf:
        return xp.clip(flat, -c, c).reshape(r.shape)
    total = length(flat, norm)[:, None]
    return (flat * xp.where(total > c, c / xp.where(total > 0, total, 1), 1)).reshape(r.shape)


def draw_in_ball(x: Array, radius: float | Array, norm: Norm, rng: np.random.Generator) -> Array:
    """Uniform in the ball of ``radius``, a number or ``(N,)``: one draw for each sample of ``x`` ``(N, *shape)``."""
    xp, flat = namespace(x), x.reshape(len(x), -1)
    if exponent(norm) == math.inf:
        c = xp.full(len(x), radius, dtype=x.dtype)[:, None]
        return (c * (2 * uniform(rng, flat).astype(x.dtype) - 1)).reshape(x.shape)
    lengths = radius * uniform(rng, flat[:, 0]) ** (1 / flat.shape[1])  # a ball's volume grows like radius^D
    return rescale(normal(rng, x), lengths, "l2")
