"""From the records of single runs to what is reported: means, spreads and intervals, beside the paper's figures."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict
from pathlib import Path
from statistics import mean, stdev
from typing import Any

import numpy as np

from minilwa.errors import InputError
from minilwa.evaluation import Score
from minilwa.experiments.paper import COLUMNS, NOTEBOOKS, PRINTED
from minilwa.experiments.protocols import PROTOCOLS, ROWS, Plan
from minilwa.report.text import JUDGED

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


def judgement(experiment: str, records: Sequence[Record]) -> list[Record]:
    """A row for each method: each attack by itself, and the worst case over them, image by image.

    A clipped point is one that an unclipped attack could have found, so the unclipped worst case is over both. Images
    made on another network, other precisions and other norms are reported, but no part of it.
    """
    rows = []
    for method, found in grouped(records, "method", ROWS).items():
        sizes = {r["seed"]: np.array(r["sizes"]) for r in found if r["attack"] == "none"}
        attacks = {name: rs for name, rs in grouped(found, "attack").items() if name != "none"}
        whole = [r for rs in attacks.values() for r in rs if r["norm"] == "l2" and r["precision"] == "float32"]
        whole = [r for r in whole if r["attack"] != "transfer" and r["seed"] in sizes]
        if not whole:
            continue
        row: Record = {"method": method, "seeds": len({r["seed"] for r in whole}), "n": whole[0]["n"]}
        row |= {"radius": whole[0]["radius"], "attacks": {name: one_attack(rs) for name, rs in attacks.items()}}
        row["validation"] = statistics([r["accuracy"] for r in found if r["attack"] == "none"], row["n"])
        row["worst"] = worst(whole, sizes)
        row["worst_clipped"] = worst([r for r in whole if r["clip"]], sizes)
        rows.append(row)
    return rows


def one_attack(records: Sequence[Record]) -> Record:
    """What one attack did to the networks of one method: accuracies at the radii, distances, gradients."""
    first, found = records[0], {}
    if first["accuracy"] is not None:
        accuracies = zip(*(r["accuracy"] for r in records), strict=True)
        found = {f"{radius:g}": statistics(a, first["n"]) for radius, a in zip(first["radii"], accuracies, strict=True)}
    gradients = [r["gradients"] for r in records if r["gradients"] is not None]
    counts = {key: sum(g[key] for g in gradients) for key in gradients[0]} if gradients else None
    distances = {key: [r["summary"][key] for r in records] for key in ("median", "mean", "relative_mean", "broken")}
    return {"norm": first["norm"], "seeds": len(records), "accuracy": found, "gradients": counts, **distances}


def worst(records: Sequence[Record], sizes: dict[int, np.ndarray]) -> Record | None:
    """The worst case over attacks: accuracy over the radius; the distances' median, mean, and mean share of ||x||."""
    if not records:
        return None
    least = []
    for seed in sorted({r["seed"] for r in records}):
        found = [[np.inf if d is None else d for d in r["distances"]] for r in records if r["seed"] == seed]
        least.append((np.min(found, axis=0), sizes[seed]))
    radii = np.linspace(0, max(r["radii"][-1] for r in records), CURVE_POINTS)
    n, radius = records[0]["n"], records[0]["radius"]
    right = [(d[d > 0], size[d > 0]) for d, size in least]
    broken = [(d[np.isfinite(d)], size[np.isfinite(d)]) for d, size in right]
    medians = [float(np.median(d)) for d, _ in right]
    return {
        "attacks": sorted({r["attack"] for r in records}),
        "accuracy": statistics([float((d > radius).mean()) for d, _ in least], n),
        "radii": radii.tolist(),
        "curve": band([[float((d > r).mean()) for r in radii] for d, _ in least], n),
        "median": [m if math.isfinite(m) else None for m in medians],
        "mean": [float(d.mean()) for d, _ in broken],
        "relative_mean": [float((d / size).mean()) for d, size in broken],
        "unbroken": [int(np.isinf(d).sum()) for d, _ in right],
    }


CURVE_POINTS = 61
CELL = ("form", "precision", "direction")

AGGREGATES: dict[str, Callable[[str, Sequence[Record]], list[Record]]] = {
    "table1": table,
    "table2": table,
    "cifar10": table,
    "figure1": figure1,
    "figure2": figure2,
    "factorial": factorial,
    **dict.fromkeys(JUDGED, judgement),
}
OPTIONS = ("epochs", "batch", "rate", "momentum", "form", "dtype")
USUAL_DATA = {"cifar10": "cifar10", "judge-cifar10": "cifar10"}  # that of the others is mnist


def entry(experiment: str, config: Record, records: Sequence[Record]) -> Record:
    """What is reported of one experiment: its configuration and the rows over all seeds that are there."""
    try:
        about = {key: config[key] for key in ("data", "split", "images", "protocol", "form", "dtype", "versions")}
        rows = AGGREGATES[experiment](experiment, records)
        made_by = command(experiment, config, seeds := sorted({record["seed"] for record in records}))
        plans = {(plan := Plan.read(record["plan"])).variant: asdict(plan) for record in records}
    except (LookupError, TypeError, ValueError, AttributeError) as error:
        raise InputError("results", f"{experiment} with {error!r}", "files that minilwa wrote") from None
    return about | {
        "experiment": experiment,
        "seeds": seeds,
        "command": made_by,
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
                reported = entry(experiment, config, records)
                key = f"{experiment}/{reported['protocol']}"
                key += f"/{reported['split']}-split" if reported["split"] != "full" else ""
                if key in found or reported["data"].split()[0] != USUAL_DATA.get(experiment, "mnist"):
                    key += f"/{reported['data']}"
                found[key] = reported
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
