"""Table 1: five ways of training a two-hidden-layer network, each attacked by three perturbations of L2 norm 1.5."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from minilwa.backend import Array
from minilwa.directions import DIRECTIONS, direction
from minilwa.evaluation import Score, adversarial_images, attacked_scores, clean_score
from minilwa.experiments.paper import COLUMNS, TABLE_1
from minilwa.experiments.runs import Setting, build, progress, trained
from minilwa.methods import METHODS, method
from minilwa.networks import Network

RADIUS = 1.5


def run(setting: Setting) -> dict[str, Any]:
    """Train, attack, measure: the configuration, and a row for each method in the paper's order."""
    fixed = fixed_set(setting)
    methods = {name: method(name, form=setting.form) for name in TABLE_1}
    networks = {
        name: trained(setting, setting.kept(name), build("mlp", setting, m.dropout), m) for name, m in methods.items()
    }
    rows = [row(name, scores(setting, name, network, fixed)) for name, network in networks.items()]
    config = setting.describe() | {"radius": RADIUS, "methods": {name: vars(m) for name, m in methods.items()}}
    return {"config": config, "rows": rows}


def fixed_set(setting: Setting) -> Array:
    """The test images moved along Adv_Loss of a second Normal network, trained from another seed: column "Fixed"."""
    other = replace(setting, recipe=replace(setting.recipe, seed=setting.recipe.seed + 1))
    source = trained(other, other.kept("Normal-for-fixed-set"), build("mlp", other), METHODS["Normal"])
    data = setting.dataset
    return adversarial_images(source, data.x_test, data.y_test, direction("adv_loss", setting.form), RADIUS)


def scores(setting: Setting, name: str, network: Network, fixed: Array) -> dict[str, Score]:
    """The network's score by column."""
    x, y = setting.dataset.x_test, setting.dataset.y_test
    found = {"validation": clean_score(network, x, y), "fixed": clean_score(network, fixed, y)}
    with progress(f"attack {name}", len(DIRECTIONS) * len(x)) as bar:
        for column in DIRECTIONS:
            along = direction(column, setting.form)
            (found[column],) = attacked_scores(network, x, y, along, [RADIUS], tick=bar.update)
    return found


def row(method: str, found: dict[str, Score]) -> dict[str, Any]:
    """A row as plain JSON data: accuracies, their Wilson intervals, and how many attacks found no direction."""
    return {
        "method": method,
        **{column: found[column].accuracy for column in COLUMNS},
        "n": found["validation"].n,
        "intervals": {column: found[column].interval() for column in COLUMNS},
        "zero_gradients": {column: found[column].zero_gradients for column in DIRECTIONS},
    }
