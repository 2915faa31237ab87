"""Algorithms 1, 2 and 3, line by line as in the paper's listings; the numbers are the listings' line numbers.

The loops over the samples of a batch are array operations. Parameters are arguments and results: the pass that finds
the perturbation differentiates by the input alone and cannot touch the parameters' gradients.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np

from minilwa.backend import Array, frozen, fused
from minilwa.checks import check_images, check_labels
from minilwa.jacobian import jacobian_rows
from minilwa.networks import Network, split
from minilwa.norms import Norm
from minilwa.ops import cross_entropy, mean
from minilwa.parallel import mean_over_samples
from minilwa.propositions import Perturbations, check_form, proposition_2_1, proposition_2_1_stable, proposition_2_2
from minilwa.tape import value_and_gradient, vjp
from minilwa.tree import Tree, tree_map

Perturb = Callable[[Network, Array, Array], Array]  # (network, x, y) -> r, shaped like x
Batches = Iterable[tuple[Array, Array]]


def algorithm_1(network: Network, x: Array, norm: Norm = "l2", form: str = "stable") -> tuple[Array, Perturbations]:
    """Algorithm 1, finding adversarial examples: the nearest class I ``(N,)`` and r*_(I) for each sample of ``x``.

    ``form`` "printed" takes the paper's formulas, "stable" (the default) the same mathematics from logits. InputError
    for images that the network does not take, for a norm or a form that there is not.
    """
    check_images(network, x)
    _, candidates = perturbations_by_class(network, x, norm, form)  # 1-4
    return proposition_2_2(candidates)  # 5: r*_(I), I = argmin ||r*_(i)||


def perturbations_by_class(network: Network, x: Array, norm: Norm, form: str) -> tuple[Array, Perturbations]:
    """Lines 1 to 4 of Algorithm 1: the predicted class ``(N,)``, and r*_(j) for every class j ``(N, K, *shape)``.

    InputError for a form that there is not, or a network that does not end in a softmax.
    """
    check_form(form)
    network.check_classifier()
    if form == "printed":
        alpha, T = jacobian_rows(network, x)  # 1: T by forward-backward propagation up to the softmax layer
        return alpha.argmax(axis=-1), proposition_2_1(alpha, T, norm)  # 2-4
    z, J = jacobian_rows(network.logits, x)  # 1: up to the logits
    return z.argmax(axis=-1), proposition_2_1_stable(z, J, norm)  # 2-4


@dataclass(frozen=True)
class SGD:
    """Stochastic gradient descent with momentum: v <- momentum v - rate gradient; parameters <- parameters + v."""

    rate: float
    momentum: float = 0.0

    def start(self, network: Network) -> Tree:
        """The velocity before the first step: zeros, in the structure of the parameters."""
        return tree_map(lambda p: p * 0, network.parameters)

    def step(self, network: Network, velocity: Tree, gradient: Tree) -> tuple[Network, Tree]:
        """The network and the velocity after one step."""
        momentum, rate = float(self.momentum), float(self.rate)
        velocity = tree_map(lambda v, g: next_velocity(v, g, momentum, rate), velocity, gradient)
        return network.with_parameters(tree_map(lambda p, v: frozen(p + v), network.parameters, velocity)), velocity


@fused
def next_velocity(v: Array, g: Array, momentum: float, rate: float) -> Array:
    """The velocity ``v`` after a step against the gradient ``g``."""
    v = momentum * v
    v -= rate * g
    return v


def batch_loss(parameters: Tree, x: Any, network: Network, y: Array, rng: np.random.Generator | None = None) -> Any:
    """The mean cross-entropy of a batch as a function of the parameters and of ``x``; with ``rng`` in training mode."""
    return mean(cross_entropy(network.logits(x, parameters, rng), labels=y))


def loss_gradient(network: Network, x: Array, y: Array, rng: np.random.Generator | None = None) -> Tree:
    """The gradient of `batch_loss` for the parameters."""

    def gradient(x: Array, y: Array) -> Tree:
        loss = partial(batch_loss, x=x, network=network, y=y, rng=rng)
        return value_and_gradient(loss, network.parameters)[1][0]

    return mean_over_samples(gradient, x, y) if network.in_shares else gradient(x, y)


def algorithm_2(
    network: Network,
    velocity: Tree,
    batches: Batches,
    perturb: Perturb,
    sgd: SGD,
    rng: np.random.Generator | None = None,
) -> tuple[Network, Tree]:
    """Algorithm 2, learning with adversary, on the input: the network and the velocity after all ``batches``.

    Each batch is ``(x, y)``, ``(N, *shape)`` and labels ``(N,)``; ``perturb`` gives r ``(N, *shape)``, from the network
    as it is by then (`ascent` makes one), and zeros make this ordinary training. r is data: no gradient goes through
    it. With ``rng`` layers such as dropout are in training mode, on x_hat; r is found in evaluation mode. InputError
    for labels that are not the network's.
    """
    for x, y in batches:  # 1, 2: the samples (x_i, y_i) of the current batch
        check_labels(network, x, y)
        r = perturb(network, x, y)  # 3-5: d alpha / dx, the optimal r*, and c r* / ||r*||
        x_hat = x + r  # 5: the pseudo-samples
        gradient = loss_gradient(network, x_hat, y, rng)  # 7: forward-backward propagation on them
        network, velocity = sgd.step(network, velocity, gradient)  # 7: update the network
    return network, velocity  # 9


def algorithm_3(
    network: Network,
    velocity: Tree,
    batches: Batches,
    perturb: Perturb,
    sgd: SGD,
    at: int,
    rng: np.random.Generator | None = None,
) -> tuple[Network, Tree]:
    """Algorithm 3, learning with adversary, on the representation: the output x_tilde of the first ``at`` layers.

    As `algorithm_2`, but r is a perturbation of x_tilde ``(N, *shape)``, which ``perturb`` finds from x_tilde and the
    layers above as a network of their own. InputError if ``at`` leaves no layer on either side.
    """
    for x, y in batches:  # 1, 2
        check_labels(network, x, y)
        representation, classifier = split(network, at)
        forward = partial(representation.apply, x=x, rng=rng)
        x_tilde, pullback = vjp(forward, representation.parameters)  # 3: forward propagation through N_rep
        r = perturb(classifier, x_tilde, y)  # 4-7: the optimal perturbation of N_cal's input, scaled
        x_hat = x_tilde + r  # 7: the pseudo-samples
        loss = partial(batch_loss, network=classifier, y=y, rng=rng)
        _, (gradient_cal, gradient_x) = value_and_gradient(loss, classifier.parameters, x_hat)  # 9, 10
        (gradient_rep,) = pullback(gradient_x)  # 10: on through N_rep, with r held fixed
        network, velocity = sgd.step(network, velocity, gradient_rep + gradient_cal)  # 10: update both
    return network, velocity  # 12


def goodfellow(
    network: Network,
    velocity: Tree,
    batches: Batches,
    perturb: Perturb,
    sgd: SGD,
    rng: np.random.Generator | None = None,
) -> tuple[Network, Tree]:
    """Goodfellow et al. (2014), as the paper's authors ran it: the clean and the adversarial gradient summed.

    Arguments and result are those of `algorithm_2`.
    """
    for x, y in batches:
        check_labels(network, x, y)
        x_hat = x + perturb(network, x, y)
        clean = loss_gradient(network, x, y, rng)
        adversarial = loss_gradient(network, x_hat, y, rng)
        network, velocity = sgd.step(network, velocity, tree_map(lambda a, b: a + b, clean, adversarial))
    return network, velocity
