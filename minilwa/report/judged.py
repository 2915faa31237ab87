"""From the records of single attacks to the judgement of each network: the worst case over them, image by image."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from minilwa.evaluation import beyond_guessing
from minilwa.experiments import judge
from minilwa.experiments.protocols import ROWS
from minilwa.report.intervals import Record, band, grouped, statistics

ASIDE = ("none", "concentration")  # measured on the same images, no attacks
CURVE_POINTS = 61


def judgement(records: Sequence[Record]) -> list[Record]:
    """A row for each method: each attack by itself, the worst case over them, and what makes it doubtful.

    A clipped point is one that an unclipped attack could have found, so the unclipped worst case is over both. Images
    made on another network, other precisions and other norms are reported, but no part of it. Networks on which attacks
    are still to be run that others have met are left out: a worst case over fewer of them would flatter. Distances,
    gradients and concentration are those of the networks that learned, if any did: one that always answers the same is
    far from every other answer, and flat.
    """
    rows, every = [], {r["attack"] for r in records}
    for method, of_method in grouped(records, "method", ROWS).items():
        by_seed = grouped(of_method, "seed")
        seeds = [seed for seed, of_one in by_seed.items() if {r["attack"] for r in of_one} == every]
        found = {attack: rs for attack, rs in grouped(of_method, "attack").items() if attack not in ASIDE}
        found = {attack: [r for r in rs if r["seed"] in seeds] for attack, rs in found.items()}
        whole = [r for rs in found.values() for r in rs if r["norm"] == "l2" and r["precision"] == "float32"]
        whole = [r for r in whole if r["attack"] != "transfer"]
        clean = [r for seed in seeds for r in by_seed[seed] if r["attack"] == "none"]
        if not (whole and clean):
            continue
        row: Record = {"method": method, "seeds": len(seeds), "seed_numbers": seeds, "n": whole[0]["n"]}
        row |= {"radius": whole[0]["radius"], "classes": clean[0]["classes"]}
        learned = [r for r in clean if beyond_guessing(r["accuracy"], r["classes"])] or clean
        sizes = {r["seed"]: np.array(r["sizes"]) for r in learned}
        row["attacks"] = {attack: one_attack(rs, list(sizes)) for attack, rs in found.items()}
        row["validation"] = statistics([r["accuracy"] for r in clean], row["n"])
        row["worst"] = worst(whole, sizes, clean[0]["classes"])
        row["worst_clipped"] = worst([r for r in whole if r["clip"]], sizes, clean[0]["classes"])
        row["checks"] = checks(found, whole, list(sizes))
        looked_at = [r for seed in sizes for r in by_seed[seed] if r["attack"] == "concentration"]
        row["concentration"] = concentrated(looked_at) if looked_at else None
        rows.append(row)
    return rows


def parts_of(entry: Record) -> dict[str, judge.Part]:
    """The attacks that the networks of a judgement meet."""
    return judge.parts(judge.network_of(entry["experiment"]), entry["protocol"])


def missing_attacks(entry: Record) -> list[str]:
    """The attacks that the networks of a judgement's rows are still to meet."""
    every = parts_of(entry)
    return [name for name in every if any(name not in row["attacks"] for row in entry["rows"])]


def at_one_radius(entry: Record) -> list[str]:
    """The attacks of the worst case that were run at the radius of the tables alone, where others were at more."""
    first, parts = entry["rows"][0], parts_of(entry)
    radii = {name: len(first["attacks"][name]["accuracy"]) for name in first["worst"]["attacks"]}
    return [name for name, count in radii.items() if count == 1 < max(radii.values()) and not parts[name].check]


def traced(records: Sequence[Record]) -> list[int]:
    """The seeds on whose networks the attacks were run at the most radii, so that a curve can be told."""
    counts = {seed: sum(len(r["radii"]) for r in of_one) for seed, of_one in grouped(records, "seed").items()}
    return [seed for seed, count in counts.items() if count == max(counts.values())]


def one_attack(records: Sequence[Record], learned: Sequence[int]) -> Record:
    """What one attack did to the networks of one method: accuracies at the radii; distances and gradients of those
    whose seeds ``learned``."""
    first, seeds, found = records[0], len(records), {}
    if first["accuracy"] is not None:
        told = [dict(zip(r["radii"], r["accuracy"], strict=True)) for r in records]
        radii = sorted(set().union(*told))
        found = {f"{radius:g}": statistics([t[radius] for t in told if radius in t], first["n"]) for radius in radii}
    records = [r for r in records if r["seed"] in learned]
    gradients = [r["gradients"] for r in records if r["gradients"] is not None]
    counts = {key: sum(g[key] for g in gradients) for key in gradients[0]} if gradients else None
    distances = {key: [r["summary"][key] for r in records] for key in ("median", "mean", "relative_mean", "broken")}
    return {"norm": first["norm"], "seeds": seeds, "accuracy": found, "gradients": counts, **distances}


