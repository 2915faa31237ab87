"""What the experiments share: where results go, progress bars, networks trained once and kept."""

from __future__ import annotations

import json
import math
import platform
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from minilwa.data import Dataset
from minilwa.errors import InputError
from minilwa.files import write_json
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

    def kept(self, name: str) -> Path:
        """Where the trained network of this name is kept."""
        return self.out / "networks" / f"{name}.npz"


def claim(setting: Setting) -> None:
    """Write the configuration into the results folder; InputError if the folder belongs to another one."""
    path, config = setting.out / "config.json", setting.describe()
    if path.exists():
        hint = "Choose another --out, or delete it to start anew."
        try:
            held, wanted = choices(json.loads(path.read_text(encoding="utf-8"))), choices(config)
        except (OSError, ValueError, LookupError, TypeError) as error:
            raise InputError("out", f"{path} ({error})", "a configuration that minilwa wrote", hint) from None
        if changed := [key for key in wanted if held.get(key) != wanted[key]]:
            got = f"{setting.out}, which holds runs with other {', '.join(changed)}"
            raise InputError("out", got, "the same", hint)
    write_json(path, config)


def choices(config: dict[str, Any]) -> dict[str, Any]:
    """What a configuration chose, in one dict: all but the versions, which may change between runs."""
    return {key: value for key, value in {**config, **config["recipe"]}.items() if key not in {"recipe", "versions"}}


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
    try:
        return {"lenet": lenet, "cifar": cifar_net}[kind](data.input_shape, data.classes, **common)
    except InputError as error:
        raise InputError("data", f"images of shape {data.input_shape}", f"larger ones, for {kind}") from error


@contextmanager
def progress(label: str, images: int) -> Iterator[Any]:
    """A bar over ``images`` on a terminal's standard error; its ``update`` is a tick."""
    from tqdm import tqdm

    with tqdm(total=images, desc=f"{label:<26}", unit=" images", unit_scale=True, disable=None) as bar:
        yield bar


def trained(setting: Setting, path: Path, network: Network, method: Method) -> Network:
    """``network`` trained on the setting's data and kept in ``path``, where a later call finds it."""
    data = setting.dataset
    with (
        progress(f"train {path.stem}", setting.recipe.epochs * len(data.x_train)) as bar,
        np.errstate(over="ignore", invalid="ignore"),  # `train` says in one line which rate was too high
    ):
        return train(network, data.x_train, data.y_train, method, setting.recipe, path, bar.update)
