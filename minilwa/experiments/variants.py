"""Table 1 with settings changed that the paper does not tell, mostly one: which makes a row come out as printed?

The rows as they are in Table 1 stand beside, so in its results folder their networks are trained once.
"""

from __future__ import annotations

from typing import Any

from minilwa.experiments import tables
from minilwa.experiments.protocols import RADIUS, label
from minilwa.experiments.runs import Setting, Unit

FIRST = {"at": 3, "radius": 0.12}  # LWA_Rep at the first hidden layer
SPARSE = {"dropout": 0.2}
LONG = {"epochs": 100}
TRIED: dict[str, tuple[dict[str, Any], ...]] = {
    "Normal": (LONG,),
    "Dropout": (LONG, SPARSE, SPARSE | LONG, {"widths": (1000, 1000)}),
    "Goodfellow": (LONG,),
    "LWA": ({"epochs": 50}, LONG, LONG | {"rate": 0.02}, {"scale": None}),
    "LWA_Rep": (LONG, FIRST, FIRST | LONG),
}


def units(setting: Setting, name: str = "variants") -> list[Unit]:
    """A unit for each row as it is, and for each of its changes."""
    return [
        Unit(
            name,
            setting.plan("mlp", row, seed, **changes, label=label(row, changes) if changes else ""),
            tables.row,
            (tables.source_of_fixed_set(setting, "mlp", seed),),
        )
        for seed in setting.seeds
        for row, tried in TRIED.items()
        for changes in ({}, *tried)
    ]


def summary(setting: Setting, name: str = "variants") -> dict[str, Any]:
    """The configuration, and the rows of all seeds."""
    config = setting.describe() | {"seeds": setting.seeds, "radius": RADIUS["mlp"]}
    return {"config": config, "rows": [unit.result(setting) for unit in units(setting, name)]}
