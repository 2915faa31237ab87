"""From the records of single runs to rows: means, spreads and intervals, beside the paper's figures."""

from __future__ import annotations

from collections.abc import Sequence

from minilwa.experiments.choice import CANDIDATES
from minilwa.experiments.first_epoch import VARIANTS as FIRST_EPOCHS
from minilwa.experiments.frontier import PLAIN, REFERENCE, VARIANTS
from minilwa.experiments.paper import COLUMNS, FIGURE1, NOTEBOOKS, PRINTED
from minilwa.experiments.protocols import ROWS, Plan
from minilwa.report.intervals import Record, band, grouped, paired, statistics

SOURCES = {"paper", "notebooks"}
CELL = ("form", "precision", "direction")


def table(records: Sequence[Record], experiment: str) -> list[Record]:
    """A row for each method: statistics of every column, and what the paper and its authors' notebooks have."""
    return [table_row(experiment, found) for found in grouped(records, "method", ROWS).values()]


def table_row(experiment: str, found: Sequence[Record]) -> Record:
    """The records of one row, all seeds."""
    row: Record = {"method": found[0]["method"], "seeds": len(found), "n": found[0]["n"]}
    row["seed_numbers"] = [r["seed"] for r in found]
    row["classes"] = found[0].get("classes", 10)  # older records, of MNIST and CIFAR-10, do not tell
    row |= {column: statistics([r[column] for r in found], found[0]["n"]) for column in COLUMNS}
    zeros = found[0]["zero_gradients"]
    row["zero_gradients"] = {column: [r["zero_gradients"][column] for r in found] for column in zeros}
    for source, figures in (("paper", PRINTED), ("notebooks", NOTEBOOKS)):
        if known := figures.get(experiment, {}).get(row["method"]):
            row[source] = dict(zip(COLUMNS, known, strict=True))
    return row


def variants(records: Sequence[Record], table: str) -> list[Record]:
    """The rows of ``table``, each followed by itself with settings changed; the paper's figures with the former."""
    named = [{"variant": Plan.read(record["plan"]).variant} | record for record in records]
    rows = []
    for method, found in grouped(named, "method", ROWS).items():
        for variant, same in grouped(found, "variant", [method]).items():
            row = {"variant": variant} | table_row(table, same)
            rows.append({key: value for key, value in row.items() if variant == method or key not in SOURCES})
    return rows


def first_epoch(records: Sequence[Record]) -> list[Record]:
    """A row for each setting: which seeds began to learn, and the accuracies of all and of those, None if of none."""
    rows = []
    for variant, found in grouped(records, "variant", FIRST_EPOCHS).items():
        plan, n = Plan.read(found[0]["plan"]), found[0]["n"]
        row: Record = {"method": plan.method.name, "variant": variant, "seeds": len(found), "n": n}
        row |= {"along": plan.method.along, "rate": plan.recipe.rate, "radius": plan.method.radius}
        learned = [record for record in found if record["learned"]]
        row["learned"] = [record["seed"] for record in learned]
        row["learned_share"] = statistics([float(record["learned"]) for record in found], len(found))
        for key in ("clean", "adv_loss"):
            row[key] = statistics([record[key] for record in found], n)
            row[f"{key}_learned"] = statistics([r[key] for r in learned], n) if learned else None
        rows.append(row)
    return rows


def figure1(records: Sequence[Record]) -> list[Record]:
    """A row for each direction, unclipped and clipped: the accuracy at every radius; ``authors``, theirs at some."""
    every = [
        {"clip": False} | curve | {"seed": r["seed"], "n": r["n"], "radii": r["radii"]}
        for r in records
        for curve in r["curves"]
    ]
    return [
        {
            "direction": name,
            "clip": clip,
            "seeds": len(found),
            "n": found[0]["n"],
            "radii": found[0]["radii"],
            "accuracy": band([curve["accuracy"] for curve in found], found[0]["n"]),
            "values": [curve["accuracy"] for curve in found],
            "authors": {} if clip else {f"{r:g}": known[name] for r, known in FIGURE1.items() if name in known},
        }
        for clip, curves in grouped(every, "clip").items()
        for name, found in grouped(curves, "direction", [curve["direction"] for curve in curves]).items()
    ]


def figure2(records: Sequence[Record]) -> list[Record]:
    """A row for each method: the accuracy after every epoch that was kept, clean and attacked."""
    return [
        learning(found)
        | {
            "curves": {
                name: band([record["curves"][name] for record in found], found[0]["n"]) for name in found[0]["curves"]
            },
            "values": [record["curves"]["validation"] for record in found],
        }
        for found in grouped(records, "method", ROWS).values()
    ]


