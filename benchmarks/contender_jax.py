"""JAX, compiled by `jax.jit`, as a contender: the same networks and the same mathematics."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
from cases import METHODS, SGD, Case
from jax import Array, lax

import minilwa
from minilwa import Method

VERSION = jax.__version__


def logits(network: minilwa.Network, parameters: Any, x: Array) -> Array:
    """z ``(N, K)`` of ``network``, with other parameters."""
    for layer, p in zip(network.layers[:-1], parameters[:-1], strict=True):
        x = LAYERS[layer.name](p, x, layer.settings)
    return x


def convolution(p: Any, x: Array, settings: dict[str, Any]) -> Array:
    stride, padding = settings["stride"], settings["padding"]
    return lax.conv(x, p["w"], (stride, stride), [(padding, padding)] * 2) + p["b"]


def max_pool(p: Any, x: Array, settings: dict[str, Any]) -> Array:
    window, strides = (1, 1, *[settings["size"]] * 2), (1, 1, *[settings["stride"] or settings["size"]] * 2)
    return lax.reduce_window(x, -jnp.inf, lax.max, window, strides, "VALID")


LAYERS: dict[str, Callable[..., Array]] = {
    "flatten": lambda p, x, settings: x.reshape(len(x), -1),
    "relu": lambda p, x, settings: jax.nn.relu(x),
    "tanh": lambda p, x, settings: jnp.tanh(x),
    "dense": lambda p, x, settings: x @ p["w"] + p["b"],
    "conv": convolution,
    "max_pool": max_pool,
}


def jacobian(case: Case) -> dict[str, Callable[[], dict[str, Array]]]:
    """T = d alpha / dx by ``jit(vmap(jacrev))``, compiled before it is timed."""
    parameters = jax.tree.map(jnp.asarray, case.network.parameters)
    parts = [jnp.asarray(part) for part, _ in case.parts()]

    @jax.jit
    def stacked(parameters, x):
        return jax.vmap(jax.jacrev(lambda image: jax.nn.softmax(logits(case.network, parameters, image[None])[0])))(x)

    compiled = {part.shape: stacked.lower(parameters, part).compile() for part in parts}

    def jacrev():
        found = [compiled[part.shape](parameters, part) for part in parts]
        return {"T": jax.block_until_ready(found[0] if len(found) == 1 else jnp.concatenate(found))}

    return {"jax_jacrev": jacrev}


def training(case: Case, method: str, steps: int) -> Callable[[], dict[str, Array]]:
    """A function that goes ``steps`` on and returns the parameters, by layer and name."""
    jax.config.update("jax_enable_x64", case.network.dtype == "float64")
    network, settings = case.network, METHODS[method]
    parameters = jax.tree.map(jnp.array, network.parameters)
    velocity = jax.tree.map(jnp.zeros_like, parameters)
    batches = [(jnp.asarray(x), jnp.asarray(y)) for x, y in case.parts()]
    done = 0

    def loss(parameters, x, y):
        log_alpha = jax.nn.log_softmax(logits(network, parameters, x))
        return -jnp.take_along_axis(log_alpha, y[:, None], axis=1).mean()

    @partial(jax.jit, donate_argnums=(0, 1))
    def step(parameters, velocity, x, y):
        x_hat = x + perturbation(partial(logits, network, parameters), x, y, settings)
        gradient = jax.grad(loss)(parameters, x_hat, y)
        if settings.clean:
            gradient = jax.tree.map(jnp.add, gradient, jax.grad(loss)(parameters, x, y))
        velocity = jax.tree.map(lambda v, g: SGD.momentum * v - SGD.rate * g, velocity, gradient)
        return jax.tree.map(jnp.add, parameters, velocity), velocity

    def go_on():
        nonlocal parameters, velocity, done
        for i in range(done, done + steps):
            parameters, velocity = step(parameters, velocity, *batches[i % len(batches)])
        done += steps
        jax.block_until_ready((parameters, velocity))
        return {f"{i} {name}": part[name] for i, part in enumerate(parameters) for name in part}

    return go_on


def perturbation(z_of: Callable[[Array], Array], x: Array, y: Array, method: Method) -> Array | float:
    """r of the method, of L2 length ``method.radius``; Adv_Alpha by the stable form of Algorithm 1 with all rows."""
    if method.along is None:
        return 0.0
    v = adv_alpha(z_of, x, y) if method.along == "adv_alpha" else adv_loss(z_of, x, y)
    v = jnp.sign(v) if method.along == "adv_loss_sign" else v
    lengths = jnp.linalg.norm(v.reshape(len(v), -1), axis=1)
    return method.radius * v / jnp.maximum(lengths, 1e-30)[:, None, None, None]


def adv_loss(z_of: Callable[[Array], Array], x: Array, y: Array) -> Array:
    z, pullback = jax.vjp(z_of, x)
    label = jax.nn.one_hot(y, z.shape[1])
    others = jax.nn.softmax(jnp.where(label, -jnp.inf, z))
    return pullback(others - label)[0]


def adv_alpha(z_of: Callable[[Array], Array], x: Array, y: Array) -> Array:
    z, pullback = jax.vjp(z_of, x)
    onehot = jnp.eye(z.shape[1], dtype=z.dtype)
    J = jnp.stack([pullback(jnp.broadcast_to(row, z.shape))[0] for row in onehot], axis=1)  # (N, K, *shape)
    predicted = z.argmax(1)
    samples, wrong = jnp.arange(len(z)), predicted != y
    D = (J - J[samples, predicted][:, None]).reshape(*z.shape, -1)
    at_predicted = predicted[:, None] == jnp.arange(z.shape[1])
    pi = jax.nn.softmax(jnp.where(at_predicted, -jnp.inf, z))
    alpha_J, z_J = jax.nn.softmax(z)[samples, predicted], z[samples, predicted]
    delta = -alpha_J[:, None] * jnp.expm1(z - z_J[:, None])
    G = jnp.einsum("nk,nkd->nd", pi, D)
    v = delta[..., None] * G[:, None] + pi[..., None] * D
    ratio = jnp.where(delta > 0, jnp.linalg.norm(v, axis=2) / jnp.where(delta > 0, delta, 1), jnp.inf)
    nearest = jnp.where(at_predicted, -jnp.inf, ratio).argmax(1)
    chosen = jnp.where(wrong, y, nearest)  # a mistaken sample is pushed on, away from its label
    return jnp.where(wrong, -1, 1)[:, None, None, None] * v[samples, chosen].reshape(x.shape)
