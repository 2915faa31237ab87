"""The boundary: batches are checked once, on entry, so that nothing beneath has to."""

from __future__ import annotations

import math

from minilwa.backend import Array, namespace
from minilwa.errors import InputError
from minilwa.networks import Network


def check_images(network: Network, x: Array) -> None:
    """InputError unless ``x`` is a non-empty finite float batch ``(N, *network.input_shape)`` of its dtype."""
    xp = namespace(x)
    network.check_batch(x)
    if not xp.isfinite(x).all():
        raise InputError("x", "NaN or infinite values", "finite pixels")


def check_labels(network: Network, x: Array, y: Array) -> None:
    """InputError unless ``y`` is ``(N,)`` of integers from 0 to K - 1 and K >= 2, for the network's K classes."""
    namespace(x, y)
    if y.shape != (len(x),):
        raise InputError("y", f"shape {y.shape}", f"({len(x)},), one label an image")
    if y.dtype.kind not in "iu":
        raise InputError("y", f"dtype {y.dtype}", "integer labels")
    if network.classes < 2:
        raise InputError("network", "1 class", "at least 2")
    if int(y.min()) < 0 or int(y.max()) >= network.classes:
        raise InputError("y", f"labels from {int(y.min())} to {int(y.max())}", f"0 to {network.classes - 1}")


def check_radius(radius: float) -> None:
    """InputError unless ``radius`` is a finite number >= 0."""
    if not (math.isfinite(radius) and radius >= 0):
        raise InputError("radius", radius, "a finite number >= 0")
