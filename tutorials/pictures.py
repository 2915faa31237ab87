"""The notebooks' look, set on import, and rows of small pictures."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
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


def show_graph(output: Any, text: Callable[[Any], str]) -> None:
    """Draw how ``output`` came to be: its ancestors from left to right, an arrow from each parent to what it made.

    A node has ``parents``, pairs of a node and a vjp; ``text`` says what to write into its box.
    """
    level: dict[Any, int] = {}

    def place(node: Any) -> int:
        if node not in level:
            level[node] = 1 + max((place(parent) for parent, _ in node.parents), default=-1)
        return level[node]

    columns: list[list[Any]] = [[] for _ in range(place(output) + 1)]
    for node, x in level.items():
        columns[x].append(node)
    at = {n: (x, y - (len(column) - 1) / 2) for x, column in enumerate(columns) for y, n in enumerate(column)}
    tallest = max(map(len, columns))
    _, axis = plt.subplots(figsize=(2 * len(columns), 0.5 + 0.8 * tallest))
    frame = {"boxstyle": "round", "facecolor": "white", "edgecolor": "0.5"}
    boxes = {n: axis.text(*xy, text(n), ha="center", va="center", bbox=frame).get_bbox_patch() for n, xy in at.items()}
    for node, (x, y) in at.items():
        parents = [parent for parent, _ in node.parents]
        for twin, parent in enumerate(parents):
            over = x - at[parent][0] > 1 and y == at[parent][1]  # passes over the boxes between
            bend = -0.25 if over else 0.2 * (twin - 0.5) if parents.count(parent) > 1 else 0
            style = {"arrowstyle": "->", "color": "0.5", "connectionstyle": f"arc3,rad={bend}"}
            axis.annotate("", (x, y), at[parent], arrowprops=style | {"patchA": boxes[parent], "patchB": boxes[node]})
    axis.set(xlim=(-0.5, len(columns) - 0.5), ylim=(-tallest / 2 + 0.1, tallest / 2 + 0.2))
    axis.axis("off")
    plt.show()
