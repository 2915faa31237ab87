"""The notebooks' look, set on import, and rows of small pictures."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import matplotlib.pyplot as plt
import numpy as np

from minilwa import to_numpy

plt.rcParams.update(
    {
        "figure.dpi": 80,
        "savefig.dpi": 80,
        "figure.constrained_layout.use": True,
        "font.size": 11,
        "axes.titlesize": 11,
        "axes.spines.top": False,
        "axes.spines.right": False,
        "legend.frameon": False,
        "image.interpolation": "nearest",
    }
)


def show_row(
    images: Iterable[Any], titles: Sequence[str] = (), signed: bool = False, columns: int = 10, size: float = 1.2
):
    """Draw ``images``, each ``(..., H, W)`` with one picture in it, side by side, ``columns`` to a line.

    Pixels are dark where they are 1. With ``signed`` they may have either sign: red is positive, blue negative, white
    zero, each picture on its own scale.
    """
    images = [to_numpy(image).reshape(image.shape[-2:]) for image in images]
    lines = -(-len(images) // columns)
    columns = min(columns, len(images))
    rows, width = images[0].shape
    height = size * rows / width + 0.3 * (1 + max((title.count("\n") for title in titles), default=-1))
    _, axes = plt.subplots(lines, columns, figsize=(columns * size, lines * height), squeeze=False)
    for place, axis in enumerate(axes.flat):
        axis.axis("off")
        if place < len(images):
            draw(axis, images[place], titles[place] if place < len(titles) else "", signed)
    plt.show()


def draw(axis: Any, image: Any, title: str = "", signed: bool = False) -> None:
    """One picture ``(H, W)`` on a matplotlib axis, as in `show_row`."""
    image = to_numpy(image)
    limit = float(np.abs(image).max()) or 1.0
    if signed:
        axis.imshow(image, cmap="RdBu_r", vmin=-limit, vmax=limit)
    else:
        axis.imshow(image, cmap="gray_r", vmin=0, vmax=1)
    axis.set_title(title)
    axis.axis("off")
