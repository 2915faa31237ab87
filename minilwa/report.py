"""Tables and pictures of what was measured."""

from __future__ import annotations

import os
from collections.abc import Sequence
from itertools import groupby
from statistics import mean, stdev
from typing import Any

import numpy as np

from minilwa.experiments.paper import COLUMNS, PRINTED
from minilwa.files import complete_file

NAMES = {"table1": "Table 1", "table2": "Table 2", "cifar10": "CIFAR-10"}
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


def caption(name: str, result: dict[str, Any]) -> str:
    """What stands above a table."""
    config = result["config"]
    seeds = len(config["seeds"])
    over = "95% Wilson interval" if seeds == 1 else f"± standard deviation over {seeds} seeds"
    under = ", the paper's beneath" if PRINTED.get(name) else ""
    return f"{NAMES[name]}, L2 radius {config['radius']:g}: ours on {config['data']} [{over}]{under}"


def table(name: str, result: dict[str, Any]) -> str:
    """A table in Markdown: our accuracies with their spread, and the paper's beneath where it has the row.

    The spread is the 95% Wilson interval over the images, or the standard deviation over the seeds if there are many.
    """
    lines = [["Method", *(TITLES[column] for column in COLUMNS)], ["---"] * (len(COLUMNS) + 1)]
    for method, group in groupby(result["rows"], key=lambda row: row["method"]):
        rows = list(group)
        lines += [[method, *(cell(column, rows) for column in COLUMNS)]]
        if printed := PRINTED.get(name, {}).get(method):
            lines += [["(paper)", *map(figure, printed)]]
    widths = [max(len(line[i]) for line in lines) for i in range(len(lines[0]))]
    return "\n".join(
        "| " + " | ".join(f"{cell:<{width}}" for cell, width in zip(line, widths, strict=True)) + " |" for line in lines
    )


def cell(column: str, rows: Sequence[dict[str, Any]]) -> str:
    """An accuracy and its spread: a row for each seed."""
    if len(rows) == 1:
        return f"{figure(rows[0][column])} [{', '.join(map(figure, rows[0]['intervals'][column]))}]"
    found = [row[column] for row in rows]
    return f"{figure(mean(found))} ± {figure(stdev(found))}"


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
