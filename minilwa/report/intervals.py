"""Means over seeds with their spreads and intervals, and records in groups."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from statistics import mean, stdev
from typing import Any

import numpy as np

from minilwa.evaluation import Score

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


def paired(standing: Sequence[tuple[Sequence[int], Sequence[int]]], n: int) -> Record:
    """How many more of ``n`` images one network is right on than another, as a share, and the 95% interval over images.

    ``standing`` has for each seed the numbers of the images that the one is right on, and of those of the other. The
    difference is taken image by image, a mean over the seeds.
    """
    gains = np.zeros((len(standing), n))
    for gain, (ours, theirs) in zip(gains, standing, strict=True):
        gain[list(ours)] += 1
        gain[list(theirs)] -= 1
    of_images = gains.mean(axis=0)
    centre, half = float(of_images.mean()), 1.96 * float(of_images.std(ddof=1)) / math.sqrt(n)
    return {"mean": centre, "interval": [centre - half, centre + half], "values": gains.mean(axis=1).tolist()}


def band(values: Sequence[Sequence[float]], n: int) -> Record:
    """Curves of accuracies, one a seed, as their mean and, point by point, the t-interval of it as far as it is within
    [0, 1] (one seed: Wilson's interval)."""
    points = [statistics(point, n) for point in zip(*values, strict=True)]
    intervals = [point["interval"] or point["wilson"] for point in points]
    low, high = zip(*intervals, strict=True)
    within = {"low": [max(0.0, end) for end in low], "high": [min(1.0, end) for end in high]}
    return {"mean": [point["mean"] for point in points]} | within


def grouped(records: Iterable[Record], key: str, order: Sequence[Any] = ()) -> dict[Any, list[Record]]:
    """Records by the value of ``key``: those in ``order`` first, then the others sorted; each by seed."""
    found: dict[Any, list[Record]] = {}
    for record in sorted(records, key=lambda record: record["seed"]):
        found.setdefault(record[key], []).append(record)
    return {name: found[name] for name in [*(o for o in order if o in found), *sorted(set(found) - set(order))]}
