"""Upper bounds of operator norms: how far a layer can stretch a vector.

Every bound is a true one, in the L2 norm, at every input: the lazy Algorithm 1 rests its certificate on them. Nor can
one be stale. A remembered bound belongs to weights that are read-only, or to a copy of them, and the distance of the
weights as they are from those is added to it, since ||W|| <= ||W_0|| + ||W - W_0||.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np

from minilwa.backend import Array, device_of, is_frozen, namespace, to_numpy

SLACK = 1 + 1e-5  # more than rounding in float32 can take off a bound
RENEW = 0.5  # the drift, in parts of the bound, from which on a bound is computed anew


class WeightBound(NamedTuple):
    """How a layer's bound comes from its weights.

    ``norm`` ``(weights, shape of a sample) -> bound`` on float64 host weights; a change of the weights by d in the
    Frobenius norm changes it by ``per_frobenius * d`` at most.
    """

    norm: Callable[[np.ndarray, tuple[int, ...]], Any]
    per_frobenius: float


@dataclass
class Memory:
    """Bounds computed before, by place in the network, with copies of the weights that they belong to."""

    entries: dict[Any, tuple[Array, Any]] = field(default_factory=dict)  # a copy, or the weights themselves if frozen

    def recall(self, place: Any, weights: Array, shape: tuple[int, ...], bound: WeightBound) -> Any:
        """The bound of ``weights``, on the host: remembered, with what they have drifted since added, or computed."""
        key = place, device_of(weights), weights.shape, shape, bound.norm
        if key in self.entries:
            copy, known = self.entries[key]
            if copy is not weights:
                squares = namespace(weights).square(weights - copy)  # summed in pairs: a running sum would lose digits
                lost = squares.size * np.finfo(np.float32).tiny  # what can have fallen below the smallest float
                drift = bound.per_frobenius * math.sqrt(squares.sum().item() + lost) * SLACK
                if drift <= RENEW * known.max():
                    return known + drift
            elif is_frozen(weights):
                return known
        exact = np.asarray(bound.norm(to_numpy(weights).astype(np.float64), shape))
        known = (exact * SLACK).astype(weights.dtype)
        self.entries[key] = weights if is_frozen(weights) else weights.copy(), known
        return known


def matrix_norm(w: np.ndarray, shape: tuple[int, ...]) -> float:
    """The largest singular value of ``w`` ``(inputs, outputs)``."""
    return _largest_singular_value(w)


def convolution_norm(w: np.ndarray, height: int, width: int) -> float:
    """An upper bound for filters ``w`` ``(F, C, kh, kw)`` on images that are, padding included, height x width.

    The convolution is a part of the cyclic one on a torus of that size: its windows are those that do not wrap around,
    and strides leave out more. The cyclic one falls apart, by the Fourier transform, into a matrix ``(F, C)`` for each
    frequency, so its norm is the largest singular value among theirs.
    """
    spectrum = np.fft.fft2(w, (height, width)).transpose(2, 3, 0, 1)  # (height, width, F, C)
    return _largest_singular_value(spectrum)


def _largest_singular_value(matrices: np.ndarray) -> float:
    """Of one matrix or a stack of them; infinite for weights that are not finite, about which LAPACK says nothing."""
    return float(np.linalg.svd(matrices, compute_uv=False).max()) if np.isfinite(matrices).all() else math.inf
