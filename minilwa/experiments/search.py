"""Hyper-parameters of the protocol "equal": a grid for each row, tried in short runs on a part of the training set.

The last sixth of the training images validates; the test images are not looked at. The runs have seeds of their own, so
the choice is the same for all seeds: one for the grid, and others from which what comes first must begin to learn too.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from itertools import product
from typing import Any

from minilwa.backend import Array
from minilwa.directions import direction
from minilwa.errors import InputError
from minilwa.evaluation import attacked_scores, clean_score
from minilwa.experiments.protocols import GRIDS, RADIUS, SEARCH_EPOCHS, SEARCH_STARTS, Plan, label
from minilwa.experiments.runs import Setting, Unit, run_units, trained
from minilwa.networks import Network

SEED = 1000
IMAGES = 2000  # of the validation part, at most


def search(setting: Setting, rows: Sequence[tuple[str, str]], jobs: int) -> Setting:
    """``setting`` with the best hyper-parameters of each (network, row), all candidates having been trained.

    The best candidate from whose `starts` every network begins to learn; where there is none, the best.
    """
    own = replace(setting, out=setting.out / "search", source=replace(setting.source, split="search"))
    units = {row: candidates(own, *row) for row in rows}
    run_units(own, [unit for found in units.values() for unit in found], jobs)
    ranked = {row: sorted(found, key=lambda unit: -unit.result(own)["score"]) for row, found in units.items()}
    chosen, waiting = {row: found[0] for row, found in ranked.items()}, ranked
    while waiting:
        begun = {row: starts(found[0]) for row, found in waiting.items()}
        run_units(own, [unit for found in begun.values() for unit in found], jobs)
        failed = {row for row, found in begun.items() if not all(unit.result(own)["learned"] for unit in found)}
        chosen |= {row: found[0] for row, found in waiting.items() if row not in failed}
        waiting = {row: found[1:] for row, found in waiting.items() if row in failed and found[1:]}
    return replace(setting, chosen={row: unit.result(own)["changes"] for row, unit in chosen.items()})


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


def starts(candidate: Unit) -> list[Unit]:
    """The first epoch of a candidate from other initial weights, a unit for each."""
    plan = replace(candidate.plan, label=f"{candidate.plan.label}-epochs1")
    seeds = range(SEED + 1, SEED + 1 + SEARCH_STARTS[plan.network])
    plans = [replace(plan, recipe=replace(plan.recipe, seed=seed, epochs=1)) for seed in seeds]
    return [Unit(candidate.experiment, each, begins) for each in plans]


def begins(setting: Setting, plan: Plan) -> dict[str, Any]:
    """The clean accuracy on the validation part, and whether it is beyond guessing; 0 where the weights overflow."""
    if (network := fitted(setting, plan)) is None:
        return {"clean": 0.0, "learned": False}
    found = clean_score(network, *validation(setting, plan))
    return {"clean": found.accuracy, "learned": found.beyond_guessing(setting.dataset.classes)}


def score(setting: Setting, plan: Plan) -> dict[str, Any]:
    """The mean of the clean and the attacked accuracy on the validation part; 0 where the weights overflow."""
    changes = {
        key: getattr(plan.recipe if key == "rate" else plan.method, key)
        for key in GRIDS[plan.network][plan.method.name]
    }
    if (network := fitted(setting, plan)) is None:
        return {"changes": changes, "score": 0.0}
    x, y = validation(setting, plan)
    clean = clean_score(network, x, y).accuracy
    (attacked,) = attacked_scores(network, x, y, direction("adv_loss"), [RADIUS[plan.network]])
    return {"changes": changes, "clean": clean, "attacked": attacked.accuracy, "score": (clean + attacked.accuracy) / 2}


def fitted(setting: Setting, plan: Plan) -> Network | None:
    """The trained network; None where its weights overflow."""
    try:
        return trained(setting, plan)
    except InputError as error:
        if error.argument != "rate":
            raise
        return None


def validation(setting: Setting, plan: Plan) -> tuple[Array, Array]:
    """Images that validate, and their labels."""
    x, y = setting.test_images(plan)
    return x[:IMAGES], y[:IMAGES]
