"""Which single change to LWA buys the most robustness for the same training time, and what does PGD training ask?

The networks are one architecture, 784-500-500-10, under one schedule. Each variant has as many epochs as make its
training about as long as LWA's, from the cost of a step that is declared here, so that plans are the same on every
machine; the time that is reported is measured, beside PGD training's in the same run. Robustness is the worst case,
image by image, over strong attacks.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any

import numpy as np

from minilwa.attacks import ATTACKS, Attack, square
from minilwa.attacks.worst import distances
from minilwa.backend import Array, clock, like
from minilwa.checks import values_known
from minilwa.directions import direction
from minilwa.errors import InputError
from minilwa.evaluation import attacked_scores, clean_score
from minilwa.experiments.protocols import RADIUS, Plan
from minilwa.experiments.runs import Setting, Unit, gathered, trained
from minilwa.networks import Network
from minilwa.parallel import limited_to
from minilwa.training import shuffled_batches

NETWORK = "mlp"
WIDTHS = (500, 500)  # the authors', for LWA
IMAGES = 1000  # the first test images
TIMED = 30  # steps at the start of the training, and as many at its end


@dataclass(frozen=True)
class Variant:
    """A row of `METHODS` with a change to it, and for how long it is trained.

    ``cost`` is what a training step takes, in passes forward and backward: two for LWA, whose adversary takes one.
    ``time`` is how long to train, in the time that LWA takes for the usual epochs. Variants of one ``curve`` differ in
    that alone.
    """

    change: str
    settings: dict[str, Any] = field(default_factory=dict)
    cost: float = 2.0
    time: float = 1.0
    row: str = "LWA"
    curve: str = ""

    def epochs(self, usual: int) -> int:
        """How many, where LWA has the ``usual`` ones."""
        return max(1, round(usual * self.time * 2 / self.cost))


def over_time(variant: Variant, name: str, times: dict[str, float]) -> dict[str, Variant]:
    """One way of training for several times: ``name`` with each key of ``times`` behind it."""
    return {name + behind: replace(variant, curve=name, time=time) for behind, time in times.items()}


def pgd(radius: float) -> Variant:
    """Madry et al.'s training."""
    return Variant(f"10 steps of c / 4, random start, c = {radius:g}", {"radius": radius}, 10 + 1 + START, row="PGD")


C = {"radius": 1.7}  # the authors'
START = 0.6  # what drawing a random start costs
THREE_STEPS = {"steps": 3, "stride": 1.5}
FIVE_STEPS = {"steps": 5, "stride": 2.5}  # see `minilwa.experiments.choice`
VARIANTS = {
    **over_time(Variant("as in the paper", C), "LWA", {"-half": 0.5, "": 1, "-double": 2}),
    "LWA-printed": Variant("printed formulas", C | {"form": "printed"}),
    "LWA-alpha": Variant("Adv_Alpha, exact and lazy", C | {"along": "adv_alpha"}, cost=5.3),
    "LWA-mixture": Variant("Adv_Loss and Adv_Alpha by halves", C | {"mixed": "adv_alpha"}, cost=4.3),
    "LWA-start": Variant("random start", C | {"start": True}, cost=2 + START),
    "LWA-2steps": Variant("2 steps of 0.75 c", C | {"steps": 2, "stride": 1.5}, cost=3),
    "LWA-3steps": Variant("3 steps of 0.5 c", C | THREE_STEPS, cost=4),
    "LWA-c2": Variant("c = 2", {"radius": 2.0}),
    "LWA-c2.5": Variant("c = 2.5", {"radius": 2.5}),
    **over_time(Variant("3 steps of 0.5 c, for longer", C | THREE_STEPS, cost=4), "LWA+", {"-double": 2, "": 2.8}),
    **over_time(Variant("5 steps of 0.5 c, for longer", C | FIVE_STEPS, cost=6), "LWA++", {"": 2.6}),
    **over_time(pgd(1.7), "PGD", {"-short": 1, "-half": 2.9, "": 5.8}),
    **over_time(pgd(1.5), "PGD-c1.5", {"": 2.9}),
    **over_time(pgd(2.0), "PGD-c2", {"": 2.9}),
}
PLAIN, REFERENCE = "LWA", "PGD"  # what gains, and times, are told against
ATTACKED_BY = {
    "fmn": ATTACKS["fmn"],
    "pgd_margin": ATTACKS["pgd_margin"],
    "pgd": ATTACKS["pgd"],
    "square": replace(ATTACKS["square"], run=partial(square, queries=1000)),  # would tell of gradients that mislead
}


def units(setting: Setting, name: str = "frontier") -> list[Unit]:
    """Accuracies and training time of each variant and seed; the first seed comes first.

    InputError for a form of the formulas, since every variant has its own.
    """
    if setting.form is not None:
        raise InputError("form", repr(setting.form), "none given: each variant of the frontier has its own")
    found = []
    for seed in setting.seeds:
        reference = plan_of(setting, REFERENCE, seed)
        plans = [plan_of(setting, variant, seed) for variant in VARIANTS]
        found += [Unit(name, plan, measured) for plan in plans]
        found += [Unit(name, plan, timed, (reference,), part="time") for plan in plans]
    return found


