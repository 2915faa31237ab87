"""While a LeNet trains on moved images: what is right after the single step that it sees, and after PGD?

A network can learn to hide its gradient from the step that it is trained on instead of growing robust. The step cannot
see it, and neither can a search that chooses by it.
"""

from __future__ import annotations

from functools import partial
from typing import Any

from minilwa.experiments.figure2 import curves
from minilwa.experiments.protocols import RADIUS
from minilwa.experiments.runs import Setting, Unit, gathered
from minilwa.experiments.search import CHOOSERS

NETWORK = "lenet"
ROWS = ("Goodfellow", "LWA")


def units(setting: Setting, name: str = "masking") -> list[Unit]:
    """A unit for each method and seed; the networks are Table 2's."""
    measured = partial(curves, attacks=CHOOSERS)
    return [Unit(name, setting.plan(NETWORK, row, seed), measured) for seed in setting.seeds for row in ROWS]


def summary(setting: Setting, name: str = "masking") -> dict[str, Any]:
    """The configuration, and the curves of both methods and every seed."""
    return gathered(setting, units(setting, name), radius=RADIUS[NETWORK])
