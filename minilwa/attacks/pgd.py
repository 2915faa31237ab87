"""Projected gradient ascent on the loss, from several starts.

A. Madry, A. Makelov, L. Schmidt, D. Tsipras, A. Vladu: "Towards Deep Learning Models Resistant to Adversarial Attacks",
arXiv 1706.06083. The margin as a loss is that of N. Carlini and D. Wagner: "Towards Evaluating the Robustness of Neural
Networks", arXiv 1608.04644.
"""

from __future__ import annotations

import numpy as np

from minilwa.attacks.common import (
    LOSSES,
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
    within_box,
)
from minilwa.backend import Array, namespace
from minilwa.checks import check_radius
from minilwa.errors import InputError
from minilwa.networks import Network
from minilwa.norms import Norm, check_ball, draw_in_ball, project, steepest

DROP_EVERY = 10  # steps after which the samples that are broken leave the batch


def pgd(
    network: Network,
    x: Array,
    y: Array,
    radius: float,
    norm: Norm = "l2",
    loss: str = "cross_entropy",
    steps: int = 100,
    restarts: int = 10,
    stride: tuple[float, float] = (0.25, 0.005),
    clip: bool = False,
    seed: int = 0,
    watch: Watch = ignore,
    tick: Tick = ignore,
) -> Array:
    """x_hat ``(N, *shape)`` with ||x_hat - x|| <= ``radius`` in L2 or Linf; of all iterates the one of largest margin.

        x_hat <- project(x_hat + alpha * the steepest direction of the loss)

    alpha falls from ``stride[0]`` to ``stride[1]`` radii along a cosine. The first run starts at the end of DeepFool's
    step, as far as the radius goes (from x itself the loss often leads to a class that is not the nearest), the others
    at a uniform draw from the ball. Misclassified samples come back unchanged; a sample that is broken leaves. With
    ``clip`` each iterate is projected on the ball, then set back into [0, 1], which keeps it in the ball, and the
    gradient taken `inward`. InputError for another loss or norm, a radius that is not finite and >= 0, a count < 1.
    """
    check_radius(radius)
    check_ball(norm)
    if loss not in LOSSES:
        raise InputError("loss", repr(loss), f"one of {', '.join(LOSSES)}")
    check_counts(steps=steps, restarts=restarts)
    radius = float(radius)

    def attacker(x: Array, y: Array, rng: np.random.Generator) -> Array:
        xp = namespace(x)
        best, best_margin = x.copy(), xp.full(len(x), -xp.inf, dtype=x.dtype)
        for restart in range(restarts):
            (rest,) = xp.nonzero(best_margin <= 0)
            if not len(rest):
                break
            if restart == 0:
                start = radius * nearest_boundary(network, x, y, norm, clip, watch)[1].direction
            else:
                start = draw_in_ball(x[rest], radius, norm, rng)
            here = within_box(x[rest] + start, clip)
            for step in range(steps + 1):
                z, g = logits_and_gradient(network, here, y[rest], LOSSES[loss], watch)
                margin = margins(z, y[rest])
                better = margin > best_margin[rest]
                best_margin[rest] = xp.where(better, margin, best_margin[rest])
                best[rest] = xp.where(better.reshape(-1, *[1] * (x.ndim - 1)), here, best[rest])
                if step % DROP_EVERY == DROP_EVERY - 1:
                    (kept,) = xp.nonzero(best_margin[rest] <= 0)
                    rest, here, g = rest[kept], here[kept], g[kept]
                    if not len(rest):
                        break
                g = inward(g, here, clip)
                ascent = steepest(g.reshape(len(g), -1), norm).reshape(g.shape)
                moved = here + cosine(*stride, step / steps) * radius * ascent
                here = within_box(x[rest] + project(moved - x[rest], radius, norm), clip)
        return best

    return on_the_right(attacker, network, x, y, clip, seed, tick)
