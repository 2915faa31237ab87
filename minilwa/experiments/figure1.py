"""Figure 1: the accuracy of a LeNet, trained as usual, over the L2 radius of three perturbations."""

from __future__ import annotations

from typing import Any

from minilwa.directions import DIRECTIONS, direction
from minilwa.evaluation import attacked_scores
from minilwa.experiments.protocols import Plan
from minilwa.experiments.runs import Setting, Unit, trained

RADII = tuple(i / 5 for i in range(21))  # 0 to 4


def units(setting: Setting, name: str = "figure1") -> list[Unit]:
    """A unit for each seed."""
    return [Unit(name, setting.plan("lenet", "Normal", seed), curves) for seed in setting.seeds]


def curves(setting: Setting, plan: Plan) -> dict[str, Any]:
    """A curve of accuracies for each perturbation, as plain JSON data."""
    (x, y), network, found = setting.test_images(plan), trained(setting, plan), []
    for name in DIRECTIONS:
        scores = attacked_scores(network, x, y, direction(name, setting.formulas), RADII)
        found.append(
            {
                "direction": name,
                "accuracy": [score.accuracy for score in scores],
                "intervals": [score.interval() for score in scores],
                "zero_gradients": scores[0].zero_gradients,
            }
        )
    return {"seed": plan.recipe.seed, "n": len(x), "radii": RADII, "curves": found}


def summary(setting: Setting, name: str = "figure1") -> dict[str, Any]:
    """The configuration, the curves of the first seed, and under ``rows`` those of every seed."""
    found = [unit.result(setting) for unit in units(setting, name)]
    return {"config": setting.describe() | {"seeds": setting.seeds}, **found[0], "rows": found}
