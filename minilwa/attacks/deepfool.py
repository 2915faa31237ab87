"""DeepFool: to the nearest class of the linearised logits, again and again until the class changes.

S.-M. Moosavi-Dezfooli, A. Fawzi, P. Frossard: "DeepFool: a simple and accurate method to fool deep neural networks",
arXiv 1511.04599.
"""

from __future__ import annotations

import numpy as np

from minilwa.attacks.common import (
    Tick,
    Watch,
    check_counts,
    ignore,
    logits,
    margins,
    nearest_boundary,
    on_the_right,
    within_box,
)
from minilwa.backend import Array, namespace
from minilwa.errors import InputError
from minilwa.networks import Network
from minilwa.norms import Norm, exponent


def deepfool(
    network: Network,
    x: Array,
    y: Array,
    norm: Norm = "l2",
    steps: int = 50,
    overshoot: float = 0.02,
    clip: bool = False,
    watch: Watch = ignore,
    tick: Tick = ignore,
) -> Array:
    """x_hat ``(N, *shape)`` of another class than ``y``, near x in ``norm``; x itself where ``steps`` do not get there.

        r <- r + min over j of |z_y - z_j| / ||D_j||_*, along D_j, all at x_hat = x + (1 + overshoot) r

    Misclassified samples come back unchanged. With ``clip`` every iterate is set back into [0, 1], and pixels on a wall
    of that box count in D_j only where it leads them inwards. InputError unless ``steps`` >= 1 and ``overshoot`` >= 0,
    and for a norm that there is not.
    """
    exponent(norm)
    check_counts(steps=steps)
    if not overshoot >= 0:
        raise InputError("overshoot", overshoot, "a number >= 0")

    def attacker(x: Array, y: Array, rng: np.random.Generator) -> Array:
        xp = namespace(x)
        x_hat, r, rest = x.copy(), xp.zeros_like(x), xp.arange(len(x))
        for _ in range(steps):
            _, step = nearest_boundary(network, x_hat[rest], y[rest], norm, clip, watch)
            r[rest] = within_box(x[rest] + r[rest] + step.r, clip) - x[rest]
            x_hat[rest] = within_box(x[rest] + (1 + overshoot) * r[rest], clip)
            rest = rest[margins(logits(network, x_hat[rest]), y[rest]) <= 0]
            if not len(rest):
                break
        x_hat[rest] = x[rest]
        return x_hat

    return on_the_right(attacker, network, x, y, clip, 0, tick)