def plan_of(setting: Setting, name: str, seed: int) -> Plan:
    """How one of `VARIANTS` is trained."""
    return plan_for(setting, VARIANTS[name], name, seed)


def plan_for(setting: Setting, variant: Variant, name: str, seed: int) -> Plan:
    """How a variant of any name is trained."""
    usual = setting.plan(NETWORK, "LWA", seed).recipe.epochs
    changes = {"form": "stable", "epochs": variant.epochs(usual)} | variant.settings
    return setting.plan(NETWORK, variant.row, seed, label=name, widths=WIDTHS, **changes)


def measured(setting: Setting, plan: Plan) -> dict[str, Any]:
    """Accuracies on the same images: clean, after the paper's step, in the worst case."""
    x, y = (array[:IMAGES] for array in setting.test_images(plan))
    return measured_on(x, y, setting, plan, VARIANTS[plan.variant], ATTACKED_BY)


def measured_on(
    x: Array, y: Array, setting: Setting, plan: Plan, variant: Variant, attacks: Mapping[str, Attack]
) -> dict[str, Any]:
    """`measured` on images ``x`` with labels ``y``, of the network of any plan, under any ``attacks``."""
    network, radius = trained(setting, plan), RADIUS[plan.network]
    (single,) = attacked_scores(network, x, y, direction("adv_loss"), [radius])
    standing = survivors(network, x, y, radius, attacks)
    left = {name: len(rest) / len(x) for name, rest in standing.items()}
    return {
        "variant": plan.variant,
        "method": plan.method.name,
        "seed": plan.recipe.seed,
        "change": variant.change,
        "curve": variant.curve,
        "epochs": plan.recipe.epochs,
        "n": len(x),
        "passes": steps_of(setting, plan) * variant.cost,
        "clean": clean_score(network, x, y).accuracy,
        "adv_loss": single.accuracy,
        "left": left,
        "worst": min(left.values()),
        "standing": list(standing.values())[-1].tolist(),
    }


def steps_of(setting: Setting, plan: Plan) -> int:
    """How many steps the training has."""
    return plan.recipe.epochs * -(-len(setting.dataset.x_train) // plan.recipe.batch)


def survivors(
    network: Network, x: Array, y: Array, radius: float, attacks: Mapping[str, Attack]
) -> dict[str, np.ndarray]:
    """Which images are still right within ``radius``, after each of ``attacks`` on what is left by then."""
    found, rest = {}, np.arange(len(x))
    for name, attack in attacks.items():
        if len(rest):
            some = like(rest, x)
            rest = rest[distances(attack, network, x[some], y[some], [radius]) > radius]
        found[name] = rest
    return found


def timed(setting: Setting, plan: Plan) -> dict[str, Any]:
    """What the training takes on one BLAS thread, and which share this is of what PGD training takes.

    A step of each is the median over `TIMED` at the start of its training and as many at its end, one after the other
    in one process: how fast the machine is changes from hour to hour, by more than what the share is to tell.
    """
    plans = {found.variant: found for found in (plan, plan_of(setting, REFERENCE, plan.recipe.seed))}
    steps: dict[str, list[np.ndarray]] = {name: [] for name in plans}
    for network_of in (untrained, trained):
        for name, found in plans.items():
            steps[name].append(step_seconds(setting, found, network_of(setting, found)))
    step = {name: float(np.median(of_both)) for name, of_both in steps.items()}
    seconds = {name: step[name] * steps_of(setting, found) for name, found in plans.items()}
    return {
        "variant": plan.variant,
        "seed": plan.recipe.seed,
        "step_seconds": step[plan.variant],
        "seconds": seconds[plan.variant],
        "share": seconds[plan.variant] / seconds[REFERENCE],
    }


def untrained(setting: Setting, plan: Plan) -> Network:
    """The network before training."""
    return plan.build(setting.dataset, setting.source.dtype, setting.source.device)


def step_seconds(setting: Setting, plan: Plan, network: Network) -> np.ndarray:
    """Seconds of each of up to `TIMED` training steps from ``network``, which stays as it is.

    On the CPU they are processor time of this process alone: a training that was cut off and resumed has the same. A
    step is everything from one batch to the next, the choice of its images included.
    """
    data, recipe = setting.dataset, plan.recipe
    x, y = (array[: TIMED * recipe.batch] for array in (data.x_train, data.y_train))
    rng, sgd, now = np.random.default_rng(recipe.seed), recipe.sgd(0), clock(x)
    marks = [now()]
    batches = shuffled_batches(x, y, recipe, rng, lambda images: marks.append(now()))
    with limited_to(1), values_known():
        plan.method.epoch(network, sgd.start(network), batches, sgd, rng)
    return np.diff(marks)


def summary(setting: Setting, name: str = "frontier") -> dict[str, Any]:
    """The configuration, and the records of every variant and seed."""
    return gathered(setting, units(setting, name), radius=RADIUS[NETWORK], attacks=list(ATTACKED_BY))
