"""The criterion for the paper's figures themselves: are they what one more run of ours could give?"""

from __future__ import annotations

import math

from minilwa.experiments.paper import COLUMNS
from minilwa.report.claims.evidence import (
    NOT_DECIDED,
    NOT_REPRODUCED,
    NOT_TESTED,
    ONE_SEED,
    PARTLY,
    REPRODUCED,
    Decision,
    titles,
)
from minilwa.report.intervals import Record
from minilwa.report.numbers import figure, listed, plus

PRINTED_FIGURES = (
    "A figure of the paper's, which is one run, is met if it lies in the 95% prediction interval for one more run of "
    "ours on the same test images: our mean ± t s sqrt(1 + 1/seeds), s the standard deviation over seeds. Reproduced "
    "if all are met, not reproduced if none is. Each figure is taken by itself, so that of twenty which are right one "
    "may be missed by chance."
)
WIDE = 0.05
POINT = 0.01
NEAREST = (
    "Settings were changed, mostly ones that the paper leaves open, so as to come near its figures or those of the "
    "authors' later notebooks; of each row the change is named whose largest distance from them, over the columns, is "
    "least. Reproduced if it is within a point of the paper for every row, not reproduced if for none."
)


def printed_figures(entry: Record) -> Decision:
    """Are the paper's figures within our spread?"""
    rows = [row for row in entry["rows"] if "paper" in row]
    evidence = [["Method", "Column", "ours", "one more run", "paper", "met", "notebooks", "met"]]
    met: dict[str, list[bool]] = {"paper": [], "notebooks": []}
    missed: dict[str, list[str]] = {}
    vague = 0
    if any(row["seeds"] < 2 for row in rows):
        return Decision(NOT_DECIDED, ONE_SEED, evidence)
    for row in rows:
        for column in COLUMNS:
            found, cells = row[column], []
            for source, outcomes in met.items():
                if source not in row:
                    cells += ["", ""]
                    continue
                printed = row[source][column]
                half = prediction(found)
                outcomes.append(abs(printed - found["mean"]) <= half)
                cells += [figure(printed), "yes" if outcomes[-1] else plus(printed - found["mean"])]
                vague += source == "paper" and outcomes[-1] and half > WIDE
                if source == "paper" and not outcomes[-1]:
                    missed.setdefault(row["method"], []).append(column)
            around = f"± {figure(prediction(found))}"
            evidence.append([row["method"], titles([column]), figure(found["mean"]), around, *cells])
    count = {source: f"{sum(outcomes)} of {len(outcomes)}" for source, outcomes in met.items()}
    told = f"{count['paper']} of the printed figures are met"
    told += f" ({vague} of them by an interval wider than ± {figure(WIDE, 2)}, which says little)" if vague else ""
    told += f"; of the later notebooks' {count['notebooks']}" if met["notebooks"] else ""
    rest = "; ".join(f"{method} {titles(columns)}" for method, columns in missed.items())
    told += f". Not met: {rest}." if rest else "."
    status = REPRODUCED if all(met["paper"]) else PARTLY if any(met["paper"]) else NOT_REPRODUCED
    return Decision(status, told, evidence)


def nearest_change(entry: Record) -> Decision:
    """Which settings come nearest to the paper's figures, and to the notebooks', row by row?"""
    evidence, near, seeds = [["Row", "Figures of", "largest distance", "nearest", "largest distance"]], [], set[int]()
    words: dict[str, list[str]] = {"paper": [], "notebooks": []}
    for usual in (row for row in entry["rows"] if not words.keys().isdisjoint(row)):
        rows = [row for row in entry["rows"] if row["method"] == usual["method"]]
        for source in (source for source in words if source in usual):
            off = [max(abs(row[column]["mean"] - usual[source][column]) for column in COLUMNS) for row in rows]
            least, before = min(off), off[rows.index(usual)]
            best = rows[off.index(least)]["variant"]
            seeds.add(rows[off.index(least)]["seeds"])
            evidence.append([usual["method"], source, figure(before, 4), best, figure(least, 4)])
            as_it_is = f" ({usual['method']} {figure(before, 4)})" if best != usual["method"] else ""
            words[source].append(f"{best} within {figure(least, 4)}{as_it_is}")
            near += [least <= POINT] * (source == "paper")
    if not near:
        return Decision(NOT_TESTED, "What is missing: the rows as the protocol has them.", evidence)
    told = f"{listed(words['paper'])} of the paper's row"
    told += f"; {listed(words['notebooks'])} of the later notebooks'." if words["notebooks"] else "."
    if min(seeds) < 2:
        return Decision(NOT_DECIDED, f"{ONE_SEED} {told}", evidence, min(seeds))
    return Decision(REPRODUCED if all(near) else PARTLY if any(near) else NOT_REPRODUCED, told, evidence, min(seeds))


def prediction(found: Record) -> float:
    """Half of the interval around our mean in which the accuracy of one more seed lies."""
    from scipy.stats import t

    seeds = len(found["values"])
    return float(t.ppf(0.975, seeds - 1)) * float(found["std"]) * math.sqrt(1 + 1 / seeds)
