"""The public files as arrays of bytes: IDX (MNIST, Fashion-MNIST) and CIFAR-10's binary batches.

What a file claims of itself is compared with what its set can hold before anything is allocated, and never more than
that, and one byte, is read: a damaged or hostile file costs an error, not the memory.
"""

from __future__ import annotations

import gzip
import math
import os
import struct
import tarfile
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import IO, NamedTuple, cast

import numpy as np

from minilwa.errors import InputError

Arrays = dict[str, np.ndarray]  # x_train, y_train, x_test, y_test

CLASSES = 10  # of each of the three sets
DAMAGED = (OSError, EOFError, zlib.error, tarfile.TarError)  # what reading or unpacking a damaged file can raise

IDX_FILES = {
    "x_train": "train-images-idx3-ubyte",
    "y_train": "train-labels-idx1-ubyte",
    "x_test": "t10k-images-idx3-ubyte",
    "y_test": "t10k-labels-idx1-ubyte",
}
IDX_MAGIC = {"images": 0x803, "labels": 0x801}  # bytes (8), in three axes or in one
IDX_SHAPE = {"images": (28, 28), "labels": ()}  # of one item
IDX_MOST = 60_000  # items in a file

CIFAR_TRAIN = tuple(f"data_batch_{i}.bin" for i in range(1, 6))
CIFAR_FILES = (*CIFAR_TRAIN, "test_batch.bin")
CIFAR_FOLDER = "cifar-10-batches-bin"
CIFAR_ARCHIVE = "cifar-10-binary.tar.gz"
CIFAR_SHAPE = (3, 32, 32)
CIFAR_RECORD = 1 + 3 * 32 * 32  # a label, then the red, the green and the blue plane
CIFAR_BATCH = 10_000  # records in a file


def read_set(name: str, data_dir: Path) -> Arrays:
    """The four uint8 arrays of "mnist", "fashion-mnist" or "cifar10" from the files in ``data_dir``.

    The files lie there, or in a subfolder named like the set (of either, for CIFAR-10, in ``cifar-10-batches-bin``).
    Images (N, 28, 28) or (N, 3, 32, 32), labels (N,). InputError says which file is missing, or wrong, and why.
    """
    layout = LAYOUTS[name]
    folders = [base / sub for base in (data_dir / name, data_dir) for sub in layout.subfolders]
    for folder in folders:
        if any(os.path.isfile(folder / file) for file in layout.files):
            return layout.read(folder)
    got, hint = f"{data_dir} without the files of {name}", "Without --data-dir and MINILWA_DATA the set is downloaded."
    raise InputError("data_dir", got, f"a folder with {layout.title}", hint)


def read_idx_folder(folder: Path) -> Arrays:
    """Images (N, 28, 28) and labels (N,), uint8, of a set in four IDX files, each gzip'd (NAME.gz) or not (NAME)."""
    arrays = {}
    for key, name in IDX_FILES.items():
        path = folder / name
        if not os.path.isfile(path):
            path = folder / f"{name}.gz"
        arrays[key] = read_idx(path, "images" if key.startswith("x") else "labels")
    return arrays


def read_idx(path: Path, content: str) -> np.ndarray:
    """The "images" (N, 28, 28) or "labels" (N,) of one IDX file, uint8; InputError says what is wrong with it."""
    shape, expected = IDX_SHAPE[content], IDX_MAGIC[content]
    try:
        with _open(path) as file:
            magic, count, *size = _header(file, 2 + len(shape))
            if magic != expected:
                hint = "Are images and labels exchanged?" if magic in IDX_MAGIC.values() else ""
                raise InputError("data", f"{path} with the IDX magic {magic}", f"{expected}, for {content}", hint)
            if tuple(size) != shape or not 0 < count <= IDX_MOST:
                got = f"{path} that claims {count} {content} of shape {tuple(size)}"
                raise InputError("data", got, f"1 to {IDX_MOST} of shape {shape}")
            array = _read(file, path, count * math.prod(shape)).reshape(count, *shape)
    except DAMAGED as error:
        raise _damaged(path, error) from None
    if content == "labels":
        _check_labels(array, path)
    return array


