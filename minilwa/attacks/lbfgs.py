"""The first attack of all: a penalty on the length plus the loss towards another class, minimised by L-BFGS in a box.

C. Szegedy, W. Zaremba, I. Sutskever, J. Bruna, D. Erhan, I. Goodfellow, R. Fergus: "Intriguing properties of neural
networks", arXiv 1312.6199, section 4.1.
"""

from __future__ import annotations

import math
from functools import partial
from typing import NamedTuple

import numpy as np

from minilwa.attacks.common import (
    Tick,
    Watch,
    check_counts,
    ignore,
    logits_and_gradient,
    margins,
    nearest_boundary,
    on_the_right,
)
from minilwa.attacks.together import Ask, together
from minilwa.backend import Array, like, namespace, to_numpy
from minilwa.errors import InputError
from minilwa.networks import Network
from minilwa.ops import cross_entropy
from minilwa.tape import vjp

AT_ONCE = 64  # searches side by side, and samples from one tick to the next
TOLERANCE = 1e-5  # of the objective, relative: float32 gives no more than two digits beyond


def lbfgs(
    network: Network,
    x: Array,
    y: Array,
    penalties: tuple[float, float] = (1e-3, 1e3),
    searches: int = 8,
    steps: int = 50,
    clip: bool = False,
    watch: Watch = ignore,
    tick: Tick = ignore,
) -> Array:
    """x_hat ``(N, *shape)`` of another class than ``y``, near x in L2; x itself where none is found.

        minimise over r:  c ||r||_2^2 + cross_entropy(x + r, l),  with x + r in [0, 1] if ``clip``

    for each sample by itself, towards l, the nearest class of the linearised logits. The heavier the penalty, the
    shorter r: the largest c that still leads to another class is searched between ``penalties`` by ``searches``
    bisections of log c, at most ``steps`` iterations each, and the shortest point of another class that was seen on the
    way is kept. (The paper says smallest c, of ||r|| itself; it has to be the largest, and the square is smooth at 0.)
    SciPy computes in float64 on the host, in a thread for each image; the points that they ask for are evaluated in one
    batch. Misclassified samples come back unchanged. InputError unless the counts are >= 1 and 0 < lowest < highest
    penalty.
    """
    low, high = penalties
    if not 0 < low < high < math.inf:
        raise InputError("penalties", penalties, "two numbers, 0 < lowest < highest")
    check_counts(searches=searches, steps=steps)

    def nearest(x: np.ndarray, ask: Ask[np.ndarray, Seen]) -> np.ndarray:  # one image, (D,)
        from scipy.optimize import Bounds, minimize

        shortest = Shortest(x)

        def objective(x_hat: np.ndarray, c: float) -> tuple[float, np.ndarray]:
            loss, gradient, crossed = ask(x_hat)
            if crossed:
                shortest.hear(x_hat)
            r = x_hat - x
            return c * float(r @ r) + loss, 2 * c * r + gradient

        bottom, top = math.log(low), math.log(high)
        for _ in range(searches):
            middle = (bottom + top) / 2
            found = minimize(
                objective,
                x,
                (math.exp(middle),),
                method="L-BFGS-B",
                jac=True,
                bounds=Bounds(0, 1) if clip else None,
                options={"maxiter": steps, "ftol": TOLERANCE},
            )
            bottom, top = (middle, top) if ask(found.x).crossed else (bottom, middle)
        return shortest.x_hat

    def attacker(x: Array, y: Array, rng: np.random.Generator) -> Array:
        target, _ = nearest_boundary(network, x, y, "l2", clip, watch)

        def images(x_hat: list[np.ndarray]) -> Array:
            return like(np.stack(x_hat).astype(x.dtype), x).reshape(-1, *x.shape[1:])

        def uphill(z: Array, target: Array) -> Array:
            loss, pullback = vjp(lambda z: cross_entropy(z, labels=target), z)
            return pullback(namespace(z).ones_like(loss))[0]

        def evaluate(which: list[int], x_hat: list[np.ndarray]) -> list[Seen]:
            some = like(np.array(which), x)
            z, g = logits_and_gradient(network, images(x_hat), target[some], uphill, watch)
            loss, crossed = cross_entropy(z, labels=target[some]), margins(z, y[some]) > 0
            gradients = to_numpy(g).reshape(len(g), -1).astype(np.float64)
            return list(map(Seen, to_numpy(loss).tolist(), gradients, to_numpy(crossed).tolist()))

        start = to_numpy(x).reshape(len(x), -1).astype(np.float64)
        return images(together([partial(nearest, one) for one in start], evaluate))

    return on_the_right(attacker, network, x, y, clip, 0, tick, AT_ONCE)


class Seen(NamedTuple):
    """What a point is: its loss towards the target, the gradient ``(D,)``, and whether it is of another class."""

    loss: float
    gradient: np.ndarray
    crossed: bool


class Shortest:
    """The point nearest to ``start`` that it has heard of; ``start`` before there is one."""

    def __init__(self, start: np.ndarray) -> None:
        self.start, self.x_hat, self.length = start, start, math.inf

    def hear(self, x_hat: np.ndarray) -> None:
        """Take note of a point."""
        size = float(np.linalg.norm(x_hat - self.start))
        if size < self.length:
            self.x_hat, self.length = x_hat.copy(), size
