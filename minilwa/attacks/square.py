"""The Square attack in L2: random search that moves the perturbation's mass from window to window. No gradients.

M. Andriushchenko, F. Croce, N. Flammarion, M. Hein: "Square Attack: a query-efficient black-box adversarial attack via
random search", arXiv 1912.00049, algorithm 3.
"""

from __future__ import annotations

import math

import numpy as np

from minilwa.attacks.common import Tick, check_counts, ignore, logits, margins, on_the_right, within_box
from minilwa.backend import Array, like, namespace
from minilwa.checks import check_radius
from minilwa.errors import InputError
from minilwa.networks import Network
from minilwa.norms import project, rescale

HALVINGS = (0.001, 0.005, 0.02, 0.05, 0.1, 0.2, 0.4, 0.6, 0.8)  # of the queries, after which windows halve their area


def square(
    network: Network,
    x: Array,
    y: Array,
    radius: float,
    queries: int = 5000,
    area: float = 0.1,
    clip: bool = False,
    seed: int = 0,
    tick: Tick = ignore,
) -> Array:
    """x_hat ``(N, *shape)`` with ||x_hat - x||_2 <= ``radius``, the worst seen in ``queries`` forward passes.

    A query takes two windows at random, empties one and gives the length that is free to the other, along what is there
    plus a random pattern of two opposite bumps; it is kept if the margin grows. The first windows cover the fraction
    ``area`` of the image. Samples that are no images ``(C, H, W)`` are taken for one row of pixels. Misclassified
    samples come back unchanged, broken ones leave. With ``clip`` pixels are set back into [0, 1]. InputError unless the
    radius is finite and >= 0, ``queries`` >= 1 and ``area`` in (0, 1].
    """
    check_radius(radius)
    radius = float(radius)
    check_counts(queries=queries)
    if not 0 < area <= 1:
        raise InputError("area", area, "a fraction in (0, 1]")

    def attacker(x: Array, y: Array, rng: np.random.Generator) -> Array:
        xp = namespace(x)
        images = x.reshape(x.shape if x.ndim == 4 else (len(x), 1, 1, -1))
        n, channels, rows, columns = images.shape

        def margin_of(x_hat: Array, some: Array) -> Array:
            return margins(logits(network, x_hat.reshape(-1, *x.shape[1:])), y[some])

        best = within_box(images + rescale(tiles(images, rng), radius), clip)
        best_margin = margin_of(best, xp.arange(n))
        size, bumps = (0, 0), images  # of the windows; none yet
        for query in range(1, queries):
            (rest,) = xp.nonzero(best_margin <= 0)
            if not len(rest):
                break
            share = area / 2 ** sum(query >= at * queries for at in HALVINGS)
            height = sized(math.sqrt(share) * rows, rows)
            width = sized(share * rows * columns / height, columns)
            if size != (height, width):
                size, bumps = (height, width), like(patterns(height, width).astype(x.dtype), x)
            r = best[rest] - images[rest]
            drawn = like(draw((rows, columns), size, len(rest), channels, rng), x)
            emptied, _ = windows(r, size, bumps, drawn[:, :3])
            filled, pattern = windows(r, size, bumps, drawn[:, 3:6])
            signs = drawn[:, 6:, None, None].astype(x.dtype)
            unused = xp.maximum(radius**2 - xp.square(r).sum(axis=(1, 2, 3), keepdims=True), 0)
            free = xp.square(r * (emptied | filled)).sum(axis=(2, 3), keepdims=True) + unused / channels  # (N, C, 1, 1)
            moved = xp.sqrt(free) * unit(unit(r * filled) + signs * pattern)
            r = project(r * ~(emptied | filled) + moved, radius, "l2")  # what rounding put outside
            x_hat = within_box(images[rest] + r, clip)
            margin = margin_of(x_hat, rest)
            better = margin > best_margin[rest]
            best[rest] = xp.where(better[:, None, None, None], x_hat, best[rest])
            best_margin[rest] = xp.where(better, margin, best_margin[rest])
        return best.reshape(x.shape)

    return on_the_right(attacker, network, x, y, clip, seed, tick)


def draw(shape: tuple[int, int], size: tuple[int, int], n: int, channels: int, rng: np.random.Generator) -> np.ndarray:
    """All that one query draws, ``(n, 6 + channels)``: of two windows the top, the left and the pattern; then signs."""
    each = []
    for _ in range(2):
        each += [rng.integers(0, side - part + 1, (n, 1)) for side, part in zip(shape, size, strict=True)]
        each += [rng.integers(0, 2, (n, 1))]
    return np.concatenate([*each, rng.choice([-1, 1], (n, channels))], axis=1)


def windows(images: Array, size: tuple[int, int], bumps: Array, drawn: Array) -> tuple[Array, Array]:
    """The window ``(N, 1, H, W)`` of each image that was ``drawn``, true inside, and the pattern of ``bumps`` in it."""
    xp = namespace(images)
    height, width = size
    top, left, which = drawn.T[:, :, None]  # (N, 1) each
    i, j = xp.arange(images.shape[2]) - top, xp.arange(images.shape[3]) - left  # (N, H) and (N, W), from its corner
    inside = ((i >= 0) & (i < height))[:, None, :, None] & ((j >= 0) & (j < width))[:, None, None, :]
    i, j = xp.clip(i, 0, height - 1)[:, :, None], xp.clip(j, 0, width - 1)[:, None, :]
    return inside, inside * bumps[which[:, :, None], i, j][:, None]


def patterns(height: int, width: int) -> np.ndarray:
    """Two bumps of norm 1 together, one above the other and one beside the other: ``(2, height, width)``."""
    return np.stack([two_bumps(height, width), two_bumps(width, height).T])


def bump(height: int, width: int) -> np.ndarray:
    """Falls from the middle outwards: the sum of 1 / k^2 over k > d, where d is the larger of the two distances."""
    i, j = (np.abs(np.arange(size) - size // 2) for size in (height, width))
    outermost = max(height, width) // 2
    tail = np.cumsum(1.0 / np.arange(outermost + 1, 0, -1) ** 2)[::-1]
    return tail[np.maximum(i[:, None], j[None, :])]


def two_bumps(height: int, width: int) -> np.ndarray:
    """A bump, and an opposite one beneath it, of norm 1 together."""
    half = height // 2
    both = np.concatenate([bump(half, width), -bump(height - half, width)])
    return both / np.linalg.norm(both)


def tiles(images: Array, rng: np.random.Generator) -> Array:
    """The start: bumps of random signs side by side, five to a row."""
    n, channels, rows, columns = images.shape
    size = max(1, columns // 5)
    i, j = np.arange(rows), np.arange(columns)
    signs = rng.choice([-1, 1], (n, channels, -(-rows // size), -(-columns // size)))
    pattern = signs[:, :, i // size][..., j // size] * bump(size, size)[i % size][:, j % size]
    return like(pattern.astype(images.dtype), images)


def sized(side: float, limit: int) -> int:
    """The whole side of a window: at least 3, so that it holds two bumps, where the image has as many."""
    return min(max(round(side), 3), limit)


def unit(v: Array) -> Array:
    """``v`` ``(N, C, H, W)`` with the L2 norm of every channel set to 1; a zero stays zero."""
    return rescale(v.reshape(-1, *v.shape[2:]), 1).reshape(v.shape)
