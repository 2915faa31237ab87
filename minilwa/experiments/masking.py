"""While a LeNet trains on moved images: what is right after a single step, and after PGD?

A network can learn to withstand the one step that it is trained on instead of growing robust. That step cannot tell,
nor can a search that selects under it.
"""

from __future__ import annotations

from functools import partial
from typing import Any

from minilwa.attacks import single_step
from minilwa.directions import direction
from minilwa.experiments.figure2 import curves
from minilwa.experiments.protocols import RADIUS
from minilwa.experiments.runs import Setting, Unit, gathered
from minilwa.experiments.search import SHORT_PGD

NETWORK = "lenet"
ROWS = ("Goodfellow", "LWA")


def units(setting: Setting, name: str = "masking") -> list[Unit]:
    """A unit for each method and seed; the networks are Table 2's."""
    step = partial(single_step, along=direction("adv_loss", setting.formulas))
    measured = partial(curves, attacks={"adv_loss": step, "pgd": SHORT_PGD})
    return [Unit(name, setting.plan(NETWORK, row, seed), measured) for seed in setting.seeds for row in ROWS]


def summary(setting: Setting, name: str = "masking") -> dict[str, Any]:
    """The configuration, and the curves of both methods and every seed."""
    return gathered(setting, units(setting, name), radius=RADIUS[NETWORK])
