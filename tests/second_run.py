"""Tests of what computes with arrays are run again on a device: on the stand-in for CuPy, with ``-m gpu`` on CuPy.

There every function of minilwa that a test module imports is given device arrays in the place of NumPy's, networks with
device parameters, and has its results copied back, and so are the layers and networks that it makes; the functions that
a test gives to minilwa see host arrays as ever. So the tests stay as they are. What `test_ops.py`, `test_conv.py` and
`test_tape.py` check of vjps goes to the device in `vjp_check.py`.
"""

import importlib
import sys
import types
from collections.abc import Iterator
from dataclasses import replace
from functools import cache, partial, wraps
from pathlib import Path

import numpy as np
import pytest
import strict_cupy
import vjp_check

from minilwa.attacks import Attack
from minilwa.backend import device_namespace
from minilwa.errors import InputError
from minilwa.files import write_json
from minilwa.layers import Layer
from minilwa.networks import Network
from minilwa.tape import Node
from minilwa.tree import leaves, tree_map

MODULES = {
    "test_algorithms",
    "test_ascent",
    "test_attacks",
    "test_bounds",
    "test_directions",
    "test_errata",
    "test_evaluation",
    "test_layers",
    "test_lazy",
    "test_networks",
    "test_norms",
    "test_propositions",
    "test_second_run",
    "test_training",
    "test_worst",
}
VJPS = {"test_conv", "test_ops", "test_tape"}
HELPERS = ["reach"]  # modules that the tests compute with
HOST = {"matrix_norm", "convolution_norm", "score_at", "summary", "worst_case"}  # take host arrays on any device
ROWS = "rows"  # an argument that the host says on any device: which rows of a Jacobian are wanted

OUTCOMES = ("passed", "failed", "error", "skipped")
READ_ONLY = "CuPy has no read-only arrays"
LEFT_OUT = {  # tests that have nothing to say of a device, with why
    "test_frozen_weights_are_known_by_being_the_same": READ_ONLY,
    "test_weights_made_read_only_by_others_may_change_all_the_same": READ_ONLY,
    "test_read_only_views_are_copied_since_their_base_may_change": READ_ONLY,
    "test_a_checkpoint_from_before_these_settings_goes_on": "rewrites a file, which holds host arrays on any device",
}
BITS = "asks for NumPy's own bits, which CuPy may round otherwise"
NOT_ON_CUPY = {  # what CuPy alone cannot do, with why
    "test_a_layer_is_made_again_from_its_name_and_settings_through_json": BITS,
    "test_another_process_needs_nothing_but_the_file": BITS,
    "test_simple_layers_are_what_their_names_say": BITS,
    "test_dropout_of_a_fixed_draw": "CuPy draws other numbers from a seed",
}


def pytest_addoption(parser):
    parser.addoption("--stand-in", action="store_true", help="with -m gpu: a stand-in for CuPy that rounds otherwise")
    parser.addoption(
        "--record", type=Path, metavar="FILE", help="write what ran, on which GPU, and how it went, as JSON"
    )


def pytest_generate_tests(metafunc):
    module, name = metafunc.module.__name__, metafunc.function.__name__
    libraries = ["numpy"]
    if module in MODULES and name not in LEFT_OUT:
        libraries.append("strict_cupy")
    of_a_device = len(libraries) > 1 or (module in VJPS and checks_a_vjp(metafunc.function))
    if of_a_device and name not in NOT_ON_CUPY and "gpu" in metafunc.config.option.markexpr:
        libraries.append(pytest.param("cupy", marks=pytest.mark.gpu))
    if len(libraries) > 1:
        metafunc.parametrize("library", libraries, indirect=True, scope="module")


def checks_a_vjp(function):
    """Whether a test calls `vjp_check.check_vjp`."""
    drawn = getattr(function, "hypothesis", None)
    return "check_vjp" in (drawn.inner_test if drawn else function).__code__.co_names


@pytest.fixture(scope="session")
def gpu(request):
    """The module cupy, tried out; without a GPU the tests that ask for it are skipped."""
    if request.config.option.stand_in:
        with strict_cupy.installed(rounded=True) as module:
            yield module
        return
    try:
        yield device_namespace("gpu")
    except InputError as error:
        pytest.skip(str(error))


@pytest.fixture(scope="module", autouse=True)
def library(request):
    chosen = getattr(request, "param", "numpy")
    if chosen == "cupy":
        request.getfixturevalue("gpu")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(vjp_check, "ON_GPU", chosen == "cupy")
        if chosen == "strict_cupy":
            patch.setitem(sys.modules, "cupy", strict_cupy.MODULE)
        if chosen != "numpy" and request.module.__name__ in MODULES:
            for module in (request.module, *(sys.modules[name] for name in HELPERS if name in sys.modules)):
                for name, value in list(vars(module).items()):
                    if (given := given_device(value)) is not value:
                        patch.setattr(module, name, given)
        yield chosen


@pytest.hookimpl(tryfirst=True)
def pytest_pyfunc_call(pyfuncitem):
    if pyfuncitem.funcargs["library"] != "numpy" and pyfuncitem.module.__name__ in MODULES:
        pyfuncitem.funcargs |= {name: given_device(value) for name, value in pyfuncitem.funcargs.items()}


