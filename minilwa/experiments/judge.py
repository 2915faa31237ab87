"""The judgement: every attack on every trained network, on the same images, so that the worst case can be told.

Each (network, attack) is a unit of its own and leaves how far the attack had to move each image; what follows from
that, the worst case over attacks above all, is the report's. Attacks are run unclipped and clipped to [0, 1], some
again with twice the steps or in float64, and one set of images is made on another network. Besides, the paper's own
perturbations are looked at: whether they are concentrated in one place.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import numpy as np

from minilwa.attacks import ATTACKS, Attack, lbfgs, pgd, square
from minilwa.attacks.common import Gradients
from minilwa.attacks.worst import distances, score_at
from minilwa.attacks.worst import summary as distance_summary
from minilwa.backend import Array, to_numpy
from minilwa.checks import check_box
from minilwa.directions import adv_loss
from minilwa.errors import InputError
from minilwa.evaluation import adversarial_images, clean_score, predict
from minilwa.experiments import tables
from minilwa.experiments.concentration import WINDOW, concentration
from minilwa.experiments.protocols import RADIUS, ROWS, Plan
from minilwa.experiments.runs import Setting, Unit, gathered, trained
from minilwa.norms import length
from minilwa.tree import tree_map

IMAGES = 1000  # the first test images
RADII = {
    "mlp": (1.0, 1.5, 2.0, 3.0, 4.0, 6.0),
    "lenet": (1.0, 1.5, 2.0, 3.0, 4.0, 6.0),
    "cifar": (0.1, 0.25, 0.5, 1.0, 2.0),
}
LONG = ("pgd", "pgd_margin", "pgd-1start", "square")  # thousands of passes at a radius
TRACED = {("mlp", "quick"): 1, ("mlp", "paper"): 5, ("mlp", "equal"): 3, ("lenet", "paper"): 1}  # how many seeds
FEWER = {  # on CIFAR-10, where each pass is dear
    "square": replace(ATTACKS["square"], run=partial(square, queries=500)),
    "lbfgs": replace(ATTACKS["lbfgs"], run=partial(lbfgs, searches=5)),
    "pgd-1start": replace(ATTACKS["pgd"], run=partial(pgd, restarts=1)),
}
TWICE_MORE = {("lenet", "equal")}  # where 200 steps broke up to 17 of 1,000 images more than 100
DIGITS = 5  # of a distance: what is left out is less than what float32 rounds


@dataclass(frozen=True)
class Part:
    """One attack as it is run here: a ``check`` only confirms another, a ``long`` one is dear.

    A check is run at the radius of the tables alone, and so is a long attack, but for the seeds that are `TRACED`:
    their curves over the radius stand for the others'.
    """

    attack: Attack
    clip: bool = False
    precision: str = "float32"
    check: bool = False
    long: bool = False

    def radii(self, plan: Plan, protocol: str) -> tuple[float, ...]:
        """Where the attack is run on the network of ``plan``, and its accuracy told."""
        traced = plan.recipe.seed < TRACED.get((plan.network, protocol), 0)
        alone = self.check or (self.long and not traced)
        return (RADIUS[plan.network],) if alone else RADII[plan.network]


def parts(network: str, protocol: str) -> dict[str, Part]:
    """All of them by name, as networks "mlp", "lenet" or "cifar" meet them under a protocol.

    PGD is repeated with twice the steps, and where that is not enough (`TWICE_MORE`) with four times as many. "cifar"
    meets `FEWER` queries of Square and searches of L-BFGS, PGD with twice the steps from its first start alone, and in
    float64 only single steps.
    """
    dear = network == "cifar"
    attacks, twice = {**ATTACKS, **(FEWER if dear else {})}, "pgd-1start" if dear else "pgd"
    again = ["adv_loss", "adv_alpha", "adv_loss_sign", "adv_loss_printed", "adv_alpha_printed"]
    again += [] if dear else ["pgd"]
    steps = (200, 400) if (network, protocol) in TWICE_MORE else (200,)
    longer = {count: replace(attacks[twice], run=partial(attacks[twice].run, steps=count)) for count in steps}
    return {
        **{name: Part(attack, long=name in LONG) for name, attack in attacks.items()},
        **{f"{name}-clipped": Part(attacks[name], clip=True, long=name in LONG) for name in ATTACKS},
        **{f"{name}-float64": Part(attacks[name], precision="float64", check=True) for name in again},
        **{f"{twice}-{count}steps": Part(attack, check=True) for count, attack in longer.items()},
    }


def network_of(experiment: str) -> str:
    """The networks that "judge-" and a table's name attacks."""
    return tables.NETWORK[experiment.removeprefix("judge-")]


