"""Algorithm 1 at the price of two or three backward rows instead of K, with a certificate that nothing was missed.

The nearest class maximises value_j = ||G + pi_j D_j / delta_j||_* (`propositions.proposition_2_1_stable`), and G is
one backward row. Where U_j >= value_j is known for the classes whose row D_j is not, the largest value found is the
maximum as soon as it is >= every such U_j. So the search looks at classes by falling U_j and stops there, the proof in
hand. The bounds are those of `span`: what the rows computed so far leave open of the others.
"""

from __future__ import annotations

import warnings
from functools import partial
from itertools import pairwise
from typing import Any, NamedTuple

import numpy as np

from minilwa.backend import Array, namespace, to_numpy
from minilwa.bounds import SLACK, WeightBound
from minilwa.checks import check_images, check_labels
from minilwa.errors import InputError
from minilwa.jacobian import jacobian_rows
from minilwa.layers import Layer, chain
from minilwa.networks import Network
from minilwa.norms import Norm, dual, dual_length, steepest
from minilwa.parallel import by_samples
from minilwa.propositions import (
    Perturbations,
    proposition_2_1_stable,
    proposition_2_2,
    select,
    stable_log_distance,
    stable_weights,
)
from minilwa.span import Span
from minilwa.tape import vjp

MARGIN = 1 + 1e-6  # the largest value must exceed the bounds that remain by as much


class Certificate(NamedTuple):
    """Why the search could stop, sample by sample, each ``(N,)``: best >= (1 + 1e-6) remaining.

    It says nothing of samples that were not searched, those taken for another class than their label, nor of those
    whose logits are not finite, whose distance is NaN.

    ``best`` is the largest value_j found, ``remaining`` the largest bound of the classes not looked at (-inf if there
    are none), ``rows`` the backward rows that it took, that of G included.
    """

    best: Array
    remaining: Array
    rows: Array


class Found(NamedTuple):
    """The predicted class J and the class I, each ``(N,)``, the perturbation r*_(I), and the certificate."""

    predicted: Array
    nearest: Array
    perturbation: Perturbations
    certificate: Certificate


@np.errstate(over="ignore", invalid="ignore")  # a bound beyond all floats is infinite, and still a bound
def lazy_algorithm_1(network: Network, x: Array, norm: Norm = "l2", y: Array | None = None) -> Found:
    """`algorithm_1` in its stable form, with backward rows only for the classes that can still be the nearest.

    ``x`` is ``(N, *shape)``. With labels ``y`` ``(N,)``, a sample taken for another class than its label gets I = y and
    no search: the direction that section 3.1.2 turns round. A network with a layer that states no bound needs all rows,
    and a warning says so. InputError for images or labels that are not the network's, or a network with one class.
    """
    check_images(network, x)
    if network.classes < 2:
        raise InputError("network", "1 class", "at least 2")
    if y is not None:
        check_labels(network, x, y)
    stretch = stretch_of(network, x, norm)
    if stretch is None:
        return all_rows(network, x, norm, y)
    parts = cut(network)

    def of(x: Array, y: Array | None = None) -> Found:
        return Search(parts, stretch, x, norm, y).run()

    batch = (x,) if y is None else (x, y)
    return by_samples(of, *batch) if network.in_shares else of(*batch)


class Parts(NamedTuple):
    """A classifier's logits as ``activations(body(x)) @ w + b``, the activations element by element."""

    body: Any  # its backward pass is what rows cost
    activations: Any
    w: Array | None  # (H, K); None stands for the identity
    b: Any


def cut(network: Network) -> Parts:
    """The network's `Parts`: where the last layer is no dense one, all but the softmax is the body."""
    network.check_classifier()
    below, last = body_and_last(network.layers)
    body = partial(chain(*network.layers[:below]).apply, network.parameters[:below])
    activations = partial(chain(*network.layers[below:last]).apply, network.parameters[below:last])
    p = network.parameters[last] if last < len(network.layers) - 1 else {"w": None, "b": 0}
    return Parts(body, activations, p["w"], p["b"])


def body_and_last(layers: tuple[Layer, ...]) -> tuple[int, int]:
    """How many layers lie beneath the last activations, and beneath the last dense layer."""
    last = len(layers) - 1
    if last < 1 or layers[last - 1].name != "dense":
        return last, last
    below = last = last - 1
    while below and layers[below - 1].elementwise:
        below -= 1
    return below, last


class Turn(NamedTuple):
    """One class of each of some samples, with the start and the row of its D_j."""

    some: Array  # (n,)
    classes: Array  # (n,)
    starts: Array  # (n, H)
    rows: Array  # (n, D)