def pytest_terminal_summary(terminalreporter, config):
    path = config.getoption("record")
    if path is None:
        return
    sys.path.insert(0, str(Path(__file__).parent.parent / "benchmarks"))
    machine = importlib.import_module("machine")
    try:
        gpu_ = "none: a stand-in for CuPy" if config.option.stand_in else machine.gpu()
    except InputError as error:
        gpu_ = f"none: {error}"
    found = {outcome: terminalreporter.stats.get(outcome, []) for outcome in OUTCOMES}
    about = {
        "command": f"pytest {' '.join(config.invocation_params.args)}",
        "gpu": gpu_,
        "machine": machine.describe(len(machine.available_cores()), {}),
        "tests": {outcome: len(reports) for outcome, reports in found.items()},
        "failed": [report.nodeid for report in found["failed"] + found["error"]],
    }
    write_json(path, about)


# --- functions -------------------------------------------------------------------------------------------------------


def given_device(value):
    """What a test works with: functions of minilwa are `on_device`, and whatever it is else stays as it is."""
    if isinstance(value, Attack):
        return replace(value, run=on_device(value.run))
    if isinstance(value, dict) and value and all(isinstance(part, Attack) or is_ours(part) for part in value.values()):
        return {key: given_device(part) for key, part in value.items()}
    return on_device(value) if is_ours(value) else value


def is_ours(value):
    """Whether a value is a function of minilwa, or one with some arguments given."""
    if isinstance(value, partial):
        return is_ours(value.func)
    ours = isinstance(value, types.FunctionType) and value.__module__.startswith("minilwa.")
    return ours and value.__module__ != "minilwa.tree" and value.__name__ not in HOST


@cache  # the same function comes out the same, so that a test can know it again
def on_device(function):
    """A function of minilwa, its arguments sent to the device and its results back; called from there, as it is."""

    @wraps(function)
    def call(*args, **settings):
        if any(isinstance(a, Node) or is_there(a) for a in (*args, *settings.values())):
            return function(*args, **settings)
        sent = {key: value if key == ROWS else to_device(value) for key, value in settings.items()}
        return to_host(function(*map(to_device, args), **sent))

    return call


def on_host(function):
    """A test's own function, called with what is on the device: it sees host arrays, but for traced values."""

    @wraps(function)
    def call(*args, **settings):
        if any(isinstance(a, Node) for a in (*args, *settings.values())):
            return function(*args, **settings)
        return to_device(function(*map(to_host, args), **to_host(settings)))

    return call


class OnDevice(Network):
    """A network as a test sees it: its parameters are the host's, but it computes on the device."""

    def __call__(self, x):
        return self.there("__call__", x)

    def apply(self, parameters, x, rng=None):
        return self.there("apply", parameters, x, rng)

    def logits(self, x, parameters=None, rng=None):
        return self.there("logits", x, parameters, rng)

    def there(self, name, *args):
        traced = [a.value for a in leaves(args) if isinstance(a, Node)]
        if not traced:
            return to_host(getattr(to_device(self), name)(*map(to_device, args)))
        network = to_device(self) if is_there(traced[0]) else Network(*vars(self).values())
        return getattr(network, name)(*args)


# --- moves -----------------------------------------------------------------------------------------------------------


def is_there(value):
    """Whether a value is a device array, or a network of them."""
    if isinstance(value, Network):
        return any(map(is_there, leaves(value.parameters)))
    return type(value).__module__.partition(".")[0] == "cupy"


def to_device(value):
    """Arrays, in whatever holds them, on the device; the stand-in's share their memory with the host's."""
    if isinstance(value, np.ndarray):
        cupy = sys.modules["cupy"]
        return strict_cupy.ndarray(value) if cupy is strict_cupy.MODULE else cupy.asarray(value)
    if isinstance(value, Network):
        return Network(value.layers, tree_map(to_device, value.parameters), value.shapes, value.memory)
    if isinstance(value, Iterator):
        return map(to_device, value)
    return function_to_device(value) if callable(value) else within(to_device, value)


def function_to_device(value):
    """What a function holds, on the device; one of a test's own is `on_host`."""
    if isinstance(value, partial):
        return partial(to_device(value.func), *map(to_device, value.args), **to_device(value.keywords))
    if isinstance(value, types.MethodType) and isinstance(value.__self__, Network):
        return getattr(to_device(value.__self__), value.__name__)
    own = isinstance(value, (types.FunctionType, types.BuiltinFunctionType)) and not is_ours(value)
    return on_host(value) if own else value


def to_host(value):
    """The inverse, of results: a number where NumPy would give one."""
    if is_there(value) and not isinstance(value, Network):
        host = value._host if isinstance(value, strict_cupy.ndarray) else value.get()
        return host if value.ndim else host[()]
    if isinstance(value, Network):
        return OnDevice(value.layers, tree_map(to_host, value.parameters), value.shapes, value.memory)
    if isinstance(value, Layer):
        return replace(value, apply=on_device(value.apply))
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