def units(setting: Setting, name: str) -> list[Unit]:
    """Each attack on each network of a table; ``name`` is "judge-" and the table's.

    InputError for pixels that could not be clipped, or another precision than single.
    """
    if setting.source.dtype != "float32":
        raise InputError("dtype", setting.source.dtype, "float32: one of the attacks is in float64 beside it")
    check_box(setting.dataset.x_test, clip=True)
    network = network_of(name)
    found = []
    for seed in setting.seeds:
        for row in ROWS:
            plan = setting.plan(network, row, seed)
            other = (tables.source_of_fixed_set(setting, network, seed),)
            every = parts(network, setting.protocol)
            found += [Unit(name, plan, partial(attacked, part=part), part=part) for part in every]
            found += [Unit(name, plan, unattacked, part="none"), Unit(name, plan, transferred, other, part="transfer")]
            found.append(Unit(name, plan, looked_at, part="concentration"))
    return found


def judged_images(setting: Setting, plan: Plan) -> tuple[Array, Array]:
    """The images that all attacks are run on, and their labels."""
    x, y = setting.test_images(plan)
    return x[:IMAGES], y[:IMAGES]


def attacked(setting: Setting, plan: Plan, part: str) -> dict[str, Any]:
    """How far one attack had to move each image, and the gradients that it met, as plain JSON data."""
    chosen = parts(plan.network, setting.protocol)[part]
    (x, y), watch = judged_images(setting, plan), Gradients()
    attack, network = chosen.attack, trained(setting, plan)
    if chosen.precision != network.dtype:
        network = network.with_parameters(tree_map(lambda p: p.astype(chosen.precision), network.parameters))
        x = x.astype(chosen.precision)
    radii = chosen.radii(plan, setting.protocol)
    found = distances(attack, network, x, y, radii if attack.at_radius else (), clip=chosen.clip, watch=watch)
    result = describe(plan, part, found, x, attack.norm, radii)
    return result | {
        "clip": chosen.clip,
        "precision": chosen.precision,
        "gradients": watch.describe() if attack.gradients else None,
    }


def transferred(setting: Setting, plan: Plan) -> dict[str, Any]:
    """The same of images that were moved along Adv_Loss of the second Normal network."""
    (x, y), network = judged_images(setting, plan), trained(setting, plan)
    source = trained(setting, tables.source_of_fixed_set(setting, plan.network, plan.recipe.seed))
    right = to_numpy(predict(network, x) == y)
    found = np.where(right, np.inf, 0.0)
    for radius in RADII[plan.network]:
        x_hat = adversarial_images(source, x, y, adv_loss, radius)
        broken = to_numpy(predict(network, x_hat) != y)
        found = np.where(broken & np.isinf(found), radius, found)
    found_at = describe(plan, "transfer", found, x, "l2", RADII[plan.network])
    return found_at | {"clip": False, "precision": network.dtype, "gradients": None}


def unattacked(setting: Setting, plan: Plan) -> dict[str, Any]:
    """The clean accuracy, the norms of the images, and how many classes guessing has to choose from."""
    x, y = judged_images(setting, plan)
    score = clean_score(trained(setting, plan), x, y)
    sizes = to_numpy(length(x.reshape(len(x), -1), "l2"))
    about = {"method": plan.method.name, "seed": plan.recipe.seed, "attack": "none", "n": len(x)}
    about |= {"accuracy": score.accuracy, "classes": setting.dataset.classes}
    return about | {"sizes": np.round(sizes.astype(float), DIGITS).tolist()}


def looked_at(setting: Setting, plan: Plan) -> dict[str, Any]:
    """Where the weight of the paper's perturbations lies."""
    (x, y), radius = judged_images(setting, plan), RADIUS[plan.network]
    found = concentration(trained(setting, plan), x, y, radius, setting.formulas)
    about = {"method": plan.method.name, "seed": plan.recipe.seed, "attack": "concentration", "n": len(x)}
    return about | {"radius": radius, "window": WINDOW, "directions": found}


def describe(plan: Plan, part: str, found: np.ndarray, x: Array, norm: Any, radii: tuple[float, ...]) -> dict[str, Any]:
    """Distances as plain JSON data, None where the attack did not succeed; how many are right at each radius."""
    return {
        "method": plan.method.name,
        "seed": plan.recipe.seed,
        "attack": part,
        "n": len(found),
        "norm": norm,
        "radius": RADIUS[plan.network],
        "radii": radii,
        "accuracy": [score_at(found, radius).accuracy for radius in radii] if norm == "l2" else None,
        "summary": distance_summary(found, x, norm),
        "distances": [round(r, DIGITS) if np.isfinite(r) else None for r in found.tolist()],
    }


def summary(setting: Setting, name: str) -> dict[str, Any]:
    """The configuration, and what every unit left."""
    return gathered(setting, units(setting, name))
