"""From the records of single runs to what is reported: means, spreads and intervals, beside the paper's figures."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict
from pathlib import Path
from statistics import mean, stdev
from typing import Any

from minilwa.errors import InputError
from minilwa.evaluation import Score
from minilwa.experiments.paper import COLUMNS, NOTEBOOKS, PRINTED
from minilwa.experiments.protocols import PROTOCOLS, ROWS, Plan

Record = dict[str, Any]


def statistics(values: Sequence[float], n: int | None = None) -> Record:
    """Mean and standard deviation over seeds, the 95% t-interval of the mean, and Wilson's over ``n`` images.

    Spread and t-interval are None with a single seed. Wilson's interval takes the mean as if it were one network's.
    """
    from scipy.stats import t

    count, centre = len(values), mean(values)
    spread = stdev(values) if count > 1 else None
    found: Record = {"mean": centre, "std": spread, "interval": None, "values": list(values)}
    if spread is not None:
        half = float(t.ppf(0.975, count - 1)) * spread / math.sqrt(count)
        found["interval"] = [centre - half, centre + half]
    if n is not None:
        found["wilson"] = list(Score(round(centre * n), n).interval())
    return found


def band(values: Sequence[Sequence[float]], n: int) -> Record:
    """Curves, one a seed, as their mean and, point by point, the t-interval of it (one seed: Wilson's interval)."""
    points = [statistics(point, n) for point in zip(*values, strict=True)]
    intervals = [point["interval"] or point["wilson"] for point in points]
    low, high = zip(*intervals, strict=True)
    return {"mean": [point["mean"] for point in points], "low": list(low), "high": list(high)}


def grouped(records: Iterable[Record], key: str, order: Sequence[Any] = ()) -> dict[Any, list[Record]]:
    """Records by the value of ``key``: those in ``order`` first, then the others sorted; each by seed."""
    found: dict[Any, list[Record]] = {}
    for record in sorted(records, key=lambda record: record["seed"]):
        found.setdefault(record[key], []).append(record)
    return {name: found[name] for name in [*(o for o in order if o in found), *sorted(set(found) - set(order))]}


def table(experiment: str, records: Sequence[Record]) -> list[Record]:
    """A row for each method: statistics of every column, and what the paper and its authors' notebooks have."""
    rows = []
    for method, found in grouped(records, "method", ROWS).items():
        row: Record = {"method": method, "seeds": len(found), "n": found[0]["n"]}
        row |= {column: statistics([r[column] for r in found], found[0]["n"]) for column in COLUMNS}
        zeros = found[0]["zero_gradients"]
        row["zero_gradients"] = {column: [r["zero_gradients"][column] for r in found] for column in zeros}
        for source, figures in (("paper", PRINTED), ("notebooks", NOTEBOOKS)):
            if known := figures.get(experiment, {}).get(method):
                row[source] = dict(zip(COLUMNS, known, strict=True))
        rows.append(row)
    return rows


def figure1(experiment: str, records: Sequence[Record]) -> list[Record]:
    """A row for each direction: the accuracy at every radius."""
    curves = [curve | {"seed": r["seed"], "n": r["n"], "radii": r["radii"]} for r in records for curve in r["curves"]]
    return [
        {
            "direction": name,
            "seeds": len(found),
            "n": found[0]["n"],
            "radii": found[0]["radii"],
            "accuracy": band([curve["accuracy"] for curve in found], found[0]["n"]),
        }
        for name, found in grouped(curves, "direction", [curve["direction"] for curve in curves]).items()
    ]


def figure2(experiment: str, records: Sequence[Record]) -> list[Record]:
    """A row for each method: the accuracy after every epoch that was kept, clean and attacked."""
    return [
        {
            "method": method,
            "seeds": len(found),
            "n": found[0]["n"],
            "epochs": found[0]["epochs"],
            "curves": {
                name: band([record["curves"][name] for record in found], found[0]["n"]) for name in found[0]["curves"]
            },
        }
        for method, found in grouped(records, "method", ROWS).items()
    ]


def factorial(experiment: str, records: Sequence[Record]) -> list[Record]:
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


CELL = ("form", "precision", "direction")

AGGREGATES: dict[str, Callable[[str, Sequence[Record]], list[Record]]] = {
    "table1": table,
    "table2": table,
    "cifar10": table,
    "figure1": figure1,
    "figure2": figure2,
    "factorial": factorial,
}
OPTIONS = ("epochs", "batch", "rate", "momentum", "form", "dtype")
USUAL_DATA = {"cifar10": "cifar10"}  # that of the others is mnist


def entry(experiment: str, config: Record, records: Sequence[Record]) -> Record:
    """What is reported of one experiment: its configuration and the rows over all seeds that are there."""
    try:
        about = {key: config[key] for key in ("data", "split", "images", "protocol", "form", "dtype", "versions")}
        rows = AGGREGATES[experiment](experiment, records)
        plans = {(plan := Plan.read(record["plan"])).variant: asdict(plan) for record in records}
    except (LookupError, TypeError, ValueError, AttributeError) as error:
        raise InputError("results", f"{experiment} with {error!r}", "files that minilwa wrote") from None
    seeds = sorted({record["seed"] for record in records})
    return about | {
        "experiment": experiment,
        "seeds": seeds,
        "command": command(experiment, config, seeds),
        "rows": rows,
        "plans": plans,
    }


def command(experiment: str, config: Record, seeds: Sequence[int]) -> str:
    """The command that makes these runs, as far as the configuration tells."""
    words = ["minilwa reproduce", experiment, f"--data {config['data'].split()[0]}", f"--protocol {config['protocol']}"]
    words += [f"--split {config['split']}"] if config["split"] != "full" else []
    usual = PROTOCOLS[config["protocol"]]
    for name, default in {**vars(usual.recipe), "form": usual.form, "dtype": "float32"}.items():
        found = config["recipe"].get(name, config.get(name, default))
        words += [f"--{name} {found}"] if name in OPTIONS and found != default else []
    return " ".join([*words, f"--seeds {max(seeds) + 1}"])


def collect(results: Path) -> dict[str, Record]:
    """All that is finished below the folder ``results``, by "experiment/protocol".

    Runs on other data than the paper's have it in the key, "table1/quick/mnist5k", and so has the paper's split.
    """
    if not results.is_dir():
        raise InputError("results", f"{results}, which is no folder", "the folder that minilwa reproduce filled")
    found: dict[str, Record] = {}
    for path in sorted([*results.glob("config.json"), *results.glob("*/config.json")]):
        config = read(path)
        for experiment in AGGREGATES:
            records = [read(record) for record in sorted((path.parent / experiment).glob("[!.]*.json"))]
            if records:
                key = f"{experiment}/{config['protocol']}"
                key += f"/{config['split']}-split" if config["split"] != "full" else ""
                if key in found or config["data"].split()[0] != USUAL_DATA.get(experiment, "mnist"):
                    key += f"/{config['data']}"
                found[key] = entry(experiment, config, records)
    if not found:
        raise InputError("results", f"{results} without a finished run", "the folder that minilwa reproduce filled")
    return dict(sorted(found.items(), key=lambda item: (list(AGGREGATES).index(item[1]["experiment"]), item[0])))


def read(path: Path) -> Record:
    """A JSON file that a run left."""
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
        if not isinstance(found, dict):
            raise ValueError("no object")
    except (OSError, ValueError) as error:
        raise InputError("results", f"{path} ({error})", "a file that minilwa wrote") from None
    return found
