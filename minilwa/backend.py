"""The only file that names CuPy: which namespace an array belongs to, moves, fused kernels, random streams, the clock.

Nothing else asks where an array lives: code takes the namespace ``xp`` of its arguments and goes on. Products of
float32 are float32 on a GPU too; faster ones, good to three digits, CuPy gives with CUPY_TF32=1 in the environment.
"""

from __future__ import annotations

import importlib
import sys
from collections.abc import Callable
from functools import cache, wraps
from time import perf_counter, process_time
from types import ModuleType
from typing import Any

import numpy as np

from minilwa.errors import InputError

Array = Any  # a numpy.ndarray or a cupy.ndarray; neither library's stubs know the other

DEVICES = {"cpu": "numpy", "gpu": "cupy"}  # device -> the module whose arrays live there
DTYPES = ("float32", "float64")
NUMBERS = (bool, int, float, np.generic)  # of no device


def namespace(*arrays: Array) -> ModuleType:
    """The module (numpy or cupy) that all of ``arrays`` belong to; Python numbers belong to any.

    Raises InputError when host and device arrays are mixed, or when an argument is no array at all.
    """
    found = {type(a).__module__.partition(".")[0] for a in arrays if not isinstance(a, NUMBERS)}
    if unknown := found - set(DEVICES.values()):
        kinds = sorted({type(a).__name__ for a in arrays if type(a).__module__.partition(".")[0] in unknown})
        raise InputError("array", " and ".join(kinds), "a NumPy or CuPy array", "Make one with minilwa.asarray(...).")
    if len(found) > 1:
        raise InputError(
            "arrays",
            "NumPy and CuPy arrays in one operation",
            "all on one device",
            'Move them with minilwa.asarray(x, device="gpu") or back with minilwa.to_numpy(x).',
        )
    return sys.modules[found.pop()] if found else np


def check_array(argument: str, value: Any, hint: str = "Make one with minilwa.asarray(...).") -> None:
    """InputError unless ``value`` is an array."""
    if not hasattr(value, "dtype"):
        raise InputError(argument, type(value).__name__, "a NumPy or CuPy array", hint)


def device_namespace(device: str) -> ModuleType:
    """The array module of ``device`` ("cpu" or "gpu"), tried out: InputError, in one sentence, if it cannot be used."""
    if device not in DEVICES:
        raise InputError("device", repr(device), '"cpu" or "gpu"')
    if device == "cpu":
        return np
    try:
        xp = importlib.import_module("cupy")
        ones = xp.ones((2, 2), dtype="float32")  # memory, a kernel, a product: no less shows that it works
        (ones @ ones).sum().item()
    except Exception as error:  # missing package, driver, memory or compiler: each raises an error of its own
        reason = (str(error).strip() or type(error).__name__).splitlines()[0]
        hint = 'Install CuPy, in a clone with pip install -e ".[cuda12]" (or [cuda13]), or use device="cpu".'
        raise InputError("device", f'"gpu" ({reason})', "a working CUDA device and CuPy", hint) from None
    return xp


def asarray(data: Any, dtype: str = "float32", device: str = "cpu") -> Array:
    """``data`` as a float array of ``dtype`` ("float32" or "float64") on ``device`` ("cpu" or "gpu").

    InputError for any other.
    """
    if dtype not in DTYPES:
        raise InputError("dtype", repr(dtype), '"float32" or "float64"')
    xp = device_namespace(device)
    host = to_numpy(data) if device == "cpu" else data
    return xp.asarray(host, dtype=dtype)


def to_numpy(array: Any) -> np.ndarray:
    """``array`` on the host: a CuPy array is copied, a NumPy array is returned as it is."""
    return array.get() if type(array).__module__.partition(".")[0] == DEVICES["gpu"] else np.asarray(array)


def device_of(array: Array) -> str:
    """Where ``array`` lives: "cpu" or "gpu"."""
    return next(device for device, module in DEVICES.items() if module == namespace(array).__name__)


def like(data: Any, array: Array) -> Array:
    """``data`` (host numbers) on the device of ``array``, its own dtype kept: indices, labels, masks."""
    return namespace(array).asarray(data)


def fused(function: Callable[..., Any]) -> Callable[..., Any]:
    """``function`` of arrays and numbers, element by element: on a GPU one kernel, not one for each of its operations.

    It may use operators and universal functions alone, since CuPy traces it. The result lies in memory as the largest
    argument does: NumPy sees to that by itself, CuPy would lay it out anew.
    """
    kernel = cache(lambda xp: xp.fuse(function))

    @wraps(function)
    def apply(*values: Any) -> Any:
        xp = namespace(*values)
        if xp is np:
            return function(*values)
        moved, back = in_memory_order(values)
        return kernel(xp)(*moved).transpose(back)

    return apply


def in_memory_order(values: tuple[Any, ...]) -> tuple[list[Any], list[int]]:
    """``values``, their axes in the order in which those of the largest lie in memory, and the axes that undo it."""
    largest = max((value for value in values if not isinstance(value, NUMBERS)), key=lambda array: array.ndim)
    axes = sorted(range(largest.ndim), key=lambda axis: -largest.strides[axis])

    def moved(array: Array) -> Array:
        return array[(None,) * (largest.ndim - array.ndim)].transpose(axes)

    back = [axes.index(axis) for axis in range(largest.ndim)]
    return [value if isinstance(value, NUMBERS) else moved(value) for value in values], back


def frozen(array: Array) -> Array:
    """``array`` read-only for good: who remembers it knows what is in it; a view is copied: its base may change.

    An array that owns its numbers can be made writeable again, a view of a read-only one cannot: that is what one gets.
    CuPy has no read-only arrays: there it stays as it is.
    """
    if device_of(array) != "cpu" or is_frozen(array):
        return array
    owner = array if array.base is None else array.copy()
    owner.flags.writeable = False
    return owner.view()


def is_frozen(array: Array) -> bool:
    """Whether ``array`` is one that `frozen` made: a read-only view of a read-only array."""
    if device_of(array) != "cpu" or array.flags.writeable or not isinstance(array.base, np.ndarray):
        return False
    return array.base.base is None and not array.base.flags.writeable


def uniform(rng: np.random.Generator, array: Array) -> Array:
    """Uniform numbers in [0, 1), one for each element of ``array``, drawn on its device from a seed out of ``rng``."""
    return _stream(rng, array).random(array.shape, dtype=np.float32)


def normal(rng: np.random.Generator, array: Array) -> Array:
    """Standard normal numbers of ``array``'s dtype, drawn like those of `uniform`."""
    return _stream(rng, array).standard_normal(array.shape, dtype=array.dtype)


def _stream(rng: np.random.Generator, array: Array) -> Any:
    random, seed = namespace(array).random, int(rng.integers(2**63))
    if random is np.random:
        return random.default_rng(seed)
    return random.Generator(random.Philox4x3210(seed))  # of CuPy's generators the one that starts at no cost


def clock(array: Array) -> Callable[[], float]:
    """What tells the seconds that work on the device of ``array`` takes.

    On the CPU this process's processor time, on a GPU the time until all that it was asked for is done.
    """
    if device_of(array) == "cpu":
        return process_time

    stream = namespace(array).cuda.get_current_stream()

    def when_done() -> float:
        stream.synchronize()
        return perf_counter()

    return when_done
