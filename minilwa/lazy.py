"""Algorithm 1 at the price of two or three backward rows instead of K, with a certificate that nothing was missed.

The nearest class maximises value_j = ||G + pi_j D_j / delta_j||_* (`propositions.proposition_2_1_stable`), and G is
one backward row. Where U_j >= value_j is known for the classes whose row D_j is not, the largest value found is the
maximum as soon as it is >= every such U_j. So the search looks at classes by falling U_j and stops there, the proof in
hand. With L_j >= ||D_j||_* from the layers' operator norms, the smaller of two bounds counts:

    U_j = ||G||_* + f_j pi_j L_j                                            the triangle inequality, f_j = 1 / delta_j
    U_j = ||G + f_j R||_* + f_j sum over unseen k != j of pi_k L_k          R = G - sum over seen k of pi_k D_k

The second holds since R - pi_j D_j is the sum of pi_k D_k over the unseen k other than j.
"""

from __future__ import annotations

import math
import warnings
from functools import partial
from typing import Any, NamedTuple

import numpy as np

from minilwa.backend import Array, namespace
from minilwa.bounds import SLACK, WeightBound, column_distances
from minilwa.checks import check_images, check_labels
from minilwa.errors import InputError
from minilwa.jacobian import jacobian_rows
from minilwa.layers import chain
from minilwa.networks import Network
from minilwa.norms import Norm, dual, dual_length, steepest
from minilwa.parallel import by_samples
from minilwa.propositions import (
    Perturbations,
    proposition_2_1_stable,
    proposition_2_2,
    select,
    stable_log_distance,
    stable_weights,
)
from minilwa.tape import vjp

MARGIN = 1 + 1e-6  # the largest value must exceed the bounds that remain by as much
ROUNDING = 1e-6  # of what is added up, in the second bound
COLUMNS = WeightBound(column_distances, math.sqrt(2))


class Certificate(NamedTuple):
    """Why the search could stop, sample by sample, each ``(N,)``: best >= (1 + 1e-6) remaining.

    It says nothing of samples that were not searched, those taken for another class than their label.

    ``best`` is the largest value_j found, ``remaining`` the largest bound of the classes not looked at (-inf if there
    are none), ``rows`` the backward rows that it took, that of G included.
    """

    best: Array
    remaining: Array
    rows: Array


class Found(NamedTuple):
    """The predicted class J and the class I, each ``(N,)``, the perturbation r*_(I), and the certificate."""

    predicted: Array
    nearest: Array
    perturbation: Perturbations
    certificate: Certificate


@np.errstate(over="ignore", invalid="ignore")  # a bound beyond all floats is infinite, and still a bound
def lazy_algorithm_1(network: Network, x: Array, norm: Norm = "l2", y: Array | None = None) -> Found:
    """`algorithm_1` in its stable form, with backward rows only for the classes that can still be the nearest.

    ``x`` is ``(N, *shape)``. With labels ``y`` ``(N,)``, a sample taken for another class than its label gets I = y and
    no search: the direction that section 3.1.2 turns round. A network with a layer that states no bound needs all rows,
    and a warning says so.
    """
    check_images(network, x)
    if network.classes < 2:
        raise InputError("network", "1 class", "at least 2")
    if y is not None:
        check_labels(network, x, y)
    reach = reach_of(network, x, norm)
    if reach is None:
        return all_rows(network, x, norm, y)
    _, body, w, b = cut(network, x)

    def of(x: Array, y: Array | None = None) -> Found:
        return search(body, w, b, reach, x, norm, y)

    batch = (x,) if y is None else (x, y)
    return by_samples(of, *batch) if network.in_shares else of(*batch)


