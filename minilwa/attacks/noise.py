"""Noise: random directions of the given length, the worst of several draws. An attack must do better than luck."""

from __future__ import annotations

import math

import numpy as np

from minilwa.attacks.common import Tick, check_counts, ignore, logits, margins, on_the_right, within_box
from minilwa.backend import Array, namespace, normal
from minilwa.checks import check_radius
from minilwa.networks import Network
from minilwa.norms import Norm, exponent, rescale


def noise(
    network: Network,
    x: Array,
    y: Array,
    radius: float,
    norm: Norm = "l2",
    draws: int = 10,
    clip: bool = False,
    seed: int = 0,
    tick: Tick = ignore,
) -> Array:
    """x_hat ``(N, *shape)`` with ||x_hat - x|| = ``radius`` (less if clipped); of all draws the one of largest margin.

    A draw is Gaussian and scaled to the radius (in L2: uniform on the sphere); in Linf its signs alone, a corner of the
    cube. Misclassified samples come back unchanged. With ``clip`` pixels are set back into [0, 1]. InputError unless
    the radius is finite and >= 0 and the count of draws >= 1, and for a norm that there is not.
    """
    check_radius(radius)
    exponent(norm)
    check_counts(draws=draws)

    def attacker(x: Array, y: Array, rng: np.random.Generator) -> Array:
        xp = namespace(x)
        best, best_margin = x, xp.full(len(x), -xp.inf, dtype=x.dtype)
        for _ in range(draws):
            drawn = normal(rng, x)
            drawn = xp.sign(drawn) if exponent(norm) == math.inf else drawn
            x_hat = within_box(x + rescale(drawn, radius, norm), clip)
            margin = margins(logits(network, x_hat), y)
            better = margin > best_margin
            best_margin = xp.where(better, margin, best_margin)
            best = xp.where(better.reshape(-1, *[1] * (x.ndim - 1)), x_hat, best)
        return best

    return on_the_right(attacker, network, x, y, clip, seed, tick)