class Search:
    """The best-first search of `lazy_algorithm_1`, and where it stands; ``stretch`` is that of `stretch_of`.

    For N samples, K classes, D pixels and H numbers beneath the last layer, with the letters of the formulas:

        pi, delta, tau = pi / delta  (N, K)   weights of the classes, and of their rows in value_j = ||G + tau_j D_j||_*
        G (N, D), size (N, 1)                 the row that all classes share, and its dual norm
        U (N, K)                              bounds of the values of classes not looked at, -inf for the others
        best, nearest, rows (N,)              the largest value found, its class I, and how many rows that took
        v (N, D)                              delta_I G + pi_I D_I
        searched (N,)                         whether the sample is searched at all
        turns                                 the rows at hand
    """

    def __init__(self, parts: Parts, stretch: Array, x: Array, norm: Norm, y: Array | None) -> None:
        xp = namespace(x)
        self.body, self.x, self.norm = parts.body, x, norm
        below, self.pullback = vjp(parts.body, x)
        h, slopes_of = vjp(parts.activations, below)
        self.slopes = slopes_of(xp.ones_like(h))[0]  # (N, H)
        self.w = xp.eye(h.shape[1], dtype=h.dtype) if parts.w is None else parts.w
        z = h @ self.w + parts.b
        self.predicted = z.argmax(axis=-1)
        self.searched = xp.ones(len(z), dtype=bool) if y is None else self.predicted == y
        self.pi, self.delta, self.log_s = stable_weights(z, self.predicted)
        unseen = xp.arange(z.shape[1]) != self.predicted[:, None]
        tied = unseen & ~(self.delta > 0)
        self.tau = xp.where(tied, xp.inf, self.pi / xp.where(unseen & ~tied, self.delta, 1))
        self.span = Span(self.w, self.slopes, self.predicted, stretch, norm)
        self.first_pass(unseen, tied, y)

    def first_pass(self, unseen: Array, tied: Array, y: Array | None) -> None:
        """G, and with it the row with the largest bound; of two classes' they are the same."""
        xp = namespace(self.x)
        samples, two_classes = xp.arange(len(self.x)), unseen.shape[1] == 2
        reach = self.tau * self.span.reach()
        chosen = xp.where(unseen, xp.where(tied, xp.inf, reach), -xp.inf).argmax(axis=-1)
        if y is not None:
            chosen = xp.where(self.searched, chosen, y)
        shared = xp.maximum(self.w.min(axis=1), 0) + xp.minimum(self.w.max(axis=1), 0)  # of all columns: costs G digits
        start = ((self.pi - ~unseen) @ (self.w - shared[:, None]).T) * self.slopes
        two = xp.stack([start] + [self.starts(samples, chosen)] * (not two_classes))
        pulled = self.pullback(two)[0].reshape(len(two), len(two[0]), -1)
        self.start, self.G = two[0], pulled[0]
        self.size = dual_length(self.G, self.norm)[:, None]
        U = self.size + reach
        self.U = xp.where(unseen, xp.where(xp.isnan(U), xp.inf, U), -xp.inf)
        self.best = xp.full(len(U), -xp.inf, dtype=U.dtype)
        self.nearest, self.rows = chosen.copy(), xp.full(len(U), len(two) - 1)
        self.v = xp.zeros_like(self.G)
        self.turns = [Turn(samples, chosen, two[-1], pulled[-1])]

    def starts(self, some: Array, classes: Array) -> Array:
        """Where the rows D_j of one class each of some samples begin: ``(len(some), H)``."""
        return self.slopes[some] * (self.w.T[classes] - self.w.T[self.predicted[some]])

    def run(self) -> Found:
        """Look at rows until the certificate is complete."""
        some = namespace(self.x).arange(len(self.x))
        while True:
            for turn in self.turns:
                self.look(turn)
            some = self.unproven(some)
            if not len(some):
                return self.found()
            self.learn(some)
            some = self.unproven(some)
            if not len(some):
                return self.found()
            self.turns = self.next_turns(some)

    def look(self, turn: Turn) -> None:
        """Note the values of the classes whose rows are at hand."""
        xp = namespace(self.x)
        some, classes, _, row = turn
        d, p = self.delta[some, classes], self.pi[some, classes]
        new = d[:, None] * self.G[some] + p[:, None] * row
        value = xp.where(d > 0, dual_length(new, self.norm) / xp.where(d > 0, d, 1), xp.inf)
        better = value > self.best[some]
        self.best[some] = xp.where(better, value, self.best[some])
        self.nearest[some] = xp.where(better, classes, self.nearest[some])
        self.v[some] = xp.where(better[:, None], new, self.v[some])
        self.U[some, classes] = -xp.inf
        self.rows[some] += 1

    def unproven(self, some: Array) -> Array:
        """Those of ``some`` of which another class may still be the nearest; the span goes on with them alone."""
        open_ = self.searched[some] & (self.best[some] < MARGIN * self.U[some].max(axis=-1))
        (kept,) = namespace(open_).nonzero(open_)  # how many they are is all that a round has to know
        if len(kept) == len(some):
            return some
        self.span.keep(kept)
        return some[kept]

    def learn(self, some: Array) -> None:
        """What the rows at hand say of the classes not seen."""
        xp = namespace(self.x)
        if not self.span.basis:
            self.span.add(self.start[some], self.G[some])
        for turn in self.turns:
            place = xp.full(len(self.x), -1)
            place[turn.some] = xp.arange(len(turn.some))
            place = place[some]  # -1 for samples that the turn is not about
            start, row = (xp.where((place >= 0)[:, None], a[place], 0) for a in (turn.starts, turn.rows))
            self.span.add(start, row)
        self.U[some] = xp.fmin(self.U[some], self.span.bounds(self.size[some], self.tau[some]))

    def next_turns(self, some: Array) -> list[Turn]:
        """All classes that can still be the nearest, but no more than fill a batch: few rounds are what saves time."""
        N = len(self.x)
        order = (-self.U[some]).argsort(axis=-1)[:, :N].T
        wanted = self.best[some] < MARGIN * self.U[some, order]  # (turns, len(some))
        ends = to_numpy(wanted.sum(axis=-1).cumsum())
        ends = ends[: max(1, (ends <= N).sum())].tolist()
        turns, places = namespace(wanted).nonzero(wanted[: len(ends)])  # turn by turn
        chosen, classes = some[places], order[turns, places]
        picks = [(chosen[a:b], classes[a:b]) for a, b in pairwise([0, *ends]) if a < b]
        return pull_turns(self.body, self.x, self.pullback, [(*pick, self.starts(*pick)) for pick in picks])

    def found(self) -> Found:
        """The result, once nothing is unproven."""
        xp = namespace(self.x)
        delta = xp.take_along_axis(self.delta, self.nearest[:, None], axis=1)[:, 0]
        log_distance = stable_log_distance(delta, self.log_s[:, 0], dual_length(self.v, self.norm))
        r = Perturbations(steepest(self.v, self.norm).reshape(self.x.shape), log_distance)
        return Found(self.predicted, self.nearest, r, Certificate(self.best, self.U.max(axis=-1), self.rows))