def worst(records: Sequence[Record], sizes: dict[int, np.ndarray], classes: int) -> Record | None:
    """The worst case over attacks: accuracy at the radius, and of those networks in ``sizes`` (the norms of the images,
    by seed) that were `traced`: over the radius; the distances' median, mean, and mean share of ||x||; ``to_chance``,
    where no more are right than guessing gets."""
    if not records:
        return None
    found, every = least(records), traced(records)
    told = [seed for seed in every if seed in sizes] or traced([r for r in records if r["seed"] in sizes])
    pairs = [(found[seed], sizes[seed]) for seed in told]
    radii = np.linspace(0, max(r["radii"][-1] for r in records), CURVE_POINTS)
    n, radius = records[0]["n"], records[0]["radius"]
    right = [(d[d > 0], size[d > 0]) for d, size in pairs]
    broken = [(d[np.isfinite(d)], size[np.isfinite(d)]) for d, size in right]
    return {
        "attacks": sorted({r["attack"] for r in records}),
        "accuracy": statistics([float((d > radius).mean()) for d in found.values()], n),
        "traced": told,
        "at_one_radius": [seed for seed in found if seed not in every],
        "radii": radii.tolist(),
        "curve": band([[float((d > r).mean()) for r in radii] for d, _ in pairs], n),
        "median": [known(np.median(d)) if len(d) else None for d, _ in right],
        "mean": [float(d.mean()) if len(d) else None for d, _ in broken],
        "relative_mean": [float((d / size).mean()) if len(d) else None for d, size in broken],
        "unbroken": [int(np.isinf(d).sum()) for d, _ in right],
        "to_chance": [known(np.sort(d)[len(d) - len(d) // classes - 1]) for d, _ in pairs],
    }


def checks(found: dict[str, list[Record]], whole: Sequence[Record], learned: Sequence[int]) -> Record:
    """What would make the worst case doubtful, each a count or a change of accuracy for every seed.

    ``transfer_only``: images that the set made on another network breaks at the radius, and no attack does;
    ``blind_only``: those that only attacks without gradients break; ``gradients``: of all attacks together, on those
    that ``learned``;
    ``again``: what the same attack gives in float64 or with twice the steps, and for how many images it differs.
    """
    radius, guided = whole[0]["radius"], [r for r in whole if r["gradients"] is not None]
    everything, by_gradients = least(whole), least(guided)
    transfer = least(found.get("transfer", []))
    learning = [r for rs in found.values() for r in rs if r["seed"] in learned]
    counts = [r["gradients"] for r in learning if r["gradients"] is not None]
    again = {}
    for name, records in found.items():
        first = found.get(repeated(name), [])
        if name.endswith(("-float64", "steps")) and first:
            pairs = [(a, b) for a, b in zip(distances_of(first), distances_of(records), strict=True)]
            change = [float((b > radius).mean() - (a > radius).mean()) for a, b in pairs]
            differ = [int(((a > radius) != (b > radius)).sum()) for a, b in pairs]
            again[name] = {"change": statistics(change), "differ": differ}
    return {
        "transfer_only": [int(((d <= radius) & (everything[s] > radius)).sum()) for s, d in transfer.items()],
        "blind_only": [int(((everything[s] <= radius) & (d > radius)).sum()) for s, d in by_gradients.items()],
        "gradients": {key: sum(c[key] for c in counts) for key in ("total", "zero", "not_finite")},
        "again": again,
    }


def repeated(name: str) -> str:
    """The attack that another repeats: in float32, or with half the steps."""
    first, _, how = name.rpartition("-")
    return f"{first}-200steps" if how == "400steps" else first


def concentrated(records: Sequence[Record]) -> Record:
    """By direction: the share of the moved images in which one window holds more than half of ||r||^2, and by how
    much it does in the median (mean over seeds) and in the worst case."""
    found: Record = {"window": records[0]["window"]}
    for name in records[0]["directions"]:
        parts = [r["directions"][name] for r in records if r["directions"][name]["n"]]
        found[name] = {key: sum(part[key] for part in parts) for key in ("n", "concentrated")}
        found[name] |= {key: float(np.mean([part[key] for part in parts])) for key in ("median", "pixel") if parts}
        found[name] |= {"largest": max((part["largest"] for part in parts), default=None), "seeds": len(parts)}
    return found


def least(records: Sequence[Record]) -> dict[int, np.ndarray]:
    """By seed the least distance ``(N,)`` over the attacks, inf where none succeeded."""
    return {seed: np.min(list(distances_of(of_one)), axis=0) for seed, of_one in grouped(records, "seed").items()}


def distances_of(records: Sequence[Record]) -> list[np.ndarray]:
    """The distances ``(N,)`` of each record, inf where the attack did not succeed."""
    return [np.array([np.inf if d is None else d for d in r["distances"]]) for r in records]


def known(distance: float) -> float | None:
    """The number, None if it is infinite, which JSON does not have."""
    return float(distance) if math.isfinite(distance) else None
