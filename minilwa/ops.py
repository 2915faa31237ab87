"""The primitives, each with its vjps right beneath its forward.

``g`` is a cotangent ``(*stack, *value.shape)``: the leading stack axes are carried along untouched, so every axis is
counted from the right. A vjp never writes into ``g``.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from minilwa.backend import Array, fused, namespace, uniform
from minilwa.errors import InputError
from minilwa.tape import Node, op


def unbroadcast(g: Array, shape: tuple[int, ...], value_shape: tuple[int, ...]) -> Array:
    """Sum ``g`` ``(*stack, *value_shape)`` over the axes along which ``shape`` was broadcast: ``(*stack, *shape)``."""
    stack = g.shape[: g.ndim - len(value_shape)]
    aligned = (1,) * (len(value_shape) - len(shape)) + shape
    axes = tuple(i - len(value_shape) for i, size in enumerate(aligned) if size != value_shape[i])
    return (g.sum(axis=axes) if axes else g).reshape(stack + shape)


def shape_of(a: Any) -> tuple[int, ...]:
    return getattr(a, "shape", ())  # a Python number broadcasts like an array of shape ()


# --- arithmetic ------------------------------------------------------------------------------------------------------


@op
def add(a, b):
    """a + b, element by element, broadcast."""
    value = plus(a, b)
    return value, (
        lambda g: unbroadcast(g, shape_of(a), value.shape),
        lambda g: unbroadcast(g, shape_of(b), value.shape),
    )


@fused
def plus(a, b):
    return a + b


@op
def subtract(a, b):
    """a - b, element by element, broadcast."""
    value = a - b
    return value, (
        lambda g: unbroadcast(g, shape_of(a), value.shape),
        lambda g: unbroadcast(-g, shape_of(b), value.shape),
    )


@op
def multiply(a, b):
    """a * b, element by element, broadcast."""
    value = a * b
    return value, (
        lambda g: unbroadcast(g * b, shape_of(a), value.shape),
        lambda g: unbroadcast(g * a, shape_of(b), value.shape),
    )


@op
def divide(a, b):
    """a / b, element by element, broadcast."""
    value = a / b
    return value, (
        lambda g: unbroadcast(g / b, shape_of(a), value.shape),
        lambda g: unbroadcast(-g * value / b, shape_of(b), value.shape),
    )


@op
def negative(a):
    """-a."""
    return -a, (lambda g: -g,)


@op
def exp(a):
    """e^a."""
    value = namespace(a).exp(a)
    return value, (lambda g: g * value,)


@op
def log(a):
    """The natural logarithm."""
    return namespace(a).log(a), (lambda g: g / a,)


@op
def matmul(a, b):
    """``a @ b`` for ``(..., N, M) @ (..., M, P)``, leading axes broadcast. InputError for other shapes."""
    if len(shape_of(a)) < 2 or len(shape_of(b)) < 2 or a.shape[-1] != b.shape[-2]:
        raise InputError("matmul", f"shapes {shape_of(a)} and {shape_of(b)}", "(..., N, M) and (..., M, P)")
    value = rows_times(a, b)

    def vjp_b(g):
        if b.ndim > 2:
            return unbroadcast(a.swapaxes(-1, -2) @ g, b.shape, value.shape[:-2] + b.shape[-2:])
        rows = a.reshape(-1, a.shape[-1])  # b saw every row of every leading axis: one product sums over them all
        stack = g.shape[: g.ndim - value.ndim]
        return rows.T @ g.reshape(*stack, len(rows), g.shape[-1])

    def vjp_a(g):
        return unbroadcast(rows_times(g, b.swapaxes(-1, -2)), a.shape, value.shape[:-2] + a.shape[-2:])

    return value, (vjp_a, vjp_b)


def rows_times(a: Array, b: Array) -> Array:
    """``a @ b``; with a plain matrix ``b`` all rows of ``a``, whatever their leading axes, go into one product."""
    return (a.reshape(-1, a.shape[-1]) @ b).reshape(*a.shape[:-1], b.shape[-1]) if b.ndim == 2 else a @ b


# --- shape -----------------------------------------------------------------------------------------------------------


@op
def reshape(a, *, shape):
    """The same numbers in another shape."""
    value = a.reshape(shape)
    return value, (lambda g: g.reshape(g.shape[: g.ndim - value.ndim] + a.shape),)


@op
def transpose(a, *, axes):
    """``axes``, all of them, as in numpy.transpose, counted from 0."""
    value = a.transpose(axes)

    def vjp(g):
        stack = g.ndim - value.ndim
        return g.transpose(*range(stack), *(stack + int(i) for i in np.argsort([i % value.ndim for i in axes])))

    return value, (vjp,)


@op
def index(a, *, at):
    """``a[at]`` for a basic index: integers, slices, ``...`` and None (an array index may repeat places).

    InputError for any other.
    """
    parts = at if isinstance(at, tuple) else (at,)
    basic = (int, np.integer, slice, type(None), type(Ellipsis))
    if not all(isinstance(part, basic) and not isinstance(part, bool) for part in parts):
        raise InputError("index", repr(at), "integers, slices, ... or None")
    value = a[parts]

    def vjp(g):
        stack = g.ndim - value.ndim
        gradient = namespace(g).zeros(g.shape[:stack] + a.shape, dtype=g.dtype)
        gradient[(slice(None),) * stack + parts] = g
        return gradient

    return value, (vjp,)


@op
def concatenate(*arrays, axis):
    """Arrays joined along ``axis`` of each."""
    value = namespace(*arrays).concatenate(arrays, axis=axis)
    axis = axis % value.ndim - value.ndim  # counted from the right, where the stack cannot shift it
    ends = np.cumsum([a.shape[axis] for a in arrays])

    def vjp_of(a, end):
        part = (..., slice(int(end) - a.shape[axis], int(end)), *[slice(None)] * (-axis - 1))
        return lambda g: g[part]

    return value, tuple(vjp_of(a, end) for a, end in zip(arrays, ends, strict=True))


# --- reductions ------------------------------------------------------------------------------------------------------


def normal_axes(axis: int | tuple[int, ...] | None, ndim: int) -> tuple[int, ...]:
    """``axis`` as a tuple of axes counted from the right; None means all. InputError for an axis that there is not."""
    axes = range(ndim) if axis is None else axis if isinstance(axis, tuple) else (axis,)
    if any(not -ndim <= i < ndim for i in axes):
        raise InputError("axis", axis, f"axes of an array with {ndim}")
    return tuple(i % ndim - ndim for i in axes)


@op
def sum(a, *, axis=None, keepdims=False):
    """Over one axis, a tuple of axes or (None) all; with ``keepdims`` they stay, of length 1."""
    axes = normal_axes(axis, a.ndim)
    kept = tuple(1 if i - a.ndim in axes else size for i, size in enumerate(a.shape))
    value = a.sum(axis=axes, keepdims=keepdims)

    def vjp(g):
        stack = g.shape[: g.ndim - value.ndim]
        return namespace(g).broadcast_to(g.reshape(stack + kept), stack + a.shape).copy()

    return value, (vjp,)


def mean(a, *, axis=None, keepdims=False):
    """`sum` over the same axes, divided by how many numbers there are."""
    count = math.prod(a.shape[i] for i in normal_axes(axis, a.ndim))
    return divide(sum(a, axis=axis, keepdims=keepdims), count)


@op
def max(a, *, axis, keepdims=False):
    """The largest value along one axis; of several equal ones the first receives the gradient."""
    (axis,) = normal_axes(axis, a.ndim)
    value = a.max(axis=axis, keepdims=keepdims)

    def vjp(g):
        xp = namespace(g)
        places = xp.arange(a.shape[axis]).reshape(-1, *[1] * (-axis - 1))
        first = xp.expand_dims(a.argmax(axis=axis), axis) == places
        return (g if keepdims else xp.expand_dims(g, axis)) * first

    return value, (vjp,)


# --- activations and losses ------------------------------------------------------------------------------------------


@op
def relu(a):
    """max(a, 0); its slope at 0 is 0."""
    value = positive_part(a)
    return value, (lambda g: times_slope_of_relu(g, value),)


@fused
def positive_part(a):
    return namespace(a).maximum(a, 0)


@fused
def times_slope_of_relu(g, value):
    return g * (value > 0)


@op
def tanh(a):
    """(e^a - e^-a) / (e^a + e^-a)."""
    value = hyperbolic_tangent(a)
    return value, (lambda g: times_slope_of_tanh(g, value),)


@fused
def hyperbolic_tangent(a):
    return namespace(a).tanh(a)


@fused
def times_slope_of_tanh(g, value):
    return g * (1 - value * value)


@op
def softmax(z):
    """alpha = exp(z) / sum exp(z) over the last axis."""
    value = namespace(z).exp(z - z.max(axis=-1, keepdims=True))
    value /= value.sum(axis=-1, keepdims=True)
    return value, (lambda g: value * (g - (g * value).sum(axis=-1, keepdims=True)),)


@op
def log_softmax(z):
    """z - log sum exp(z) over the last axis."""
    xp = namespace(z)
    shifted = z - z.max(axis=-1, keepdims=True)
    value = shifted - xp.log(xp.exp(shifted).sum(axis=-1, keepdims=True))
    return value, (lambda g: g - xp.exp(value) * g.sum(axis=-1, keepdims=True),)


@op
def cross_entropy(z, *, labels):
    """-log softmax(z)_y of each sample: logits ``(N, K)`` and integer labels ``(N,)`` give losses ``(N,)``.

    InputError for other shapes.
    """
    xp = namespace(z, labels)
    if z.ndim != 2 or labels.shape != z.shape[:1]:
        raise InputError("cross_entropy", f"logits {z.shape} and labels {labels.shape}", "(N, K) and (N,)")
    log_alpha = log_softmax(z)
    onehot = labels[:, None] == xp.arange(z.shape[-1])  # (N, K)
    loss = -xp.take_along_axis(log_alpha, labels[:, None], axis=-1)[:, 0]
    return loss, (lambda g: g[..., None] * (xp.exp(log_alpha) - onehot),)


@op
def dropout(a, *, rate, rng):
    """Set a fraction ``rate`` of the values to zero and divide the rest by ``1 - rate``, so that the mean stays.

    InputError unless it is in [0, 1).
    """
    if not 0 <= rate < 1:
        raise InputError("rate", rate, "a number in [0, 1)")
    mask = (uniform(rng, a) >= rate) / a.dtype.type(1 - rate)
    return a * mask, (lambda g: g * mask,)


# --- operators, so that formulas read as formulas: x @ w + b ----------------------------------------------------------

OPERATORS = {
    "__add__": add,
    "__radd__": lambda self, other: add(other, self),
    "__sub__": subtract,
    "__rsub__": lambda self, other: subtract(other, self),
    "__mul__": multiply,
    "__rmul__": lambda self, other: multiply(other, self),
    "__truediv__": divide,
    "__rtruediv__": lambda self, other: divide(other, self),
    "__neg__": negative,
    "__matmul__": matmul,
    "__rmatmul__": lambda self, other: matmul(other, self),
    "__getitem__": lambda self, at: index(self, at=at),
}
for _name, _operator in OPERATORS.items():
    setattr(Node, _name, _operator)
