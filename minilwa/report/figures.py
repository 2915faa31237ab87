"""Pictures of what was measured, as PNG and SVG."""

from __future__ import annotations

import os
from textwrap import fill
from typing import Any

import numpy as np

from minilwa.experiments.paper import COLUMNS
from minilwa.experiments.protocols import RADIUS
from minilwa.files import complete_file
from minilwa.report.text import NAMES, TITLES, beside_the_notebooks

COLOURS = {"Normal": "#0072b2", "Dropout": "#e69f00", "Goodfellow": "#009e73", "LWA": "#d55e00", "LWA_Rep": "#cc79a7"}
OTHERS = ("#009e73", "#cc79a7", "#0072b2", "#56b4e9", "#e69f00")
DIRECTIONS = ("#0072b2", "#e69f00", "#009e73", "#cc79a7", "#7f7f7f")  # the curves of Figure 1
HOLLOW: dict[str, Any] = {"fillstyle": "none", "markersize": 8, "linestyle": ""}
MARKS = "osD^v<>*"  # told apart without colour too
RADIUS_LABEL = "L2 radius of the perturbation, white = 1, not clipped"


def table(entry: dict[str, Any]) -> Any:
    """A table as points: the accuracy of each method by column, 95% intervals, hollow marks for the paper's."""
    canvas = new_figure(7.4, 4.2)
    axes = canvas.subplots()
    rows = entry["rows"]
    for i, row in enumerate(rows):
        places = np.arange(len(COLUMNS)) + (i - (len(rows) - 1) / 2) * 0.13
        found = [row[column] for column in COLUMNS]
        low, high = np.transpose([f["interval"] or f["wilson"] for f in found])
        middle = np.array([f["mean"] for f in found])
        style = {"color": COLOURS[row["method"]], "marker": MARKS[i], "linestyle": "", "markersize": 5}
        axes.errorbar(places, middle, np.abs([middle - low, high - middle]), label=row["method"], capsize=2, **style)
        if "paper" in row:
            axes.plot(places + 0.05, [row["paper"][c] for c in COLUMNS], **style | {"fillstyle": "none", "alpha": 0.7})
    axes.plot([], [], "o", color="grey", fillstyle="none", label="the paper's")
    axes.set_xticks(range(len(COLUMNS)), [TITLES[column] for column in COLUMNS])
    axes.set(ylabel="accuracy", ylim=(-0.02, 1.02), title=title(entry))
    axes.grid(axis="y", alpha=0.3)
    canvas.legend(frameon=False, fontsize="small", ncols=6, loc="outside lower center")
    return canvas


def variants(entry: dict[str, Any]) -> Any:
    """A line for each variant: accuracy under two attacks, beside what the paper and its authors' notebooks have."""
    rows, columns = entry["rows"], ("adv_loss", "adv_alpha")
    canvas = new_figure(7.4, 0.27 * len(rows) + 1.4)
    axes = canvas.subplots()
    for shift, column, mark in zip((-0.12, 0.12), columns, MARKS, strict=False):
        found = [row[column] for row in rows]
        middle = np.array([f["mean"] for f in found])
        low, high = np.transpose([f["interval"] or f["wilson"] for f in found])
        bars = np.abs([middle - low, high - middle])
        style = {"color": "black", "marker": mark, "markersize": 5, "linestyle": ""}
        axes.errorbar(middle, np.arange(len(rows)) + shift, xerr=bars, capsize=2, label=TITLES[column], **style)
        for source, colour in (("paper", "#d55e00"), ("notebooks", "#0072b2")):
            known = [(row[source][column], i + shift) for i, row in enumerate(rows) if source in row]
            label = f"{TITLES[column]}, {source}"
            axes.plot(*np.transpose(known), **style | {"color": colour, "fillstyle": "none"}, label=label)
    axes.set_yticks(range(len(rows)), [row["variant"] for row in rows])
    axes.invert_yaxis()
    axes.set(xlabel="accuracy", xlim=(0, 1), title=title(entry))
    axes.grid(alpha=0.3)
    canvas.legend(frameon=False, fontsize="small", ncols=3, loc="outside lower center")
    return canvas


