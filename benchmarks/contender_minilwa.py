"""minilwa as a contender: its public functions, as a user calls them."""

from __future__ import annotations

from collections.abc import Callable
from importlib.metadata import version

import numpy as np
from cases import METHODS, SGD, Case

import minilwa
from minilwa.tree import tree_map

VERSION = version("minilwa")


def jacobian(case: Case) -> dict[str, Callable[[], dict[str, np.ndarray]]]:
    """One loss gradient, T in two ways, Algorithm 1 in two ways."""
    network, x, y = case.network, case.x, case.y

    def full():
        nearest, found = zip(*(minilwa.algorithm_1(network, part) for part, _ in case.parts()), strict=True)
        direction, log_distance = zip(*found, strict=True)
        return {"nearest": joined(nearest), "direction": joined(direction), "log_distance": joined(log_distance)}

    def lazy():
        found = minilwa.lazy_algorithm_1(network, x)
        return found.perturbation._asdict() | {"nearest": found.nearest, "rows": found.certificate.rows}

    return {
        "gradient": lambda: {"direction": minilwa.adv_loss(network, x, y)},
        "jacobian_loop": lambda: {"T": minilwa.jacobian_rows(network, x, chunk=1)[1]},
        "jacobian": lambda: {"T": joined([minilwa.jacobian_rows(network, part)[1] for part, _ in case.parts()])},
        "algorithm1_full": full,
        "algorithm1_lazy": lazy,
    }


def joined(parts) -> np.ndarray:
    return parts[0] if len(parts) == 1 else np.concatenate(parts)


def training(case: Case, method: str, steps: int) -> Callable[[], dict[str, np.ndarray]]:
    """A function that goes ``steps`` on and returns the parameters, by layer and name."""
    network, velocity, batches = case.network, tree_map(np.zeros_like, case.network.parameters), case.parts()
    rng, done = np.random.default_rng(0), 0  # these networks have no dropout, so nothing is drawn

    def go_on():
        nonlocal network, velocity, done
        coming = [batches[i % len(batches)] for i in range(done, done + steps)]
        network, velocity = METHODS[method].epoch(network, velocity, coming, SGD, rng)
        done += steps
        return {f"{i} {name}": part[name] for i, part in enumerate(network.parameters) for name in part}

    return go_on
