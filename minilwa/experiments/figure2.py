"""Figure 2: how the accuracy of a LeNet grows under each method, clean and attacked, measured on its snapshots."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

from minilwa.attacks import single_step
from minilwa.backend import Array
from minilwa.directions import DIRECTIONS, direction
from minilwa.errors import InputError
from minilwa.evaluation import clean_score
from minilwa.experiments.protocols import RADIUS, ROWS, Plan, snapshots
from minilwa.experiments.runs import Setting, Unit, gathered, trained
from minilwa.saving import load

IMAGES = 1000  # the first test images, the same at every epoch


def units(setting: Setting, name: str = "figure2") -> list[Unit]:
    """A unit for each method and seed; the networks are Table 2's."""
    steps = {along: partial(single_step, along=direction(along, setting.formulas)) for along in DIRECTIONS}
    measured = partial(curves, attacks=steps)
    return [Unit(name, setting.plan("lenet", row, seed), measured) for seed in setting.seeds for row in ROWS]


def curves(setting: Setting, plan: Plan, attacks: Mapping[str, Callable[..., Array]]) -> dict[str, Any]:
    """Accuracies over the epochs, clean and under each of ``attacks``, as plain JSON data.

    InputError for a training of no epochs, or if a snapshot is missing.
    """
    if not plan.recipe.epochs:
        raise InputError("epochs", 0, "a number >= 1, for curves over them")
    trained(setting, plan)
    (x, y), epochs = setting.test_images(plan), snapshots(plan)
    x, y = x[:IMAGES], y[:IMAGES]
    found: dict[str, list[float]] = {name: [] for name in ("validation", *attacks)}
    for epoch in epochs:
        path = setting.kept(plan, epoch)
        if not path.exists():
            hint = f"Delete {setting.kept(plan)} to train it anew with them."
            raise InputError("out", f"a network without its snapshot {path}", "all snapshots of its training", hint)
        network = load(path, setting.source.device)
        found["validation"].append(clean_score(network, x, y).accuracy)
        for name, attack in attacks.items():
            found[name].append(clean_score(network, attack(network, x, y, RADIUS["lenet"]), y).accuracy)
    return {"method": plan.method.name, "seed": plan.recipe.seed, "n": len(x), "epochs": epochs, "curves": found}


def summary(setting: Setting, name: str = "figure2") -> dict[str, Any]:
    """The configuration, and the curves of every method and seed."""
    return gathered(setting, units(setting, name), radius=RADIUS["lenet"])
