"""How many steps of ascent, of which length, and how far? The frontier's five steps among others.

They were chosen before, with seed 10, in runs of this kind that left no records; here the choice is made again, and the
frontier keeps its five steps whichever comes first. Each setting trains for about half the time of PGD training, which
stands beside, and is attacked on training images that the paper's split leaves out: no test image is looked at. One
seed ranks, and does not decide; the images that each network withstands are kept, to compare two image by image.
"""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from itertools import product
from typing import Any

from minilwa.attacks import ATTACKS
from minilwa.backend import Array
from minilwa.errors import InputError
from minilwa.experiments.frontier import NETWORK, REFERENCE, VARIANTS, Variant, measured_on, plan_for
from minilwa.experiments.protocols import RADIUS, Plan
from minilwa.experiments.runs import Setting, Unit, gathered

IMAGES = 2000  # the first that are left out
OWN = 10  # seeds below are the frontier's
TIME = 2.6  # of LWA's training time; PGD training has 5.8


def candidate(steps: int, part: float, radius: float) -> Variant:
    """So many steps, each ``part`` of the radius long."""
    changes = {"radius": radius, "steps": steps, "stride": steps * part}
    return Variant(f"{steps} steps of {part:g} c, c = {radius:g}", changes, cost=steps + 1, time=TIME)


TRIED = (*product((3, 4, 5), (0.5,), (1.7, 1.85, 2.0)), (5, 0.3, 1.7), (4, 0.625, 1.7))
CANDIDATES = {
    **{f"{steps}x{part:g}-c{radius:g}": candidate(steps, part, radius) for steps, part, radius in TRIED},
    REFERENCE: VARIANTS[REFERENCE],
}
ATTACKED_BY = {  # the strongest of the frontier's, with fewer starts
    "fmn": ATTACKS["fmn"],
    "pgd_margin": replace(ATTACKS["pgd_margin"], run=partial(ATTACKS["pgd_margin"].run, restarts=3)),
}


def units(setting: Setting, name: str = "frontier-choice") -> list[Unit]:
    """A unit for each candidate and seed; InputError unless the split leaves images out, and the seeds are others."""
    if setting.source.split != "paper":
        raise InputError("split", setting.source.split, "paper, which leaves training images out to choose on")
    if min(setting.seeds) < OWN:
        hint = f"Choose --seed {OWN}, say: the frontier reports trainings of its own."
        raise InputError("seed", min(setting.seeds), f"a number >= {OWN}", hint)
    return [
        Unit(name, plan_for(setting, variant, label, seed), measured)
        for seed in setting.seeds
        for label, variant in CANDIDATES.items()
    ]


def measured(setting: Setting, plan: Plan) -> dict[str, Any]:
    """What `frontier.measured` tells, of images that the split leaves out and under fewer attacks."""
    return measured_on(*left_out(setting), setting, plan, CANDIDATES[plan.variant], ATTACKED_BY)


def left_out(setting: Setting) -> tuple[Array, Array]:
    """Training images that the split leaves out, and their labels."""
    data = replace(setting.source, split="search").load()
    return data.x_test[:IMAGES], data.y_test[:IMAGES]


def summary(setting: Setting, name: str = "frontier-choice") -> dict[str, Any]:
    """The configuration, and the records of every candidate and seed."""
    return gathered(setting, units(setting, name), radius=RADIUS[NETWORK], attacks=list(ATTACKED_BY))
