"""The worst case over attacks, example by example.

Whatever an attack does, it ends in one number a sample: how far it had to go. The least of those over the attacks is
an upper bound of the distance to the nearest point of another class, and everything reported follows from it.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np

from minilwa.attacks import Attack
from minilwa.attacks.common import Tick, Watch, ignore
from minilwa.backend import Array, like, to_numpy
from minilwa.checks import check_images, check_labels, check_radius
from minilwa.errors import InputError
from minilwa.evaluation import Score, predict
from minilwa.networks import Network
from minilwa.norms import Norm, length


def distances(
    attack: Attack,
    network: Network,
    x: Array,
    y: Array,
    radii: Sequence[float] = (),
    norm: Norm | None = None,
    clip: bool = False,
    seed: int = 0,
    watch: Watch = ignore,
    tick: Tick = ignore,
) -> np.ndarray:
    """How far ``attack`` had to move each sample: ``(N,)``, float64 on the host, in ``norm`` (None: its own).

    0 where the network is wrong already, inf where the attack does not succeed. One that is given a radius is run at
    each of ``radii``, from the smallest, on the samples that it has not broken before: what lies within one radius lies
    within every larger one. ``tick`` hears of the images done, N for every radius, or N in all without. InputError for
    images, labels or radii that cannot be, or none where the attack needs one.
    """
    check_images(network, x)
    check_labels(network, x, y)
    for radius in radii:
        check_radius(radius)
    if attack.at_radius and not len(radii):
        raise InputError("radii", "none", "at least one for an attack at a radius")
    norm = attack.norm if norm is None else norm
    options: dict[str, Any] = {"clip": clip}
    options |= {"watch": watch} if attack.gradients else {}
    options |= {"seed": seed} if attack.random else {}
    found = np.where(to_numpy(predict(network, x) == y), np.inf, 0.0)
    for radius in sorted(map(float, radii)) if attack.at_radius else [np.inf]:
        (rest,) = np.nonzero(np.isinf(found))
        tick(len(x) - len(rest))
        if len(rest):
            x_rest, y_rest = x[like(rest, x)], y[like(rest, x)]
            given = (radius,) if attack.at_radius else ()
            x_hat = attack.run(network, x_rest, y_rest, *given, tick=tick, **options)
            far = to_numpy(length((x_hat - x_rest).reshape(len(rest), -1).astype("float64"), norm))
            if norm == attack.norm:
                far = np.minimum(far, radius)  # what rounding adds to a point at the radius
            found[rest] = np.where(to_numpy(predict(network, x_hat) != y_rest), far, np.inf)
    return found


def worst_case(found: Iterable[np.ndarray]) -> np.ndarray:
    """The least distance ``(N,)`` of each sample over attacks, all measured in one norm."""
    return np.minimum.reduce(list(found))


def score_at(found: np.ndarray, radius: float) -> Score:
    """How many samples are still right at ``radius``: those for which the distance ``found`` ``(N,)`` is larger.

    InputError unless the radius is finite and >= 0.
    """
    check_radius(radius)
    return Score(int((found > radius).sum()), len(found))


def summary(found: np.ndarray, x: Array, norm: Norm = "l2") -> dict[str, Any]:
    """Median and mean of distances ``found`` ``(N,)`` to images ``x``, and of ||r|| / ||x||, as plain JSON data.

    Over the ``n`` samples classified right: those that were not broken count in the median as farther than all others
    (it is None if they are half of them or more), and are left out of the means.
    """
    right = found > 0
    r, size = found[right], to_numpy(length(x.reshape(len(x), -1), norm))[right]
    broken = np.isfinite(r)
    median = float(np.median(r)) if len(r) else np.inf
    return {
        "n": len(r),
        "broken": int(broken.sum()),
        "median": median if np.isfinite(median) else None,
        "mean": float(r[broken].mean()) if broken.any() else None,
        "relative_mean": float((r[broken] / size[broken]).mean()) if broken.any() else None,
    }
