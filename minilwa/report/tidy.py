"""Every number of a row with what it is the number of, one a line: for CSV. ``about`` is what all of a row have."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from minilwa.experiments.paper import COLUMNS


def table(row: dict[str, Any], about: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """A line for each column."""
    for column in COLUMNS:
        printed = {source: row.get(source, {}).get(column) for source in ("paper", "notebooks")}
        yield about | {"column": column} | _numbers(row[column]) | printed


def figure1(row: dict[str, Any], about: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """A line for each radius."""
    for i, radius in enumerate(row["radii"]):
        found = {key: values[i] for key, values in row["accuracy"].items()}
        yield about | {"clip": row["clip"], "radius": radius} | found | {"authors": row["authors"].get(f"{radius:g}")}


def figure2(row: dict[str, Any], about: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """A line for each curve and epoch."""
    for column, curve in row["curves"].items():
        for i, epoch in enumerate(row["epochs"]):
            yield about | {"epochs": epoch, "column": column} | {key: values[i] for key, values in curve.items()}


def factorial(row: dict[str, Any], about: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """A line for each cell."""
    for cell in row["cells"]:
        yield about | {key: cell[key] for key in ("form", "precision", "direction")} | _numbers(cell["accuracy"])


def judgement(row: dict[str, Any], about: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """A line for the worst case, for each point of its curve, and for each attack and radius."""
    for name in ("worst", "worst_clipped"):
        if row[name]:
            yield about | {"attack": name, "radius": row["radius"]} | _numbers(row[name]["accuracy"])
            for i, radius in enumerate(row[name]["radii"]):
                curve = {key: values[i] for key, values in row[name]["curve"].items()}
                yield about | {"attack": f"{name}, curve", "radius": radius} | curve
    for attack, found in row["attacks"].items():
        for radius, accuracy in found["accuracy"].items():
            yield about | {"attack": attack, "radius": radius} | _numbers(accuracy)


def first_epoch(row: dict[str, Any], about: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """A line for the share of seeds that began to learn, and for each accuracy over all, and over those if any did."""
    about |= {key: row[key] for key in ("along", "rate", "radius")}
    for column in ("learned_share", "clean", "adv_loss", "clean_learned", "adv_loss_learned"):
        if row[column]:
            yield about | {"column": column, "of_seeds": len(row[column]["values"])} | _numbers(row[column])


def masking(row: dict[str, Any], about: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """A line for each seed, curve and epoch."""
    for column, curves in row["each"].items():
        for seed, curve in zip(row["seed_numbers"], curves, strict=True):
            for epoch, accuracy in zip(row["epochs"], curve, strict=True):
                yield about | {"seed": seed, "epochs": epoch, "column": column, "accuracy": accuracy}


def frontier(row: dict[str, Any], about: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """A line for each accuracy, and for what each attack left."""
    about |= {"change": row["change"], "passes": row["passes"]}
    about |= {key: row[key]["mean"] for key in ("seconds", "share") if key in row}
    for column in ("clean", "adv_loss", "worst"):
        yield about | {"column": column} | _numbers(row[column])
    for attack, found in row["left"].items():
        yield about | {"column": f"left by {attack}"} | _numbers(found)


def _numbers(found: dict[str, Any]) -> dict[str, Any]:
    low, high = found["interval"] or (None, None)
    numbers = {"mean": found["mean"], "std": found["std"], "low": low, "high": high}
    return numbers | dict(zip(("wilson_low", "wilson_high"), found["wilson"], strict=True))
