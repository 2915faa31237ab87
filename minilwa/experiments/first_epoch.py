"""From how many seeds does a LeNet begin to learn, while an adversary moves every image?

LWA has no clean gradient; Goodfellow's method adds it, and moves images along the sign of the gradient. Each of the two
is taken along the other's direction too. A setting trains for one epoch, which is how the longer training of that seed
begins.
"""

from __future__ import annotations

from typing import Any

from minilwa.directions import direction
from minilwa.errors import InputError
from minilwa.evaluation import attacked_scores, beyond_guessing, clean_score
from minilwa.experiments.protocols import GRIDS, RADIUS, Plan, label
from minilwa.experiments.runs import Setting, Unit, gathered, trained

NETWORK = "lenet"
LARGEST, *SMALLER = sorted(GRIDS[NETWORK]["LWA"]["radius"], reverse=True)
SLOW = 0.01
TRIED: tuple[tuple[str, dict[str, Any]], ...] = (  # the search's radii, at the rate that it chose or the protocol has
    ("Goodfellow", {"radius": LARGEST}),
    ("Goodfellow", {"radius": LARGEST, "along": "adv_loss"}),
    ("LWA", {"radius": LARGEST}),
    ("LWA", {"radius": LARGEST, "along": "adv_loss_sign"}),
    *(("LWA", {"radius": radius}) for radius in SMALLER),
    ("LWA", {"radius": LARGEST, "rate": SLOW}),
)
CUT = {"epochs": 1}
VARIANTS = [label(row, changes | CUT) for row, changes in TRIED]


def units(setting: Setting, name: str = "first-epoch") -> list[Unit]:
    """A unit for each setting and seed. InputError for a number of epochs, since it is one."""
    if setting.recipe.get("epochs", 1) != 1:
        raise InputError("epochs", setting.recipe["epochs"], "none given: all is about the first epoch")
    return [
        Unit(name, plan_of(setting, row, changes, seed), measured) for seed in setting.seeds for row, changes in TRIED
    ]


def plan_of(setting: Setting, row: str, changes: dict[str, Any], seed: int) -> Plan:
    """The row's training, cut off after one epoch."""
    return setting.plan(NETWORK, row, seed, **changes, **CUT, label=label(row, changes | CUT))


def measured(setting: Setting, plan: Plan) -> dict[str, Any]:
    """Accuracy on the test images, as they are and under Adv_Loss, and whether it is beyond guessing, as JSON data."""
    network, (x, y) = trained(setting, plan), setting.test_images(plan)
    clean = clean_score(network, x, y)
    (attacked,) = attacked_scores(network, x, y, direction("adv_loss", setting.formulas), [RADIUS[NETWORK]])
    about = {"method": plan.method.name, "variant": plan.variant, "seed": plan.recipe.seed, "n": clean.n}
    about |= {"clean": clean.accuracy, "adv_loss": attacked.accuracy}
    return about | {"learned": beyond_guessing(clean.accuracy, setting.dataset.classes)}


def summary(setting: Setting, name: str = "first-epoch") -> dict[str, Any]:
    """The configuration, and the records of every setting and seed."""
    return gathered(setting, units(setting, name), radius=RADIUS[NETWORK])
