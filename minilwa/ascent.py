"""More than the paper's one step along a direction: several, from the sample or from a random place around it.

With Adv_Loss that is the adversary of A. Madry, A. Makelov, L. Schmidt, D. Tsipras, A. Vladu: "Towards Deep Learning
Models Resistant to Adversarial Attacks", arXiv 1706.06083. Algorithm 2 on it is their way of training.
"""

from __future__ import annotations

import math

import numpy as np

from minilwa.backend import Array, namespace
from minilwa.checks import check_radius, check_steps
from minilwa.directions import Direction, perturbation
from minilwa.errors import InputError
from minilwa.evaluation import finite_part
from minilwa.networks import Network
from minilwa.norms import Norm, check_ball, draw_in_ball, length, project, rescale


def ascent(
    along: Direction,
    radius: float,
    norm: Norm = "l2",
    relative: bool = False,
    steps: int = 1,
    stride: float = 1.0,
    rng: np.random.Generator | None = None,
) -> Direction:
    """r after ``steps`` steps along ``along``, taken anew at x + r, together ``stride`` radii long.

    Each is ``stride`` c / ``steps`` long: the attack `pgd` gives the length of a step instead.

    After each, r is projected on the ball ||r|| <= c, in L2 or Linf. It starts at 0, or with ``rng`` at a uniform draw
    from the ball. ``radius`` and ``relative`` give c as in `perturbation`; one step of the whole radius from 0 is that.
    Of several, one along a direction that is not finite is not taken, so that x + r is an image whatever the network.
    InputError unless steps >= 1, and stride > 0 and radius >= 0 are finite; for another norm, but for that one step.
    """
    if steps < 1:
        raise InputError("steps", steps, "a number >= 1")
    if not 0 < stride < math.inf:
        raise InputError("stride", stride, "a finite number of radii > 0")
    if steps == 1 and stride == 1 and rng is None:
        return perturbation(along, radius, norm, relative)
    check_radius(radius)
    check_ball(norm)

    def perturb(network: Network, x: Array, y: Array) -> Array:
        xp = namespace(x)
        c = radius * length(x.reshape(len(x), -1), norm) if relative else float(radius)
        r = xp.zeros_like(x) if rng is None else draw_in_ball(x, c, norm, rng)
        for _ in range(steps):
            step = along(network, x + r, y)
            check_steps(x, step)
            r = project(r + finite_part(rescale(step, stride / steps * c, norm)), c, norm)
        return r

    return perturb


def halves(one: Direction, other: Direction) -> Direction:
    """``one`` on the first half of a batch, ``other`` on the rest: a mixture, since batches are shuffled."""

    def direction(network: Network, x: Array, y: Array) -> Array:
        half = (len(x) + 1) // 2
        parts = [one(network, x[:half], y[:half])]
        if half < len(x):
            parts.append(other(network, x[half:], y[half:]))
        return namespace(x).concatenate(parts)

    return direction
