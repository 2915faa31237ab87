"""Tables and pictures of what was measured."""

from __future__ import annotations

import os
from typing import Any

import numpy as np

from minilwa.experiments.paper import COLUMNS, TABLE_1
from minilwa.files import complete_file

TITLES = {
    "validation": "Validation",
    "fixed": "Fixed",
    "adv_loss_sign": "Adv_Loss_Sign",
    "adv_loss": "Adv_Loss",
    "adv_alpha": "Adv_Alpha",
}


def figure(accuracy: float) -> str:
    """An accuracy as the paper prints it: three decimals, no zero before the point."""
    return f"{accuracy:.3f}".removeprefix("0")


def table1(result: dict[str, Any]) -> str:
    """Table 1 in Markdown: our accuracy with its 95% Wilson interval, and the paper's beneath."""
    lines = [["Method", *(TITLES[column] for column in COLUMNS)], ["---"] * (len(COLUMNS) + 1)]
    for row in result["rows"]:
        ours = [f"{figure(row[c])} [{', '.join(map(figure, row['intervals'][c]))}]" for c in COLUMNS]
        lines += [[row["method"], *ours], ["(paper)", *map(figure, TABLE_1[row["method"]])]]
    widths = [max(len(line[i]) for line in lines) for i in range(len(lines[0]))]
    return "\n".join(
        "| " + " | ".join(f"{cell:<{width}}" for cell, width in zip(line, widths, strict=True)) + " |" for line in lines
    )


def draw_figure1(path: str | os.PathLike[str], result: dict[str, Any]) -> None:
    """Figure 1 as PNG: accuracy over the radius, with bands for the 95% Wilson intervals."""
    canvas = new_figure(6.4, 4.2)
    axes = canvas.subplots()
    for curve, style in zip(result["curves"], ("-o", "-s", "-^"), strict=False):
        low, high = np.transpose(curve["intervals"])
        (line,) = axes.plot(result["radii"], curve["accuracy"], style, markersize=4, label=TITLES[curve["direction"]])
        axes.fill_between(result["radii"], low, high, color=line.get_color(), alpha=0.15, linewidth=0)
    axes.set(
        xlabel="radius of the perturbation, L2 norm, pixels in [0, 1]",
        ylabel=f"accuracy on {result['n']:,} test images",
        title=f"LeNet trained as usual on {result['config']['data']}",
        xlim=(0, max(result["radii"])),
        ylim=(0, 1),
    )
    axes.grid(alpha=0.3)
    axes.legend(frameon=False)
    write_figure(path, canvas)


def draw_images(
    path: str | os.PathLike[str], x: np.ndarray, x_hat: np.ndarray, before: np.ndarray, after: np.ndarray
) -> None:
    """Images ``(N, C, H, W)``, what was added (red up, blue down) and the sum, each under its predicted label."""
    canvas = new_figure(1.2 * len(x) + 0.4, 4.2)
    grid = canvas.subplots(3, len(x), squeeze=False)
    strongest = max(float(np.abs(x_hat - x).max()), 1e-12)
    for i, column in enumerate(grid.T):
        changed = (x_hat[i] - x[i]).mean(axis=0)
        column[0].imshow(displayed(x[i]), cmap="gray", vmin=0, vmax=1)
        column[1].imshow(changed, cmap="RdBu_r", vmin=-strongest, vmax=strongest)
        column[2].imshow(displayed(x_hat[i]), cmap="gray", vmin=0, vmax=1)
        column[0].set_title(str(before[i]))
        column[2].set_title(str(after[i]), color="tab:red" if after[i] != before[i] else "black")
        for axes in column:
            axes.set_xticks([])
            axes.set_yticks([])
    for axes, name in zip(grid[:, 0], ("image", "perturbation", "sum"), strict=True):
        axes.set_ylabel(name)
    write_figure(path, canvas)


def displayed(image: np.ndarray) -> np.ndarray:
    """``(C, H, W)`` as matplotlib shows it: ``(H, W, 3)`` if C = 3, else grey ``(H, W)``; cut to [0, 1]."""
    image = np.clip(image, 0, 1)
    return image.transpose(1, 2, 0) if len(image) == 3 else image.mean(axis=0)


def new_figure(width: float, height: float) -> Any:
    """A matplotlib figure of so many inches, drawn without pyplot and so without touching a notebook's state."""
    from matplotlib.figure import Figure

    return Figure(figsize=(width, height), layout="constrained")


def write_figure(path: str | os.PathLike[str], canvas: Any) -> None:
    """Write a figure whole."""
    with complete_file(path) as temporary:
        canvas.savefig(temporary, dpi=150)
