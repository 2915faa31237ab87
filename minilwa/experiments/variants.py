"""Table 1 with one of the settings changed that the paper does not tell: which of them makes a row come out as printed.

The rows as they are in Table 1 stand beside, so in its results folder their networks are trained once.
"""

from __future__ import annotations

from typing import Any

from minilwa.experiments import tables
from minilwa.experiments.protocols import RADIUS, label
from minilwa.experiments.runs import Setting, Unit

TRIED: dict[str, tuple[dict[str, Any], ...]] = {
    "Normal": ({"epochs": 100},),
    "Dropout": ({"epochs": 100}, {"dropout": 0.2}, {"widths": (1000, 1000)}, {"momentum": 0.9}),
    "Goodfellow": ({"epochs": 100},),
    "LWA": ({"epochs": 50}, {"epochs": 100}, {"epochs": 100, "rate": 0.02}, {"scale": None}),
    "LWA_Rep": ({"epochs": 100}, {"at": 3, "radius": 0.12}, {"at": 3, "radius": 0.12, "epochs": 100}),
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
