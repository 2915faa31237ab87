"""Propositions 2.1 and 2.2 and section 3.1.1 on plain arrays: (alpha, T) or (z, J) in, perturbations out.

No network is known here. Two forms of the same mathematics: the one that the paper prints, with its sign errors
mended, and a stable one, which never subtracts two numbers that are nearly equal, so that it still holds in float32
where alpha is saturated. In both, J is the predicted class, a_j = T_j - T_J and delta_j = alpha_J - alpha_j.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from minilwa.backend import Array, namespace
from minilwa.errors import InputError
from minilwa.norms import Norm, dual_length, steepest

FORMS = ("stable", "printed")


def check_form(form: str) -> None:
    """InputError unless ``form`` is one of `FORMS`."""
    if form not in FORMS:
        raise InputError("form", repr(form), f"one of {', '.join(FORMS)}")


class Perturbations(NamedTuple):
    """Perturbations as direction and length, since the length of one can exceed what a float holds.

    ``direction`` ``(..., *shape)`` has norm 1, or is 0 where no perturbation exists; ``log_distance`` ``(...)`` is
    the logarithm of its length, +inf where none exists and -inf where none is needed.
    """

    direction: Array
    log_distance: Array

    @property
    def r(self) -> Array:
        """The perturbations themselves, ``(..., *shape)``."""
        xp = namespace(self.direction)
        with np.errstate(over="ignore"):  # infinite is what such a length is
            distance = xp.exp(self.log_distance)
        distance = distance.reshape(distance.shape + (1,) * (self.direction.ndim - distance.ndim))
        return self.direction * xp.where(self.direction == 0, 1, distance)  # 0 * inf would be nan


def proposition_2_1(alpha: Array, T: Array, norm: Norm = "l2") -> Perturbations:
    """The minimal r_(j) with <a_j, r> >= delta_j for each class j: direction ``(N, K, *shape)``, distance ``(N, K)``.

    ``alpha`` is ``(N, K)``, ``T`` ``(N, K, *shape)``. The form printed in the paper, corrected: the inequality points
    the other way, and the L1 case carries the sign of the component. The predicted class J itself is no candidate
    (distance inf). Where a_j = 0 there is no solution (inf), unless delta_j = 0, where r = 0 is one.
    """
    _, predicted, rows = _prepare("alpha", alpha, "T", T)
    a = rows - _take(rows, predicted)  # (N, K, D)
    delta = _take(alpha, predicted) - alpha  # (N, K)
    slope = dual_length(a, norm)
    return _candidates(steepest(a, norm), log_quotient(delta, log_or_inf(slope)), predicted, T.shape)


def proposition_2_1_stable(z: Array, J: Array, norm: Norm = "l2") -> Perturbations:
    """`proposition_2_1` from logits ``(N, K)`` and their rows J_k = dz_k/dx ``(N, K, *shape)``, without cancellation.

    With D_j = J_j - J_J, s = 1 - alpha_J, pi the softmax over the classes other than J and G = sum_k pi_k D_k:
    a_j = s (delta_j G + pi_j D_j), so that direction and log distance need no small difference. At an exact tie,
    delta_j = 0, that is the direction D_j and the distance 0.
    """
    xp, predicted, rows = _prepare("z", z, "J", J)
    D = rows - _take(rows, predicted)  # (N, K, D)
    pi, delta, log_s = stable_weights(z, predicted)
    G = xp.einsum("nk,nkd->nd", pi, D)[:, None]
    v = delta[..., None] * G + pi[..., None] * D  # (N, K, D), a_j / s
    log_distance = stable_log_distance(delta, log_s, dual_length(v, norm))
    return _candidates(steepest(v, norm), log_distance, predicted, J.shape)


def boundaries_of_logits(z: Array, J: Array, y: Array, norm: Norm = "l2") -> Perturbations:
    """The minimal r_(j) after which the linearised logits of classes j and ``y`` ``(N,)`` tie, for each class j.

    Shapes as in `proposition_2_1_stable`. This is the step of DeepFool (Moosavi-Dezfooli et al., "DeepFool", arXiv
    1511.04599): the paper's (1) with the logits in the place of alpha, direction D_j, distance |z_y - z_j| / ||D_j||_*.
    """
    xp, _, rows = _prepare("z", z, "J", J)
    D = rows - _take(rows, y)  # (N, K, D)
    margin = xp.abs(z - _take(z, y))
    return _candidates(steepest(D, norm), log_quotient(margin, log_or_inf(dual_length(D, norm))), y, J.shape)


def stable_weights(z: Array, predicted: Array) -> tuple[Array, Array, Array]:
    """pi and delta, each ``(N, K)``, and log s ``(N, 1)``, of logits ``(N, K)`` that are largest at ``predicted``."""
    xp = namespace(z)
    margin = z - _take(z, predicted)  # <= 0: an offset common to the logits must not cost digits
    pi, log_others = softmax_of_others(margin, predicted)
    log_all = xp.logaddexp(log_others, 0)
    return pi, -xp.exp(-log_all) * xp.expm1(margin), log_others - log_all


def stable_log_distance(delta: Array, log_s: Array, size: Array) -> Array:
    """log(delta_j / ||a_j||_*) from ``size`` = ||a_j / s||_*: -inf where delta_j is 0, +inf where only ``size`` is."""
    return log_quotient(delta, log_s, log_or_inf(size))


def log_quotient(delta: Array, *log_divisors: Array) -> Array:
    """log delta less ``log_divisors``; -inf where delta is 0, whatever they are, and NaN where it is NaN."""
    xp = namespace(delta)
    found = xp.log(xp.where(delta > 0, delta, 1))
    for divisor in log_divisors:
        found = found - divisor
    return xp.where(delta == 0, -xp.inf, xp.where(delta > 0, found, xp.nan))  # nested the other way it would be float64


def softmax_of_others(z: Array, reference: Array) -> tuple[Array, Array]:
    """pi ``(N, K)``, the softmax of ``z`` ``(N, K)`` over the classes other than ``reference`` ``(N,)`` (0 there).

    And the logarithm of its denominator, log sum over k != reference of exp z_k, ``(N, 1)``.
    """
    xp = namespace(z, reference)
    others = xp.where(reference[:, None] == xp.arange(z.shape[-1]), -xp.inf, z)
    largest = others.max(axis=-1, keepdims=True)
    pi = xp.exp(others - largest)
    total = pi.sum(axis=-1, keepdims=True)
    return pi / total, largest + xp.log(total)


def proposition_2_2(candidates: Perturbations) -> tuple[Array, Perturbations]:
    """The nearest class I ``(N,)`` and its perturbation: the least one after which J is no longer the only maximiser.

    Exact for every norm: what turns the linear model is a union of half-spaces, one a class, so the minimum is the
    minimum of the minima. At r_I classes I and J tie for the top; any longer step along it crosses. Where no class can
    be reached, all distances are inf and I means nothing.
    """
    nearest = candidates.log_distance.argmin(axis=-1)
    return nearest, select(candidates, nearest)


def select(candidates: Perturbations, classes: Array) -> Perturbations:
    """The perturbation towards one class a sample, ``classes`` ``(N,)``, out of candidates ``(N, K, ...)``."""
    return Perturbations(_take(candidates.direction, classes)[:, 0], _take(candidates.log_distance, classes)[:, 0])


def likelihood_direction(T_y: Array, norm: Norm = "l2") -> Array:
    """Section 3.1.1: the r of norm 1 that lowers alpha_y fastest, ``(N, *shape)`` from ``T_y`` ``(N, *shape)``.

    The paper prints it without the minus sign, which would raise alpha_y.
    """
    return steepest(-T_y.reshape(len(T_y), -1), norm).reshape(T_y.shape)


def _prepare(name: str, values: Array, rows_name: str, rows: Array):
    xp = namespace(values, rows)
    if values.ndim != 2 or rows.shape[:2] != values.shape:
        got = f"shapes {values.shape} and {rows.shape}"
        raise InputError(f"{name}, {rows_name}", got, "(N, K) and (N, K, ...)")
    if values.shape[1] < 2:
        raise InputError(name, "1 class", "at least 2")
    if not rows.size:
        raise InputError(f"{name}, {rows_name}", f"shapes {values.shape} and {rows.shape}", "at least one sample")
    return xp, values.argmax(axis=-1), rows.reshape(*values.shape, -1)


def _take(array: Array, classes: Array) -> Array:
    """``array`` ``(N, K, ...)`` at one class a sample: ``(N, 1, ...)``."""
    where = classes.reshape(-1, *[1] * (array.ndim - 1))
    return namespace(array).take_along_axis(array, where, axis=1)


def log_or_inf(a: Array) -> Array:
    """log a, and -inf at 0, without a warning."""
    xp = namespace(a)
    zero = a == 0
    return xp.where(zero, -xp.inf, xp.log(xp.where(zero, 1, a)))


def _candidates(directions: Array, log_distance: Array, predicted: Array, shape: tuple[int, ...]) -> Perturbations:
    xp = namespace(directions)
    at_predicted = predicted[:, None] == xp.arange(shape[1])
    log_distance = xp.where(at_predicted, xp.inf, log_distance).astype(directions.dtype)
    return Perturbations(directions.reshape(shape), log_distance)
