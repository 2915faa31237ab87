"""Criteria for what robustness costs on images as they are: none, says the paper, and LWA performs best."""

from __future__ import annotations

from minilwa.experiments.protocols import ROWS
from minilwa.report.claims.evidence import (
    NOT_DECIDED,
    NOT_REPRODUCED,
    ONE_SEED,
    PARTLY,
    REPRODUCED,
    Decision,
    Sheet,
    cell,
    side,
    sizes,
)
from minilwa.report.intervals import Record, statistics
from minilwa.report.notes import half_width, remarks
from minilwa.report.numbers import figure, listed, signed

NO_COST = (
    "Reproduced if on clean images the 95% t-interval of LWA minus Normal, paired over seeds, rules out a loss larger "
    "than half a Wilson interval of Normal's accuracy, which the test set cannot resolve; not reproduced if it does "
    "not and lies below 0."
)
BEST = (
    "Of “the best performance”: reproduced if on clean images the 95% t-intervals of LWA minus every other method, "
    "paired over seeds, rule out a loss larger than half a Wilson interval of the other's accuracy; not reproduced if "
    "one does not and lies below 0."
)
WHILE_TRAINING = (
    "The sentence quoted is about the learning curves. Reproduced if the mean over the epochs of LWA's clean accuracy "
    "minus Normal's has a 95% t-interval over seeds that rules out a loss larger than half a Wilson interval of "
    "Normal's, and after no epoch lies below 0; partly if after some; not reproduced if the mean's lies below 0 and "
    "does not rule it out."
)


def no_cost(entry: Record) -> Decision:
    """Is LWA as accurate as normal training on images as they are?"""
    sheet = Sheet.of(entry, ("Normal", "LWA"))
    robust = [m for m in ("Goodfellow", "LWA", "LWA_Rep") if m in sheet.methods]
    pairs = [(m, "Normal") for m in robust] + [("LWA", m) for m in ("Goodfellow", "Dropout") if m in sheet.methods]
    evidence = sheet.lines(pairs, ["validation"])
    clean = {m: sheet.mean("validation", m) for m in ("LWA", "Normal")}
    told = f"Clean accuracy is {figure(clean['LWA'])} with LWA and {figure(clean['Normal'])} with Normal"
    gap = sheet.gap("validation", "LWA", "Normal")
    told += f", a difference of {signed(gap)}"
    if "Goodfellow" in robust:
        told += f" (LWA minus Goodfellow: {signed(sheet.gap('validation', 'LWA', 'Goodfellow'))})"
    if len(sheet.seeds) < 2:
        return Decision(NOT_DECIDED, f"{ONE_SEED} {told}.{remarks(entry)}", evidence)
    margin = resolution(entry, "Normal")
    told += f"; the test set resolves {figure(margin, 4)}.{sizes(entry)}{remarks(entry)}"
    return Decision(at_no_loss(gap, margin), told, evidence)


def most_accurate(entry: Record) -> Decision:
    """Is no method more accurate than LWA on images as they are?"""
    sheet = Sheet.of(entry, ROWS)
    others = [method for method in ROWS if method != "LWA"]
    evidence = sheet.lines([("LWA", other) for other in others], ["validation"])
    if len(sheet.seeds) < 2:
        return Decision(NOT_DECIDED, f"{ONE_SEED}{remarks(entry)}", evidence)
    gaps = {other: sheet.gap("validation", "LWA", other) for other in others}
    found = {other: at_no_loss(gap, resolution(entry, other)) for other, gap in gaps.items()}
    words = {
        NOT_REPRODUCED: "LWA is less accurate than {}.",
        NOT_DECIDED: "Whether LWA is as accurate as {} is left open.",
    }
    answers = [
        sentence.format(listed([f"{other} ({signed(gaps[other])})" for other in others if found[other] == status]))
        for status, sentence in words.items()
        if status in found.values()
    ]
    told = " ".join(answers or ["No method is seen to be more accurate than LWA."]) + remarks(entry)
    statuses = set(found.values())
    return Decision(next(s for s in (NOT_REPRODUCED, NOT_DECIDED, REPRODUCED) if s in statuses), told, evidence)


def no_cost_while_training(entry: Record) -> Decision:
    """Is LWA as accurate as normal training after every epoch?"""
    rows = {row["method"]: dict(zip(row["seed_numbers"], row["values"], strict=True)) for row in entry["rows"]}
    seeds = sorted(set(rows["LWA"]) & set(rows["Normal"]))
    gaps = [[a - b for a, b in zip(rows["LWA"][s], rows["Normal"][s], strict=True)] for s in seeds]
    epochs, n = entry["rows"][0]["epochs"], entry["rows"][0]["n"]
    points = [statistics(of_epoch) for of_epoch in zip(*gaps, strict=True)]
    evidence = [["Epoch", "LWA - Normal"], *([str(e), signed(p)] for e, p in zip(epochs, points, strict=True))]
    mean = statistics([sum(of_seed) / len(of_seed) for of_seed in gaps])
    told = f"Over {len(epochs)} epochs of {epochs[-1]}, LWA minus Normal is {signed(mean)} in the mean"
    if len(seeds) < 2:
        return Decision(NOT_DECIDED, f"{ONE_SEED} {told}.", evidence)
    clean = [sum(rows["Normal"][seed]) / len(epochs) for seed in seeds]
    below = [str(epoch) for epoch, point in zip(epochs, points, strict=True) if side(point) < 0]
    told += f"; it lies below 0 after {f'epoch {listed(below)}' if below else 'none of them'}."
    status = at_no_loss(mean, half_width(statistics(clean, n)))
    return Decision(PARTLY if status == REPRODUCED and below else status, told, evidence)


def at_no_loss(gap: Record, margin: float) -> str:
    """Whether a difference rules out a loss larger than ``margin``."""
    low, high = gap["interval"]
    return REPRODUCED if low > -margin else NOT_REPRODUCED if high < 0 else NOT_DECIDED


def resolution(entry: Record, method: str) -> float:
    """What the test set cannot resolve: half a Wilson interval of a method's clean accuracy."""
    (row,) = (row for row in entry["rows"] if row["method"] == method)
    return half_width(cell(row, "validation"))
