"""What the backward rows computed so far say of those that were not: an upper bound for each class.

A row D_j = B d_j is the image of its start d_j, the cotangent at the last hidden layer, under the backward pass B of
the layers beneath, which is linear. The starts of all classes are known without any pass. So let q_1, q_2, ... be
orthonormal vectors that span the starts of the rows computed, and Q_i = B q_i the same combinations of those rows. With
d_j = sum_i c_ij q_i + e_j, e_j orthogonal to all q_i, and a bound L >= ||B||_2 from the layers' operator norms,

    ||G + tau_j D_j||_* <= ||G + tau_j sum_i c_ij Q_i||_* + tau_j s L ||e_j||_2  =  U_j

by the triangle inequality, where ||v||_* <= s ||v||_2. For L2 the first term comes from the products <Q_i, Q_k>, for
other norms the triangle inequality splits it up.
"""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import numpy as np

from minilwa.backend import Array, namespace
from minilwa.norms import Norm, dual, dual_length, length

FLAT = 1 / 32  # of its rounding, a start must have as much outside the span, or it is left out: see Span.add
LARGEST = 8  # vectors: what more of them tell is not worth their memory


class Known(NamedTuple):
    """One vector of the basis, for each of N samples."""

    q: Array  # (N, H), of length 1
    Q: Array  # (N, D), its row
    size: Array  # (N, 1), ||Q||_*
    c: Array  # (N, K), the part of each class's start along q
    rounding: Array  # (N, 1), that in Q, in units of what a row of a start of length 1 has


class Span:
    """Orthonormal starts with their rows, sample by sample, and what they leave of the other classes' starts.

    ``w`` ``(H, K)`` are the columns of the last layer, ``slopes`` ``(N, H)`` the derivatives of the activations beneath
    it: d_j = slopes * (w_j - w_J) with J = ``predicted`` ``(N,)``. ``stretch`` is s L.
    """

    def __init__(self, w: Array, slopes: Array, predicted: Array, stretch: Array, norm: Norm) -> None:
        xp = namespace(w)
        largest = xp.abs(w).max()
        self.unit = xp.where(largest > 0, largest, 1)  # of starts: their squares neither overflow nor vanish
        self.w, self.slopes, self.predicted, self.norm = w / self.unit, slopes, predicted, norm
        self.stretch = stretch * self.unit
        self.rounding = 10 * math.sqrt(len(w)) * float(np.finfo(w.dtype).eps)  # of a sum of H products, ten deviations
        energy = xp.square(slopes)
        squares = energy @ xp.square(self.w)  # (N, K)
        added = squares + self.at_predicted(squares)
        self.left = added - 2 * ((energy * self.w.T[predicted]) @ self.w)  # ||e_j||^2, (N, K)
        lost = 16 * len(w) * float(np.finfo(w.dtype).tiny)  # what of the squares can have fallen below all floats
        nonzero = slopes.any(axis=1)[:, None] & (largest > 0)
        self.doubt = xp.where(nonzero, self.rounding * added + lost, 0)  # of left, (N, K)
        self.basis: list[Known] = []

    def keep(self, kept: Array) -> None:
        """Go on with some of the samples: their places ``kept``."""
        self.slopes, self.predicted = self.slopes[kept], self.predicted[kept]
        self.doubt, self.left = self.doubt[kept], self.left[kept]
        self.basis = [Known(*(a[kept] for a in known)) for known in self.basis]

    def at_predicted(self, values: Array) -> Array:
        """``values`` ``(N, K)`` at the predicted classes: ``(N, 1)``."""
        return namespace(values).take_along_axis(values, self.predicted[:, None], axis=1)

    def reach(self) -> Array:
        """s L ||e_j||, a bound of what is not known of the rows: ``(N, K)``."""
        xp = namespace(self.left)
        return self.stretch * xp.sqrt(xp.maximum(self.left, 0) + self.doubt)

    def add(self, start: Array, row: Array) -> None:
        """Widen the span by a row ``(N, D)`` with its start ``(N, H)``; a start of zeros leaves it as it is.

        A row is rounded by some epsilons of L ||start||, and Q gets that, with what the Q_i taken from it have, divided
        by what is left of the start: from vector to vector it would grow without end, so at most 1 / FLAT is let in.
        """
        if len(self.basis) == LARGEST:
            return
        xp = namespace(start)
        q, Q = start / self.unit, row
        size = length(q)[:, None]
        rounding = size
        for _ in range(2 if self.basis else 0):  # once would leave a small vector far from orthogonal
            for known in self.basis:
                along = (q * known.q).sum(axis=-1, keepdims=True)
                q, Q = q - along * known.q, Q - along * known.Q
                rounding = rounding + xp.abs(along) * known.rounding
        rest = length(q)[:, None] if self.basis else size
        shrink = xp.where(rest > FLAT * rounding, 1 / xp.where(rest > 0, rest, 1), 0)
        q, Q = q * shrink, Q * shrink
        c = (q * self.slopes) @ self.w
        c -= self.at_predicted(c)
        self.left = self.left - c * c
        self.basis.append(Known(q, Q, dual_length(Q, self.norm)[:, None], c, rounding * shrink))

    def bounds(self, size: Array, tau: Array) -> Array:
        """U_j ``(N, K)`` for weights tau_j ``(N, K)``, where G, of dual norm ``size`` ``(N, 1)``, was added first."""
        xp = namespace(tau)
        parts = [tau * known.c * known.size for known in self.basis]  # (N, K), along Q / ||Q||_*
        parts[0] = parts[0] + size
        if dual(self.norm) == 2:
            top = xp.abs(xp.stack(parts)).max(axis=0)
            top = xp.where(top > 0, top, 1)
            units = [known.Q / xp.where(known.size > 0, known.size, 1) for known in self.basis]
            squares: Any = 0
            for i, a in enumerate(parts):
                for k, b in enumerate(parts[: i + 1]):
                    cosine = (units[i] * units[k]).sum(axis=-1, keepdims=True)
                    squares = squares + (2 - (i == k)) * cosine * (a / top) * (b / top)
            total: Any = top * xp.sqrt(xp.maximum(squares, 0) + self.rounding)
        else:
            total = sum(map(abs, parts))
        U = total + tau * self.reach()
        return xp.where(xp.isnan(U), xp.inf, U)
