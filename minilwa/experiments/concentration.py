"""Whether an L2 perturbation is concentrated: the paper's section 4.1 asks if the L2 norm is a reasonable measure.

Its doubt is a perturbation that is small in L2 and has most of its weight in one place, where it would be seen.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from minilwa.backend import Array, to_numpy
from minilwa.directions import direction
from minilwa.evaluation import adversarial_images
from minilwa.networks import Network

WINDOW = 5  # pixels a side: 3% of a digit's image
PAPERS = ("adv_loss", "adv_alpha")  # its perturbations in L2


def concentration(network: Network, x: Array, y: Array, radius: float, form: str) -> dict[str, Any]:
    """By direction: in how many of the images that were moved one window holds more than half of ||r||^2, and how much
    it holds in the median and in the worst case; and the median of the largest change of a pixel. Plain JSON data."""
    found = {}
    for name in PAPERS:
        r = to_numpy(adversarial_images(network, x, y, direction(name, form), radius) - x)
        r = r[(r.reshape(len(r), -1) != 0).any(axis=1)]
        shares, largest = heaviest_window(r), np.abs(r.reshape(len(r), -1)).max(axis=1, initial=0)
        found[name] = {
            "n": len(r),
            "concentrated": int((shares > 0.5).sum()),
            "median": float(np.median(shares)) if len(r) else None,
            "largest": float(shares.max()) if len(r) else None,
            "pixel": float(np.median(largest)) if len(r) else None,
        }
    return found


def heaviest_window(r: np.ndarray, window: int = WINDOW) -> np.ndarray:
    """The largest share ``(N,)`` of ||r||^2, for r ``(N, C, H, W)`` other than 0, that one square window holds."""
    weight = (r.astype(np.float64) ** 2).sum(axis=1)  # (N, H, W)
    sides = [min(window, size) for size in weight.shape[1:]]
    held = np.lib.stride_tricks.sliding_window_view(weight, sides, axis=(1, 2)).sum(axis=(-2, -1))
    return held.max(axis=(1, 2)) / weight.sum(axis=(1, 2))
