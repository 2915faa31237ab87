"""FMN, the fast minimum-norm attack: gradient steps of the margin inside a ball that learns its own radius.

M. Pintor, F. Roli, W. Brendel, B. Biggio: "Fast Minimum-norm Adversarial Attacks through Adaptive Norm Constraints",
arXiv 2102.12827. Chosen over DDN (J. Rony et al., arXiv 1811.09600), which inspired it: the same code serves L2 and
Linf, the radius starts from the linear estimate of the distance instead of 1, and the margin does not saturate.
"""

from __future__ import annotations

import numpy as np

from minilwa.attacks.common import (
    Tick,
    Watch,
    check_counts,
    cosine,
    ignore,
    inward,
    logits_and_gradient,
    margins,
    nearest_boundary,
    on_the_right,
    uphill_of_margin,
    within_box,
)
from minilwa.backend import Array, namespace
from minilwa.networks import Network
from minilwa.norms import Norm, check_ball, dual_length, length, project, steepest


def fmn(
    network: Network,
    x: Array,
    y: Array,
    norm: Norm = "l2",
    steps: int = 100,
    stride: tuple[float, float] = (1.0, 0.01),
    change: tuple[float, float] = (0.3, 0.001),
    clip: bool = False,
    watch: Watch = ignore,
    tick: Tick = ignore,
) -> Array:
    """x_hat ``(N, *shape)`` of another class than ``y``, nearest to x in ``norm`` of all iterates; x if there is none.

        epsilon <- (1 + gamma) (||r|| + |margin| / ||gradient||_*)    before a success: where the linear model crosses
        epsilon <- min((1 - gamma) epsilon, shortest ||r|| so far)    after it, at a point of another class
        epsilon <- (1 + gamma) epsilon                                after it, at a point of y's class
        r <- project(r + alpha gradient / ||gradient||_2, epsilon)

    The first r is DeepFool's step, since from 0 the margin leads to the class with the next logit, and a nearer one is
    missed. alpha falls from ``stride[0]`` to ``stride[1]`` (in units of the input), gamma from and to ``change``, along
    a cosine. Misclassified samples come back unchanged. With ``clip`` every iterate is set back into [0, 1], and the
    gradient taken `inward`. InputError unless ``steps`` >= 1 and the norm is L2 or Linf.
    """
    check_ball(norm)
    check_counts(steps=steps)

    def attacker(x: Array, y: Array, rng: np.random.Generator) -> Array:
        xp = namespace(x)
        each = (-1, *[1] * (x.ndim - 1))
        r = within_box(x + nearest_boundary(network, x, y, norm, clip, watch)[1].r, clip) - x
        best = xp.zeros_like(x)
        epsilon, nearest = xp.full((2, len(x)), xp.inf, dtype=x.dtype)
        for step in range(steps + 1):
            alpha, gamma = (cosine(*ends, step / steps) for ends in (stride, change))
            x_hat = within_box(x + r, clip)
            z, g = logits_and_gradient(network, x_hat, y, uphill_of_margin, watch)
            g = inward(g, x_hat, clip).reshape(len(g), -1)
            margin, size = margins(z, y), length(r.reshape(len(r), -1), norm)
            better = (margin > 0) & (size < nearest)
            best = xp.where(better.reshape(each), r, best)
            nearest = xp.where(better, size, nearest)
            slope = dual_length(g, norm)
            crossing = size + xp.where(slope > 0, -margin / xp.where(slope > 0, slope, 1), xp.inf)
            outside = (1 + gamma) * xp.where(nearest < xp.inf, epsilon, crossing)
            epsilon = xp.where(margin > 0, xp.minimum((1 - gamma) * epsilon, nearest), outside)
            ascent = steepest(g).reshape(x.shape)
            r = within_box(x + project(r + alpha * ascent, epsilon, norm), clip) - x
        return within_box(x + best, clip)

    return on_the_right(attacker, network, x, y, clip, 0, tick)
