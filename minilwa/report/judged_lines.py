"""The judgement of networks as a table: the worst case first, then each attack, then the gradients that they met."""

from __future__ import annotations

from typing import Any

from minilwa.experiments.concentration import WINDOW
from minilwa.experiments.paper import DEEPFOOL
from minilwa.report.numbers import average, bracket, figure, spread
from minilwa.report.text import TITLES, Lines

TRANSFER = "transferred, from another Normal network"


def judgement(entry: dict[str, Any]) -> Lines:
    """A line for each attack, with the accuracy of each method at the radius of the tables; the worst case first."""
    rows = entry["rows"]
    radius = f"{rows[0]['radius']:g}"
    lines = [[f"L2 radius {radius}", *(row["method"] for row in rows)]]
    lines.append(["clean", *(spread(row["validation"]) for row in rows)])
    for name, label in (("worst", "worst case"), ("worst_clipped", "worst case, clipped")):
        found = [row[name] and row[name]["accuracy"] for row in rows]
        lines.append([label, *(spread(f) if f else "" for f in found)])
        for kind, over in (("interval", "95% interval over seeds"), ("wilson", "Wilson interval over images")):
            if any(f and f[kind] for f in found) and len(entry["seeds"]) > 1:  # with one, it stands above
                lines.append([f"({over})", *(bracket(f[kind]) if f and f[kind] else "" for f in found)])
    lines += distances(entry)
    for attack in dict.fromkeys(name for row in rows for name in row["attacks"]):
        found = [row["attacks"].get(attack, {}) for row in rows]
        if any(f.get("accuracy") for f in found):
            label = TRANSFER if attack == "transfer" else attack
            lines.append([label, *(spread(f["accuracy"][radius]) if f.get("accuracy") else "" for f in found)])
        else:
            lines.append([f"{attack}, median distance", *(average(f.get("median", [])) for f in found)])
    lines += concentrations(rows)
    kinds = {"total": "taken by all attacks", "zero": "that are zero", "not_finite": "that are not finite"}
    for key, which in kinds.items():
        lines.append([f"gradients {which}", *(f"{row['checks']['gradients'][key]:,}" for row in rows)])
    return lines


def concentrations(rows: list[dict[str, Any]]) -> Lines:
    """Of which share of the images a perturbation has more than half of ||r||^2 in one window."""
    lines = []
    for name in ("adv_loss", "adv_alpha"):
        found = [(row["concentration"] or {}).get(name, {"n": 0}) for row in rows]
        if any(f["n"] for f in found):
            cells = (figure(f["concentrated"] / f["n"]) if f["n"] else "" for f in found)
            lines.append([f"share with more than half of ‖r‖² in {WINDOW} x {WINDOW} pixels, {TITLES[name]}", *cells])
    return lines


def distances(entry: dict[str, Any]) -> Lines:
    """How far the worst case had to go, and DeepFool by itself beside what its authors published."""
    rows = entry["rows"]
    lines = [
        [label, *(average(row["worst"][name]) for row in rows)]
        for name, label in (
            ("median", "median distance"),
            ("mean", "mean distance"),
            ("relative_mean", "mean of ‖r‖/‖x‖"),
            ("to_chance", f"radius down to chance, {1 / rows[0]['classes']:.2g}"),
        )
    ]
    if any("deepfool" in row["attacks"] for row in rows):
        own = (row["attacks"].get("deepfool", {}).get("relative_mean", []) for row in rows)
        lines.append(["mean of ‖r‖/‖x‖, DeepFool alone", *map(average, own)])
        if entry["experiment"] in DEEPFOOL:
            network, published = DEEPFOOL[entry["experiment"]]
            cells = (f"{published:.3f}" if row["method"] == "Normal" else "" for row in rows)
            lines.append([f"(DeepFool's authors, {network})", *cells])
    return lines