def pull_turns(body: Any, x: Array, pullback: Any, picks: list[tuple[Array, Array, Array]]) -> list[Turn]:
    """The rows of some classes of some samples, whichever way is cheaper.

    The ``pullback`` at hand is for all samples; one for a few of them needs a forward pass of their own, half as dear.
    """
    xp = namespace(x)
    some = xp.concatenate([pick[0] for pick in picks])
    if 2 * len(picks) * len(x) > 3 * len(some):
        _, pullback = vjp(body, x[some])
        rows = pullback(xp.concatenate([starts for *_, starts in picks]))[0].reshape(len(some), -1)
        ends = np.cumsum([len(pick[0]) for pick in picks])
        return [Turn(*pick, rows[end - len(pick[0]) : end]) for pick, end in zip(picks, ends.tolist(), strict=True)]
    padded = xp.zeros((len(picks), len(x), *picks[0][2].shape[1:]), dtype=x.dtype)
    for place, (chosen, _, starts) in zip(padded, picks, strict=True):
        place[chosen] = starts
    pulled = pullback(padded)[0].reshape(len(picks), len(x), -1)
    return [Turn(*pick, rows[pick[0]]) for pick, rows in zip(picks, pulled, strict=True)]


def stretch_of(network: Network, x: Array, norm: Norm) -> Array | None:
    """How much longer a row can be, in the dual norm, than its start in L2, at every input shaped like those of ``x``.

    The product of the bounds of the layers beneath the last activations, by ||v||_q <= D^(1/q - 1/2) ||v||_2 for q < 2
    on D numbers, and ||v||_q <= ||v||_2 for the others. None if a layer states no bound.
    """
    below, last = body_and_last(network.layers)
    if any(layer.bound is None for layer in network.layers[:last]):
        return None
    product: Any = SLACK * x[0].size ** max(1 / dual(norm) - 1 / 2, 0)
    for i, layer in enumerate(network.layers[:below]):
        bound = layer.bound
        if isinstance(bound, WeightBound):
            place = i - len(network.layers)  # from the end, so that a split network's classifier finds its own again
            bound = network.memory.recall(place, network.parameters[i]["w"], network.shapes[i], bound)
        product = product * bound
    return namespace(x).full((), product, dtype=x.dtype)


def all_rows(network: Network, x: Array, norm: Norm, y: Array | None) -> Found:
    """The same result from all rows, for networks without bounds."""
    unbounded = next(layer.name for layer in network.layers if layer.bound is None)
    warnings.warn(f"layer {unbounded!r} states no bound: Algorithm 1 computes all rows", stacklevel=3)
    z, J = jacobian_rows(network.logits, x)
    predicted = z.argmax(axis=-1)
    candidates = proposition_2_1_stable(z, J, norm)
    nearest, _ = proposition_2_2(candidates)
    xp = namespace(x)
    if y is not None:
        nearest = xp.where(predicted == y, nearest, y)
    found = select(candidates, nearest)
    value = xp.exp(-found.log_distance - stable_weights(z, predicted)[2][:, 0])
    certificate = Certificate(value, xp.full_like(value, -xp.inf), xp.full(len(x), z.shape[1]))
    return Found(predicted, nearest, found, certificate)
