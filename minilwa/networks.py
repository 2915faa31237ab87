"""A network: layers and their parameters, frozen together; the paper's networks."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from minilwa.backend import DTYPES, asarray, frozen, namespace
from minilwa.bounds import Memory
from minilwa.errors import InputError
from minilwa.layers import Layer, Shape, chain, conv, dense, dropout, flatten, max_pool, relu, softmax, tanh
from minilwa.tape import Node
from minilwa.tree import Tree, leaves, tree_map


@dataclass(frozen=True, eq=False)
class Network:
    """Layers with their parameters; called on a batch ``(N, *input_shape)`` it returns the last layer's output.

    A classifier ends with softmax, so ``network(x)`` is the paper's g(x) = alpha ``(N, K)``, and
    ``network.logits(x)`` the z beneath it.
    """

    layers: tuple[Layer, ...]
    parameters: tuple[Tree, ...]
    shapes: tuple[Shape, ...]  # what each layer takes: the shape of one sample
    memory: Memory = field(default_factory=Memory, repr=False)  # of operator norms, for the lazy Algorithm 1

    def __call__(self, x: Any) -> Any:
        """The output for ``x``, in evaluation mode."""
        return self.apply(self.parameters, x)

    def apply(self, parameters: Tree, x: Any, rng: np.random.Generator | None = None) -> Any:
        """The output as a function of the parameters too; with ``rng`` in training mode (dropout on)."""
        self.check_batch(x)
        return chain(*self.layers).apply(parameters, x, rng)

    def logits(self, x: Any, parameters: Tree | None = None, rng: np.random.Generator | None = None) -> Any:
        """z ``(N, K)``, what the closing softmax is applied to."""
        self.check_classifier()
        self.check_batch(x)
        parameters = self.parameters if parameters is None else parameters
        return chain(*self.layers[:-1]).apply(parameters[:-1], x, rng)

    @property
    def in_shares(self) -> bool:
        """Whether a batch is best cut into shares, one for each core (`parallel`).

        Not with dense layers alone, since the BLAS spreads those well by itself and their gradients are much to add up,
        nor where a mask is drawn for the whole batch.
        """
        return any(layer.name == "conv" for layer in self.layers) and not any(layer.random for layer in self.layers)

    @property
    def classes(self) -> int:
        """K of a classifier."""
        self.check_classifier()
        return self.shapes[-1][0]

    def check_classifier(self) -> None:
        """InputError unless the last layer is softmax."""
        if not self.layers or self.layers[-1].name != "softmax":
            raise InputError("network", "one that does not end with softmax", "a classifier")

    def check_batch(self, x: Any) -> None:
        """InputError unless ``x`` is a non-empty float batch ``(N, *input_shape)`` of the parameters' dtype."""
        value = x.value if isinstance(x, Node) else x
        namespace(value)
        expected = f"(N, {', '.join(map(str, self.input_shape))}) with N >= 1"
        if value.ndim < 1 or len(value) == 0:
            raise InputError("x", f"shape {value.shape}", expected)
        flat = self.layers[0].name == "flatten" and math.prod(value.shape[1:]) == math.prod(self.input_shape)
        if value.shape[1:] != self.input_shape and not flat:
            raise InputError("x", f"shape {value.shape}", expected, "A single image needs a batch axis: x[None].")
        if str(value.dtype) not in ({self.dtype} if leaves(self.parameters) else DTYPES):
            hint = f"Convert with x.astype({self.dtype!r}), bytes divided by 256."
            raise InputError("x", f"dtype {value.dtype}", f"{self.dtype}, as the network's parameters", hint)

    def with_parameters(self, parameters: Tree) -> Network:
        """The same layers with other parameters."""
        return replace(self, parameters=parameters)

    @property
    def input_shape(self) -> Shape:
        """The shape of one sample."""
        return self.shapes[0]

    @property
    def dtype(self) -> str:
        """float32 or float64, that of the parameters (float32 if there are none)."""
        return next((str(p.dtype) for p in leaves(self.parameters)), "float32")


def create(
    layers: tuple[Layer, ...], input_shape: Shape, seed: int = 0, dtype: str = "float32", device: str = "cpu"
) -> Network:
    """A network with fresh parameters; the same seed gives the same ones on every device and, rounded, dtype."""
    parameters, shapes = initialise(layers, input_shape, np.random.default_rng(seed))
    return Network(tuple(layers), tree_map(lambda a: frozen(asarray(a, dtype, device)), parameters), shapes)


