"""The paper's perturbations of a labelled batch, Adv_Loss, Adv_Loss_Sign and Adv_Alpha, and two to compare with.

A direction is a function ``(network, x, y) -> (N, *shape)``, of norm 1 (or 0 where the formula gives none) in the norm
that it was made for; `perturbation` sets its length in whatever norm measures the radius. Gradients are taken in
evaluation mode.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import numpy as np

from minilwa.algorithms import Perturb, perturbations_by_class
from minilwa.backend import Array, namespace, normal
from minilwa.checks import check_images, check_labels, check_radius, check_steps
from minilwa.errors import InputError
from minilwa.jacobian import jacobian_rows
from minilwa.lazy import lazy_algorithm_1
from minilwa.networks import Network
from minilwa.norms import Norm, exponent, length, rescale
from minilwa.parallel import by_samples
from minilwa.propositions import (
    boundaries_of_logits,
    check_form,
    likelihood_direction,
    proposition_2_2,
    select,
    softmax_of_others,
)
from minilwa.tape import vjp

Direction = Perturb  # (network, x, y) -> (N, *shape)


def adv_loss(network: Network, x: Array, y: Array, norm: Norm = "l2", form: str = "stable") -> Array:
    """Section 3.1.1: the steepest descent of alpha_y, which is the steepest ascent of the loss.

    "printed" takes T_y itself; "stable" pulls the cotangent onehot(y) - pi back through the logits, which is T_y over
    alpha_y (1 - alpha_y) and loses nothing when alpha_y is nearly 1. InputError for a form that there is not, or for
    images or labels that are not the network's.
    """
    check_form(form)
    check_images(network, x)
    check_labels(network, x, y)

    def direction_of(x: Array, y: Array) -> Array:
        if form == "printed":
            alpha, pullback = vjp(network, x)
            cotangent = onehot(y, alpha)
        else:
            z, pullback = vjp(network.logits, x)
            cotangent = onehot(y, z) - softmax_of_others(z, y)[0]
        return likelihood_direction(pullback(cotangent)[0], norm)

    return by_samples(direction_of, x, y) if network.in_shares else direction_of(x, y)


def adv_alpha(network: Network, x: Array, y: Array, norm: Norm = "l2", form: str = "stable") -> Array:
    """Section 3.1.2: the direction of Algorithm 1, r*_(I).

    In the stable form found by `lazy_algorithm_1`, with two or three backward rows rather than K.

    A sample that the network already gets wrong is pushed on, away from its label: along T_J - T_y, where J is the
    class that it is taken for. That is minus the direction that Algorithm 1 gives for class y, in both forms.
    InputError for a form that there is not, or for images or labels that are not the network's.
    """
    check_form(form)
    check_images(network, x)
    check_labels(network, x, y)
    xp = namespace(x)
    if form == "stable":
        predicted, _, (direction, _), _ = lazy_algorithm_1(network, x, norm, y)
    else:
        predicted, candidates = perturbations_by_class(network, x, norm, form)
        nearest, _ = proposition_2_2(candidates)
        direction, _ = select(candidates, xp.where(predicted == y, nearest, y))
    sign = xp.where(predicted == y, 1, -1).astype(x.dtype)
    return direction * sign.reshape(-1, *[1] * (x.ndim - 1))


def deepfool_direction(network: Network, x: Array, y: Array, norm: Norm = "l2") -> Array:
    """The direction of DeepFool's first step (arXiv 1511.04599): D_I, towards the nearest class of the linear logits.

    A sample that the network already gets wrong is pushed on, along J_J - J_y. InputError for images or labels that are
    not the network's.
    """
    check_images(network, x)
    check_labels(network, x, y)

    def direction_of(x: Array, y: Array) -> Array:
        z, rows = jacobian_rows(network.logits, x)
        candidates = boundaries_of_logits(z, rows, y, norm)
        predicted, (nearest, _) = z.argmax(axis=-1), proposition_2_2(candidates)
        return select(candidates, namespace(x).where(predicted == y, nearest, predicted)).direction

    return by_samples(direction_of, x, y) if network.in_shares else direction_of(x, y)


def noise_direction(network: Network, x: Array, y: Array, rng: np.random.Generator) -> Array:
    """Uniform on the L2 sphere, drawn from ``rng``, which goes on from call to call; a `Direction` once that is bound.

    What a network loses to it, it loses to bad luck; an attack must do better at the same radius. InputError for images
    that are not the network's.
    """
    check_images(network, x)
    return rescale(normal(rng, x), 1, "l2")


DIRECTIONS: dict[str, Callable[..., Array]] = {
    "adv_loss": adv_loss,
    "adv_loss_sign": partial(adv_loss, norm="linf"),
    "adv_alpha": adv_alpha,
}


def direction(name: str, form: str = "stable", norm: Norm | None = None) -> Direction:
    """One of `DIRECTIONS` by name, in a form; ``norm`` replaces the one that it is usually taken in.

    InputError for a name, a form or a norm that there is not.
    """
    if name not in DIRECTIONS:
        raise InputError("direction", repr(name), f"one of {', '.join(DIRECTIONS)}")
    check_form(form)
    return partial(DIRECTIONS[name], form=form, **({} if norm is None else {"norm": exponent(norm)}))


def perturbation(
    along: Direction,
    radius: float,
    norm: Norm = "l2",
    relative: bool = False,
) -> Direction:
    """``along`` with its length set: r = c d / ||d||, where 0 / ||0|| is 0.

    ``radius`` c >= 0 is measured in ``norm``, in units of the input (pixels are in [0, 1]); with ``relative`` it is a
    multiple of ||x||, sample by sample. InputError unless the radius is finite and >= 0, and if
    what ``along`` gives has not the shape of x.
    """
    check_radius(radius)
    exponent(norm)

    def perturb(network: Network, x: Array, y: Array) -> Array:
        c = radius * length(x.reshape(len(x), -1), norm) if relative else radius
        steps = along(network, x, y)
        check_steps(x, steps)
        return rescale(steps, c, norm)

    return perturb


def no_perturbation(network: Network, x: Array, y: Array) -> Array:
    """r = 0: ordinary training."""
    return namespace(x).zeros_like(x)


def onehot(y: Array, like: Array) -> Array:
    """Rows ``(N, K)`` of zeros with a one at ``y`` ``(N,)``, in the shape and dtype of logits ``like``."""
    xp = namespace(y, like)
    return (y[:, None] == xp.arange(like.shape[-1])).astype(like.dtype)
