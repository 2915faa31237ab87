"""What the attacks share: the samples worth attacking, losses, gradients by the input, the box."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from minilwa.backend import Array, namespace, to_numpy
from minilwa.checks import check_box, check_images, check_labels, values_known
from minilwa.directions import onehot
from minilwa.errors import InputError
from minilwa.evaluation import BATCH, finite_part, parts, predict
from minilwa.jacobian import jacobian_rows
from minilwa.networks import Network
from minilwa.norms import Norm
from minilwa.parallel import by_samples
from minilwa.propositions import Perturbations, boundaries_of_logits, proposition_2_2, softmax_of_others
from minilwa.tape import vjp

ROUNDING = 32  # units in the last place of a logit, that its sum may come out differently in another batch

Attacker = Callable[[Array, Array, np.random.Generator], Array]  # (x, y, rng) -> x_hat, on samples classified right
Tick = Callable[[int], object]  # hears of the images done
Watch = Callable[[Array], object]  # hears of gradients (n, ...)


def ignore(_: Any) -> None:
    """Neither ticks nor gradients are listened to."""


@dataclass
class Gradients:
    """A `Watch` that counts gradients, one a sample and step, and those of them that lead nowhere."""

    total: int = 0
    zero: Any = 0
    not_finite: Any = 0

    def __call__(self, g: Array) -> None:
        """Count the gradients ``g`` ``(n, ...)``."""
        xp, g = namespace(g), g.reshape(len(g), -1)
        self.total += len(g)
        self.zero = self.zero + (g == 0).all(axis=1).sum()
        self.not_finite = self.not_finite + (~xp.isfinite(g)).any(axis=1).sum()

    def describe(self) -> dict[str, int]:
        """The counts as plain JSON data."""
        return {"total": self.total, "zero": int(to_numpy(self.zero)), "not_finite": int(to_numpy(self.not_finite))}


def on_the_right(
    attacker: Attacker, network: Network, x: Array, y: Array, clip: bool, seed: int, tick: Tick, size: int = BATCH
) -> Array:
    """``x`` ``(N, *shape)`` with the samples that the network gets right attacked, and the others as they are.

    So are those of which an attack makes no image, by a step that no float can hold.
    ``size`` samples at a time, each part with a random stream of its own. With ``clip`` pixels must be in [0, 1].
    InputError for such pixels, for images or labels that are not the network's, and for seed < 0.
    """
    check_images(network, x)
    check_labels(network, x, y)
    check_box(x, clip)
    if seed < 0:
        raise InputError("seed", seed, "a number >= 0")
    xp, x_hat = namespace(x), x.copy()
    for number, part in enumerate(parts(len(x), size)):
        (right,) = xp.nonzero(predict(network, x[part]) == y[part])
        if len(right):
            overflows = np.errstate(over="ignore", invalid="ignore")  # of a network within the ball
            with values_known(), overflows:
                rng = np.random.default_rng([seed, number])
                found = attacker(x[part][right], y[part][right], rng)
                is_image = xp.isfinite(found).all(axis=tuple(range(1, x.ndim)), keepdims=True)
                x_hat[part][right] = xp.where(is_image, found, x[part][right])
        tick(part.stop - part.start)
    return x_hat


def logits(network: Network, x: Array) -> Array:
    """z ``(N, K)``, on shares of the samples where that is faster."""
    return by_samples(network.logits, x) if network.in_shares else network.logits(x)


def margins(z: Array, y: Array) -> Array:
    """max over k != y of z_k, minus z_y, ``(N,)``: > 0 where the class is another; inf where a logit is not finite.

    Less what rounding can make of it: a sample that counts as broken here is broken in any batch.
    """
    xp = namespace(z, y)
    at_y = onehot(y, z) > 0
    found = xp.where(at_y, -xp.inf, z).max(axis=-1) - xp.where(at_y, z, 0).sum(axis=-1)
    slack = ROUNDING * xp.finfo(z.dtype).eps * xp.abs(z).max(axis=-1)
    return xp.where(xp.isfinite(z).all(axis=-1), found - slack, xp.inf)


def uphill_of_cross_entropy(z: Array, y: Array) -> Array:
    """The cotangent pi - onehot(y), pi the softmax over k != y: the gradient of -log alpha_y over 1 - alpha_y.

    The same direction, by a positive factor, and it does not vanish when alpha_y comes near 1.
    """
    return softmax_of_others(z, y)[0] - onehot(y, z)


def uphill_of_margin(z: Array, y: Array) -> Array:
    """The cotangent onehot(k) - onehot(y) of `margins`, k the largest other class."""
    others = namespace(z).where(onehot(y, z) > 0, -math.inf, z)
    return onehot(others.argmax(axis=-1), z) - onehot(y, z)


LOSSES = {"cross_entropy": uphill_of_cross_entropy, "margin": uphill_of_margin}


def logits_and_gradient(
    network: Network, x: Array, y: Array, uphill: Callable[[Array, Array], Array], watch: Watch = ignore
) -> tuple[Array, Array]:
    """z ``(N, K)`` and the cotangent ``uphill(z, y)`` pulled back to ``x``: the input's gradient alone.

    ``watch`` hears of it as it is; what comes back has 0 for components that are not finite.
    """

    def of(x: Array, y: Array) -> tuple[Array, Array]:
        z, pullback = vjp(network.logits, x)
        return z, pullback(uphill(z, y))[0]

    z, g = by_samples(of, x, y) if network.in_shares else of(x, y)
    watch(g)
    return z, finite_part(g)


def nearest_boundary(
    network: Network, x: Array, y: Array, norm: Norm, clip: bool, watch: Watch = ignore
) -> tuple[Array, Perturbations]:
    """DeepFool's step: the nearest class ``(N,)`` of the linearised logits, and the perturbation that reaches it.

    With ``clip`` the rows D_j are taken `inward`. ``watch`` hears of the K rows of a sample as one gradient, in
    ``(N, K, *shape)``.
    """

    def of(x: Array) -> tuple[Array, Array]:
        return jacobian_rows(network.logits, x)

    z, J = by_samples(of, x) if network.in_shares else of(x)
    watch(J)
    xp = namespace(J)
    J = finite_part(J)
    D = J - J[xp.arange(len(x)), y][:, None]  # (N, K, *shape)
    candidates = boundaries_of_logits(z, inward(D, x[:, None], clip), y, norm)
    nearest, (direction, log_distance) = proposition_2_2(candidates)
    return nearest, Perturbations(finite_part(direction), log_distance)


def cosine(first: float, last: float, done: float) -> float:
    """From ``first`` at ``done`` = 0 to ``last`` at 1, along half a wave."""
    return float(last + (first - last) * (1 + math.cos(math.pi * done)) / 2)


def check_counts(**counts: int) -> None:
    """InputError unless every one is at least 1."""
    for name, number in counts.items():
        if number < 1:
            raise InputError(name, number, "a number >= 1")


def within_box(x: Array, clip: bool) -> Array:
    """``x``, with ``clip`` set back into [0, 1].

    Applied to x + r with x in the box it brings every pixel nearer to x, so it does not lead out of a ball around x;
    but ball first, box second is not the nearest point of their intersection.
    """
    return namespace(x).clip(x, 0, 1) if clip else x


def inward(v: Array, x: Array, clip: bool) -> Array:
    """``v``, with ``clip`` without what leads pixels of ``x`` through the walls of the box that they lie on.

    Else a step would spend its length there, and one of such pixels alone would lead nowhere, again and again.
    """
    return namespace(v, x).where(((x <= 0) & (v < 0)) | ((x >= 1) & (v > 0)), 0, v) if clip else v