def initialise(layers: Sequence[Layer], input_shape: Shape, rng: Any) -> tuple[tuple[Tree, ...], tuple[Shape, ...]]:
    """Parameters drawn from ``rng``, in float64 on the host, and the shape of one sample that each layer takes."""
    parameters, shapes, shape = [], [], tuple(input_shape)
    for layer in layers:
        shapes.append(shape)
        part, shape = layer.init(rng, shape)
        parameters.append(part)
    return tuple(parameters), tuple(shapes)


def mlp(
    *sizes: int,
    input_shape: Shape | None = None,
    rate: float | Sequence[float] = 0.0,
    scale: float | None = None,
    seed: int = 0,
    dtype: str = "float32",
    device: str = "cpu",
) -> Network:
    """Dense ReLU network, ``mlp(784, 1000, 1000, 10)``: inputs, hidden widths, classes.

    ``input_shape`` is the shape of one sample (``(784,)`` unless given; ``(1, 28, 28)`` for images); ``rate`` > 0 puts
    dropout after every hidden layer, several rates after one each; ``scale`` draws initial weights uniformly from
    [-scale, scale]. InputError for sizes, a shape or rates that do not fit together.
    """
    if len(sizes) < 2 or min(sizes) < 1:
        raise InputError("sizes", sizes, "inputs, hidden widths if any, and classes, all >= 1")
    input_shape = sizes[:1] if input_shape is None else tuple(input_shape)
    if math.prod(input_shape) != sizes[0]:
        raise InputError("input_shape", input_shape, f"a shape of {sizes[0]} numbers")
    hidden = sizes[1:-1]
    try:
        rates = [float(each) for each in (rate if isinstance(rate, Sequence) else [rate] * len(hidden))]
    except (TypeError, ValueError):
        rates = []
    if len(rates) != len(hidden):
        raise InputError("rate", repr(rate), f"a number, or one for each of the {len(hidden)} hidden layers")
    stack: list[Layer] = [flatten()]
    for width, dropped in zip(hidden, rates, strict=True):
        stack += [dense(width, scale), relu()] + ([dropout(dropped)] if dropped else [])
    return create((*stack, dense(sizes[-1], scale), softmax()), input_shape, seed, dtype, device)


def lenet(
    input_shape: Shape = (1, 28, 28),
    classes: int = 10,
    rate: float = 0.0,
    scale: float | None = None,
    seed: int = 0,
    dtype: str = "float32",
    device: str = "cpu",
) -> Network:
    """LeNet as the paper's authors had it: two tanh convolutions of 20 and 50 filters 5x5, pooled, and 500 tanh units.

    ``rate`` > 0 puts dropout before the last dense layer.
    """
    stack = [conv(20, 5, scale=scale), tanh(), max_pool(2), conv(50, 5, scale=scale), tanh(), max_pool(2)]
    stack += [flatten(), dense(500, scale), tanh()] + ([dropout(rate)] if rate else [])
    return create((*stack, dense(classes, scale), softmax()), input_shape, seed, dtype, device)


def cifar_net(
    input_shape: Shape = (3, 32, 32),
    classes: int = 10,
    rate: float = 0.0,
    scale: float | None = None,
    seed: int = 0,
    dtype: str = "float32",
    device: str = "cpu",
) -> Network:
    """A convolutional ReLU network for CIFAR-10: 64 and 128 filters 5x5, each pooled 3x3 at stride 2, 512 units."""
    stack = [conv(64, 5, padding=2, scale=scale), relu(), max_pool(3, 2)]
    stack += [conv(128, 5, padding=2, scale=scale), relu(), max_pool(3, 2)]
    stack += [flatten(), dense(512, scale), relu()] + ([dropout(rate)] if rate else [])
    return create((*stack, dense(classes, scale), softmax()), input_shape, seed, dtype, device)


def split(network: Network, at: int) -> tuple[Network, Network]:
    """The representation (the first ``at`` layers) and the classifier (the rest) as networks, as in Algorithm 3.

    InputError unless both have a layer.
    """
    if not 0 < at < len(network.layers):
        raise InputError("at", at, f"a number of layers from 1 to {len(network.layers) - 1}")
    return (
        Network(network.layers[:at], network.parameters[:at], network.shapes[:at], network.memory),
        Network(network.layers[at:], network.parameters[at:], network.shapes[at:], network.memory),
    )


def join(representation: Network, classifier: Network) -> Network:
    """The inverse of `split`."""
    return Network(
        representation.layers + classifier.layers,
        representation.parameters + classifier.parameters,
        representation.shapes + classifier.shapes,
    )
