"""Hyper-parameters of the protocols "equal" and "equal-pgd": a grid for each row, tried in short runs on a part of the
training set.

The last sixth of the training images validates; the test images are not looked at. The runs have one seed of their own,
so the choice is the same for all seeds.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from itertools import product
from typing import Any

from minilwa.attacks import ATTACKS, pgd
from minilwa.backend import Array
from minilwa.errors import InputError
from minilwa.evaluation import clean_score
from minilwa.experiments.protocols import GRIDS, PROTOCOLS, RADIUS, SEARCH_EPOCHS, Plan, label
from minilwa.experiments.runs import Setting, Unit, run_units, trained

SEED = 1000
IMAGES = 2000  # of the validation part, at most
SHORT_PGD = partial(pgd, steps=20, restarts=1)
SELECTION_ATTACKS: dict[str | None, Callable[..., Array]] = {"adv_loss": ATTACKS["adv_loss"].run, "pgd": SHORT_PGD}


def search(setting: Setting, rows: Sequence[tuple[str, str]], jobs: int) -> Setting:
    """``setting`` with the best hyper-parameters of each (network, row), all candidates having been trained."""
    own, units = trials(setting, rows)
    run_units(own, units, jobs)
    chosen = {
        row: max((unit.result(own) for unit in candidates(own, *row)), key=lambda result: result["score"])
        for row in rows
    }
    return replace(setting, chosen={row: result["changes"] for row, result in chosen.items()})


def trials(setting: Setting, rows: Sequence[tuple[str, str]]) -> tuple[Setting, list[Unit]]:
    """The setting of the search itself, and the candidates of all ``rows``."""
    own = replace(setting, out=setting.out / "search", source=replace(setting.source, split="search"))
    return own, [unit for row in rows for unit in candidates(own, *row)]


def candidates(setting: Setting, network: str, row: str) -> list[Unit]:
    """A unit for each point of the row's grid, less what the user has set."""
    grid = {key: values for key, values in GRIDS[network][row].items() if key not in setting.recipe}
    usual = SEARCH_EPOCHS[network]
    units = []
    for values in product(*grid.values()):
        changes = dict(zip(grid, values, strict=True))
        epochs = min(usual, setting.recipe.get("epochs", usual))
        plan = setting.plan(network, row, SEED, label=label(row, changes), epochs=epochs, **changes)
        units.append(Unit(network, plan, score))
    return units


def score(setting: Setting, plan: Plan) -> dict[str, Any]:
    """The mean of the clean and the attacked accuracy on the validation part; 0 where the weights overflow."""
    x, y = (array[:IMAGES] for array in setting.test_images(plan))
    changes = {
        key: getattr(plan.recipe if key == "rate" else plan.method, key)
        for key in GRIDS[plan.network][plan.method.name]
    }
    try:
        network = trained(setting, plan)
    except InputError as error:
        if error.argument != "rate":
            raise
        return {"changes": changes, "score": 0.0}
    clean = clean_score(network, x, y).accuracy
    attack = SELECTION_ATTACKS[PROTOCOLS[setting.protocol].selected_under]
    attacked = clean_score(network, attack(network, x, y, RADIUS[plan.network]), y).accuracy
    return {"changes": changes, "clean": clean, "attacked": attacked, "score": (clean + attacked) / 2}
