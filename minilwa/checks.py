"""The boundary: batches are checked once, on entry, so that nothing beneath has to."""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

from minilwa.backend import Array, check_array, namespace
from minilwa.errors import InputError
from minilwa.networks import Network

VALUES_ARE_KNOWN = ContextVar("values are known", default=False)


@contextmanager
def values_known() -> Iterator[None]:
    """Within, only shapes and dtypes are checked: the batches come from a set whose values were checked as a whole.

    A GPU's host has to wait for a value that it looks at, and a loop over batches must not wait.
    """
    token = VALUES_ARE_KNOWN.set(True)
    try:
        yield
    finally:
        VALUES_ARE_KNOWN.reset(token)


def finite(*arrays: Array) -> bool:
    """Whether all numbers in ``arrays`` are finite."""
    return all(namespace(a).isfinite(a).all().item() for a in arrays)


def check_images(network: Network, x: Array) -> None:
    """InputError unless ``x`` is a non-empty finite float batch ``(N, *network.input_shape)`` of its dtype."""
    check_array("x", x)
    network.check_batch(x)
    if not VALUES_ARE_KNOWN.get():
        check_finite(x)


def check_finite(x: Array) -> None:
    """InputError unless all of ``x`` is finite."""
    if not finite(x):
        raise InputError("x", "NaN or infinite values", "finite pixels")


def check_labels(network: Network, x: Array, y: Array) -> None:
    """InputError unless ``y`` is ``(N,)`` of integers from 0 to K - 1 and K >= 2, for the network's K classes."""
    check_array("y", y, "Make one with numpy.array(y).")
    namespace(x, y)
    if y.shape != (len(x),):
        raise InputError("y", f"shape {y.shape}", f"({len(x)},), one label an image")
    if y.dtype.kind not in "iu":
        raise InputError("y", f"dtype {y.dtype}", "integer labels", 'Convert with y.astype("int64").')
    if network.classes < 2:
        raise InputError("network", "1 class", "at least 2")
    if VALUES_ARE_KNOWN.get():
        return
    lowest, highest = y.min().item(), y.max().item()
    if lowest < 0 or highest >= network.classes:
        raise InputError("y", f"labels from {lowest} to {highest}", f"0 to {network.classes - 1}")


def check_radius(radius: float) -> None:
    """InputError unless ``radius`` is a finite number >= 0."""
    try:
        holds = math.isfinite(radius) and radius >= 0
    except TypeError:
        holds = False
    if not holds:
        raise InputError("radius", repr(radius), "a finite number >= 0")


def in_box(x: Array) -> bool:
    """Whether all pixels ``x`` are in [0, 1]."""
    return bool(x.min().item() >= 0 and x.max().item() <= 1)


def check_box(x: Array, clip: bool) -> None:
    """InputError unless the pixels ``x`` are in [0, 1], if perturbed ones are to be set back into it."""
    if clip and not in_box(x):
        got = f"values from {x.min().item():g} to {x.max().item():g}"
        raise InputError("x", got, "pixels in [0, 1], to be clipped to it")


def check_steps(x: Array, steps: Array) -> None:
    """InputError unless ``steps`` has the shape of ``x``: lengths are set sample by sample, before NumPy broadcasts."""
    if steps.shape != x.shape:
        raise InputError("perturbation", f"shape {steps.shape}", f"{x.shape}, as the samples'")
