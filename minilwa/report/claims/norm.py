"""The criterion for the L2 norm as a measure of what is seen."""

from __future__ import annotations

from minilwa.evaluation import Score
from minilwa.experiments.concentration import WINDOW
from minilwa.report.claims.evidence import NOT_DECIDED, NOT_REPRODUCED, PARTLY, REPRODUCED, Decision, title
from minilwa.report.intervals import Record
from minilwa.report.numbers import bracket, figure, listed

L2 = (
    "The paper has not seen a perturbation with most of its weight in one place. Reproduced if fewer than 5% of the "
    f"images have more than half of ||r||^2 within one window of {WINDOW} x {WINDOW} pixels, by the upper end of "
    "Wilson's interval, for every network and direction; not reproduced if more have by its lower end, for every one. "
    "Over images, as it is a claim about pictures: one seed is enough. Counts are over the seeds together; as these "
    "share their images, Wilson's interval is that of their mean over the images of one."
)
HEAD = ["Method", "Direction", "Images", "More than half", "Wilson", "Median share", "Largest", "Largest pixel, median"]


def not_concentrated(entry: Record) -> Decision:
    """Is a perturbation that is small in L2 spread over the image?"""
    evidence, sides = [HEAD], dict[str, set[str]]()
    for row in [row for row in entry["rows"] if row["concentration"]]:
        for name in ("adv_loss", "adv_alpha"):
            found = row["concentration"][name]
            if found["n"]:
                n = found["n"] // found["seeds"]  # the images are the same for all seeds
                interval = Score(round(found["concentrated"] / found["seeds"]), n).interval()
                sides.setdefault(row["method"], set()).add(side_of(*interval))
                cells = [f"{found['n']:,}", f"{found['concentrated']:,}", bracket(interval)]
                cells += [figure(found[key]) for key in ("median", "largest", "pixel")]
                evidence.append([row["method"], title(name), *cells])
    if not sides:
        return Decision(NOT_DECIDED, "No image was moved.", evidence)
    words = {"below .05": {"below"}, "above .05": {"above"}}
    where = {told: [method for method, side in sides.items() if side == which] for told, which in words.items()}
    where["at .05, or not alike in both directions,"] = [m for m, side in sides.items() if side not in words.values()]
    told = "; ".join(f"{told} for {listed(methods)}" for told, methods in where.items() if methods)
    told = f"The share of images with more than half of ||r||^2 in one window is {told}."
    every = set().union(*sides.values())
    if every == {"below"}:
        return Decision(REPRODUCED, told, evidence)
    status = NOT_REPRODUCED if every == {"above"} else PARTLY if "above" in every else NOT_DECIDED
    return Decision(status, told, evidence)


def side_of(low: float, high: float) -> str:
    """Where an interval lies."""
    return "below" if high < 0.05 else "above" if low > 0.05 else "about"
