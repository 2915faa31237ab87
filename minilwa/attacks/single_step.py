"""One step along a direction of the paper, as an attack like the others."""

from __future__ import annotations

import numpy as np

from minilwa.attacks.common import Tick, Watch, ignore, on_the_right
from minilwa.backend import Array
from minilwa.checks import check_radius
from minilwa.directions import Direction
from minilwa.evaluation import finite_part, moved
from minilwa.networks import Network
from minilwa.norms import Norm, exponent


def single_step(
    network: Network,
    x: Array,
    y: Array,
    radius: float,
    along: Direction,
    norm: Norm = "l2",
    clip: bool = False,
    watch: Watch = ignore,
    tick: Tick = ignore,
) -> Array:
    """x_hat ``(N, *shape)``: x plus the direction ``along``, its ``norm`` set to ``radius`` (section 3.1).

    Misclassified samples come back unchanged. With ``clip`` pixels are set back into [0, 1]. A direction that is not
    finite is none. InputError unless the radius is finite and >= 0, and for a norm that there is not.
    """
    check_radius(radius)
    exponent(norm)

    def attacker(x: Array, y: Array, rng: np.random.Generator) -> Array:
        steps = along(network, x, y)
        watch(steps)
        return moved(x, finite_part(steps), radius, norm, clip)

    return on_the_right(attacker, network, x, y, clip, 0, tick)
