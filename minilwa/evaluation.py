"""Accuracy, clean and under attack, with what is needed to judge it: counts, intervals, vanished gradients.

An image that the network gets wrong unperturbed counts as wrong at every radius. Pixels are not clipped unless asked.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from minilwa.backend import Array, check_array, namespace
from minilwa.checks import check_box, check_images, check_labels, check_radius, check_steps, values_known
from minilwa.directions import Direction
from minilwa.networks import Network
from minilwa.norms import Norm, rescale

BATCH = 250  # images at a time: the rows of T for 10 classes of 28x28 then take 8 MB in float32


@dataclass(frozen=True)
class Score:
    """How many of ``n`` images are still classified right, and for how many the attack found no direction at all."""

    correct: int
    n: int
    zero_gradients: int = 0

    @property
    def accuracy(self) -> float:
        """correct / n."""
        return self.correct / self.n

    def interval(self, confidence: float = 0.95) -> tuple[float, float]:
        """The Wilson interval of the accuracy over the images (it says nothing about other training seeds)."""
        from scipy.stats import binomtest

        found = binomtest(self.correct, self.n).proportion_ci(confidence, method="wilson")
        return float(found.low), float(found.high)

    def describe(self) -> dict[str, Any]:
        """All of it as plain JSON data."""
        return {"accuracy": self.accuracy, "interval": self.interval(), **asdict(self)}


def beyond_guessing(accuracy: float, classes: int) -> bool:
    """Whether it is more than twice that of guessing among ``classes``, or a tenth of the way from there to 1."""
    guessing = 1 / classes
    return accuracy > guessing + min(guessing, (1 - guessing) / 10)


def parts(n: int, size: int = BATCH) -> Iterator[slice]:
    """Slices of at most ``size`` that cover ``range(n)``."""
    return (slice(start, min(start + size, n)) for start in range(0, n, size))


def predict(network: Network, x: Array) -> Array:
    """The predicted classes ``(N,)``; -1, which is never right, where a logit is not finite.

    InputError for a batch that the network does not take.
    """
    check_array("x", x)
    network.check_batch(x)
    xp = namespace(x)
    return xp.concatenate([classes_of(network.logits(x[part])) for part in parts(len(x))])


def classes_of(z: Array) -> Array:
    """The classes ``(N,)`` that logits ``(N, K)`` predict; -1 where one of them is not finite."""
    xp = namespace(z)
    return xp.where(xp.isfinite(z).all(axis=-1), z.argmax(axis=-1), -1)


def clean_score(network: Network, x: Array, y: Array) -> Score:
    """The score on images ``(N, *shape)`` with labels ``(N,)``, as they are.

    InputError for images or labels that are not the network's.
    """
    check_images(network, x)
    check_labels(network, x, y)
    return Score((predict(network, x) == y).sum().item(), len(x))


def attacked_scores(
    network: Network,
    x: Array,
    y: Array,
    along: Direction,
    radii: Sequence[float],
    norm: Norm = "l2",
    clip: bool = False,
    tick: Callable[[int], object] = lambda images: None,
) -> list[Score]:
    """The score at each radius: every image moved along one direction, found once, by r with ||r|| = radius.

    ``norm`` measures the radius, in units of pixels in [0, 1]; with ``clip`` the moved pixels are set back into [0, 1].
    ``tick`` hears of the images done. InputError for images or labels that are not the network's, a radius that is not
    finite and >= 0, or pixels outside [0, 1] that would be clipped.
    """
    check_images(network, x)
    check_labels(network, x, y)
    check_box(x, clip)
    for radius in radii:
        check_radius(radius)
    correct: list[Any] = [0] * len(radii)  # on the device, as is `zeros`, until all is done
    zeros: Any = 0
    for part in parts(len(x)):
        right = predict(network, x[part]) == y[part]
        with values_known():
            steps = finite_part(along(network, x[part], y[part]))
        zeros = zeros + (steps.reshape(len(steps), -1) == 0).all(axis=1).sum()
        for i, radius in enumerate(radii):
            x_hat = moved(x[part], steps, radius, norm, clip)
            correct[i] = correct[i] + (right & (predict(network, x_hat) == y[part])).sum()
        tick(len(steps))
    zeros = zeros.item()
    return [Score(c.item(), len(x), zeros) for c in correct]


def moved(x: Array, steps: Array, radius: float, norm: Norm = "l2", clip: bool = False) -> Array:
    """``x`` plus ``steps`` with their norms set to ``radius``; with ``clip`` set back into [0, 1].

    InputError unless both have the same shape.
    """
    check_steps(x, steps)
    x_hat = x + rescale(steps, radius, norm)
    return namespace(x).clip(x_hat, 0, 1) if clip else x_hat


def finite_part(steps: Array) -> Array:
    """``steps`` with 0 where they are not finite, so that no attack succeeds by that."""
    xp = namespace(steps)
    return xp.where(xp.isfinite(steps), steps, 0)


def adversarial_images(
    network: Network, x: Array, y: Array, along: Direction, radius: float, norm: Norm = "l2", clip: bool = False
) -> Array:
    """Every image moved by ``radius``, right or wrong: a set to look at, or to try on another network.

    InputError for images or labels that are not the network's, a radius that is not finite and >= 0, or pixels outside
    [0, 1] that would be clipped.
    """
    check_images(network, x)
    check_labels(network, x, y)
    check_box(x, clip)
    check_radius(radius)
    xp = namespace(x)
    with values_known():
        return xp.concatenate(
            [
                moved(x[part], finite_part(along(network, x[part], y[part])), radius, norm, clip)
                for part in parts(len(x))
            ]
        )