def figure1(entry: dict[str, Any]) -> Any:
    """Accuracy over the radius with 95% bands, over seeds, or with one seed over images: unclipped, and clipped."""
    rows, radii = entry["rows"], entry["rows"][0]["radii"]
    clips = sorted({row["clip"] for row in rows})
    canvas = new_figure(4.5 * len(clips) + 1, 4.6)
    panels = dict(zip(clips, canvas.subplots(1, len(clips), sharey=True, squeeze=False)[0], strict=True))
    for clip, axes in panels.items():
        drawn = [row for row in rows if row["clip"] == clip]
        for row, mark, colour in zip(drawn, MARKS, DIRECTIONS, strict=False):
            curve(axes, radii, row["accuracy"], colour, marker=mark, label=TITLES[row["direction"]])
            if row["authors"] and beside_the_notebooks(entry):
                style = {"color": colour, "marker": mark} | HOLLOW
                axes.plot([float(radius) for radius in row["authors"]], list(row["authors"].values()), **style)
        axes.set(xlabel="L2 radius of the perturbation, white = 1", xlim=(0, radii[-1]), ylim=(0, 1))
        axes.set_title("clipped to [0, 1]" if clip else "not clipped, as in the paper")
    first = panels[clips[0]]
    if beside_the_notebooks(entry):
        first.plot([], [], "o", color="grey", label="the authors'", **HOLLOW)
    first.set(ylabel=f"accuracy on {rows[0]['n']:,} test images")
    canvas.legend(
        *first.get_legend_handles_labels(), frameon=False, ncols=6, fontsize="small", loc="outside lower center"
    )
    canvas.suptitle(title(entry))
    return canvas


