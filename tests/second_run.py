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

RECORDED = "keeps what it records in objects of its own; test_device.py compares training bit by bit"
CLOSURE = "its own functions hold host arrays"
TWICE = {  # test module -> the tests of it that have nothing to say of a device, with why
    "test_second_run": {},
    "test_norms": {},
    "test_propositions": {},
    "test_algorithms": dict.fromkeys(
        (
            "test_algorithm_2_descends_the_loss_at_the_frozen_perturbed_images",
            "test_algorithm_2_drops_the_same_units_as_ordinary_training_from_the_same_stream",
            "test_algorithm_3_descends_the_loss_of_both_parts_with_the_perturbation_frozen",
            "test_algorithm_3_pulls_back_through_the_units_that_it_dropped_going_forward",
            "test_goodfellow_drops_units_in_both_of_its_passes",
            "test_goodfellow_sums_the_gradients_at_the_clean_and_the_perturbed_images",
            "test_nokland_s_method_is_algorithm_2_with_the_sign_of_the_loss_gradient",
            "test_the_classifier_s_gradient_is_that_of_ordinary_training_on_the_perturbed_features",
            "test_the_gradient_is_that_of_ordinary_training_on_the_perturbed_images",
        ),
        RECORDED,
    ),
    "test_directions": {},
    "test_training": {},
    "test_evaluation": {},
    "test_attacks": {
        "test_pgd_draws_its_starts_from_the_seed": "compares what its own listener keeps, which is on the device"
    },
    "test_layers": {},
    "test_networks": {},
    "test_errata": {
        "test_item_2_is_goodfellows_method_only_with_the_minus_sign": CLOSURE,
        "test_rows_can_be_chosen_and_chunked": "which rows are wanted, the host says",
    },
}


def pytest_generate_tests(metafunc):
    spared = TWICE.get(metafunc.module.__name__)
    if spared is not None and metafunc.function.__name__ not in spared:
        metafunc.parametrize("library", ["numpy", "strict_cupy"], indirect=True, scope="module")


@pytest.fixture(scope="module", autouse=True)
def library(request):
    chosen = getattr(request, "param", "numpy")
    if chosen == "numpy":
        yield chosen
        return
    with strict_cupy.installed(), pytest.MonkeyPatch.context() as patch:
        for name, value in vars(request.module).items():
            if is_ours(value):
                patch.setattr(request.module, name, on_device(value))
            elif isinstance(value, dict) and value and all(map(is_ours, value.values())):
                patch.setattr(request.module, name, {key: on_device(inner) for key, inner in value.items()})
        yield chosen


def is_ours(value):
    """Whether a value is a function of minilwa, or one with some arguments given."""
    if isinstance(value, partial):
        return is_ours(value.func)
    ours = isinstance(value, types.FunctionType) and value.__module__.startswith("minilwa.")
    return ours and value.__module__ != "minilwa.tree"  # the tests give it functions of NumPy's


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
