"""Layers as pure pairs (init, apply), each with the settings that rebuild it; `chain` strings them together.

``init(rng, shape) -> (parameters, output shape)`` where ``shape`` is that of one sample;
``apply(parameters, x, rng) -> y`` on a batch ``(N, *shape)``. ``rng`` is a numpy Generator while training and None
in evaluation, where dropout does nothing.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from minilwa import ops
from minilwa.bounds import WeightBound, convolution_norm, matrix_norm
from minilwa.conv import conv2d, max_pool2d, output_size
from minilwa.errors import InputError
from minilwa.tree import Tree

Shape = tuple[int, ...]


@dataclass(frozen=True)
class Layer:
    """A pure (init, apply) pair, and the name and settings that make it again.

    ``bound`` is an upper bound of the L2 norm of the layer's derivative, at every input, in evaluation mode: a number,
    or a `WeightBound` of ``parameters["w"]``; None if there is none to state. That of an ``elementwise`` layer is, in
    evaluation, a diagonal matrix. ``random`` layers draw in training.
    """

    name: str
    settings: dict[str, Any]
    init: Callable[[np.random.Generator, Shape], tuple[Tree, Shape]]
    apply: Callable[..., Any]
    bound: float | WeightBound | None = None
    elementwise: bool = False
    random: bool = False


def whole(argument: str, value: Any) -> int:
    """``value`` as an int; InputError unless it is a whole number >= 1."""
    if not isinstance(value, (int, np.integer)) or value < 1:
        raise InputError(argument, value, "a whole number >= 1")
    return int(value)


def uniform_weights(rng: np.random.Generator, shape: Shape, scale: float | None, fan_in: int) -> np.ndarray:
    """Uniform in [-scale, scale]; by default He's sqrt(6 / fan_in), which keeps the variance through ReLU."""
    limit = math.sqrt(6 / fan_in) if scale is None else scale
    return rng.uniform(-limit, limit, shape)


def dense(units: int, scale: float | None = None) -> Layer:
    """``x @ w + b``: ``(N, inputs)`` to ``(N, units)``. InputError when built on samples of more than one axis."""
    units = whole("units", units)

    def init(rng, shape):
        if len(shape) != 1:
            raise InputError("dense", f"samples of shape {shape}", "(inputs,)", "Put flatten() before it.")
        return {"w": uniform_weights(rng, (shape[0], units), scale, shape[0]), "b": np.zeros(units)}, (units,)

    def apply(parameters, x, rng=None):
        return x @ parameters["w"] + parameters["b"]

    return Layer("dense", {"units": units, "scale": scale}, init, apply, WeightBound(matrix_norm, 1.0))


def conv(filters: int, size: int, stride: int = 1, padding: int = 0, scale: float | None = None) -> Layer:
    """Square convolution: ``(N, C, H, W)`` to ``(N, filters, rows, columns)``."""
    filters, size, stride = whole("filters", filters), whole("size", size), whole("stride", stride)

    def init(rng, shape):
        window = (size, size)
        rows, columns = output_size("conv", (1, *shape), window, stride, padding)
        w = uniform_weights(rng, (filters, shape[0], *window), scale, shape[0] * size * size)
        return {"w": w, "b": np.zeros((filters, 1, 1))}, (filters, rows, columns)

    def apply(parameters, x, rng=None):
        return conv2d(x, parameters["w"], stride=stride, padding=padding) + parameters["b"]

    def norm(w, shape):
        return convolution_norm(w, shape[1] + 2 * padding, shape[2] + 2 * padding)

    settings = {"filters": filters, "size": size, "stride": stride, "padding": padding, "scale": scale}
    # by Cauchy and Schwarz over the size * size places of a filter, at each frequency
    return Layer("conv", settings, init, apply, WeightBound(norm, size))


def max_pool(size: int, stride: int | None = None) -> Layer:
    """The largest value of each square window: ``(N, C, H, W)`` to ``(N, C, rows, columns)``."""
    size, stride = whole("size", size), None if stride is None else whole("stride", stride)

    def init(rng, shape):
        return (), (shape[0], *output_size("max_pool", (1, *shape), (size, size), size if stride is None else stride))

    return Layer(
        "max_pool",
        {"size": size, "stride": stride},
        init,
        lambda parameters, x, rng=None: max_pool2d(x, size=size, stride=stride),
        bound=float(-(-size // (stride or size))),  # the square root of how many windows a pixel can be the largest of
    )


def parameterless(
    name: str, function: Callable[[Any], Any], bound: float, elementwise: bool = True
) -> Callable[[], Layer]:
    """A layer without settings or parameters that keeps the shape."""

    def make() -> Layer:
        def apply(parameters, x, rng=None):
            return function(x)

        return Layer(name, {}, lambda rng, shape: ((), shape), apply, bound, elementwise)

    make.__doc__ = f"{name}, shape kept."
    return make


relu = parameterless("relu", ops.relu, 1.0)
tanh = parameterless("tanh", ops.tanh, 1.0)
softmax = parameterless(
    "softmax", ops.softmax, 0.5, elementwise=False
)  # diag(alpha) - alpha alpha^T has no larger eigenvalue


def flatten() -> Layer:
    """``(N, ...)`` to ``(N, product of the rest)``."""
    return Layer(
        "flatten",
        {},
        lambda rng, shape: ((), (math.prod(shape),)),
        lambda parameters, x, rng=None: ops.reshape(x, shape=(x.shape[0], math.prod(x.shape[1:]))),
        bound=1.0,
    )


def dropout(rate: float) -> Layer:
    """Drop a fraction ``rate`` of the values while training; does nothing in evaluation.

    InputError unless ``rate`` is in [0, 1).
    """
    if not 0 <= rate < 1:
        raise InputError("rate", rate, "a number in [0, 1)")

    def apply(parameters, x, rng=None):
        return x if rng is None else ops.dropout(x, rate=rate, rng=rng)

    return Layer(
        "dropout", {"rate": rate}, lambda rng, shape: ((), shape), apply, 1.0, elementwise=True, random=rate > 0
    )


def chain(*layers: Layer) -> Layer:
    """One layer after another; its parameters are the tuple of theirs."""

    def init(rng, shape):
        parameters = []
        for layer in layers:
            part, shape = layer.init(rng, shape)
            parameters.append(part)
        return tuple(parameters), shape

    def apply(parameters, x, rng=None):
        for layer, part in zip(layers, parameters, strict=True):
            x = layer.apply(part, x, rng)
        return x

    settings = {"layers": [[layer.name, layer.settings] for layer in layers]}
    return Layer("chain", settings, init, apply, random=any(layer.random for layer in layers))


def make(name: str, settings: dict[str, Any]) -> Layer:
    """The layer with this name and these settings, as a saved network describes it. InputError if there is none."""
    if name == "chain":
        return chain(*(make(*layer) for layer in settings["layers"]))
    if name not in CATALOGUE:
        raise InputError("layer", repr(name), f"one of {', '.join(CATALOGUE)}")
    return CATALOGUE[name](**settings)


CATALOGUE: dict[str, Callable[..., Layer]] = {
    "dense": dense,
    "conv": conv,
    "max_pool": max_pool,
    "relu": relu,
    "tanh": tanh,
    "softmax": softmax,
    "flatten": flatten,
    "dropout": dropout,
}
