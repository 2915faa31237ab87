"""Reported numbers as tables: lines of cells, the first of them the head."""

from __future__ import annotations

from typing import Any

from minilwa.experiments.paper import COLUMNS
from minilwa.report.numbers import bracket, figure, signed, spread
from minilwa.report.text import TITLES, Lines, beside_the_notebooks


def table(entry: dict[str, Any]) -> Lines:
    """Tables in the paper's columns: a line for each method or variant, beneath it the paper's and the notebooks'."""
    lines = [["Method", *(TITLES[column] for column in COLUMNS)]]
    for row in entry["rows"]:
        lines.append([row.get("variant", row["method"]), *(spread(row[column]) for column in COLUMNS)])
        for source in ("paper", "notebooks") if beside_the_notebooks(entry) else ("paper",):
            if source in row:
                lines.append([f"({source})", *(figure(row[source][column]) for column in COLUMNS)])
    return lines


def figure1(entry: dict[str, Any]) -> Lines:
    """Figure 1 in numbers: a line for every whole radius, and for those that the authors' figures are known at."""
    rows = entry["rows"]
    known = {radius for row in rows for radius in row["authors"]} if beside_the_notebooks(entry) else set()
    lines = [["Radius", *(TITLES[row["direction"]] + ", clipped" * row["clip"] for row in rows)]]
    for i, radius in enumerate(f"{radius:g}" for radius in rows[0]["radii"]):
        if i % 5 == 0 or radius in known:
            lines.append([radius, *(figure(row["accuracy"]["mean"][i]) for row in rows)])
        if radius in known:
            theirs = (row["authors"].get(radius) for row in rows)
            lines.append(["(authors)", *("" if accuracy is None else figure(accuracy) for accuracy in theirs)])
    return lines


def figure2(entry: dict[str, Any]) -> Lines:
    """Figure 2 in numbers: after the last epoch that was measured."""
    names = list(entry["rows"][0]["curves"])
    lines = [["Method", "Epochs", *(TITLES[name] for name in names)]]
    for row in entry["rows"]:
        last = (figure(row["curves"][name]["mean"][-1]) for name in names)
        lines.append([row["method"], str(row["epochs"][-1]), *last])
    return lines


def factorial(entry: dict[str, Any]) -> Lines:
    """A line for each training length, form and precision: both accuracies and their difference.

    "Too sure" is the share of test images with 1 - alpha_y < 1e-6, which float32 loses in the printed form.
    """
    head = ["Epochs", "Too sure", "Formulas", "Precision", "Adv_Loss", "Adv_Alpha", "Gain of Adv_Alpha"]
    lines = [head]
    for row in entry["rows"]:
        cells = {(c["form"], c["precision"], c["direction"]): c["accuracy"] for c in row["cells"]}
        for gain in row["gains"]:
            both = (spread(cells[gain["form"], gain["precision"], name]) for name in ("adv_loss", "adv_alpha"))
            more = f"{gain['mean']:+.4f}" + (f" ± {gain['std']:.4f}" if gain["std"] is not None else "")
            about = [str(row["epochs"]), figure(row["sure"]["mean"]), gain["form"], gain["precision"]]
            lines.append([*about, *both, more])
    return lines


def first_epoch(entry: dict[str, Any]) -> Lines:
    """A line for each setting: of how many seeds it began to learn, with Wilson's interval, and these' accuracies."""
    lines = [["Method", "Along", "Rate", "Radius", "Learning", "Clean, where learning", "Adv_Loss, where learning"]]
    for row in entry["rows"]:
        learning = f"{len(row['learned'])} of {row['seeds']} {bracket(row['learned_share']['wilson'], 2)}"
        of_these = [row[f"{key}_learned"] for key in ("clean", "adv_loss")]
        about = [row["method"], TITLES[row["along"]], f"{row['rate']:g}", f"{row['radius']:g}", learning]
        lines.append([*about, *(spread(found) if found else "" for found in of_these)])
    return lines


def masking(entry: dict[str, Any]) -> Lines:
    """A line for each method and seed: after the last epoch measured, and where most was right under PGD."""
    lines = [["Method", "Seed", "Epochs", "Clean", "Adv_Loss", "PGD", "PGD, best", "after epoch"]]
    for row in entry["rows"]:
        each = zip(*(row["each"][name] for name in ("validation", "adv_loss", "pgd")), strict=True)
        for seed, curves in zip(row["seed_numbers"], each, strict=True):
            last, best = [figure(values[-1]) for values in curves], max(curves[-1])
            at = row["epochs"][curves[-1].index(best)]
            lines.append([row["method"], str(seed), str(row["epochs"][-1]), *last, figure(best), str(at)])
    return lines


def frontier(entry: dict[str, Any]) -> Lines:
    """A line for each variant: what training takes, also as a share of the longest PGD training's; gains over both."""
    lines = [["Method", "Change", "Epochs", "Core-seconds", "of PGD's", "Clean", "Adv_Loss", "Worst case"]]
    lines[0] += ["Over LWA", "Over PGD"]
    for row in entry["rows"]:
        about = [row["curve"] or row["method"], row["change"], str(row["epochs"])]
        about += [f"{row['seconds']['mean']:.0f}", f"{row['share']['mean']:.2f}"]
        gains = ["" if row[over] is None else signed(row[over]) for over in ("gain", "lead")]
        lines.append([*about, *(spread(row[column]) for column in ("clean", "adv_loss", "worst")), *gains])
    return lines


def choice(entry: dict[str, Any]) -> Lines:
    """A line for each candidate."""
    lines = [["Method", "Change", "Epochs", "Clean", "Adv_Loss", "Worst case", "Over PGD"]]
    for row in entry["rows"]:
        about = [row["method"], row["change"], str(row["epochs"])]
        columns = (spread(row[column]) for column in ("clean", "adv_loss", "worst"))
        lines.append([*about, *columns, signed(row["lead"]) if row["lead"] else ""])
    return lines
