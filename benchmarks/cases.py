"""What is timed: networks trained on real digits, alone or side by side, and the training methods.

Two digits side by side make a picture of 100 classes, three one of 1,000. Both the command that a user runs and the
processes that it times read their case here.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

import minilwa
from minilwa.backend import device_namespace
from minilwa.errors import InputError
from minilwa.experiments.progress import progress
from minilwa.tree import tree_map

PLACES = {2: 1, 10: 1, 100: 2, 1_000: 3}  # classes: digits side by side
TRAINING_IMAGES = {100: 10_000, 1_000: 40_000}
FRESH_IMAGES = 2_000
NETWORKS = ("mlp", "lenet")
ROWS_A_PASS = {"mlp": 100_000, "lenet": 5_000}  # images times classes; 5,000 LeNet rows take JAX 3 GB
METHODS = {
    "normal": minilwa.method("Normal"),
    "goodfellow": minilwa.method("Goodfellow"),
    "lwa_loss": minilwa.method("LWA"),
    "lwa_alpha": minilwa.method("LWA", along="adv_alpha"),
}
SGD = minilwa.SGD(rate=0.01, momentum=0.9)


@dataclass(frozen=True)
class Case:
    """A trained network, and images ``x`` (N, 1, 28, 28) with labels ``y`` (N,), to be taken ``size`` at a time."""

    network: minilwa.Network
    x: np.ndarray
    y: np.ndarray
    size: int
    device: str = "cpu"

    @classmethod
    def read(cls, network: str, images: str, size: int, device: str = "cpu") -> Case:
        """The case in the files that `trained` and `write_images` left, in the precision of the images."""
        loaded = minilwa.load(network)
        with np.load(images) as arrays:
            x, y = arrays["x"], arrays["y"]
        parameters = tree_map(lambda p: p.astype(x.dtype, copy=False), loaded.parameters)
        return cls(loaded.with_parameters(parameters), x, y, size, device)

    def there(self) -> Case:
        """The case with its arrays on its device; they are read on the host, since every engine sends its own."""
        send = device_namespace(self.device).asarray
        network = self.network.with_parameters(tree_map(send, self.network.parameters))
        return replace(self, network=network, x=send(self.x), y=send(self.y))

    def parts(self) -> list[tuple[np.ndarray, np.ndarray]]:
        """Images and labels, ``size`` at a time: the batches, or as many as go into one stacked pass."""
        starts = range(0, len(self.x), self.size)
        return [(self.x[i : i + self.size], self.y[i : i + self.size]) for i in starts]


def digits(classes: int) -> minilwa.Dataset:
    """Digits by parity, by value, in pairs or in triples: images (N, 1, 28, 28), labels 0 to ``classes`` - 1."""
    data = minilwa.load_data()
    if PLACES[classes] == 1:
        return minilwa.Dataset(data.name, data.x_train, data.y_train % classes, data.x_test, data.y_test % classes)
    x_train, y_train = side_by_side(data.x_train, data.y_train, PLACES[classes], TRAINING_IMAGES[classes], seed=0)
    x_test, y_test = side_by_side(data.x_test, data.y_test, PLACES[classes], FRESH_IMAGES, seed=1)
    return minilwa.Dataset(f"{data.name}, {PLACES[classes]} side by side", x_train, y_train, x_test, y_test)


def side_by_side(
    images: np.ndarray, labels: np.ndarray, places: int, count: int, seed: int
) -> tuple[np.ndarray, np.ndarray]:
    """``count`` pictures of ``places`` drawn images each, averaged down to the width of one, labelled as read."""
    picks = np.random.default_rng(seed).integers(len(images), size=(count, places))
    channels, height, width = images.shape[1:]
    strips = images[picks].transpose(0, 2, 3, 1, 4)  # (count, C, H, places, W): rows of places * W columns
    narrow = strips.reshape(count, channels, height, width, places).mean(axis=-1, dtype=images.dtype)
    return narrow, labels[picks] @ 10 ** np.arange(places)[::-1]


def trained(kind: str, classes: int, data: minilwa.Dataset, epochs: int, folder: Path) -> tuple[minilwa.Network, Path]:
    """A network after a short training, and the file in ``folder`` where a later call finds it."""
    path = folder / f"{kind}-{classes}-{epochs}.npz"
    try:
        return train(kind, classes, data, epochs, path), path
    except InputError:
        if not path.exists():
            raise
        path.unlink()  # trained by another version, on other data, or cut off while it was written
        return train(kind, classes, data, epochs, path), path


def train(kind: str, classes: int, data: minilwa.Dataset, epochs: int, path: Path) -> minilwa.Network:
    shape = data.input_shape
    network = (
        minilwa.mlp(784, 1000, 1000, classes, input_shape=shape) if kind == "mlp" else minilwa.lenet(shape, classes)
    )
    with progress(f"train {kind}, {classes} classes", epochs * len(data.x_train)) as bar:
        recipe = minilwa.Recipe(epochs=epochs)
        return minilwa.train(network, data.x_train, data.y_train, METHODS["normal"], recipe, path, bar.update)


def write_images(path: Path, x: np.ndarray, y: np.ndarray) -> Path:
    """Leave images and labels where `Case.read` finds them."""
    np.savez(path, x=x, y=y)
    return path
