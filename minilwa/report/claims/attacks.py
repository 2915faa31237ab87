"""Criteria for how efficient the paper's perturbations are, on the networks of its tables and over the radius."""

from __future__ import annotations

from minilwa.report.claims.evidence import NOT_DECIDED, NOT_REPRODUCED, ONE_SEED, PARTLY, REPRODUCED, Decision, side
from minilwa.report.intervals import Record, statistics
from minilwa.report.notes import unlearned
from minilwa.report.numbers import figure, listed, plus, signed
from minilwa.report.text import Lines

EVERY_ROW = (
    "Reproduced if the 95% t-interval over seeds of the accuracy under Adv_Loss less that under Adv_Alpha lies above "
    "0 in every row, not reproduced if in none. In the form and precision of the table: the factorial tells what "
    "these add."
)
SIGN = (
    "Reproduced if in every row the accuracy under Adv_Loss_Sign exceeds the larger of the other two by more than "
    "these differ (95% t-interval over seeds above 0), not reproduced if in none."
)
OVER_RADIUS = (
    "Reproduced if the mean over the radii of the accuracy under Adv_Loss less that under Adv_Alpha has a 95% "
    "t-interval over seeds above 0, the same holds of Adv_Loss_Sign less Adv_Loss, and at no radius either lies below "
    "0; not reproduced if the first does not hold."
)


def in_every_row(entry: Record) -> Decision:
    """Is Adv_Alpha more efficient on every network of a table?"""
    gains = {row["method"]: difference(row, "adv_loss", "adv_alpha") for row in entry["rows"]}
    evidence = [["Method", "Adv_Loss - Adv_Alpha"], *([method, signed(gain)] for method, gain in gains.items())]
    against = [row for row in entry["rows"] if "paper" in row and row["paper"]["adv_alpha"] > row["paper"]["adv_loss"]]
    pairs = [(row["method"], *(figure(row["paper"][c]) for c in ("adv_loss", "adv_alpha"))) for row in against]
    found = [f"{method} ({loss} right under Adv_Loss, {alpha} under Adv_Alpha)" for method, loss, alpha in pairs]
    remark = f" In the paper's own table it breaks fewer in the row {listed(found)}." if found else ""
    return over_rows(gains, "Adv_Alpha breaks more than Adv_Loss", remark + unlearned(entry), evidence)


def over_sign(entry: Record) -> Decision:
    """Are both much more efficient than Adv_Loss_Sign?"""
    evidence, gains = [["Method", "Sign - Adv_Loss", "Sign - Adv_Alpha", "nearer gap beyond the two's difference"]], {}
    for row in entry["rows"]:
        columns = (row[name]["values"] for name in ("adv_loss_sign", "adv_loss", "adv_alpha"))
        gain = statistics([s - max(a, b) - abs(a - b) for s, a, b in zip(*columns, strict=True)])
        gaps = (difference(row, "adv_loss_sign", other) for other in ("adv_loss", "adv_alpha"))
        evidence.append([row["method"], *map(signed, gaps), signed(gain)])
        gains[row["method"]] = gain
    told = "Adv_Loss_Sign breaks fewer than both, by more than they differ,"
    return over_rows(gains, told, unlearned(entry), evidence)


def over_rows(gains: dict[str, Record], told: str, remark: str, evidence: Lines) -> Decision:
    """Decided by in how many rows a difference lies above 0."""
    means = ", ".join(f"{method} {plus(gain['mean'])}" for method, gain in gains.items())
    if any(gain["interval"] is None for gain in gains.values()):
        return Decision(NOT_DECIDED, f"{ONE_SEED} The differences: {means}.{remark}", evidence)
    up = [side(gain) > 0 for gain in gains.values()]
    words = f"{told} in {sum(up)} of {len(up)} rows ({means}).{remark}"
    return Decision(REPRODUCED if all(up) else PARTLY if any(up) else NOT_REPRODUCED, words, evidence)


def over_radius(entry: Record) -> Decision:
    """Is the order the same over the radius?"""
    curves = {row["direction"]: row["values"] for row in entry["rows"] if not row["clip"]}  # (seeds, radii)
    radii = entry["rows"][0]["radii"]
    pairs = (("adv_loss", "adv_alpha"), ("adv_loss_sign", "adv_loss"))
    gaps = [
        [[x - y for x, y in zip(a, b, strict=True)] for a, b in zip(curves[one], curves[other], strict=True)]
        for one, other in pairs
    ]
    areas = [statistics([sum(of_seed) / len(of_seed) for of_seed in gap]) for gap in gaps]
    points = [[statistics(at_radius) for at_radius in zip(*gap, strict=True)] for gap in gaps]
    shown = list(enumerate(radii))[5::5]
    evidence = [["Radius", "Adv_Loss - Adv_Alpha", "Adv_Loss_Sign - Adv_Loss"]]
    evidence += [[f"{radius:g}", *(signed(of_pair[i]) for of_pair in points)] for i, radius in shown]
    evidence.append(["mean", *map(signed, areas)])
    aside = ""
    if "deepfool" in curves:
        gap = statistics(
            [sum(a) / len(a) - sum(b) / len(b) for a, b in zip(curves["adv_alpha"], curves["deepfool"], strict=True)]
        )
        aside = f" DeepFool's direction, which is not the paper's: Adv_Alpha less that is {signed(gap)} in the mean."
    told = (
        f"Over radii up to {radii[-1]:g}, Adv_Loss less Adv_Alpha is {signed(areas[0])} in the mean, and Adv_Loss_Sign "
    )
    told += f"less Adv_Loss {signed(areas[1])}"
    if areas[0]["interval"] is None:
        return Decision(NOT_DECIDED, f"{ONE_SEED} {told}.{aside}", evidence)
    below = [radius for i, radius in enumerate(radii) if any(side(of_pair[i]) < 0 for of_pair in points)]
    told += f"; at {len(below)} of {len(radii)} radii one of them lies below 0.{aside}"
    if side(areas[0]) <= 0:
        return Decision(NOT_REPRODUCED, told, evidence)
    return Decision(REPRODUCED if side(areas[1]) > 0 and not below else PARTLY, told, evidence)


def difference(row: Record, one: str, other: str) -> Record:
    """Of two columns of a row, paired over seeds."""
    return statistics([a - b for a, b in zip(row[one]["values"], row[other]["values"], strict=True)])
