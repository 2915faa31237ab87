"""Reverse-mode autograd: a value remembers how it came to be, and cotangents are pulled back along that memory.

Two things differ from the engines that one learns this with. Nothing hangs on an array: gradients are return
values, so a pass over the inputs cannot touch the parameters' gradients, and one graph can be pulled back many
times. And a cotangent may be a *stack*, ``(R, *y.shape)``: one backward pass then gives R rows of the Jacobian,
``(R, *x.shape)``, because every vjp counts its axes from the right.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import Any

from minilwa.backend import Array, check_array, namespace
from minilwa.errors import InputError
from minilwa.tree import Tree, leaves, tree_map

Vjp = Callable[[Array], Array]
NO_SECOND = "Derivatives of derivatives are not supported."


class Node:
    """A traced value: the array, and for each traced argument that it was made from, the vjp that leads back there."""

    __array_ufunc__ = None  # array @ node must call Node.__rmatmul__, not a loop over the array's elements
    __slots__ = ("parents", "value")

    def __init__(self, value: Array, parents: tuple[tuple[Node, Vjp], ...] = ()) -> None:
        self.value = value
        self.parents = parents

    @property
    def shape(self) -> tuple[int, ...]:
        """The shape of the value."""
        return self.value.shape

    @property
    def ndim(self) -> int:
        """The number of axes of the value."""
        return self.value.ndim

    def __array__(self, *_: Any, **__: Any) -> Any:
        """Refused: numpy.dot or numpy.where would take a Node for one object, and lose its gradient."""
        raise InputError("array", "a traced value in a function of NumPy", "a function of minilwa.ops, or an operator")

    def __repr__(self) -> str:
        return f"Node({self.value!r})"


def op(forward: Callable[..., tuple[Array, tuple[Vjp, ...]]]) -> Callable[..., Any]:
    """Make a traceable operation of ``forward(*arrays, **settings) -> (value, vjps)``, one vjp per array.

    Each vjp maps a cotangent ``(*stack, *value.shape)`` to ``(*stack, *array.shape)``, leaves what it is given
    unchanged, and is called only for traced arguments. With no Node among the arguments the plain value comes back.
    """

    @wraps(forward)
    def apply(*args: Any, **settings: Any) -> Any:
        values = [a.value if isinstance(a, Node) else a for a in args]
        namespace(*values)  # refuses host and device arrays in one operation
        value, vjps = forward(*values, **settings)
        parents = tuple((a, vjp) for a, vjp in zip(args, vjps, strict=True) if isinstance(a, Node))
        return Node(value, parents) if parents else value

    return apply


def topological_order(output: Node) -> list[Node]:
    """All nodes that ``output`` was made from, each after every node that was made from it, ``output`` first.

    Iterative, since a recursive search dies at Python's recursion limit, a thousand operations deep.
    """
    order: list[Node] = []
    seen: set[Node] = set()
    todo = [(output, False)]
    while todo:
        node, finished = todo.pop()
        if finished:
            order.append(node)
        elif node not in seen:
            seen.add(node)
            todo.append((node, True))
            todo.extend((parent, False) for parent, _ in node.parents)
    return order[::-1]


def backward(output: Node, cotangent: Array, inputs: list[Node]) -> list[Array]:
    """The gradient ``(*stack, *input.shape)`` of <cotangent, output> for each input, as new arrays.

    ``cotangent`` is ``(*stack, *output.shape)``; the leading axes are never summed over. InputError for a cotangent of
    another shape or dtype, or where a vjp returns a gradient of another shape.
    """
    check_array("cotangent", cotangent)
    xp = namespace(cotangent, output.value)  # refuses a cotangent on the other device
    stack = cotangent.shape[: cotangent.ndim - output.ndim]
    if cotangent.shape != stack + output.shape:
        raise InputError("cotangent", f"shape {cotangent.shape}", f"(*stack, *{output.shape}), the output's shape last")
    if cotangent.dtype != output.value.dtype:
        raise InputError("cotangent", f"dtype {cotangent.dtype}", f"{output.value.dtype}, as the output")
    gradients: dict[Node, Array] = {output: cotangent}
    for node in topological_order(output):
        if node not in gradients:
            continue
        gradient = gradients[node] if node in inputs else gradients.pop(node)
        for parent, vjp in node.parents:
            part = vjp(gradient)
            if part.shape != stack + parent.shape:
                raise InputError(vjp.__qualname__, f"a gradient of shape {part.shape}", f"{stack + parent.shape}")
            gradients[parent] = gradients[parent] + part if parent in gradients else part
    zero = cotangent.dtype.type(0)
    results: list[Array] = []
    for node in inputs:
        gradient = gradients.get(node)
        if gradient is None:
            gradient = xp.full(stack + node.shape, zero)
        elif any(xp.may_share_memory(gradient, other) for other in (cotangent, *results)):
            gradient = gradient.copy()
        results.append(gradient)
    return results


def vjp(function: Callable[..., Any], *inputs: Tree) -> tuple[Array, Callable[[Array], tuple[Tree, ...]]]:
    """The value of ``function(*inputs)`` and its pullback: cotangent ``(*stack, *value.shape)`` -> one tree per input.

    ``inputs`` are arrays or trees of arrays. The pullback may be called any number of times; each gradient has the
    shape ``(*stack, *leaf.shape)`` and shares no memory with the cotangent. InputError unless the value is one array,
    and for one that depends on what another vjp traces around this one: there are no derivatives of derivatives.
    """
    for leaf in leaves(inputs):
        if isinstance(leaf, Node):
            raise InputError("inputs", "a value that a vjp around it traces", "arrays", NO_SECOND)
        check_array("inputs", leaf)
    traced = tree_map(Node, inputs)
    nodes = leaves(traced)
    output = function(*traced)
    if not hasattr(output, "shape"):
        raise InputError("function", f"a value of type {type(output).__name__}", "one array")
    if not isinstance(output, Node):  # the function ignores its inputs
        output = Node(output)
    elif any(not node.parents and node not in nodes for node in topological_order(output)):
        raise InputError("function", "a value that a vjp around it traces too", "one of its own inputs", NO_SECOND)

    def pullback(cotangent: Array) -> tuple[Tree, ...]:
        gradients = dict(zip(nodes, backward(output, cotangent, nodes), strict=True))
        return tree_map(gradients.__getitem__, traced)

    return output.value, pullback


def value_and_gradient(function: Callable[..., Any], *inputs: Tree) -> tuple[Array, tuple[Tree, ...]]:
    """The scalar ``function(*inputs)`` and its gradient for each input. InputError unless it is a scalar."""
    value, pullback = vjp(function, *inputs)
    if value.ndim:
        raise InputError("function", f"a value of shape {value.shape}", "a scalar", "Take its mean or sum.")
    return value, pullback(namespace(value).ones_like(value))
