"""Tables 1 and 2, and CIFAR-10 in their manner: ways of training a network, each attacked by three perturbations."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from minilwa.backend import Array
from minilwa.directions import DIRECTIONS, Direction, direction
from minilwa.evaluation import Score, adversarial_images, attacked_scores, clean_score
from minilwa.experiments.paper import COLUMNS
from minilwa.experiments.protocols import RADIUS, ROWS, Plan
from minilwa.experiments.runs import Setting, Unit, gathered, trained
from minilwa.networks import Network

NETWORK = {"table1": "mlp", "table2": "lenet", "cifar10": "cifar"}


def units(setting: Setting, table: str) -> list[Unit]:
    """A unit for each method and seed."""
    network = NETWORK[table]
    return [
        Unit(table, setting.plan(network, name, seed), row, (source_of_fixed_set(setting, network, seed),))
        for seed in setting.seeds
        for name in ROWS
    ]


def source_of_fixed_set(setting: Setting, network: str, seed: int) -> Plan:
    """A second Normal network, from another seed, whose adversarial images are the column "Fixed"."""
    return setting.plan(network, "Normal", seed + 1)


def fixed_set(setting: Setting, network: str, seed: int) -> Array:
    """The test images moved along Adv_Loss of the second Normal network."""
    plan = source_of_fixed_set(setting, network, seed)
    along = direction("adv_loss", setting.formulas)
    return adversarial_images(trained(setting, plan), *setting.test_images(plan), along, RADIUS[network])


def row(setting: Setting, plan: Plan, seen: Callable[[Direction], Direction] = lambda along: along) -> dict[str, Any]:
    """A row as plain JSON data: accuracies, their Wilson intervals, and how many attacks found no direction.

    ``seen`` makes of a direction the one that the attacker takes for it.
    """
    found = scores(setting, plan, trained(setting, plan), seen)
    return {
        "method": plan.method.name,
        "seed": plan.recipe.seed,
        **{column: found[column].accuracy for column in COLUMNS},
        "n": found["validation"].n,
        "classes": setting.dataset.classes,
        "intervals": {column: found[column].interval() for column in COLUMNS},
        "zero_gradients": {column: found[column].zero_gradients for column in DIRECTIONS},
    }


def scores(setting: Setting, plan: Plan, network: Network, seen: Callable[[Direction], Direction]) -> dict[str, Score]:
    """The network's score by column."""
    x, y = setting.test_images(plan)
    fixed = fixed_set(setting, plan.network, plan.recipe.seed)
    found = {"validation": clean_score(network, x, y), "fixed": clean_score(network, fixed, y)}
    for column in DIRECTIONS:
        along = seen(direction(column, setting.formulas))
        (found[column],) = attacked_scores(network, x, y, along, [RADIUS[plan.network]])
    return found


def summary(setting: Setting, table: str) -> dict[str, Any]:
    """The configuration with every row's settings, and the rows of all seeds in the paper's order."""
    done = sorted(units(setting, table), key=lambda unit: ROWS.index(unit.plan.method.name))
    plans = {unit.plan.method.name: unit.plan for unit in done}
    methods = {name: vars(plan.method) for name, plan in plans.items()}
    networks = {name: {"widths": plan.widths, "rate": plan.recipe.rate} for name, plan in plans.items()}
    return gathered(setting, done, radius=RADIUS[NETWORK[table]], methods=methods, networks=networks)