def figure2(entry: dict[str, Any]) -> Any:
    """Accuracy over the epochs by method, clean and under each perturbation."""
    names = list(entry["rows"][0]["curves"])
    canvas = new_figure(9.0, 6.6)
    grid = canvas.subplots(2, (len(names) + 1) // 2, sharex=True, squeeze=False).ravel()
    for axes, name in zip(grid, names, strict=False):
        for row, mark in zip(entry["rows"], MARKS, strict=False):
            curve(axes, row["epochs"], row["curves"][name], COLOURS[row["method"]], marker=mark, label=row["method"])
        axes.set(title=TITLES[name], xlabel="epoch", ylabel=f"accuracy on {row['n']:,} test images")
    grid[0].legend(frameon=False, fontsize="small")
    canvas.suptitle(title(entry))
    return canvas


def factorial(entry: dict[str, Any]) -> Any:
    """What Adv_Alpha gains over Adv_Loss, in each form and precision, over the training length."""
    canvas = new_figure(6.4, 4.2)
    axes = canvas.subplots()
    epochs = np.array([row["epochs"] for row in entry["rows"]])
    for i, first in enumerate(entry["rows"][0]["gains"]):
        gains = [row["gains"][i] for row in entry["rows"]]
        middle = np.array([gain["mean"] for gain in gains])
        low, high = np.transpose([gain["interval"] or [gain["mean"]] * 2 for gain in gains])
        style = {"marker": MARKS[i], "capsize": 3, "linestyle": "-" if first["form"] == "stable" else "--"}
        label = f"{first['form']}, {first['precision']}"
        places = epochs + (i - 1.5) * epochs[-1] / 80  # side by side
        axes.errorbar(places, middle, np.abs([middle - low, high - middle]), label=label, **style)
    axes.axhline(0, color="black", linewidth=0.8)
    axes.set(xlabel="epochs of training", ylabel="accuracy under Adv_Loss minus Adv_Alpha", title=title(entry))
    axes.grid(alpha=0.3)
    axes.legend(frameon=False)
    return canvas


def first_epoch(entry: dict[str, Any]) -> Any:
    """The accuracy of every seed after one epoch, clean and attacked, a line for each setting."""
    rows = entry["rows"]
    canvas = new_figure(8.4, 0.5 * len(rows) + 1.6)
    axes = canvas.subplots()
    columns = (("clean", "as they are", -0.15), ("adv_loss", "under Adv_Loss", 0.15))
    for (column, label, shift), mark, colour in zip(columns, MARKS, OTHERS, strict=False):
        points = [(value, i + shift) for i, row in enumerate(rows) for value in row[column]["values"]]
        axes.plot(*np.transpose(points), mark, color=colour, alpha=0.6, label=label)
    settings = [
        f"{row['method']} along {TITLES[row['along']]}\n"
        f"rate {row['rate']:g}, c = {row['radius']:g}: {len(row['learned'])} of {row['seeds']} learn"
        for row in rows
    ]
    axes.set_yticks(range(len(rows)), settings)
    axes.invert_yaxis()
    axes.set(xlabel=f"accuracy on {rows[0]['n']:,} test images after one epoch, by seed", xlim=(0, 1))
    axes.set_title(fill(f"{NAMES[entry['experiment']]}, {entry['data']}, protocol {entry['protocol']}", 56))
    axes.grid(alpha=0.3)
    canvas.legend(frameon=False, ncols=2, loc="outside lower center")
    return canvas


def masking(entry: dict[str, Any]) -> Any:
    """Accuracy over the epochs, clean, under Adv_Loss and under PGD: a panel for each method and seed."""
    rows, names = entry["rows"], {"validation": "as they are", "adv_loss": "under Adv_Loss", "pgd": "under PGD"}
    seeds = sorted({seed for row in rows for seed in row["seed_numbers"]})
    canvas = new_figure(2.6 * len(seeds) + 1.2, 2.3 * len(rows) + 1.2)
    grid = canvas.subplots(len(rows), len(seeds), sharex=True, sharey=True, squeeze=False)
    for row, panels in zip(rows, grid, strict=True):
        for seed, axes in zip(seeds, panels, strict=True):
            if seed not in row["seed_numbers"]:
                axes.set_visible(False)
                continue
            at = row["seed_numbers"].index(seed)
            for (column, label), mark, colour in zip(names.items(), MARKS, OTHERS, strict=False):
                style = {"color": colour, "marker": mark, "markersize": 4}
                axes.plot(row["epochs"], row["each"][column][at], label=label, **style)
            axes.set(title=f"{row['method']}, seed {seed}", xlabel="epoch", ylabel="accuracy", ylim=(0, 1.02))
            axes.label_outer()
            axes.grid(alpha=0.3)
            legend = axes.get_legend_handles_labels()
    canvas.legend(*legend, frameon=False, ncols=3, loc="outside lower center")
    about = f"{rows[0]['n']:,} test images, radius {RADIUS['lenet']:g}"
    canvas.suptitle(fill(f"{NAMES[entry['experiment']]}, {entry['data']}, protocol {entry['protocol']}, {about}", 66))
    return canvas


def judgement(entry: dict[str, Any]) -> Any:
    """The worst case over attacks, over the radius, by method."""
    canvas = new_figure(6.4, 4.2)
    axes = canvas.subplots()
    for row in entry["rows"]:
        curve(axes, row["worst"]["radii"], row["worst"]["curve"], COLOURS[row["method"]], label=row["method"])
    axes.axvline(entry["rows"][0]["radius"], color="grey", linewidth=0.8, linestyle=":")
    axes.axhline(1 / entry["rows"][0]["classes"], color="grey", linewidth=0.8, linestyle="--", label="guessing")
    axes.set(xlabel=RADIUS_LABEL, ylim=(0, 1), title=title(entry))
    axes.set(xlim=(0, None), ylabel=f"worst-case accuracy on {row['n']:,} test images")
    axes.legend(frameon=False)
    return canvas


def frontier(entry: dict[str, Any]) -> Any:
    """Left each change to LWA, trained as long as LWA; right the worst case over the training time, for all."""
    from matplotlib.ticker import LogLocator, NullLocator

    canvas = new_figure(11.0, 5.2)
    left, right = canvas.subplots(1, 2, width_ratios=(2, 3))
    accuracy = "worst-case accuracy, L2 radius 1.5"
    single = [row for row in entry["rows"] if not row["curve"]]
    unchanged = [row for row in entry["rows"] if row["variant"] == "LWA"]
    ranked(left, single, unchanged, "LWA, unchanged", COLOURS["LWA"])
    if unchanged:
        left.legend(frameon=False)
    left.set(xlabel=accuracy, title="one change, as long a training")
    names = dict.fromkeys(row["curve"] for row in entry["rows"] if row["curve"])
    for name, colour, mark in zip(names, (COLOURS["LWA"], *OTHERS), MARKS, strict=False):
        rows = sorted((row for row in entry["rows"] if row["curve"] == name), key=lambda row: row["share"]["mean"])
        worst, height = [row["worst"]["mean"] for row in rows], np.hstack([bars(row) for row in rows])
        what = rows[0]["change"].removesuffix(", for longer")
        style = {"color": colour, "marker": mark, "capsize": 3, "label": f"{name}: {what}"}
        right.errorbar([row["share"]["mean"] for row in rows], worst, height, **style)
    found = [(row["share"]["mean"], row["worst"]["mean"]) for row in single]
    right.plot(*np.reshape(found, (-1, 2)).T, ".", color="grey", label="LWA with one change")
    right.set(
        xscale="log",
        xlabel="training time, as a share of PGD training's at its longest",
        ylabel=accuracy,
        title="frontier",
    )
    right.xaxis.set(major_locator=LogLocator(subs=(1, 2, 5)), major_formatter="{x:g}", minor_locator=NullLocator())
    canvas.legend(*right.get_legend_handles_labels(), frameon=False, ncols=3, loc="outside lower center")
    for axes in (left, right):
        axes.grid(alpha=0.3)
    canvas.suptitle(f"{title(entry)}; {entry['rows'][0]['n']:,} test images")
    return canvas


def choice(entry: dict[str, Any]) -> Any:
    """The worst case of each candidate, beside PGD training's."""
    canvas = new_figure(7.4, 4.2)
    axes = canvas.subplots()
    rows = [row for row in entry["rows"] if row["method"] != "PGD"]
    pgd = [row for row in entry["rows"] if row["method"] == "PGD"]
    longer = "".join(f"PGD training, {row['passes'] / rows[0]['passes']:.1f} times as long" for row in pgd)
    ranked(axes, rows, pgd, longer, OTHERS[0])
    canvas.legend(frameon=False, loc="outside lower center")
    images = f"{entry['rows'][0]['n']:,} training images left out"
    axes.set(xlabel=f"worst-case accuracy, L2 radius 1.5, {images}", title=title(entry))
    axes.grid(alpha=0.3)
    return canvas


def ranked(axes: Any, rows: list[dict[str, Any]], beside: list[dict[str, Any]], label: str, colour: str) -> None:
    """The worst case of each change, the best on top, and a line with a band for what stands ``beside``."""
    rows = sorted(rows, key=lambda row: row["worst"]["mean"])
    for i, row in enumerate(rows):
        axes.errorbar(row["worst"]["mean"], i, xerr=bars(row), color="grey", marker="o", capsize=3)
    axes.set_yticks(range(len(rows)), [row["change"] for row in rows])
    for row in beside:
        axes.axvline(row["worst"]["mean"], color=colour, label=label)
        axes.axvspan(*(row["worst"]["mean"] + bars(row).ravel() * (-1, 1)), color=colour, alpha=0.15)


def bars(row: dict[str, Any]) -> np.ndarray:
    """How far the interval of the worst case reaches down and up, ``(2, 1)``: over seeds, with one seed over images."""
    low, high = row["worst"]["interval"] or row["worst"]["wilson"]
    return np.array([[row["worst"]["mean"] - low], [high - row["worst"]["mean"]]])


def title(entry: dict[str, Any]) -> str:
    """What stands above a figure: what it is of, and of what its intervals are."""
    alone = {drawn(row) == 1 for row in entry["rows"]}
    over = "over images, one seed" if alone == {True} else "over seeds" + "; over images for one seed" * (True in alone)
    of = fill(f"{NAMES[entry['experiment']]}, {entry['data']}, protocol {entry['protocol']}", 66)  # what a figure holds
    return of if (entry["experiment"], alone) == ("factorial", {True}) else f"{of}\n95% intervals {over}"


def drawn(row: dict[str, Any]) -> int:
    """How many seeds a row's figures are over: of a judgement, whose curve is drawn, those that were traced."""
    return len(row["worst"]["traced"]) if "traced" in row.get("worst", {}) else row["seeds"]


def curve(axes: Any, x: list[float], found: dict[str, list[float]], colour: str | None = None, **style: Any) -> None:
    """A line through the means, and a band between low and high."""
    (line,) = axes.plot(x, found["mean"], color=colour, markersize=4, **style)
    axes.fill_between(x, found["low"], found["high"], color=line.get_color(), alpha=0.15, linewidth=0)
    axes.grid(alpha=0.3)


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
    """Write a figure whole, the same bytes for the same figure."""
    from matplotlib import rc_context

    with complete_file(path) as temporary, rc_context({"svg.hashsalt": "minilwa"}):
        canvas.savefig(temporary, dpi=150, metadata={"Date": None} if temporary.suffix == ".svg" else None)
