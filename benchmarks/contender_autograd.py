"""HIPS autograd as a contender, a backward pass a row; dense networks only, since it has no fast convolution."""

from __future__ import annotations

from collections.abc import Callable
from importlib.metadata import version

import autograd.numpy as np
from autograd import make_vjp
from cases import Case

VERSION = version("autograd")


def jacobian(case: Case) -> dict[str, Callable[[], dict[str, np.ndarray]]]:
    """T = d alpha / dx, one pullback for each class; nothing for a network with convolutions."""
    weights = [p for p in case.network.parameters if p]
    if any(layer.name == "conv" for layer in case.network.layers):
        return {}

    def alpha(x):
        h = x.reshape(len(x), -1)
        for p in weights[:-1]:
            h = h @ p["w"] + p["b"]
            h = h * (h > 0)
        z = h @ weights[-1]["w"] + weights[-1]["b"]
        alpha = np.exp(z - np.max(z, axis=1, keepdims=True))
        return alpha / np.sum(alpha, axis=1, keepdims=True)

    def loop():
        pullback, value = make_vjp(alpha)(case.x)
        onehot = np.eye(value.shape[1], dtype=value.dtype)
        rows = [pullback(np.broadcast_to(row, value.shape)) for row in onehot]
        return {"T": np.moveaxis(np.stack(rows), 0, 1)}

    return {"autograd_loop": loop}
