"""The five ways of training that the paper compares, Nokland's and Madry's, as settings of Algorithms 2 and 3."""

from __future__ import annotations

from dataclasses import dataclass, fields, replace
from typing import Any

import numpy as np

from minilwa.algorithms import SGD, Batches, algorithm_2, algorithm_3, goodfellow
from minilwa.ascent import ascent, halves
from minilwa.directions import Direction, direction, no_perturbation
from minilwa.errors import InputError
from minilwa.networks import Network
from minilwa.norms import Norm
from minilwa.tree import Tree


@dataclass(frozen=True)
class Method:
    """What is perturbed while training, along what, and how far.

    ``along`` names a direction (None: no perturbation), taken in ``direction_norm`` (None: its usual one). ``radius``
    is measured in ``norm`` on pixels in [0, 1], or on features where ``at`` > 0 says how many layers form the
    representation; ``relative`` makes it a multiple of the norm of what is perturbed. ``dropout`` > 0 asks for a
    network with dropout layers, and is the rate of those that the command line builds. ``clean`` adds the gradient on
    the unperturbed batch. ``mixed`` names a second direction, for the second half of every batch. ``steps``, ``stride``
    (the length of all steps together, in radii) and ``start`` (at random) are more than the paper's one step, as in
    `ascent`.
    InputError for two settings that exclude each other, or for a perturbation's without ``along``.
    """

    name: str
    along: str | None = None
    radius: float = 0.0
    norm: Norm = "l2"
    direction_norm: Norm | None = None
    form: str = "stable"
    relative: bool = False
    at: int = 0
    clean: bool = False
    dropout: float = 0.0
    mixed: str | None = None
    steps: int = 1
    stride: float = 1.0
    start: bool = False

    def __post_init__(self) -> None:
        if self.at and self.clean:
            raise InputError("method", f"at={self.at} with clean=True", "one of the two")
        if self.along is None and (self.radius or self.at or self.mixed or self.steps != 1 or self.start):
            raise InputError("method", f"{self.name} with settings of a perturbation", "a direction in along for them")

    def epoch(
        self, network: Network, velocity: Tree, batches: Batches, sgd: SGD, rng: np.random.Generator
    ) -> tuple[Network, Tree]:
        """The network and the velocity after the batches."""
        perturb: Direction = no_perturbation
        if self.along is not None:
            along = direction(self.along, self.form, self.direction_norm)
            if self.mixed is not None:
                along = halves(along, direction(self.mixed, self.form, self.direction_norm))
            started = rng if self.start else None
            perturb = ascent(along, self.radius, self.norm, self.relative, self.steps, self.stride, started)
        if self.at:
            return algorithm_3(network, velocity, batches, perturb, sgd, self.at, rng)
        if self.clean:
            return goodfellow(network, velocity, batches, perturb, sgd, rng)
        return algorithm_2(network, velocity, batches, perturb, sgd, rng)


METHODS = {
    method.name: method
    for method in (
        Method("Normal"),
        Method("Dropout", dropout=0.5),
        Method("Goodfellow", along="adv_loss_sign", radius=1.5, clean=True),
        Method("LWA", along="adv_loss", radius=1.7),
        Method("LWA_Rep", along="adv_loss", radius=0.12, relative=True, at=3),
        Method("Nokland", along="adv_loss_sign", radius=1.5),
        Method("PGD", along="adv_loss", radius=1.5, steps=10, stride=2.5, start=True),
    )
}


def method(name: str, **changes: Any) -> Method:
    """One of `METHODS`, its settings changed as given. InputError for a name or a setting that there is not."""
    if name not in METHODS:
        raise InputError("method", repr(name), f"one of {', '.join(METHODS)}")
    if unknown := set(changes) - {field.name for field in fields(Method)}:
        raise InputError("method", ", ".join(sorted(unknown)), f"one of {', '.join(f.name for f in fields(Method))}")
    return replace(METHODS[name], **changes)
