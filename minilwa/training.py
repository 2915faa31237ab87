"""The loop around the algorithms: epochs, shuffles, learning rates, checkpoints.

Every epoch draws from a random stream of its own, so a run that was cut off and goes on from its last whole epoch
ends with the same bits as one that was not. (That of the first epoch is the one that drew the initial weights.)
"""

from __future__ import annotations

import hashlib
import math
import os
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from minilwa.algorithms import SGD
from minilwa.backend import Array, device_of, like, to_numpy
from minilwa.bounds import Memory
from minilwa.checks import check_finite, check_images, check_labels, finite, values_known
from minilwa.data import centre, crops, random_places
from minilwa.errors import InputError
from minilwa.methods import Method
from minilwa.networks import Network
from minilwa.saving import check_layers, load_checkpoint, save
from minilwa.tree import leaves


@dataclass(frozen=True)
class Recipe:
    """How long and how fast: ``rate`` is multiplied by ``decay`` once ``decay_at`` of the epochs are done.

    ``crop`` > 0 trains on so many by so many pixels of each image, from anywhere in it, and one time in two mirrored.
    """

    epochs: int = 30
    batch: int = 100
    rate: float = 0.05
    momentum: float = 0.9
    decay: float = 0.1
    decay_at: float = 0.7
    seed: int = 0
    crop: int = 0

    def __post_init__(self) -> None:
        limits = {
            "epochs": (self.epochs >= 0, "a number >= 0"),
            "batch": (self.batch >= 1, "a number of images >= 1"),
            "rate": (0 < self.rate < math.inf, "a finite number > 0"),
            "momentum": (0 <= self.momentum < 1, "a number in [0, 1)"),
            "decay": (0 < self.decay < math.inf, "a finite number > 0"),
            "decay_at": (0 <= self.decay_at <= 1, "a share of the epochs, in [0, 1]"),
            "seed": (self.seed >= 0, "a number >= 0"),
            "crop": (self.crop >= 0, "a number of pixels >= 0"),
        }
        for name, (holds, expected) in limits.items():
            if not holds:
                raise InputError(name, getattr(self, name), expected)

    def sgd(self, epoch: int) -> SGD:
        """The descent of one epoch."""
        decays = round(self.decay_at * self.epochs, 9)  # .56 * 25 is 14.000000000000002
        return SGD(self.rate * (self.decay if epoch >= decays else 1), self.momentum)


def train(
    network: Network,
    x: Array,
    y: Array,
    method: Method,
    recipe: Recipe,
    checkpoint: str | os.PathLike[str] | None = None,
    tick: Callable[[int], object] = lambda images: None,
    keep: Callable[[int, Network], object] = lambda epochs, network: None,
) -> Network:
    """``network`` trained on images ``(N, *shape)`` with labels ``(N,)``.

    With ``checkpoint``, a path, the state is written there after every epoch, and a later call with the same settings
    goes on from it (and returns at once if it was finished); with others it is an InputError. ``tick`` hears of the
    images done, those of earlier calls included; ``keep`` is given the number of epochs done and the network after each
    of them, before the checkpoint is written.
    """
    with values_known():
        check_images(network, centre(x, recipe.crop))
    check_finite(x)  # all of it, since crops come from anywhere
    check_labels(network, x, y)
    if method.dropout and not any(layer.random for layer in network.layers):
        raise InputError("network", "one without dropout", f"one built for it: mlp(..., rate={method.dropout})")
    settings: dict[str, Any] = {}
    if checkpoint is not None:
        check_layers(network)  # before an epoch is lost
        settings = {
            "network": [[layer.name, layer.settings] for layer in network.layers],
            "start": fingerprint(*leaves(network.parameters)),
            "method": asdict(method),
            "recipe": asdict(recipe),
            "images": fingerprint(x, y),
        }
    velocity, done = recipe.sgd(0).start(network), 0
    if checkpoint is not None and Path(checkpoint).exists():
        network, velocity, done = _resume(checkpoint, settings, x)
        tick(done * len(x))
    for epoch in range(done, recipe.epochs):
        network = replace(network, memory=Memory())  # what is remembered of bounds is not part of a checkpoint
        rng = np.random.default_rng([recipe.seed, epoch])
        batches = shuffled_batches(x, y, recipe, rng, tick)
        with values_known():
            network, velocity = method.epoch(network, velocity, batches, recipe.sgd(epoch), rng)
        if not finite(*leaves(network.parameters)):
            raise InputError("rate", recipe.rate, "one that converges", f"Weights overflowed in epoch {epoch + 1}.")
        keep(epoch + 1, network)
        if checkpoint is not None:
            last = epoch + 1 == recipe.epochs
            save(checkpoint, network, settings | {"epochs_done": epoch + 1}, () if last else velocity)
    if checkpoint is not None and recipe.epochs == 0:
        save(checkpoint, network, settings | {"epochs_done": 0})
    return replace(network, memory=Memory())  # those remembered belong to weights long gone


def fingerprint(*arrays: Array) -> str:
    """A hash of arrays, by which a checkpoint knows its data and its first weights again."""
    digest = hashlib.sha256()
    for array in arrays:
        digest.update(f"{array.shape} {array.dtype}".encode())
        digest.update(to_numpy(array).tobytes())
    return digest.hexdigest()


def shuffled_batches(
    x: Array, y: Array, recipe: Recipe, rng: np.random.Generator, tick: Callable[[int], object]
) -> Iterator[tuple[Array, Array]]:
    """All images once, in an order drawn from ``rng``, the same on every device, cropped as the recipe says."""
    order = like(rng.permutation(len(x)), x)
    places = random_places(x, recipe.crop, rng) if recipe.crop else None
    for start in range(0, len(x), recipe.batch):
        chosen = order[start : start + recipe.batch]
        yield x[chosen] if places is None else crops(x[chosen], places[chosen], recipe.crop), y[chosen]
        tick(len(chosen))


def _resume(checkpoint: str | os.PathLike[str], settings: Any, x: Array) -> tuple[Network, Any, int]:
    network, training, velocity = load_checkpoint(checkpoint, device_of(x))
    training = training or {}  # None in a file that is no checkpoint but a finished network
    done = training.pop("epochs_done", 0)
    for key, kind in (("method", Method), ("recipe", Recipe)):
        with suppress(LookupError, TypeError, InputError):  # else they differ, and are refused
            training[key] = asdict(kind(**training[key]))  # what a file of an earlier version lacks was as it is now
    changed = [key for key in settings if training.get(key) != settings[key]]
    if changed:
        hint = "Choose another output, or delete it to start anew."
        raise InputError("checkpoint", f"{checkpoint}, trained with another {', '.join(changed)}", "the same", hint)
    return network, velocity, done