def search(body: Any, w: Array, b: Any, reach: Array, x: Array, norm: Norm, y: Array | None) -> Found:
    """The best-first search of `lazy_algorithm_1` on logits ``body(x) @ w + b``; ``reach`` is that of `reach_of`."""
    xp = namespace(x)
    h, pullback = vjp(body, x)
    z = h @ w + b
    predicted = z.argmax(axis=-1)
    samples, column = xp.arange(len(z)), xp.arange(z.shape[1])
    pi, delta, log_s = stable_weights(z, predicted)
    unseen = column != predicted[:, None]
    tied = unseen & ~(delta > 0)
    f = 1 / xp.where(unseen & ~tied, delta, 1)
    terms = xp.where(pi > 0, pi * reach[predicted], 0)  # pi_k L_k, (N, K)

    def toward(some: Array, classes: Array) -> Array:  # the cotangents of D_j: w_j - w_J, (..., len(some), H)
        return w.T[classes] - w.T[predicted[some]]

    # G, and in the same pass the row with the largest bound; with two classes they are the same
    chosen = xp.where(unseen, xp.where(tied, xp.inf, f * terms), -xp.inf).argmax(axis=-1)
    searched = xp.ones(len(z), dtype=bool)
    if y is not None:
        searched = predicted == y
        chosen = xp.where(searched, chosen, y)
    shared = w @ ((pi + ~unseen).mean(axis=0) / 2)  # (H,), what the columns that count share: it would cost G digits
    cotangents = [(pi - ~unseen) @ (w - shared[:, None]).T] + [toward(samples, chosen)] * (len(column) > 2)
    pulled = pullback(xp.stack(cotangents))[0].reshape(len(cotangents), len(z), -1)
    G, R, v = pulled[0], pulled[0].copy(), xp.zeros_like(pulled[0])  # v: delta_I G + pi_I D_I of the best I so far
    best, remaining = xp.full((2, len(z)), -xp.inf, dtype=z.dtype)
    nearest, rows = chosen.copy(), xp.full(len(z), len(cotangents) - 1)

    def look(some: Array, classes: Array, row: Array) -> None:  # at D_j of one class for each of some samples
        d, p = delta[some, classes], pi[some, classes]
        new = d[:, None] * G[some] + p[:, None] * row
        value = xp.where(d > 0, dual_length(new, norm) / xp.where(d > 0, d, 1), xp.inf)
        better = value > best[some]
        best[some] = xp.where(better, value, best[some])
        nearest[some] = xp.where(better, classes, nearest[some])
        v[some] = xp.where(better[:, None], new, v[some])
        R[some] -= p[:, None] * row
        unseen[some, classes] = False

    seen, width = 0, 1
    some, chosen, D = samples, chosen[None], pulled[-1:]  # whose rows are at hand, (width, len(some), ...)
    while True:
        for classes, row in zip(chosen, D, strict=True):
            look(some, classes, row)
        rows[some] += len(chosen)
        seen += len(chosen)
        U = remaining_bounds(G[some], R[some], f[some], tied[some], unseen[some], terms[some], norm)
        remaining[some] = U.max(axis=-1)
        unproven = searched[some] & (best[some] < MARGIN * remaining[some])
        some = some[unproven]
        if not len(some):
            break
        # few samples get this far: twice as many rows a round, up to a batch of them, spare the machine most rounds
        chosen = (-U[unproven]).argsort(axis=-1)[:, : min(width, len(column) - 1 - seen)].T
        D = pull_rows(body, x, pullback, some, toward(some, chosen))
        width = min(2 * width, max(1, len(x) // len(some)))
    log_distance = stable_log_distance(delta[samples, nearest], log_s[:, 0], dual_length(v, norm))
    r = Perturbations(steepest(v, norm).reshape(x.shape), log_distance)
    return Found(predicted, nearest, r, Certificate(best, remaining, rows))


def remaining_bounds(G: Array, R: Array, f: Array, tied: Array, unseen: Array, terms: Array, norm: Norm) -> Array:
    """U_j ``(N, K)``, -inf at the classes seen; ``terms`` are pi_k L_k ``(N, K)``, ``G`` and ``R`` ``(N, D)``."""
    xp = namespace(G)
    size = dual_length(G, norm)[:, None]
    left = xp.where(unseen, terms, 0).sum(axis=-1, keepdims=True)
    rounding = ROUNDING * (size + terms.sum(axis=-1, keepdims=True))
    if dual(norm) == 2:
        unit = xp.where(size > 0, size, 1)
        g, r = G / unit, R / unit  # their squares neither overflow nor vanish beside one another
        gg, gr, rr = (xp.einsum("nd,nd->n", a, b)[:, None] for a, b in ((g, g), (g, r), (r, r)))
        squares = gg + f * f * rr
        stretched = unit * xp.sqrt(xp.maximum(squares + 2 * f * gr, 0) + ROUNDING * squares)
    else:
        stretched = size + f * dual_length(R, norm)[:, None]
    bounds = xp.fmin(size + f * terms, stretched + f * (left - terms + rounding))
    return xp.where(unseen, xp.where(tied | xp.isnan(bounds), xp.inf, bounds), -xp.inf)


def cut(network: Network, x: Array) -> tuple[int, Any, Array, Any]:
    """The logits as ``body(x) @ w + b``, and how many layers the body has: a class's row starts from its column of w.

    ``w`` is ``(H, K)``; where the last layer is no dense one, it is the identity.
    """
    network.check_classifier()
    dense_last = len(network.layers) > 1 and network.layers[-2].name == "dense"
    at = len(network.layers) - (2 if dense_last else 1)
    body = partial(chain(*network.layers[:at]).apply, network.parameters[:at])
    if dense_last:
        return at, body, network.parameters[at]["w"], network.parameters[at]["b"]
    return at, body, namespace(x).eye(*network.shapes[-1], dtype=x.dtype), 0


def pull_rows(body: Any, x: Array, pullback: Any, some: Array, cotangents: Array) -> Array:
    """The rows ``(R, len(some), D)`` of some samples, whichever way is cheaper.

    The ``pullback`` at hand is for all samples; one for a few of them needs a forward pass of their own.
    """
    stack, samples, features = cotangents.shape
    if 2 * samples < len(x):
        _, pullback = vjp(body, x[some])
        return pullback(cotangents)[0].reshape(stack, samples, -1)
    padded = namespace(x).zeros((stack, len(x), features), dtype=cotangents.dtype)
    padded[:, some] = cotangents
    return pullback(padded)[0].reshape(stack, len(x), -1)[:, some]


def reach_of(network: Network, x: Array, norm: Norm) -> Array | None:
    """An upper bound of ||J_j - J_i||_* for any two classes, ``(K, K)``, at every input shaped like those of ``x``.

    ||w_j - w_i|| times the bounds of the layers beneath (`cut`). From L2 to the dual norm: ||v||_q <= D^(1/q - 1/2)
    ||v||_2 for q < 2 on D numbers, and ||v||_q <= ||v||_2 for the others. None if a layer states no bound.
    """
    at, _, w, _ = cut(network, x)
    product: Any = SLACK * x[0].size ** max(1 / dual(norm) - 1 / 2, 0)
    for i, layer in enumerate(network.layers[:at]):
        bound = layer.bound
        if bound is None:
            return None
        if isinstance(bound, WeightBound):
            place = i - len(network.layers)  # from the end, so that a split network's classifier finds its own again
            bound = network.memory.recall(place, network.parameters[i]["w"], network.shapes[i], bound)
        product = product * bound
    return product * network.memory.recall("columns", w, w.shape, COLUMNS)


def all_rows(network: Network, x: Array, norm: Norm, y: Array | None) -> Found:
    """The same result from all rows, for networks without bounds."""
    unbounded = next(layer.name for layer in network.layers if layer.bound is None)
    warnings.warn(f"layer {unbounded!r} states no bound: Algorithm 1 computes all rows", stacklevel=3)
    z, J = jacobian_rows(network.logits, x)
    predicted = z.argmax(axis=-1)
    candidates = proposition_2_1_stable(z, J, norm)
    nearest, _ = proposition_2_2(candidates)
    xp = namespace(x)
    if y is not None:
        nearest = xp.where(predicted == y, nearest, y)
    found = select(candidates, nearest)
    value = xp.exp(-found.log_distance - stable_weights(z, predicted)[2][:, 0])
    certificate = Certificate(value, xp.full_like(value, -xp.inf), xp.full(len(x), z.shape[1]))
    return Found(predicted, nearest, found, certificate)
