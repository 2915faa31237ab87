"""What the experiments share: where results go, progress bars, networks trained once and kept."""

from __future__ import annotations

import math
import platform
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from minilwa.data import Dataset
from minilwa.methods import Method
from minilwa.networks import Network, cifar_net, lenet, mlp
from minilwa.training import Recipe, train


@dataclass(frozen=True)
class Setting:
    """The common choices of a run: the data, where results go, and how everything is trained and attacked."""

    dataset: Dataset
    out: Path
    recipe: Recipe
    form: str = "stable"
    dtype: str = "float32"
    device: str = "cpu"

    def describe(self) -> dict[str, Any]:
        """The configuration as plain JSON data, with the versions that ran it."""
        return {
            "data": self.dataset.name,
            "images": [len(self.dataset.x_train), len(self.dataset.x_test)],
            "recipe": vars(self.recipe),
            "form": self.form,
            "dtype": self.dtype,
            "device": self.device,
            "versions": {"python": platform.python_version(), "numpy": np.__version__},
        }


NETWORKS = ("mlp", "lenet", "cifar")


def build(kind: str, setting: Setting, rate: float = 0.0) -> Network:
    """An untrained network for the setting's data: the paper's 1000-1000, LeNet, or the one for CIFAR-10."""
    data = setting.dataset
    common: dict[str, Any] = {
        "rate": rate,
        "seed": setting.recipe.seed,
        "dtype": setting.dtype,
        "device": setting.device,
    }
    if kind == "mlp":
        return mlp(math.prod(data.input_shape), 1000, 1000, data.classes, input_shape=data.input_shape, **common)
    return {"lenet": lenet, "cifar": cifar_net}[kind](data.input_shape, data.classes, **common)


@contextmanager
def progress(label: str, images: int) -> Iterator[Any]:
    """A bar over ``images`` on a terminal's standard error; its ``update`` is a tick."""
    from tqdm import tqdm

    with tqdm(total=images, desc=f"{label:<26}", unit=" images", unit_scale=True, disable=None) as bar:
        yield bar


def trained(setting: Setting, name: str, network: Network, method: Method) -> Network:
    """``network`` trained on the setting's data and kept in ``out/networks/name.npz``, where a later call finds it."""
    data = setting.dataset
    path = setting.out / "networks" / f"{name}.npz"
    with progress(f"train {name}", setting.recipe.epochs * len(data.x_train)) as bar:
        return train(network, data.x_train, data.y_train, method, setting.recipe, path, bar.update)