def read_cifar10_folder(folder: Path) -> Arrays:
    """Images (N, 3, 32, 32) and labels (N,), uint8, of CIFAR-10: its six batches, or the archive they come in."""
    if any(os.path.isfile(folder / name) for name in CIFAR_FILES):
        batches = {name: _batch_of_file(folder / name) for name in CIFAR_FILES}
    else:
        batches = _batches_of_archive(folder / CIFAR_ARCHIVE)
    train, test = np.concatenate([batches[name] for name in CIFAR_TRAIN]), batches["test_batch.bin"]
    return {
        "x_train": train[:, 1:].reshape(-1, *CIFAR_SHAPE),
        "y_train": train[:, 0],
        "x_test": test[:, 1:].reshape(-1, *CIFAR_SHAPE),
        "y_test": test[:, 0],
    }


def _batch_of_file(path: Path) -> np.ndarray:
    try:
        with open(path, "rb") as file:
            return _batch(file, path)
    except DAMAGED as error:
        raise _damaged(path, error) from None


def _batches_of_archive(path: Path) -> Arrays:
    """The known members only, read into memory: nothing is written where an archive says."""
    wanted = {f"{CIFAR_FOLDER}/{name}": name for name in CIFAR_FILES}
    batches = {}
    try:
        with tarfile.open(path, "r:gz") as archive:
            for member in archive:  # in the archive's order: gzip cannot go back
                if member.name in wanted and member.isfile() and (file := archive.extractfile(member)):
                    batches[wanted[member.name]] = _batch(file, path / member.name)
    except DAMAGED as error:
        raise _damaged(path, error) from None
    if missing := [name for name in CIFAR_FILES if name not in batches]:
        raise InputError("data", f"{path} without {', '.join(missing)}", f"an archive of {', '.join(wanted)}")
    return batches


def _batch(file: IO[bytes], path: Path) -> np.ndarray:
    """The records (N, 3073) of one CIFAR-10 batch: the label, then the pixels."""
    records = _read(file, path, CIFAR_BATCH * CIFAR_RECORD).reshape(CIFAR_BATCH, CIFAR_RECORD)
    _check_labels(records[:, 0], path)
    return records


def _open(path: Path) -> IO[bytes]:
    """``path``, unpacked if its content is gzip'd, whatever its name: some programs unpack and keep the name."""
    with open(path, "rb") as file:
        packed = file.read(2) == b"\x1f\x8b"
    return cast(IO[bytes], gzip.open(path)) if packed else open(path, "rb")


def _header(file: IO[bytes], count: int) -> tuple[int, ...]:
    data = file.read(4 * count)
    if len(data) < 4 * count:
        raise EOFError("it ends within its header")
    return struct.unpack(f">{count}I", data)


def _read(file: IO[bytes], path: Path, size: int) -> np.ndarray:
    """The rest of ``file``, which must be of exactly ``size`` bytes."""
    data = file.read(size + 1)  # one more: to see whether the file goes on, and to reach gzip's checksum if it does not
    if len(data) != size:
        got = "more" if len(data) > size else f"{len(data)}"
        raise InputError("data", f"{path} with {got} bytes of data", f"{size}", "Is it cut short, or another file?")
    return np.frombuffer(data, dtype=np.uint8)


def _check_labels(labels: np.ndarray, path: Path) -> None:
    if labels.max() >= CLASSES:
        raise InputError("data", f"{path} with the label {labels.max()}", f"labels 0 to {CLASSES - 1}")


def _damaged(path: Path, error: BaseException) -> InputError:
    reason = error.strerror if isinstance(error, OSError) and error.strerror else error
    return InputError("data", f"{path} ({reason})", "a complete file that can be read")


class Layout(NamedTuple):
    """Where the files of a set lie and how a folder of them is read."""

    read: Callable[[Path], Arrays]
    files: tuple[str, ...]  # any one of them marks the folder
    subfolders: tuple[str, ...]
    title: str


IDX = Layout(
    read_idx_folder,
    files=tuple(name + end for name in IDX_FILES.values() for end in ("", ".gz")),
    subfolders=("",),
    title=f"{', '.join(IDX_FILES.values())} (each gzip'd or not)",
)
CIFAR10 = Layout(
    read_cifar10_folder,
    files=(*CIFAR_FILES, CIFAR_ARCHIVE),
    subfolders=(CIFAR_FOLDER, ""),
    title=f"{', '.join(CIFAR_FILES)}, or {CIFAR_ARCHIVE}",
)
LAYOUTS = {"mnist": IDX, "fashion-mnist": IDX, "cifar10": CIFAR10}
