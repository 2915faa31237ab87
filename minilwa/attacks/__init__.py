"""Attacks for honest evaluation, each a function of (network, x, y) and its settings that returns x_hat, shaped like x.

    name           norm      reads      source
    -------------  --------  ---------  ------------------------------------------------------------------------------
    adv_loss       L2        gradients  the paper, 3.1.1; a single step (also _sign, and adv_alpha of 3.1.2), in the
                                        stable and, with _printed, in the printed form
    deepfool_step  L2        gradients  Moosavi-Dezfooli et al. (1511.04599), its first step alone
    pgd            L2, Linf  gradients  Madry et al. (1706.06083), on the cross-entropy
    pgd_margin     L2, Linf  gradients  the same on Carlini and Wagner's margin (1608.04644)
    square         L2        values     Andriushchenko et al. (1912.00049)
    noise          any       values
    deepfool       any       gradients  Moosavi-Dezfooli et al. (1511.04599)
    fmn            L2, Linf  gradients  Pintor et al. (2102.12827)
    lbfgs          L2        gradients  Szegedy et al. (1312.6199), with SciPy, a thread for each image

Those down to noise are given a radius and return the worst point that they find within it. The last three look for the
nearest point of another class, and return x itself where they find none. All leave what is misclassified unchanged, and
treat each sample by itself: what is drawn at random depends on ``seed`` and the batch. With ``clip`` x_hat stays in
[0, 1]. `worst` turns any of them into distances, and those into accuracies over the radius.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

from minilwa.attacks.deepfool import deepfool
from minilwa.attacks.lbfgs import lbfgs
from minilwa.attacks.minimum_norm import fmn
from minilwa.attacks.noise import noise
from minilwa.attacks.pgd import pgd
from minilwa.attacks.single_step import single_step
from minilwa.attacks.square import square
from minilwa.backend import Array
from minilwa.directions import DIRECTIONS, deepfool_direction, direction
from minilwa.norms import Norm
from minilwa.propositions import FORMS

__all__ = ["ATTACKS", "Attack", "deepfool", "fmn", "lbfgs", "noise", "pgd", "single_step", "square"]


@dataclass(frozen=True)
class Attack:
    """An attack with the settings of the report.

    ``run(network, x, y, radius)`` if ``at_radius``, else ``run(network, x, y)``; with ``clip`` and ``tick``, with
    ``watch`` if it reads ``gradients``, and with ``seed`` if it is ``random``. ``norm`` is the one that it works in.
    """

    run: Callable[..., Array]
    norm: Norm = "l2"
    at_radius: bool = True
    gradients: bool = True
    random: bool = False


ATTACKS: dict[str, Attack] = {
    **{
        name if form == "stable" else f"{name}_{form}": Attack(partial(single_step, along=direction(name, form)))
        for form in FORMS
        for name in DIRECTIONS
    },
    "deepfool_step": Attack(partial(single_step, along=deepfool_direction)),
    "pgd": Attack(pgd, random=True),
    "pgd_margin": Attack(partial(pgd, loss="margin"), random=True),
    "square": Attack(square, gradients=False, random=True),
    "noise": Attack(noise, gradients=False, random=True),
    "deepfool": Attack(deepfool, at_radius=False),
    "deepfool_linf": Attack(partial(deepfool, norm="linf"), norm="linf", at_radius=False),
    "fmn": Attack(fmn, at_radius=False),
    "fmn_linf": Attack(partial(fmn, norm="linf"), norm="linf", at_radius=False),
    "lbfgs": Attack(lbfgs, at_radius=False),
}
