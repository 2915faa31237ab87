"""MNIST prepared otherwise than in the tables, as files for `minilwa reproduce --data FILE.npz`.

drawn.npz    50,000 training and 10,000 test images drawn from all 70,000, as the paper words it
centred.npz  the paper's split as the tables have it, less the mean of each pixel over its training images
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

import numpy as np
from harness import run

from minilwa.cli import Parser
from minilwa.data import Dataset
from minilwa.experiments.runs import Source
from minilwa.files import write_npz

EXAMPLES = """  python benchmarks/prepare_mnist.py --data-dir mnist
  minilwa reproduce table1 --data drawn.npz --protocol paper
  minilwa reproduce table1 --data centred.npz --protocol paper"""
SEED = 0  # of what is drawn


def main() -> None:
    """Write the files that the command line asks for."""
    parser = Parser(
        description=__doc__,
        epilog=f"Examples:\n{EXAMPLES}",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--data-dir", type=Path, metavar="DIR", help="folder of MNIST (or MINILWA_DATA)")
    parser.add_argument("--out", type=Path, default=Path(), metavar="DIR", help="default: the current folder")
    chosen = parser.parse_args()
    whole, split = (Source("mnist", chosen.data_dir, name).load() for name in ("full", "paper"))
    for name, arrays in {"drawn": drawn(whole), "centred": centred(split)}.items():
        path = chosen.out / f"{name}.npz"
        write_npz(path, arrays, header=None)
        print(f"{path}: {len(arrays['x_train']):,} training and {len(arrays['x_test']):,} test images")


def drawn(data: Dataset) -> dict[str, np.ndarray]:
    """Five sevenths of all images for training and one seventh for testing."""
    x, y = (np.concatenate(parts) for parts in ((data.x_train, data.x_test), (data.y_train, data.y_test)))
    order = np.random.default_rng(SEED).permutation(len(x))
    training, test = order[: len(x) * 5 // 7], order[len(x) * 6 // 7 :]
    return {"x_train": x[training], "y_train": y[training], "x_test": x[test], "y_test": y[test]}


def centred(data: Dataset) -> dict[str, np.ndarray]:
    """Each pixel less its mean over the training images."""
    mean = data.x_train.mean(axis=0)
    x_train, x_test = data.x_train - mean, data.x_test - mean
    return {"x_train": x_train, "y_train": data.y_train, "x_test": x_test, "y_test": data.y_test}


if __name__ == "__main__":
    sys.exit(run(main))
