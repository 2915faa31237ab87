"""minilwa as a contender: its public functions, as a user calls them."""

from __future__ import annotations

from collections.abc import Callable
from importlib.metadata import version
from typing import Any

import numpy as np
from cases import METHODS, SGD, Case

import minilwa
from minilwa.backend import namespace
from minilwa.checks import values_known

VERSION = version("minilwa")


def jacobian(case: Case) -> dict[str, Callable[[], dict[str, Any]]]:
    """One loss gradient, T in two ways, Algorithm 1 in two ways."""
    case = case.there()
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


def joined(parts) -> Any:
    return parts[0] if len(parts) == 1 else namespace(*parts).concatenate(parts)


def training(case: Case, method: str, steps: int) -> Callable[[], dict[str, Any]]:
    """A function that goes ``steps`` on and returns the parameters, by layer and name."""
    case = case.there()
    network, velocity, batches = case.network, SGD.start(case.network), case.parts()
    rng, done = np.random.default_rng(0), 0  # these networks have no dropout, so nothing is drawn

    def go_on():
        nonlocal network, velocity, done
        coming = [batches[i % len(batches)] for i in range(done, done + steps)]
        with values_known():  # as in `minilwa.train`
            network, velocity = METHODS[method].epoch(network, velocity, coming, SGD, rng)
        done += steps
        return {f"{i} {name}": part[name] for i, part in enumerate(network.parameters) for name in part}

    return go_on
