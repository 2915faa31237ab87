"""Figure 1: the accuracy of a LeNet, trained as usual, over the L2 radius of three perturbations."""

from __future__ import annotations

from typing import Any

from minilwa.directions import DIRECTIONS, direction
from minilwa.evaluation import attacked_scores
from minilwa.experiments.runs import Setting, build, progress, trained
from minilwa.methods import METHODS

RADII = tuple(i / 5 for i in range(21))  # 0 to 4


def run(setting: Setting) -> dict[str, Any]:
    """Train, attack, measure: the configuration, and a curve of accuracies for each perturbation."""
    data = setting.dataset
    network = trained(setting, setting.kept("LeNet-Normal"), build("lenet", setting), METHODS["Normal"])
    curves = []
    with progress("attack LeNet-Normal", len(DIRECTIONS) * len(data.x_test)) as bar:
        for name in DIRECTIONS:
            along = direction(name, setting.form)
            found = attacked_scores(network, data.x_test, data.y_test, along, RADII, tick=bar.update)
            curves.append(
                {
                    "direction": name,
                    "accuracy": [score.accuracy for score in found],
                    "intervals": [score.interval() for score in found],
                    "zero_gradients": found[0].zero_gradients,
                }
            )
    return {"config": setting.describe(), "n": len(data.x_test), "radii": RADII, "curves": curves}
