"""Tables 1 and 2 with settings changed, most of them ones that the paper does not tell: which make a row come out as
printed?

The rows as they are in the table stand beside, so in its results folder their networks are trained once. Some networks
with dropout are attacked a second time as the authors' notebooks attack them, by gradients taken with dropout on.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from minilwa.backend import Array
from minilwa.directions import Direction
from minilwa.experiments import tables
from minilwa.experiments.protocols import RADIUS, Plan, label
from minilwa.experiments.runs import Setting, Unit, gathered
from minilwa.layers import Layer
from minilwa.networks import Network

Changes = dict[str, tuple[dict[str, Any], ...]]  # by row

FIRST = {"at": 3, "radius": 0.12}  # LWA_Rep at the first hidden layer
BEFORE = {"at": 2}  # and before its activation
SMALL = {"batch": 20}  # five times as many steps
HE: dict[str, Any] = {"scale": None}  # He's initial weights
SPARSE = {"dropout": 0.2}
LAST = {"dropped": "last"}  # dropout before the last layer alone, as in LeNet
TWICE = {"epochs": 50}  # as long
LONG = {"epochs": 100}
SLOW = {"rate": 0.02}  # the notebooks' rate for LWA
ALONG = {"along": "adv_loss"}  # Goodfellow's sum of two gradients, but not along the sign
TRIED: dict[str, Changes] = {
    "table1": {
        "Normal": ({"epochs": 60}, LONG, HE),
        "Dropout": (
            LONG,
            SMALL,
            SPARSE,
            SPARSE | LONG,
            {"widths": (1000, 1000)},
            LAST,
            LAST | {"dropout": 0.3},
            LAST | LONG,
            LAST | SMALL,
            HE,
        ),
        "Goodfellow": (LONG, ALONG, ALONG | LONG),
        "LWA": (TWICE, LONG, SLOW, LONG | SLOW, SMALL, HE, {"radius": 1.5}, {"radius": 2.0}),
        "LWA_Rep": (LONG, SMALL, FIRST, FIRST | LONG, FIRST | SMALL, FIRST | BEFORE, HE),
    },
    "table2": {
        "Normal": (TWICE, SMALL, HE),
        "Dropout": (),
        "LWA": (TWICE, SMALL, {"radius": 1.7}, HE),
    },
}
MASKED: dict[str, Changes] = {"table1": {"Dropout": ({}, LAST, LAST | LONG)}, "table2": {"Dropout": ({},)}}


def table_of(experiment: str) -> str:
    """The table whose settings "variants-" and its name change."""
    return experiment.removeprefix("variants-")


def units(setting: Setting, name: str) -> list[Unit]:
    """A unit for each row as it is, and for each of its changes; ``name`` is "variants-" and the table's."""
    table, found = table_of(name), []
    network = tables.NETWORK[table]
    for seed in setting.seeds:
        others = (tables.source_of_fixed_set(setting, network, seed),)
        for row, tried in TRIED[table].items():
            for changes in ({}, *tried):
                known = label(row, changes) if changes else ""
                plan = setting.plan(network, row, seed, **changes, label=known)
                found.append(Unit(name, plan, tables.row, others))
                if changes in MASKED[table].get(row, ()):
                    found.append(Unit(name, plan, under_masks, others, part="masks"))
    return found


def under_masks(setting: Setting, plan: Plan) -> dict[str, Any]:
    """The row where the attacker's gradients are taken with dropout on."""
    rng = np.random.default_rng(plan.recipe.seed)

    def seen(along: Direction) -> Direction:
        def direction(network: Network, x: Array, y: Array) -> Array:
            return along(in_training(network, rng), x, y)

        return direction

    return tables.row(setting, plan, seen) | {"variant": f"{plan.variant}-masks"}


def in_training(network: Network, rng: np.random.Generator) -> Network:
    """The network whose dropout layers draw a mask from ``rng`` at every call."""

    def drawing(layer: Layer) -> Layer:
        def apply(parameters, x, _=None):
            return layer.apply(parameters, x, rng)

        return replace(layer, apply=apply, bound=None, elementwise=False)

    return replace(network, layers=tuple(drawing(layer) if layer.random else layer for layer in network.layers))


def summary(setting: Setting, name: str) -> dict[str, Any]:
    """The configuration, and the rows of all seeds."""
    return gathered(setting, units(setting, name), radius=RADIUS[tables.NETWORK[table_of(name)]])
