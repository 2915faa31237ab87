"""The criterion that decides whether Adv_Alpha is more efficient, or float32 makes it look so."""

from __future__ import annotations

from minilwa.report.claims.evidence import (
    ARTEFACT,
    NOT_DECIDED,
    NOT_REPRODUCED,
    ONE_SEED,
    PARTLY,
    REPRODUCED,
    Decision,
    side,
)
from minilwa.report.intervals import Record, statistics
from minilwa.report.numbers import figure, listed, plus, signed

FACTORIAL = (
    "The gain of Adv_Alpha is the accuracy under Adv_Loss less that under Adv_Alpha, on the same networks, with its "
    "95% t-interval over seeds. Reproduced if it lies above 0 at every training length in the stable form and "
    "float64, where rounding has no part, and the printed form in float32 nowhere adds more than that; partly if it "
    "lies above 0 there at some lengths, or float32 adds more; an artefact of float32 if there it does at none, but "
    "in the printed form and float32 at some."
)


def over_loss(entry: Record) -> Decision:
    """Is Adv_Alpha more efficient than Adv_Loss, or does float32 make it look so?"""
    head = ["Epochs", "Too sure", "printed, float32", "printed, float64", "stable, float32", "stable, float64"]
    evidence, shown, real, added, lengths = [[*head, "float32 adds"]], [], [], [], []
    for row in entry["rows"]:
        gains = {f"{gain['form']}, {gain['precision']}": gain for gain in row["gains"]}
        more = zip(gains["printed, float32"]["values"], gains["stable, float64"]["values"], strict=True)
        extra = statistics([a - b for a, b in more])
        cells = [signed(gains[cell], 4) for cell in head[2:]]
        evidence.append([str(row["epochs"]), figure(row["sure"]["mean"]), *cells, signed(extra, 4)])
        shown.append(gains["printed, float32"])
        real.append(gains["stable, float64"])
        added.append(extra)
        lengths.append(f"{row['epochs']} epochs")
    told = f"In the stable form and float64 the gain runs from {extremes(real)}, in the printed form and float32 from "
    told += (
        f"{extremes(shown)}, over training lengths of {listed([str(row['epochs']) for row in entry['rows']])} epochs"
    )
    if any(gain["interval"] is None for gain in [*shown, *real]):
        return Decision(NOT_DECIDED, f"{ONE_SEED} {told}.", evidence)
    up = [side(gain) > 0 for gain in real]
    inflated = [side(extra) > 0 and extra["mean"] > gain["mean"] for extra, gain in zip(added, real, strict=True)]
    told += f". Free of rounding it lies above 0 {at(lengths, up)}"
    if any(side(gain) < 0 for gain in real):
        told += f", and below 0, the sign turned, {at(lengths, [side(gain) < 0 for gain in real])}"
    told += f"; float32 makes it larger {at(lengths, [side(extra) > 0 for extra in added])}"
    told += f", by more than the gain itself {at(lengths, inflated)}." if any(inflated) else "."
    if all(up):
        return Decision(PARTLY if any(inflated) else REPRODUCED, told, evidence)
    if any(up):
        return Decision(PARTLY, told, evidence)
    return Decision(ARTEFACT if any(side(gain) > 0 for gain in shown) else NOT_REPRODUCED, told, evidence)


def at(lengths: list[str], held: list[bool]) -> str:
    """At which training lengths something held."""
    found = [length for length, holds in zip(lengths, held, strict=True) if holds]
    return "at every length" if all(held) else f"at {listed(found)}" if found else "at no length"


def extremes(gains: list[Record]) -> str:
    """The least and the largest mean."""
    means = sorted(gain["mean"] for gain in gains)
    return f"{plus(means[0], 4)} to {plus(means[-1], 4)}"
