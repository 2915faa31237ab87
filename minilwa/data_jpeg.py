"""CIFAR-10 from JPEG files in one archive: an approximation of the set, always named so."""

from __future__ import annotations

import io
import lzma
import tarfile
from pathlib import Path

import numpy as np

from minilwa.data_files import CIFAR_SHAPE, Arrays
from minilwa.errors import InputError

ARCHIVE = "cifar10-jpeg.tar.xz"  # members train/CLASS/NAME.jpg and test/CLASS/NAME.jpg
CLASSES = ("airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck")
COUNTS = {"train": 50_000, "test": 10_000}
LARGEST = 10_000  # bytes of one file


def read_cifar10_jpeg(path: Path) -> Arrays:
    """Images (N, 3, 32, 32) and labels (N,), uint8, shuffled by a fixed seed: the archive has them class by class.

    InputError if it is not complete.
    """
    images: dict[str, list[np.ndarray]] = {part: [] for part in COUNTS}
    labels: dict[str, list[int]] = {part: [] for part in COUNTS}
    try:
        with tarfile.open(path, "r:xz") as archive:
            for member in archive:
                part, _, rest = member.name.partition("/")
                if member.isfile() and part in COUNTS and len(images[part]) < COUNTS[part]:
                    labels[part].append(CLASSES.index(rest.partition("/")[0]))
                    images[part].append(_pixels(archive.extractfile(member)))
    except (OSError, EOFError, ValueError, tarfile.TarError, lzma.LZMAError) as error:
        raise InputError("data", f"{path} ({error})", "a complete archive of 32x32 JPEG files by class") from None
    if missing := [part for part, count in COUNTS.items() if len(images[part]) < count]:
        raise InputError("data", f"{path} without all images of {', '.join(missing)}", f"{COUNTS}")
    rng, arrays = np.random.default_rng(0), {}
    for part, count in COUNTS.items():
        order = rng.permutation(count)
        arrays[f"x_{part}"] = np.stack(images[part])[order]
        arrays[f"y_{part}"] = np.array(labels[part], dtype=np.uint8)[order]
    return arrays


def _pixels(file) -> np.ndarray:
    from PIL import Image

    data = file.read(LARGEST + 1)
    try:
        with Image.open(io.BytesIO(data), formats=["JPEG"]) as image:
            if len(data) > LARGEST or image.size != CIFAR_SHAPE[1:]:
                raise ValueError(f"an image of {len(data)} bytes, {image.size} pixels")
            return np.asarray(image.convert("RGB")).transpose(2, 0, 1)
    except Image.DecompressionBombError as error:
        raise ValueError(str(error)) from None