def masking(records: Sequence[Record]) -> list[Record]:
    """A row for each method: the accuracies after every epoch that was kept, of ``each`` seed by itself."""
    return [
        learning(found) | {"each": {name: [record["curves"][name] for record in found] for name in found[0]["curves"]}}
        for found in grouped(records, "method", ROWS).values()
    ]


def learning(found: Sequence[Record]) -> Record:
    """Whose learning curves a row is of, from the records of one method, all seeds."""
    row = {"method": found[0]["method"], "seeds": len(found), "seed_numbers": [record["seed"] for record in found]}
    return row | {key: found[0][key] for key in ("n", "epochs")}


def factorial(records: Sequence[Record]) -> list[Record]:
    """A row for each training length: all cells, and the gain of Adv_Alpha over Adv_Loss in each form and precision."""
    rows = []
    for epochs, found in grouped(records, "epochs").items():
        n = found[0]["n"]
        cells = {tuple(cell[k] for k in CELL): [] for cell in found[0]["cells"]}  # type: dict[tuple[str, ...], list]
        for record in found:
            for cell in record["cells"]:
                cells[tuple(cell[k] for k in CELL)].append(cell["accuracy"])
        gains = [
            {"form": form, "precision": precision}
            | statistics([a - b for a, b in zip(values, cells[form, precision, "adv_alpha"], strict=True)])
            for (form, precision, direction), values in cells.items()
            if direction == "adv_loss"
        ]
        rows.append(
            {
                "epochs": epochs,
                "seeds": len(found),
                "n": n,
                "sure": statistics([record["sure"] for record in found]),
                "cells": [
                    dict(zip(CELL, key, strict=True)) | {"accuracy": statistics(values, n)}
                    for key, values in cells.items()
                ],
                "gains": gains,
            }
        )
    return rows


def frontier(records: Sequence[Record]) -> list[Record]:
    """A row for each variant: its accuracies, its training time, and the share of PGD training's that this is.

    ``gain`` is what its worst case is above that of plain LWA, and ``lead`` above that of PGD training, over the seeds
    that both have; None for these themselves. What has not been both attacked and timed is left out.
    """
    whole: dict[tuple[str, int], Record] = {}
    for record in records:  # accuracies or a time
        key = record["variant"], record["seed"]
        whole[key] = whole.get(key, {}) | record
    records = [record for record in whole.values() if {"worst", "share"} <= set(record)]
    plain, pgd = ({r["seed"]: r for r in records if r["variant"] == name} for name in (PLAIN, REFERENCE))
    rows = []
    for variant, found in grouped(records, "variant", list(VARIANTS)).items():
        row = variant_row(variant, found)
        row |= {"gain": worst_case_over(plain, found), "lead": worst_case_over(pgd, found)}
        row |= {key: statistics([record[key] for record in found]) for key in ("share", "seconds", "step_seconds")}
        rows.append(row)
    return rows


def variant_row(variant: str, found: Sequence[Record]) -> Record:
    """The accuracies of one variant, all seeds."""
    n = found[0]["n"]
    row: Record = {key: found[0][key] for key in ("method", "change", "curve", "epochs", "passes")}
    row |= {"variant": variant, "seeds": len(found), "n": n}
    row |= {key: statistics([record[key] for record in found], n) for key in ("clean", "adv_loss", "worst")}
    return row | {"left": {name: statistics([r["left"][name] for r in found], n) for name in found[0]["left"]}}


def choice(records: Sequence[Record]) -> list[Record]:
    """A row for each candidate, the best first; ``lead`` is what it withstands more than PGD training, by image."""
    standing = {(r["variant"], r["seed"]): r["standing"] for r in records}
    rows = []
    for variant, found in grouped(records, "variant", list(CANDIDATES)).items():
        both = [(r["standing"], standing[REFERENCE, r["seed"]]) for r in found if (REFERENCE, r["seed"]) in standing]
        lead = paired(both, found[0]["n"]) if both and variant != REFERENCE else None
        rows.append(variant_row(variant, found) | {"lead": lead})
    return sorted(rows, key=lambda row: -row["worst"]["mean"])


def worst_case_over(other: dict[int, Record], found: Sequence[Record]) -> Record | None:
    """What the worst case is above that of ``other``, by its seed; None without a seed of both, or for the same."""
    both = [(record, other[record["seed"]]) for record in found if record["seed"] in other]
    gains = [a["worst"] - b["worst"] for a, b in both if a is not b]
    return statistics(gains) if gains else None
