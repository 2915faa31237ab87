"""Tests of what computes with arrays are run a second time, on the stand-in for CuPy.

In the second run every function of minilwa that a test module imports is given device arrays in the place of NumPy's,
networks with device parameters, and has its results copied back: the tests themselves stay as they are.
"""

import types
from dataclasses import replace
from functools import partial, wraps

import numpy as np
import pytest
import strict_cupy

from minilwa.networks import Network
from minilwa.tape import Node
from minilwa.tree import leaves, tree_map

TWICE = {  # test module -> the tests of it that have nothing to say of a device, with why
    "test_norms": {},
    "test_propositions": {},
    "test_lazy": {},
    "test_algorithms": {},
    "test_directions": {},
    "test_training": {},
    "test_evaluation": {},
    "test_attacks": {},
    "test_layers": {},
    "test_networks": {},
    "test_errata": {},
}


def pytest_generate_tests(metafunc):
    spared = TWICE.get(metafunc.module.__name__)
    if spared is not None and metafunc.function.__name__ not in spared:
        metafunc.fixturenames.append("library")
        metafunc.parametrize("library", ["numpy", "strict_cupy"], indirect=True, scope="module")


@pytest.fixture(scope="module")
def library(request):
    if request.param == "numpy":
        yield
        return
    with strict_cupy.installed(), pytest.MonkeyPatch.context() as patch:
        for name, value in vars(request.module).items():
            if is_ours(value):
                patch.setattr(request.module, name, on_device(value))
            elif isinstance(value, dict) and value and all(map(is_ours, value.values())):
                patch.setattr(request.module, name, {key: on_device(inner) for key, inner in value.items()})
        yield


def is_ours(value):
    """Whether a value is a function of minilwa, or one with some arguments given."""
    if isinstance(value, partial):
        return is_ours(value.func)
    return isinstance(value, types.FunctionType) and value.__module__.startswith("minilwa.")


def on_device(function):
    """``function``, its arguments sent to the device and its results brought back; called from there, as it is."""

    @wraps(function)
    def call(*args, **settings):
        if any(isinstance(a, (strict_cupy.ndarray, Node)) for a in (*args, *settings.values())):
            return function(*args, **settings)
        if args and isinstance(args[0], Network) and is_there(args[0]):
            return function(*args, **settings)
        found = function(*map(to_device, args), **{key: to_device(value) for key, value in settings.items()})
        return to_host(found)

    return call


def is_there(network):
    return any(isinstance(a, strict_cupy.ndarray) for a in leaves(network.parameters))


def to_device(value):
    """Arrays, in whatever holds them, on the device; they share their memory with the host's, so a change shows."""
    if isinstance(value, np.ndarray):
        return strict_cupy.ndarray(value)
    if isinstance(value, Network):
        return replace(value, parameters=tree_map(to_device, value.parameters))
    if isinstance(value, partial):
        return partial(value.func, *map(to_device, value.args), **to_device(value.keywords))
    if isinstance(value, types.MethodType) and isinstance(value.__self__, Network):
        return getattr(to_device(value.__self__), value.__name__)
    return within(to_device, value)


def to_host(value):
    """The inverse, of results: a number where NumPy would give one."""
    if isinstance(value, strict_cupy.ndarray):
        return value._host if value.ndim else value._host[()]
    if isinstance(value, Network):
        return replace(value, parameters=tree_map(to_host, value.parameters))
    if isinstance(value, (types.FunctionType, partial)):
        return on_device(value)
    return within(to_host, value)


def within(change, value):
    if isinstance(value, dict):
        return {key: change(part) for key, part in value.items()}
    if isinstance(value, (tuple, list)):
        parts = [change(part) for part in value]
        return type(value)(*parts) if hasattr(value, "_fields") else type(value)(parts)
    return value
