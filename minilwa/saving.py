"""A network in one .npz: the architecture as a JSON header, the parameters, and, while it trains, where it stands."""

from __future__ import annotations

import os
from typing import Any

import numpy as np

from minilwa import layers
from minilwa.backend import Array, asarray, frozen, to_numpy
from minilwa.errors import InputError
from minilwa.files import read_header, read_npz, write_npz
from minilwa.networks import Network, initialise
from minilwa.tree import Tree, leaves, tree_map

FORMAT = "minilwa network 1"


def save(path: str | os.PathLike[str], network: Network, training: Any = None, velocity: Tree = ()) -> None:
    """Write ``network`` whole and without pickle; ``training`` (plain JSON data) and ``velocity`` make a checkpoint.

    InputError for a layer that `load` could not make again, or a path that cannot be written.
    """
    check_layers(network)
    header = {
        "format": FORMAT,
        "layers": [[layer.name, layer.settings] for layer in network.layers],
        "input_shape": network.input_shape,
        "training": training,
    }
    named = {"p": leaves(network.parameters), "v": leaves(velocity)}
    arrays = {f"{kind}{i}": to_numpy(a) for kind, found in named.items() for i, a in enumerate(found)}
    write_npz(path, arrays, header)


def check_layers(network: Network) -> None:
    """InputError unless every layer is one that its name and settings make again."""
    for layer in network.layers:
        layers.make(layer.name, layer.settings)


def load(path: str | os.PathLike[str], device: str = "cpu") -> Network:
    """The network that `save` wrote; nothing else is needed. A checkpoint gives it as of its last whole epoch."""
    return load_checkpoint(path, device)[0]


def epochs_done(path: str | os.PathLike[str]) -> int:
    """How many epochs a checkpoint has behind it, without reading its arrays; InputError for a file that is not one."""
    header = read_header("network", path)
    try:
        return int(header["training"]["epochs_done"])
    except (LookupError, TypeError, ValueError) as error:
        raise InputError("network", f"{path} ({error!r})", "a checkpoint that minilwa wrote") from None


def load_checkpoint(path: str | os.PathLike[str], device: str = "cpu") -> tuple[Network, Any, Tree]:
    """The network, the training data and the velocity (zeros if there is none) that `save` wrote.

    InputError for a file that it did not write.
    """
    header, arrays = read_npz("network", path)
    try:
        if not isinstance(header, dict) or header.get("format") != FORMAT:
            raise ValueError(f"no header of the format {FORMAT!r}")
        stack = tuple(layers.make(name, settings) for name, settings in header["layers"])
        template, shapes = initialise(stack, tuple(header["input_shape"]), Blank())
        parameters = _fill(template, arrays, "p", device)
        velocity = _fill(template, arrays, "v", device) if "v0" in arrays else tree_map(lambda p: p * 0, parameters)
        if arrays or len({p.dtype for p in leaves(parameters)}) > 1:
            raise ValueError("arrays that belong to no layer, or of several dtypes")
        return Network(stack, tree_map(frozen, parameters), shapes), header["training"], velocity
    except (LookupError, TypeError, ValueError, AttributeError, ArithmeticError, MemoryError, RecursionError) as error:
        raise InputError("network", f"{path} ({error})", "a file that minilwa.save wrote") from None


class Blank:
    """Stands for a random stream where only shapes are wanted: a header may claim any size, and gets no memory."""

    def uniform(self, low: float, high: float, shape: tuple[int, ...]) -> np.ndarray:
        """Zeros of ``shape`` that take no room."""
        return np.broadcast_to(0.0, shape)


def _fill(template: Tree, arrays: dict[str, np.ndarray], kind: str, device: str) -> Tree:
    """``template`` with its leaves taken out of ``arrays``, kind + "0" and so on; each must have the leaf's shape."""
    names = iter([f"{kind}{i}" for i in range(len(leaves(template)))])

    def replace(leaf: np.ndarray) -> Array:
        saved = arrays.pop(next(names))
        if saved.shape != leaf.shape:
            raise ValueError(f"an array of shape {saved.shape} where {leaf.shape} belongs")
        return asarray(saved, str(saved.dtype), device)

    return tree_map(replace, template)
