"""Figure 1: the accuracy of a LeNet, trained as usual, over the L2 radius of the perturbations, and of two others.

The paper's images leave the range of the pixels; each curve has another beside it whose images are clipped to it.
"""

from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np

from minilwa.checks import in_box
from minilwa.directions import DIRECTIONS, Direction, deepfool_direction, direction, noise_direction
from minilwa.evaluation import attacked_scores
from minilwa.experiments.protocols import Plan
from minilwa.experiments.runs import Setting, Unit, gathered, trained

RADII = tuple(i / 5 for i in range(21))  # 0 to 4


def units(setting: Setting, name: str = "figure1") -> list[Unit]:
    """A unit for each seed."""
    return [Unit(name, setting.plan("lenet", "Normal", seed), curves) for seed in setting.seeds]


def curves(setting: Setting, plan: Plan) -> dict[str, Any]:
    """A curve of accuracies for each direction, unclipped and, for pixels in [0, 1], clipped, as plain JSON data."""
    (x, y), network, found = setting.test_images(plan), trained(setting, plan), []
    for clip in (False, True) if in_box(x) else (False,):
        for name, along in directions(setting.formulas, plan.recipe.seed).items():
            scores = attacked_scores(network, x, y, along, RADII, clip=clip)
            found.append(
                {
                    "direction": name,
                    "clip": clip,
                    "accuracy": [score.accuracy for score in scores],
                    "intervals": [score.interval() for score in scores],
                    "zero_gradients": scores[0].zero_gradients,
                }
            )
    return {"seed": plan.recipe.seed, "n": len(x), "radii": RADII, "curves": found}


def directions(form: str, seed: int) -> dict[str, Direction]:
    """The paper's three; DeepFool's, and noise, to see what is gained over each."""
    paper = {name: direction(name, form) for name in DIRECTIONS}
    noise = partial(noise_direction, rng=np.random.default_rng(seed))
    return paper | {"deepfool": deepfool_direction, "noise": noise}


def summary(setting: Setting, name: str = "figure1") -> dict[str, Any]:
    """The configuration, the curves of the first seed, and under ``rows`` those of every seed."""
    found = gathered(setting, units(setting, name))
    return found["rows"][0] | found
